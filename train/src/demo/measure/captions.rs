//! Captions of pictures: the model's most probable words beside the true ones.

use super::super::gallery::{Gallery, Item, spread};
use super::super::stages::Road;
use crate::Result;
use crate::bundle::{Bundle, Sampling};
use crate::rudolph::Rudolph;
use crate::sampling::SamplingConfig;

/// Training pictures that are captioned.
const TRAINING: usize = 64;
/// Held-out pictures that are captioned: all of the demo's.
const HELD_OUT: usize = 64;
/// Pictures at a time.
const BATCH: usize = 32;

/// A picture with what the model calls it.
#[derive(Clone, Debug)]
pub(in super::super) struct Captioned {
    pub(in super::super) item: Item,
    pub(in super::super) caption: String,
}

impl Captioned {
    /// Whether the caption is one of the true ones, but for case and white space.
    pub(in super::super) fn is_right(&self) -> bool {
        self.item.captions.iter().any(|truth| plain(truth) == plain(&self.caption))
    }
}

fn plain(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Captions of both kinds of pictures.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Captions {
    pub(in super::super) training: Vec<Captioned>,
    pub(in super::super) held_out: Vec<Captioned>,
}

impl Captions {
    /// Captions that are one of the true ones.
    pub(in super::super) fn right(captions: &[Captioned]) -> usize {
        captions.iter().filter(|captioned| captioned.is_right()).count()
    }
}

/// Captions pictures greedily.
pub(super) fn caption(road: &Road, gallery: &Gallery, bundle: &Bundle<Rudolph>) -> Result<Captions> {
    if bundle.model.config().right == 0 {
        return Ok(Captions::default());
    }
    Ok(Captions {
        training: greedy(road, &spread(&gallery.training(), TRAINING), bundle)?,
        held_out: greedy(road, &spread(&gallery.held_out(), HELD_OUT), bundle)?,
    })
}

fn greedy(road: &Road, items: &[&Item], bundle: &Bundle<Rudolph>) -> Result<Vec<Captioned>> {
    let how = Sampling { config: SamplingConfig { top_k: 1, ..SamplingConfig::text() }, batch: BATCH };
    let mut captioned = Vec::with_capacity(items.len());
    for items in items.chunks(BATCH) {
        road.interrupt.check()?;
        let pictures: Vec<_> = items.iter().map(|item| item.picture.clone()).collect();
        let captions = bundle.caption(&pictures, &how)?;
        captioned.extend(
            items.iter().zip(captions).map(|(item, caption)| Captioned { item: (*item).clone(), caption }),
        );
    }
    Ok(captioned)
}

#[cfg(test)]
mod tests {
    use super::super::super::gallery::tests::item;
    use super::*;

    #[test]
    fn case_and_spaces_do_not_count() {
        let captioned =
            |caption: &str| Captioned { item: item("Red Cat", true, [0; 3]), caption: caption.into() };
        let all = ["red  cat", "ПО-русски red cat", "red"].map(captioned);
        assert_eq!(Captions::right(&all), 2);
    }
}
