//! The flags about pictures, under the names that img2dataset gives them.

use clap::{Args, ValueEnum};
use pipeline::crawl::Compat;
use pipeline::pairs::HashKind;
use pipeline::picture::{EncodeFormat, Interpolation, ResizeMode};
use toml::Value;

/// `[image]` on the command line; the rarer ones are told by `--help` alone.
#[derive(Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct ImageFlags {
    /// Side of the images in pixels [256]
    #[arg(long, value_name = "N")]
    image_size: Option<u32>,
    /// no, border, keep_ratio, keep_ratio_largest or center_crop [border]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "MODE")]
    resize_mode: Option<ResizeMode>,
    /// jpg, png or webp [jpg]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "FORMAT")]
    encode_format: Option<EncodeFormat>,
    /// jpg, webp: 1 to 100 [95], webp also 101: lossless; png: 0 to 9 [6]
    #[arg(long, value_name = "N")]
    encode_quality: Option<u8>,
    /// img2dataset: its orientation, grey and filters [none]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "TOOL")]
    compat: Option<Compat>,
    /// Leave smaller images as they are
    #[arg(long, alias = "resize-only-if-bigger", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_short_help = true)]
    only_if_bigger: Option<bool>,
    /// Filter for enlarging: nearest, linear, cubic, area, lanczos [lanczos]
    #[arg(
        long,
        alias = "upscale-interpolation",
        value_enum,
        hide_possible_values = true,
        value_name = "NAME",
        hide_short_help = true
    )]
    upscale: Option<Interpolation>,
    /// Filter for reducing [area]
    #[arg(
        long,
        alias = "downscale-interpolation",
        value_enum,
        hide_possible_values = true,
        value_name = "NAME",
        hide_short_help = true
    )]
    downscale: Option<Interpolation>,
    /// Store files of the right format as they came where nothing about them changes
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_short_help = true)]
    skip_reencode: Option<bool>,
    /// Store every body as it came, undecoded
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_short_help = true)]
    disable_all_reencoding: Option<bool>,
    /// Refuse images with a shorter side
    #[arg(long, alias = "min-image-size", value_name = "N", hide_short_help = true)]
    min_side: Option<u32>,
    /// Refuse images with more pixels
    #[arg(long, alias = "max-image-area", value_name = "N", value_parser = limit, hide_short_help = true)]
    max_area: Option<f64>,
    /// Refuse images whose sides have a larger ratio
    #[arg(long, value_name = "X", value_parser = limit, hide_short_help = true)]
    max_aspect_ratio: Option<f64>,
    /// Hash column: none, md5, sha256, sha512 [sha256]
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        hide_possible_values = true,
        value_name = "NAME",
        hide_short_help = true
    )]
    compute_hash: Option<HashKind>,
    /// Refuse rows whose bytes do not have the hash in that column
    #[arg(long, value_name = "COLUMN,NAME", value_parser = verify, hide_short_help = true)]
    verify_hash: Option<(String, HashKind)>,
    /// Store EXIF tags as JSON [true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_short_help = true)]
    extract_exif: Option<bool>,
}

impl ImageFlags {
    /// Keys of the config with their values as TOML.
    pub(crate) fn sets(&self) -> Vec<(&'static str, Option<String>)> {
        fn name(value: Option<impl ValueEnum>) -> Option<String> {
            Some(value?.to_possible_value()?.get_name().to_owned())
        }
        fn number(value: Option<impl ToString>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        let verify = self.verify_hash.as_ref().and_then(|(column, kind)| {
            Some(Value::from(vec![column.clone(), kind.column()?.to_owned()]).to_string())
        });
        vec![
            ("image.size", number(self.image_size)),
            ("image.resize_mode", name(self.resize_mode)),
            ("image.encode_format", name(self.encode_format)),
            ("image.encode_quality", number(self.encode_quality)),
            ("image.compat", name(self.compat)),
            ("image.only_if_bigger", number(self.only_if_bigger)),
            ("image.upscale", name(self.upscale)),
            ("image.downscale", name(self.downscale)),
            ("image.skip_reencode", number(self.skip_reencode)),
            ("image.disable_all_reencoding", number(self.disable_all_reencoding)),
            ("image.min_side", number(self.min_side)),
            // Whole pixels: the cast saturates.
            ("image.max_area", number(self.max_area.map(|area| area as u64))),
            ("image.max_aspect_ratio", self.max_aspect_ratio.map(|ratio| Value::from(ratio).to_string())),
            ("image.compute_hash", name(self.compute_hash)),
            ("image.verify_hash", verify),
            ("image.extract_exif", number(self.extract_exif)),
        ]
    }
}

/// A number; `inf`, which is no limit, is 0 here.
fn limit(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number == f64::INFINITY => Ok(0.0),
        Ok(number) if number >= 0.0 => Ok(number),
        _ => Err("expected a number, at least 0".to_owned()),
    }
}

/// `column,sha256`, or as a Python list.
fn verify(text: &str) -> Result<(String, HashKind), String> {
    let words: Vec<String> = list(text).collect();
    match words.as_slice() {
        [column, kind] => Ok((column.clone(), HashKind::from_str(kind, true)?)),
        _ => Err("expected a column and a hash, for example sha256,sha256".to_owned()),
    }
}

/// The words of `a,b`, or of a Python list such as img2dataset takes: `["a","b"]`.
pub(crate) fn list(text: &str) -> impl Iterator<Item = String> {
    let words =
        text.split(',').map(|word| word.trim_matches(|c: char| "[]()\"'".contains(c) || c.is_whitespace()));
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_words_and_as_python() {
        for text in ["a,b", "[\"a\",\"b\"]", "['a', 'b']", "(a,b)"] {
            assert_eq!(list(text).collect::<Vec<_>>(), ["a", "b"], "{text}");
        }
        assert_eq!(verify("[\"sha\",\"SHA256\"]"), Ok(("sha".to_owned(), HashKind::Sha256)));
        assert!(verify("sha256").is_err());
    }

    #[test]
    fn no_limit_is_zero() {
        assert_eq!((limit("inf"), limit("1e6")), (Ok(0.0), Ok(1e6)));
        assert!(limit("-1").is_err() && limit("many").is_err());
    }
}
