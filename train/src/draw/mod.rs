//! Text → image: codes drawn one by one from the model, many pictures at a time, with a K/V cache.
//!
//! `codes` has the loop, `prompt` makes given codes of a picture, `memory` says how many fit, `rank` which are best.

mod codes;
mod memory;
pub mod prompt;
mod rank;

use crate::error::{Error, Result};
use crate::gpt::{Framed, Gpt, GptConfig, MaskSchedule, ids};
use crate::sampling::{GuidanceForm, SamplingConfig};
pub use codes::draw_codes;
pub(crate) use codes::host;
pub use memory::Footprint;
pub use prompt::{Borders, given_codes};
pub use rank::{Score, rank};

/// What to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// Bare BPE ids of the text.
    pub text: Vec<u32>,
    /// Codes that are given and not drawn, by their place in raster order; the model sees them only from there on.
    pub given: Vec<(usize, u16)>,
    /// Which random stream it draws from: two drawings of one text differ by this number alone.
    pub stream: u64,
}

impl Drawing {
    /// Drawings of texts, each with its own stream: the first gets 0.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Vec<Self> {
        let drawing = |(text, stream): (&[u32], u64)| Self { text: text.to_vec(), given: Vec::new(), stream };
        texts.into_iter().zip(0..).map(drawing).collect()
    }
}

/// What drawing asks of a model.
pub trait Draws {
    /// The transformer.
    fn gpt(&self) -> &Gpt;

    /// The left text that asks for an image of `text` (bare BPE ids); `None` in a model without text. The empty text is
    /// what guidance moves away from.
    fn asks(&self, text: &[u32]) -> Option<Framed>;

    /// The left text that says nothing of the image: what RuDOLPH's forms of guidance mix with.
    fn asks_nothing(&self) -> Option<Framed> {
        self.asks(&[])
    }
}

/// Draws in batches of `batch`: one grid of codes per drawing.
///
/// A drawing depends on its text, its given codes and (seed, stream) only, not on the batch it is in (up to rounding).
/// `on_step` gets the codes drawn so far over all drawings, after every step of a batch.
///
/// # Errors
/// A setting or a given code is not valid, the model sees what it has not drawn yet, or its logits are NaN.
pub fn draw<M: Draws + ?Sized>(
    model: &M,
    drawings: &[Drawing],
    sampling: &SamplingConfig,
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<u16>>> {
    sampling.validate()?;
    if model.gpt().config().masks == MaskSchedule::All {
        let why = "bidirectional: the model sees all pixels at once, so it cannot draw one after the other";
        return Err(Error::config(why).with_hint("train a model without model.bidirectional to draw"));
    }
    if sampling.is_guided() && model.asks(&[]).is_none() {
        let why = "guidance: the model has no text that could count for more";
        return Err(Error::config(why).with_hint("leave it out"));
    }
    for drawing in drawings {
        check(model.gpt().config(), drawing)?;
    }
    let mut codes = Vec::with_capacity(drawings.len());
    for chunk in drawings.chunks(batch.max(1)) {
        let before = codes.len() * model.gpt().config().segments().image();
        codes.extend(draw_batch(model, chunk, sampling, &mut |done| on_step(before + done))?);
    }
    Ok(codes)
}

fn check(config: &GptConfig, drawing: &Drawing) -> Result<()> {
    let (places, codes) = (config.segments().image(), config.image_vocab);
    // A model without text looks at none.
    if config.left > 0 {
        config.check_text(&drawing.text)?;
    }
    match drawing.given.iter().find(|(place, code)| *place >= places || usize::from(*code) >= codes) {
        Some((place, code)) => {
            Err(Error::config(format!("given code {code} at {place}: {places} places and {codes} codes")))
        }
        None => Ok(()),
    }
}

fn draw_batch<M: Draws + ?Sized>(
    model: &M,
    drawings: &[Drawing],
    sampling: &SamplingConfig,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<u16>>> {
    let mut texts = drawings.iter().map(|drawing| model.asks(&drawing.text)).collect::<Vec<_>>();
    if sampling.is_guided() {
        let nothing = match sampling.guidance_form {
            GuidanceForm::Logits => model.asks(&[]),
            GuidanceForm::Mix | GuidanceForm::LateSoftmax => model.asks_nothing(),
        };
        texts.resize(2 * drawings.len(), nothing);
    }
    let texts = texts.into_iter().flatten().map(|text| text.ids).collect::<Vec<_>>();
    let left = ids(&texts, &model.gpt().device());
    draw_codes(model.gpt(), left, drawings, sampling, on_step)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::gpt::trace::tests::poison;
    use crate::image_gpt::ImageGptConfig;
    use crate::rudolph::tests::{model, tiny};

    fn drawings(n: u64) -> Vec<Drawing> {
        (0..n).map(|i| Drawing { text: vec![5 + i as u32 % 3], given: Vec::new(), stream: i }).collect()
    }

    #[test]
    fn a_drawing_does_not_depend_on_its_batch() {
        let model = model(&tiny());
        let sampling = SamplingConfig { seed: 11, ..SamplingConfig::default() };
        let run = |batch| draw(&model, &drawings(5), &sampling, batch, &mut |_| ()).unwrap();
        let whole = run(8);
        assert_eq!(whole, run(1));
        assert_eq!(whole, run(2));
        assert!(whole.iter().flatten().all(|code| *code < 12));
        assert_ne!(whole[0], whole[3], "the same text on another stream");
        let other = SamplingConfig { seed: 12, ..sampling };
        assert_ne!(whole, draw(&model, &drawings(5), &other, 8, &mut |_| ()).unwrap());
    }

    #[test]
    fn guidance_moves_away_from_the_drawing_without_text() {
        let model = model(&tiny());
        let greedy = |guidance, text: &[u32]| {
            let sampling = SamplingConfig { top_k: 1, guidance, ..SamplingConfig::default() };
            let drawing = Drawing { text: text.to_vec(), ..Drawing::default() };
            draw(&model, &[drawing.clone(), drawing], &sampling, 2, &mut |_| ()).unwrap()
        };
        let (plain, empty) = (greedy(1.0, &[6, 9]), greedy(1.0, &[]));
        assert_eq!(greedy(0.0, &[6, 9]), empty, "no guidance at all is the empty text");
        assert_eq!(greedy(7.0, &[]), empty, "nothing to move away from");
        let guided = greedy(7.0, &[6, 9]);
        assert_ne!(guided, plain);
        assert_eq!(guided[0], guided[1]);
    }

    #[test]
    fn the_published_guidance_mixes_with_a_text_that_says_nothing() {
        use crate::sampling::GuidanceForm::{LateSoftmax, Mix};
        let model = model(&tiny());
        assert_ne!(model.asks(&[]), model.asks_nothing(), "another task token");
        let run = |guidance_form, guidance| {
            let sampling = SamplingConfig { guidance_form, guidance, seed: 5, ..SamplingConfig::default() };
            draw(&model, &drawings(2), &sampling, 2, &mut |_| ()).unwrap()
        };
        let plain = draw(
            &model,
            &drawings(2),
            &SamplingConfig { seed: 5, ..SamplingConfig::default() },
            2,
            &mut |_| (),
        );
        for form in [Mix, LateSoftmax] {
            assert_eq!(run(form, 0.0), *plain.as_ref().unwrap());
            assert_ne!(run(form, 0.9), *plain.as_ref().unwrap());
        }
    }

    #[test]
    fn given_codes_stay_and_those_before_them_do_not_notice() {
        let model = model(&tiny());
        let sampling = SamplingConfig { seed: 2, ..SamplingConfig::default() };
        let free = draw(&model, &drawings(2), &sampling, 2, &mut |_| ()).unwrap();
        let mut bound = drawings(2);
        bound[1].given = vec![(4, (free[1][4] + 1) % 12), (8, 7)];
        let mut steps = Vec::new();
        let found = draw(&model, &bound, &sampling, 2, &mut |done| steps.push(done)).unwrap();
        assert_eq!(found[0], free[0]);
        assert_eq!(found[1][..4], free[1][..4]);
        assert_eq!((found[1][4], found[1][8]), ((free[1][4] + 1) % 12, 7));
        assert_eq!(steps, (1..=9).map(|step| step * 2).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = model(&tiny());
        let given = |given| Drawing { text: vec![5], given, stream: 0 };
        let fault =
            |drawing| draw(&model, &[drawing], &SamplingConfig::default(), 1, &mut |_| ()).unwrap_err();
        assert!(fault(given(vec![(9, 0)])).to_string().contains("given code 0 at 9"));
        assert!(fault(given(vec![(0, 12)])).to_string().contains("given code 12 at 0"));
        assert!(fault(Drawing { text: vec![99], ..Drawing::default() }).to_string().contains("text id 99"));
        let config = ImageGptConfig {
            layers: 1,
            dim: 8,
            heads: 2,
            grid: 2,
            colours: 4,
            bidirectional: true,
            ..ImageGptConfig::default()
        };
        let model = config.init(&Device::flex());
        let error = draw(&model, &[Drawing::default()], &SamplingConfig::default(), 1, &mut |_| ());
        assert!(error.unwrap_err().to_string().starts_with("bidirectional: "));
    }

    #[test]
    fn the_first_tensor_that_is_no_number_is_named() {
        let bad = |name| {
            let mut poisoned = model(&tiny());
            poisoned.gpt = poison(poisoned.gpt, name);
            let error = draw(&poisoned, &drawings(2), &SamplingConfig::default(), 2, &mut |_| ());
            error.unwrap_err().to_string()
        };
        let said = bad("transformer.layers.1.attention.dense.bias");
        assert!(said.starts_with("transformer.layers.1.attention: NaN at step 0"), "{said}");
        let said = bad("transformer.layers.0.mlp.dense_h_to_4h.weight");
        assert!(said.starts_with("transformer.layers.0.mlp: NaN at step 0"), "{said}");
        let said = bad("image_embeddings.weight");
        assert!(said.starts_with("embeddings: infinity at step 1"), "{said}");
    }

    #[test]
    fn nothing_to_draw_is_nothing() {
        assert!(draw(&model(&tiny()), &[], &SamplingConfig::default(), 4, &mut |_| ()).unwrap().is_empty());
    }
}
