//! `train continue`: a part of a picture is given, the rest is drawn.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::Common;
use pipeline::picture::Picture;
use serde_json::{Map, Value};

use super::drawing::{DrawingArgs, Request, Work};
use super::pictures::load;
use crate::bundle::{Bundle, Drawn};
use crate::draw::{Borders, Draws, given_codes};
use crate::{Error, Result, device};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  train continue runs/rudolph cat.png --prompt \"red cat\"            the upper half is given
  train continue runs/imagegpt cat.png --up 8 --n 4                 the first 8 rows of pixels
  train continue malevich cat.png --up 4 --left 4 --crop-first      nothing of the rest leaks in

A code is drawn from the text and from the codes before it, row by row: what is given below or to the right is seen only
by what comes after it.")]
pub(super) struct ContinueArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF), made square as the codec's authors do
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// What the pictures show
    #[arg(long, value_name = "TEXT", default_value = "")]
    prompt: String,
    /// Rows of codes given at the top [default: half of them, where nothing else is given]
    #[arg(long, visible_alias = "rows", value_name = "N", help_heading = "What is given")]
    up: Option<usize>,
    /// Rows of codes given at the bottom
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "What is given")]
    down: usize,
    /// Columns of codes given at the left
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "What is given")]
    left: usize,
    /// Columns of codes given at the right
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "What is given")]
    right: usize,
    /// The first N codes, row by row, in place of borders
    #[arg(long, value_name = "N", help_heading = "What is given", conflicts_with_all = ["up", "down", "left", "right", "crop_first"])]
    keep: Option<usize>,
    /// Encode each border alone, so that nothing of the rest leaks through the codec into its codes
    #[arg(long, help_heading = "What is given")]
    crop_first: bool,
    /// Continuations of each picture
    #[arg(short = 'n', long = "n", value_name = "N", default_value_t = 1)]
    count: usize,
    /// Draw K of each picture and keep the best N by the model's own perplexities
    #[arg(long, value_name = "K")]
    candidates: Option<usize>,
    /// The picture to write, or a folder: one PNG each, and drawings.parquet
    #[arg(long, value_name = "FILE.png|DIR/", default_value = "continued.png")]
    out: PathBuf,
    #[command(flatten)]
    drawing: DrawingArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

impl ContinueArgs {
    fn borders(&self, grid: usize) -> Borders {
        let others = self.down + self.left + self.right > 0;
        let up = self.up.unwrap_or(if others { 0 } else { grid.div_ceil(2) });
        Borders { up, down: self.down, left: self.left, right: self.right }
    }

    /// The given codes of one picture.
    fn given(&self, picture: &Picture, bundle: &Bundle, grid: usize) -> Result<Vec<(usize, u16)>> {
        let (places, borders) = (grid * grid, self.borders(grid));
        let mut given = match self.keep {
            Some(keep) if keep > places => {
                let why = format!("--keep: {keep} codes are more than the {places} of a picture");
                return Err(
                    Error::config(why).with_hint(format!("below {places}; {} is half of it", places / 2))
                );
            }
            Some(_) => {
                let all = Borders { up: grid, ..Borders::default() };
                given_codes(picture, &all, &bundle.codec, false)?
            }
            None => given_codes(picture, &borders, &bundle.codec, self.crop_first)?,
        };
        given.truncate(self.keep.unwrap_or(places));
        let hint =
            format!("{} codes are half of the grid of {grid} x {grid}: `--up {}`", places / 2, grid / 2);
        match given.len() {
            0 => Err(Error::config("nothing of the picture is given: the prompt is empty").with_hint(hint)),
            all if all == places => {
                Err(Error::config("all of the picture is given: there is nothing left to draw")
                    .with_hint(hint))
            }
            _ => Ok(given),
        }
    }
}

pub(super) fn continue_(args: &ContinueArgs) -> Result<u8> {
    args.drawing.check(args.count, args.candidates)?;
    args.common.say(&format!("continuing with {}", args.run.display()));
    let bundle = Bundle::open(&args.run, &device::open(&args.drawing.sampling.device)?)?;
    if bundle.bpe.is_none() && !args.prompt.is_empty() {
        return Err(Error::config("--prompt: the model has no text").with_hint("leave it out"));
    }
    let grid = bundle.model.gpt().config().grid;
    args.borders(grid).check(grid)?;
    let (mut sources, mut requests) = (Vec::new(), Vec::new());
    for path in &args.pictures {
        let picture = load(path, &bundle)?;
        let given = args.given(&picture, &bundle, grid)?;
        requests.push(Request { prompt: args.prompt.clone(), given });
        sources.push(picture);
    }
    let work = Work {
        bundle: &bundle,
        requests,
        candidates: args.candidates.unwrap_or(args.count),
        keep: args.count,
        args: &args.drawing,
        out: &args.out,
        common: &args.common,
    };
    let (drawn, pictures) = work.draw()?;
    let apart = |at: usize| {
        let Drawn { prompt, .. } = drawn[at];
        pixel_error(&pictures[at], &sources[prompt], &work.requests[prompt].given, grid)
    };
    work.write(&drawn, &pictures, |at| {
        let source = args.pictures[drawn[at].prompt].display().to_string();
        let mut fields = Map::new();
        fields.insert("picture".to_owned(), source.into());
        fields.insert("pixel_error".to_owned(), apart(at).map_or(Value::Null, Value::from));
        fields
    })?;
    let errors = (0..drawn.len()).filter_map(apart).collect::<Vec<_>>();
    if !errors.is_empty() {
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        args.common
            .say(&format!("what was drawn differs from the pictures by {mean:.1} of 255 levels a pixel"));
    }
    Ok(0)
}

/// Mean difference of the drawn part from the picture, in levels of 0 to 255; `None` where the codec draws in another size.
fn pixel_error(drawn: &Picture, source: &Picture, given: &[(usize, u16)], grid: usize) -> Option<f64> {
    if (drawn.width(), drawn.height()) != (source.width(), source.height()) {
        return None;
    }
    let (width, side) = (drawn.width() as usize, drawn.width() as usize / grid);
    let mut is_given = vec![false; grid * grid];
    for (place, _) in given {
        if let Some(place) = is_given.get_mut(*place) {
            *place = true;
        }
    }
    let (mut sum, mut count) = (0.0, 0);
    for (at, (a, b)) in drawn.pixels().iter().zip(source.pixels()).enumerate() {
        let (row, column) = (at / 3 / width / side, at / 3 % width / side);
        if !is_given[row * grid + column] {
            sum += f64::from(a.abs_diff(*b));
            count += 1;
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_drawn_counts() {
        let (mut drawn, source) = (Picture::filled(4, 4, [10; 3]), Picture::filled(4, 4, [10; 3]));
        drawn.paste(&Picture::filled(4, 2, [16; 3]), 0, 2);
        let given = |places: &[usize]| places.iter().map(|place| (*place, 0)).collect::<Vec<_>>();
        assert_eq!(pixel_error(&drawn, &source, &given(&[0, 1]), 2), Some(6.0));
        assert_eq!(pixel_error(&drawn, &source, &given(&[2, 3]), 2), Some(0.0));
        assert_eq!(pixel_error(&drawn, &source, &[], 2), Some(3.0));
        assert_eq!(pixel_error(&drawn, &Picture::filled(8, 8, [0; 3]), &[], 2), None);
    }
}
