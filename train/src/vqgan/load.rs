//! Pair shards to training and held-out pictures, with a count of the rows that gave none.

use std::collections::BTreeMap;

use pipeline::pairs::{self, Pair};
use pipeline::picture::{DecodeOptions, decode};
use pipeline::reason::Reason;
use tokenize::pixels::square;

use super::{Pictures, PicturesConfig};
use crate::{Error, Result};

/// What the pair shards hold for a training.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Pictures to learn from.
    pub train: Pictures,
    /// Pictures to be judged by.
    pub valid: Pictures,
    /// Rows that gave neither.
    pub left_out: LeftOut,
}

/// How many rows gave no picture, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The row has no picture, as the crawl failed.
    pub absent: usize,
    /// The row is of another split than those asked for.
    pub other_split: usize,
    /// The picture cannot be decoded or resized: rows by cause.
    pub unusable: BTreeMap<Reason, usize>,
}

impl LeftOut {
    /// One line about it; nothing where no row was left out.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let unusable: usize = self.unusable.values().sum();
        let causes: Vec<_> =
            self.unusable.iter().map(|(reason, n)| format!("{n} {}", reason.code())).collect();
        let parts = [
            (self.absent, "without a picture".to_owned()),
            (self.other_split, "of other splits".to_owned()),
            (unusable, format!("with a picture that cannot be used ({})", causes.join(", "))),
        ];
        let parts: Vec<_> =
            parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!parts.is_empty()).then(|| format!("rows left out: {}", parts.join(", ")))
    }
}

impl Loaded {
    /// Reads a folder of pair shards.
    ///
    /// # Errors
    /// A shard that cannot be read, or no pictures to learn from or to be judged by.
    pub fn read(config: &PicturesConfig) -> Result<Self> {
        let loaded = Self::of(pairs::open(&config.pairs.to_string_lossy())?, config)?;
        if loaded.train.is_empty() || loaded.valid.is_empty() {
            return Err(loaded.too_few(config));
        }
        Ok(loaded)
    }

    fn of(rows: impl IntoIterator<Item = pipeline::Result<Pair>>, config: &PicturesConfig) -> Result<Self> {
        let empty = Pictures::empty(config.image_size);
        let mut loaded = Self { train: empty.clone(), valid: empty, left_out: LeftOut::default() };
        for row in rows {
            loaded.push(row?, config);
        }
        if config.split.is_empty() {
            loaded.valid = loaded.train.split_off(loaded.train.len().saturating_sub(config.holdout));
        }
        Ok(loaded)
    }

    /// Takes a row's picture in, already cut to its square: the originals together would not fit into memory.
    fn push(&mut self, row: Pair, config: &PicturesConfig) {
        let set = match row.extra.get(&config.split) {
            _ if config.split.is_empty() => &mut self.train,
            Some(value) if value == config.train => &mut self.train,
            Some(value) if value == config.valid => &mut self.valid,
            _ => {
                self.left_out.other_split += 1;
                return;
            }
        };
        let Some(bytes) = row.image else {
            self.left_out.absent += 1;
            return;
        };
        let picture = decode(&bytes, &DecodeOptions::default());
        match picture.and_then(|picture| square(picture, config.image_size)) {
            Ok(picture) => set.push(&picture),
            Err(reason) => *self.left_out.unusable.entry(reason).or_default() += 1,
        }
    }

    fn too_few(&self, config: &PicturesConfig) -> Error {
        let found = format!(
            "{} training and {} held-out pictures; both are needed",
            self.train.len(),
            self.valid.len()
        );
        let message = std::iter::once(found).chain(self.left_out.note()).collect::<Vec<_>>().join("; ");
        Error::data(&config.pairs, message)
            .with_hint("check data.split, data.train and data.valid, or data.holdout")
    }
}

#[cfg(test)]
mod tests {
    use pipeline::pairs::Columns;
    use pipeline::picture::Picture;
    use pipeline::reason::Status;

    use super::*;

    fn row(split: &str, image: Option<&[u8]>) -> pipeline::Result<Pair> {
        Ok(Pair {
            key: "000000000".into(),
            url: String::new(),
            caption: None,
            status: Status::Success,
            reason: None,
            image: image.map(|bytes| bytes.to_vec().into()),
            size: None,
            extra: Columns(vec![("split".into(), Some(split.into()))]),
        })
    }

    fn png(colour: [u8; 3]) -> Vec<u8> {
        crate::run::png(&Picture::filled(8, 6, colour)).unwrap()
    }

    #[test]
    fn rows_that_give_no_picture_are_counted_by_cause() {
        let config = PicturesConfig { image_size: 4, split: "split".into(), ..PicturesConfig::default() };
        let png = png([200, 100, 0]);
        let rows = [
            row("train", Some(&png)),
            row("test", Some(&png)),
            row("dev", Some(&png)),
            row("train", None),
            row("train", Some(b"no picture")),
            row("test", Some(b"no picture")),
        ];
        let loaded = Loaded::of(rows, &config).unwrap();
        assert_eq!((loaded.train.len(), loaded.valid.len()), (1, 1));
        assert_eq!(
            loaded.left_out.note().unwrap(),
            "rows left out: 1 without a picture, 1 of other splits, \
             2 with a picture that cannot be used (2 not_image)"
        );
        assert_eq!(LeftOut::default().note(), None);
    }

    #[test]
    fn without_a_split_the_last_pictures_are_held_out() {
        let config = PicturesConfig { image_size: 4, holdout: 2, ..PicturesConfig::default() };
        let rows = (0..5).map(|red| row("any", Some(&png([red, 0, 0]))));
        let loaded = Loaded::of(rows, &config).unwrap();
        assert_eq!((loaded.train.len(), loaded.valid.len()), (3, 2));
        assert_eq!((loaded.train.bytes()[0], loaded.valid.bytes()[0]), (0, 3));
    }

    #[test]
    fn too_few_pictures_say_what_became_of_the_others() {
        let config = PicturesConfig { pairs: "pairs".into(), image_size: 4, ..PicturesConfig::default() };
        let loaded = Loaded::of([row("any", Some(b"no picture"))], &config).unwrap();
        assert_eq!(
            loaded.too_few(&config).to_string(),
            "pairs: 0 training and 0 held-out pictures; both are needed; rows left out: \
             1 with a picture that cannot be used (1 not_image)"
        );
    }
}
