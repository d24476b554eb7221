//! The crawled pairs in memory: what is shown, drawn, captioned and compared.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use pipeline::pairs;
use pipeline::picture::{DecodeOptions, Picture, decode};

use super::data::CAPTIONS;
use crate::{Error, Result};

/// Rows per `reason` code.
pub(super) type Reasons = BTreeMap<String, u64>;

/// One picture with its names.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// English, Russian.
    pub(super) captions: [String; 2],
    pub(super) training: bool,
    pub(super) picture: Picture,
    /// The picture as it lies in the shard.
    pub(super) png: Bytes,
}

/// A language of the captions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Russian,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Russian];

    /// As in the `lang` attribute of a page.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }
}

impl Item {
    /// The caption in a language.
    pub(super) fn caption(&self, language: Language) -> &str {
        &self.captions[language as usize]
    }
}

/// All pairs of the crawl.
#[derive(Clone, Debug, Default)]
pub(super) struct Gallery {
    /// Those with a picture, in the order of the list.
    pub(super) items: Vec<Item>,
    pub(super) reasons: Reasons,
}

impl Gallery {
    /// Reads the pair shards.
    ///
    /// # Errors
    /// A damaged shard.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut gallery = Self::default();
        for pair in pairs::open(&folder.to_string_lossy())? {
            let pair = pair?;
            let reason =
                pair.reason.map_or_else(|| pair.status.code().to_owned(), |reason| reason.code().to_owned());
            *gallery.reasons.entry(reason).or_default() += 1;
            let Some(png) = pair.image.clone() else { continue };
            let picture = decode(&png, &DecodeOptions::default())
                .map_err(|reason| Error::data(folder, format!("picture {}: {}", pair.key, reason.text())))?;
            let captions = CAPTIONS.map(|column| pair.text(column).unwrap_or_default().to_owned());
            gallery.items.push(Item {
                captions,
                training: pair.text("split") == Some("train"),
                picture,
                png,
            });
        }
        Ok(gallery)
    }

    /// Rows of the list.
    pub(super) fn rows(&self) -> u64 {
        self.reasons.values().sum()
    }

    /// The pictures that are learned from.
    pub(super) fn training(&self) -> Vec<&Item> {
        self.items.iter().filter(|item| item.training).collect()
    }

    /// The pictures that are not.
    pub(super) fn held_out(&self) -> Vec<&Item> {
        self.items.iter().filter(|item| !item.training).collect()
    }
}

/// At most `count` of `items`, evenly spread.
pub(super) fn spread<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    let count = count.min(items.len());
    (0..count).map(|i| items[i * items.len() / count]).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bundle::png;

    /// A picture of one colour.
    pub(crate) fn item(name: &str, training: bool, colour: [u8; 3]) -> Item {
        let picture = Picture::filled(8, 8, colour);
        let png = png(&picture).unwrap().into();
        Item { captions: [name.to_owned(), format!("по-русски {name}")], training, picture, png }
    }

    #[test]
    fn captions_are_found_by_language() {
        let item = item("cat", true, [0; 3]);
        assert_eq!(Language::ALL.map(|language| item.caption(language)), ["cat", "по-русски cat"]);
        assert_eq!(Language::ALL.map(Language::code), ["en", "ru"]);
    }

    #[test]
    fn a_spread_is_even() {
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6, 7], 4), [0, 2, 4, 6]);
        assert_eq!(spread(&[0, 1], 4), [0, 1]);
        assert_eq!(spread::<u8>(&[], 4), [] as [u8; 0]);
    }
}
