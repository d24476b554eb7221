//! What a file holds besides its size: whether storing it as it is would change what a reader sees.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader};

use super::{EncodeFormat, guarded};
use crate::reason::Reason;

/// A picture file by its header and metadata; no pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The format, if it is one that shards can have.
    pub format: Option<EncodeFormat>,
    /// One channel.
    pub grey: bool,
    /// Transparency.
    pub alpha: bool,
    /// An EXIF orientation other than upright.
    pub turned: bool,
    /// A colour profile.
    pub icc: bool,
}

impl Source {
    /// Looks at a file.
    ///
    /// # Errors
    /// Any reason when there is no picture in `bytes`; decoding names it precisely.
    pub fn of(bytes: &[u8]) -> Result<Self, Reason> {
        guarded(|| {
            let format = image::guess_format(bytes).map_err(|_| Reason::NotImage)?;
            let reader = ImageReader::with_format(Cursor::new(bytes), format);
            let mut decoder = reader.into_decoder().map_err(|_| Reason::Decode)?;
            // A damaged EXIF block or profile is as good as none.
            let turned = decoder.orientation().is_ok_and(|found| found != Orientation::NoTransforms);
            let icc = decoder.icc_profile().is_ok_and(|profile| profile.is_some());
            let colour = decoder.color_type();
            Ok(Self {
                format: match format {
                    ImageFormat::Jpeg => Some(EncodeFormat::Jpg),
                    ImageFormat::Png => Some(EncodeFormat::Png),
                    ImageFormat::WebP => Some(EncodeFormat::Webp),
                    _ => None,
                },
                grey: matches!(colour, ColorType::L8 | ColorType::L16),
                alpha: colour.has_alpha(),
                turned,
                icc,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EncodeOptions, Picture, encode, encode_grey};
    use super::*;

    #[test]
    fn formats_and_channels() {
        let picture = Picture::filled(4, 4, [1, 2, 3]);
        for (options, format) in [
            (EncodeOptions::default(), EncodeFormat::Jpg),
            (EncodeOptions::png(), EncodeFormat::Png),
            (EncodeOptions::webp(), EncodeFormat::Webp),
        ] {
            let plain = Source { format: Some(format), grey: false, alpha: false, turned: false, icc: false };
            assert_eq!(Source::of(&encode(&picture, &options).unwrap()), Ok(plain));
        }
        let grey = encode_grey(&picture, &EncodeOptions::png()).unwrap();
        assert!(Source::of(&grey).unwrap().grey);
        assert!(Source::of(b"<html>").is_err());
    }

    #[test]
    fn transparency_is_seen() {
        let mut png = Cursor::new(Vec::new());
        let image = image::RgbaImage::from_pixel(2, 2, image::Rgba([1, 2, 3, 255]));
        image.write_to(&mut png, ImageFormat::Png).unwrap();
        assert!(Source::of(png.get_ref()).unwrap().alpha);
    }
}
