//! Drawings of captions that were learned from and of captions that were not.

use pipeline::picture::Picture;
use pipeline::progress::Progress;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::super::gallery::{Gallery, Item, Language, spread};
use super::super::stages::Road;
use super::CHOICE_SEED;
use super::retrieval::Retrieval;
use crate::Result;
use crate::bundle::Bundle;
use crate::draw::Drawing;
use crate::rudolph::Rudolph;

/// Training captions that are drawn.
const TRAINING: usize = 64;
/// Held-out pictures whose captions are drawn, each in both languages.
const HELD_OUT: usize = 12;
/// Pictures drawn together.
const BATCH: usize = 32;

/// What the model drew for one caption.
#[derive(Clone, Debug)]
pub(in super::super) struct Drawn {
    pub(in super::super) item: Item,
    pub(in super::super) language: Language,
    pub(in super::super) picture: Picture,
}

/// All drawings.
#[derive(Clone, Debug)]
pub(in super::super) struct Drawings {
    /// Each of another training picture, the languages taking turns.
    pub(in super::super) training: Vec<Drawn>,
    /// For each picture the English caption, then the Russian one.
    pub(in super::super) held_out: Vec<Drawn>,
    /// How often a training drawing is nearest to its own picture.
    pub(in super::super) retrieval: Retrieval,
}

/// Draws, and looks for the nearest training picture of each drawing of a training caption.
pub(super) fn draw(road: &Road, gallery: &Gallery, bundle: &Bundle<Rudolph>) -> Result<Drawings> {
    let training = gallery.training();
    let chosen = choose(training.len());
    let language = |turn: usize| Language::ALL[turn % 2];
    let mut prompts: Vec<_> =
        chosen.iter().enumerate().map(|(turn, i)| (training[*i], language(turn))).collect();
    let held_out = spread(&gallery.held_out(), HELD_OUT);
    prompts.extend(held_out.iter().flat_map(|item| Language::ALL.map(|language| (*item, language))));
    let pictures = pictures(road, bundle, &prompts)?;
    let drawn = prompts.into_iter().zip(pictures);
    let mut drawn: Vec<_> =
        drawn.map(|((item, language), picture)| Drawn { item: item.clone(), language, picture }).collect();
    let held_out = drawn.split_off(chosen.len());
    let all: Vec<&Picture> = training.iter().map(|item| &item.picture).collect();
    let asked: Vec<_> = drawn.iter().zip(chosen).map(|(drawn, right)| (&drawn.picture, right)).collect();
    Ok(Drawings { retrieval: Retrieval::measure(&asked, &all), training: drawn, held_out })
}

/// Which of the training pictures are drawn: a fixed choice.
fn choose(pictures: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pictures).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(CHOICE_SEED));
    order.truncate(TRAINING);
    order
}

/// What `train sample` draws for these prompts, with the sampling of the configuration.
fn pictures(road: &Road, bundle: &Bundle<Rudolph>, prompts: &[(&Item, Language)]) -> Result<Vec<Picture>> {
    let sampling = road.settings.rudolph.config.samples.sampling;
    let texts: Vec<_> = prompts.iter().map(|(item, language)| bundle.ids(item.caption(*language))).collect();
    let drawings = Drawing::of_texts(texts.iter().map(Vec::as_slice));
    let grid = bundle.model.config().grid;
    let progress = Progress::start(
        road.common.progress_style(),
        "codes",
        Some((drawings.len() * grid * grid) as u64),
        0,
    );
    let mut pictures = Vec::with_capacity(drawings.len());
    for batch in drawings.chunks(BATCH) {
        road.interrupt.check()?;
        let before = pictures.len() * grid * grid;
        let mut on_step = |done: usize| progress.set((before + done) as u64);
        let codes = crate::draw::draw(&bundle.model, batch, &sampling, BATCH, &mut on_step)?;
        pictures.extend(bundle.codec.decode(&codes, grid)?);
    }
    progress.finish();
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_choice_is_fixed_and_without_repetition() {
        let chosen = choose(1312);
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), TRAINING);
        assert_eq!(chosen, choose(1312));
        assert_eq!(choose(5).iter().collect::<BTreeSet<_>>().len(), 5);
    }
}
