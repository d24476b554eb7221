//! Zero-shot classification: the class whose text has the lowest perplexity behind the picture.
//!
//! Source: `zs_clf` of `rudolph/api.py`. The left text says nothing about the class, so what the model reads of it and of
//! the picture is kept and shared by all classes.

use crate::error::{Error, Result};
use crate::gpt::{Vocabulary, frame, ids};
use crate::rudolph::Rudolph;
use crate::score::{classify, of_targets};
use crate::words::TokenPair;
use crate::words::say::{Before, read};

/// What one picture is taken for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classified {
    /// The class with the lowest score.
    pub label: usize,
    /// A softmax over the normalised perplexities, one for each class: **low is likely**.
    pub scores: Vec<f32>,
    /// The perplexity of each class's text.
    pub perplexities: Vec<f32>,
}

/// Classifies images by texts.
///
/// - `images`: `grid²` codes each
/// - `classes`: bare BPE ids of each class's right text, with its template ("на картинке кошка"); at least two
/// - `left`: bare BPE ids of the left text, usually none
/// - `batch`: sequences at a time: many images, or many classes of few images
///
/// The result of an image depends on no other image (up to rounding). `on_step` gets the images finished so far.
///
/// # Errors
/// Fewer than two classes, ids or codes that do not fit the model, a model without right text, or NaN logits.
pub fn classify_images(
    model: &Rudolph,
    images: &[&[u16]],
    classes: &[Vec<u32>],
    left: &[u32],
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Classified>> {
    let (config, gpt) = (model.config(), model.gpt.config());
    if config.right == 0 {
        return Err(Error::config("right: a model without right text cannot classify"));
    }
    if classes.len() < 2 {
        let why = if classes.is_empty() { "no classes to choose from" } else { "one class is no choice" };
        return Err(Error::config(why).with_hint("give at least two, with --class or --classes FILE"));
    }
    gpt.check_text(left)?;
    classes.iter().try_for_each(|class| gpt.check_text(class))?;
    images.iter().try_for_each(|codes| gpt.check_codes(codes))?;
    let tokens = TokenPair::caption(config);
    let left = frame(left, tokens.left, config.left).ids;
    let classes = framed(classes, tokens.right, config.right);
    let (batch, mut found) = (batch.max(1), Vec::with_capacity(images.len()));
    for images in images.chunks(batch) {
        let before = |codes: &&[u16]| Before { left: left.clone(), codes: codes.to_vec() };
        let before = images.iter().map(before).collect::<Vec<_>>();
        for perplexities in of_classes(model, &before, &classes, (batch / images.len()).max(1)) {
            found.push(classified(perplexities, found.len())?);
        }
        on_step(found.len());
    }
    Ok(found)
}

/// Framed right texts of one length. Pads at the end of all of them change nothing and are left out.
fn framed(classes: &[Vec<u32>], token: Option<u32>, right: usize) -> Vec<Vec<u32>> {
    let mut framed = classes.iter().map(|class| frame(class, token, right).ids).collect::<Vec<_>>();
    let used = |text: &Vec<u32>| text.iter().rposition(|id| *id != 0).map_or(0, |last| last + 1);
    let longest = framed.iter().map(used).max().unwrap_or_default();
    framed.iter_mut().for_each(|text| text.truncate(longest));
    framed
}

/// The perplexities of all classes for each image, `at_once` classes at a time.
fn of_classes(model: &Rudolph, before: &[Before], classes: &[Vec<u32>], at_once: usize) -> Vec<Vec<f32>> {
    let (config, gpt) = (model.config(), &model.gpt);
    let mut found = vec![Vec::with_capacity(classes.len()); before.len()];
    let at_once = at_once.min(classes.len());
    let Some(cache) = read(gpt, &before.iter().collect::<Vec<_>>()) else { return found };
    let places = (0..before.len()).flat_map(|image| std::iter::repeat_n(image, at_once));
    let mut cache = cache.select(&places.collect::<Vec<_>>());
    let read = cache.len();
    for chunk in classes.chunks(at_once) {
        // The last chunk may be short: its last class fills it up, and what comes of that is left out.
        let filled = chunk.iter().chain(chunk.last()).cycle().take(at_once).cloned();
        let filled = filled.collect::<Vec<_>>();
        let rows = filled.iter().cycle().take(at_once * before.len()).cloned().collect::<Vec<_>>();
        let Some(texts) = ids(&rows, &gpt.device()) else { continue };
        let n = texts.dims()[1] - 1;
        let Some(x) = gpt.embed_right(texts.clone().narrow(1, 0, n), 0) else { continue };
        let said = gpt.head_norm(gpt.forward(x, Some(&mut cache)));
        cache.truncate(read);
        let columns = gpt.columns(Vocabulary::Text).start..config.text_vocab + config.text_special;
        let perplexities = of_targets(gpt, said, texts.narrow(1, 1, n), columns, true);
        for (found, perplexities) in found.iter_mut().zip(perplexities.chunks(at_once)) {
            found.extend(perplexities.iter().take(chunk.len()));
        }
    }
    found
}

fn classified(perplexities: Vec<f32>, image: usize) -> Result<Classified> {
    if let Some(class) = perplexities.iter().position(|perplexity| perplexity.is_nan()) {
        return Err(Error::NotFinite { what: format!("picture {}, class {}", image + 1, class + 1) });
    }
    let scores = classify(&perplexities);
    let label =
        perplexities.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
    Ok(Classified { label, scores, perplexities })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::Batch;
    use crate::rudolph::tests::{model, tiny};
    use crate::rudolph::{Row, Task};
    use crate::score::perplexities;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn cached_equals_the_full_forward(
            classes in prop::collection::vec(prop::collection::vec(4u32..20, 0..6), 2..6),
            images in prop::collection::vec(prop::collection::vec(0u16..12, 9), 1..4),
            batch in 1usize..9,
        ) {
            let (config, model) = (tiny(), model(&tiny()));
            let codes = images.iter().map(Vec::as_slice).collect::<Vec<_>>();
            let found = classify_images(&model, &codes, &classes, &[], batch, &mut |_| ()).unwrap();
            prop_assert_eq!(found.len(), images.len());
            for (codes, found) in images.iter().zip(found) {
                let row = |text| Row { task: Task::ImageToText, text, codes };
                let rows = classes.iter().map(|text| row(text.as_slice())).collect::<Vec<_>>();
                let (batch, _): (Batch, _) = config.batch(&rows, &model.gpt.device()).unwrap();
                let full = perplexities(&model, &batch).right;
                for (cached, full) in found.perplexities.iter().zip(&full) {
                    // Logits within 1e-5 are losses within 2e-5, and these are relative errors of perplexities.
                    prop_assert!((cached - full).abs() <= 2e-5 * full, "{} {}", cached, full);
                }
                prop_assert!(full.iter().all(|other| full[found.label] <= other * (1.0 + 4e-5)));
            }
        }
    }

    #[test]
    fn fewer_than_two_classes_are_no_choice() {
        let model = model(&tiny());
        let fault = |classes: &[Vec<u32>]| {
            classify_images(&model, &[&[0; 9]], classes, &[], 4, &mut |_| ()).unwrap_err().to_string()
        };
        assert_eq!(fault(&[]), "no classes to choose from");
        assert_eq!(fault(&[vec![7]]), "one class is no choice");
        assert_eq!(fault(&[vec![7], vec![99]]), "text id 99 is not below text_vocab 20");
    }
}
