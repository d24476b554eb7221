//! Text → text: a left text that goes on, without image and right text.

use super::say::{Beginning, Rule, say};
use super::task::{TokenPair, begin};
use crate::error::{Error, Result};
use crate::gpt::{Batch, frame, ids};
use crate::rudolph::Rudolph;
use crate::sampling::SamplingConfig;
use crate::score::perplexities;

/// Continues every prompt `count` times, `batch` texts at a time: bare ids that begin with the prompt's. A prompt draws
/// from the streams that its place gives: `place`, `place + (1 << 32)`, …
///
/// # Errors
/// A setting or an id does not fit the model, or its logits are NaN.
pub fn write(
    model: &Rudolph,
    prompts: &[Vec<u32>],
    count: usize,
    sampling: &SamplingConfig,
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<u32>>>> {
    let (config, token) = (model.config(), TokenPair::text(model.config()).left);
    let mut beginnings = Vec::with_capacity(prompts.len());
    for (prompt, place) in prompts.iter().zip(0u64..) {
        model.gpt.config().check_text(prompt)?;
        let streams = (0..count as u64).map(|turn| place + (turn << 32)).collect();
        beginnings.push(Beginning { before: None, text: begin(prompt, token, config.left), streams });
    }
    let said = say(model, &Rule::left(config), &beginnings, sampling, batch, on_step)?;
    let skip = 1 + usize::from(token.is_some());
    let bare = |texts: Vec<Vec<u32>>| texts.into_iter().map(|ids| ids[skip..].to_vec()).collect();
    Ok(said.into_iter().map(bare).collect())
}

/// The perplexity of each text (bare ids) as a left text of its own: the lowest is the text that the model finds most
/// natural (`generate_texts` sorts by it).
///
/// # Errors
/// The model's logits are NaN.
pub fn left_perplexities(model: &Rudolph, texts: &[Vec<u32>], batch: usize) -> Result<Vec<f32>> {
    let (config, device) = (model.config(), model.gpt.device());
    let token = TokenPair::text(config).left;
    let mut found = Vec::with_capacity(texts.len());
    for texts in texts.chunks(batch.max(1)) {
        let left = texts.iter().map(|text| frame(text, token, config.left).ids).collect::<Vec<_>>();
        found
            .extend(perplexities(model, &Batch { left: ids(&left, &device), image: None, right: None }).left);
    }
    match found.iter().position(|perplexity| perplexity.is_nan()) {
        Some(at) => Err(Error::NotFinite { what: format!("text {}", at + 1) }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rudolph::tests::{model, tiny};

    #[test]
    fn texts_begin_with_their_prompt_and_do_not_depend_on_their_batch() {
        let model = model(&tiny());
        let prompts = [vec![7, 8], vec![], vec![9; 30]];
        let sampling = SamplingConfig { seed: 3, temperature: 2.0, ..SamplingConfig::text() };
        let run = |batch| write(&model, &prompts, 5, &sampling, batch, &mut |_| ()).unwrap();
        let texts = run(4);
        assert_eq!(texts, run(1));
        assert!(texts[0].iter().all(|text| text.starts_with(&[7, 8])), "{texts:?}");
        // 6 positions: BOS, the task token, and a prompt that leaves one place.
        assert!(texts[2].iter().all(|text| text.starts_with(&[9; 3]) && text.len() <= 4), "{texts:?}");
        assert_eq!(texts.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 5]);
    }

    #[test]
    fn perplexities_do_not_depend_on_the_batch() {
        let model = model(&tiny());
        let texts = [vec![7, 8], vec![5], vec![9, 6, 7]];
        let (whole, single) =
            (left_perplexities(&model, &texts, 3).unwrap(), left_perplexities(&model, &texts, 1).unwrap());
        assert!(whole.iter().zip(&single).all(|(a, b)| (a - b).abs() <= 1e-4 * b && *a > 1.0), "{whole:?}");
    }
}
