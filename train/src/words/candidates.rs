//! Many texts for one picture: equal ones counted, the rest ranked by how well the model draws the picture from them.

use crate::error::{Error, Result};
use crate::gpt::{Batch, frame, ids};
use crate::rudolph::Rudolph;
use crate::score::{perplexities, rerank};

use super::task::TokenPair;

/// How much the text's own perplexity counts beside the picture's (`image_captioning` of `rudolph/api.py`).
pub const TEXT_WEIGHT: f32 = 0.05;

/// A text, and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The text.
    pub text: String,
    /// How often it came.
    pub count: usize,
}

/// Counts equal texts, in the order in which they first came; surrounding white space and empty texts are left out.
pub fn count(texts: impl IntoIterator<Item = String>) -> Vec<Counted> {
    let mut counted: Vec<Counted> = Vec::new();
    for text in texts {
        let text = text.trim();
        match counted.iter_mut().find(|known| known.text == text) {
            _ if text.is_empty() => {}
            Some(known) => known.count += 1,
            None => counted.push(Counted { text: text.to_owned(), count: 1 }),
        }
    }
    counted
}

/// Perplexities of candidates, and the score that they make; the lowest is the best.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// Of the text alone.
    pub text: Vec<f32>,
    /// Of the image after the text.
    pub image: Vec<f32>,
    /// Both, by [`rerank`].
    pub scores: Vec<f32>,
}

/// Ranks texts (bare ids) of images as `self_reranking_by_image` does: each text left, then its image. `batch` pairs of
/// any images are computed together; `on_step` gets the pairs done so far.
///
/// # Errors
/// Ids or codes do not fit the model, or its logits are NaN.
pub fn rank_by_image(
    model: &Rudolph,
    images: &[(&[u16], &[Vec<u32>])],
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Ranking>> {
    let (config, gpt, device) = (model.config(), model.gpt.config(), model.gpt.device());
    let token = TokenPair::picture(config).left;
    let mut pairs = Vec::new();
    for (index, (codes, texts)) in images.iter().enumerate() {
        gpt.check_codes(codes)?;
        for text in *texts {
            gpt.check_text(text)?;
            pairs.push((index, codes.to_vec(), frame(text, token, config.left).ids));
        }
    }
    let mut rankings = vec![Ranking::default(); images.len()];
    let mut done = 0;
    for pairs in pairs.chunks(batch.max(1)) {
        let left = pairs.iter().map(|(_, _, left)| left.clone()).collect::<Vec<_>>();
        let image = pairs.iter().map(|(_, codes, _)| codes.clone()).collect::<Vec<_>>();
        let batch = Batch { left: ids(&left, &device), image: ids(&image, &device), right: None };
        let found = perplexities(model, &batch);
        for ((index, ..), (text, image)) in pairs.iter().zip(found.left.into_iter().zip(found.image)) {
            if text.is_nan() || image.is_nan() {
                return Err(Error::NotFinite { what: format!("picture {}", index + 1) });
            }
            rankings[*index].text.push(text);
            rankings[*index].image.push(image);
        }
        done += pairs.len();
        on_step(done);
    }
    for ranking in &mut rankings {
        ranking.scores = rerank(&ranking.text, &ranking.image, TEXT_WEIGHT);
    }
    Ok(rankings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rudolph::tests::{model, tiny};

    #[test]
    fn equal_texts_are_one_and_empty_ones_none() {
        let texts = ["a cat", "", " a cat ", "a dog", "  "].map(str::to_owned);
        let expected = [("a cat", 2), ("a dog", 1)];
        let expected = expected.map(|(text, count)| Counted { text: text.into(), count });
        assert_eq!(count(texts), expected);
    }

    #[test]
    fn a_ranking_does_not_depend_on_its_neighbours() {
        let model = model(&tiny());
        let (a, b) = ([3u16; 9], [1u16, 2, 3, 4, 5, 6, 7, 8, 9]);
        let texts = [vec![7, 8], vec![5], vec![9, 6]];
        let alone = rank_by_image(&model, &[(&b, &texts)], 3, &mut |_| ()).unwrap();
        let mut steps = Vec::new();
        let images: [(&[u16], &[Vec<u32>]); 3] = [(&a, &texts[..1]), (&b, &texts), (&a, &[])];
        let all = rank_by_image(&model, &images, 2, &mut |done| steps.push(done)).unwrap();
        assert_eq!(steps, [2, 4]);
        let apart = all[1].scores.iter().zip(&alone[0].scores).map(|(x, y)| (x - y).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-3, "{all:?} {alone:?}");
        assert_eq!((all[0].scores.as_slice(), all[2].scores.len()), (&[0.0][..], 0));
    }
}
