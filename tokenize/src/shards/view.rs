//! Views: the picture itself and, on request, its mirror image and LlamaGen's ten crops, each a row of its own.

use std::fmt;

use pipeline::picture::Picture;
use pipeline::reason::Reason;
use serde::{Deserialize, Serialize};

use crate::pixels::Preprocess;
use crate::{Error, Result};

/// Which views of a picture become rows beside the picture itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// The mirror image.
    pub flip: bool,
    /// Ten crops as LlamaGen extracts its codes (`autoregressive/train/extract_codes_c2i.py`): the picture is prepared at
    /// this many times the size (1.1 there), the four corners and the middle are cut out and mirrored. 0 = none.
    pub ten_crop: f64,
}

/// One view of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Which of the five crops; `None` for the whole picture.
    crop: Option<u8>,
    flip: bool,
}

/// Crops in torchvision's order: top left, top right, bottom left, bottom right, middle.
const CROPS: u8 = 5;

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.crop {
            None => f.write_str("whole")?,
            Some(crop) => write!(f, "crop-{crop}")?,
        }
        f.write_str(if self.flip { "-flip" } else { "" })
    }
}

impl Augment {
    /// Whether a picture gives more than one row per caption.
    pub(crate) fn is_any(&self) -> bool {
        self.flip || self.ten_crop > 0.0
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.ten_crop == 0.0 || (1.0..=4.0).contains(&self.ten_crop) {
            return Ok(());
        }
        Err(Error::Config {
            key: "augment.ten_crop".to_owned(),
            why: format!("{}: 0, or 1 to 4 times the size of the crops, 1.1 as in LlamaGen", self.ten_crop),
        })
    }

    /// The views in the order of their rows, the whole picture first.
    pub(crate) fn views(&self) -> Vec<View> {
        let mut views = vec![View { crop: None, flip: false }];
        if self.flip {
            views.push(View { crop: None, flip: true });
        }
        if self.ten_crop > 0.0 {
            views.extend(
                (0..CROPS).flat_map(|crop| [false, true].map(|flip| View { crop: Some(crop), flip })),
            );
        }
        views
    }

    /// The squares of `side` pixels that the codec sees, one per view.
    ///
    /// # Errors
    /// Why the picture cannot be scaled.
    pub(crate) fn squares(
        &self,
        preprocess: &Preprocess,
        picture: &Picture,
        side: usize,
    ) -> std::result::Result<Vec<Picture>, Reason> {
        let whole = preprocess.picture(picture.clone(), side)?;
        if !self.is_any() {
            return Ok(vec![whole]);
        }
        let larger = if self.ten_crop > 0.0 {
            // `int(args.image_size * args.crop_range)`
            preprocess.picture(picture.clone(), (side as f64 * self.ten_crop) as usize)?
        } else {
            whole.clone()
        };
        let square = |view: View| {
            let square = view.crop.map_or_else(|| whole.clone(), |crop| cut(&larger, crop, side));
            if view.flip { mirrored(&square) } else { square }
        };
        Ok(self.views().into_iter().map(square).collect())
    }
}

/// One of the five crops.
fn cut(picture: &Picture, crop: u8, side: usize) -> Picture {
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    let margin = picture.width().saturating_sub(side);
    let middle = (f64::from(margin) / 2.0).round_ties_even() as u32;
    let (left, top) = match crop {
        0 => (0, 0),
        1 => (margin, 0),
        2 => (0, margin),
        3 => (margin, margin),
        _ => (middle, middle),
    };
    picture.crop(left, top, side, side)
}

/// Left and right exchanged.
fn mirrored(picture: &Picture) -> Picture {
    let row = 3 * picture.width() as usize;
    let pixels = picture.pixels().chunks_exact(row);
    let pixels = pixels.flat_map(|row| row.rchunks_exact(3).flatten().copied()).collect();
    Picture::new(picture.width(), picture.height(), pixels).unwrap_or_else(|| picture.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(side: u32) -> Picture {
        let pixel = |i: u32| [(i % side) as u8, (i / side) as u8, 7];
        Picture::new(side, side, (0..side * side).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn views_are_named_and_ordered() {
        let names =
            |augment: Augment| augment.views().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(names(Augment::default()), "whole");
        assert_eq!(names(Augment { flip: true, ten_crop: 0.0 }), "whole whole-flip");
        assert_eq!(
            names(Augment { flip: false, ten_crop: 1.1 }),
            "whole crop-0 crop-0-flip crop-1 crop-1-flip crop-2 crop-2-flip crop-3 crop-3-flip crop-4 crop-4-flip"
        );
    }

    #[test]
    fn crops_lie_in_the_corners_and_the_middle() {
        let augment = Augment { flip: true, ten_crop: 1.25 };
        // 10 pixels at 1.25 times 8: nothing is scaled, so pixels name their place.
        let squares = augment.squares(&Preprocess::default(), &gradient(10), 8).unwrap();
        let corner = |i: usize, x: u32| squares[i].pixel(x, 0).unwrap();
        assert_eq!(squares.len(), 12);
        let corners: Vec<[u8; 3]> = (2..12).step_by(2).map(|i| corner(i, 0)).collect();
        assert_eq!(corners, [[0, 0, 7], [2, 0, 7], [0, 2, 7], [2, 2, 7], [1, 1, 7]]);
        for i in (0..12).step_by(2) {
            assert_eq!(corner(i + 1, 7), corner(i, 0), "view {i} mirrored");
        }
    }

    #[test]
    fn a_scale_below_one_is_refused() {
        for ten_crop in [0.5, -1.0, f64::NAN, 9.0] {
            assert!(Augment { flip: false, ten_crop }.check().is_err());
        }
        Augment { flip: true, ten_crop: 1.05 }.check().unwrap();
    }
}
