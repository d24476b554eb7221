//! Image → text: right text drawn id by id after an image, many pictures at a time, with a K/V cache.

use super::say::{Before, Beginning, Rule, say};
use super::task::{TokenPair, begin};
use crate::error::{Error, Result};
use crate::gpt::frame;
use crate::rudolph::Rudolph;
use crate::sampling::SamplingConfig;

/// What to caption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captioning {
    /// The image's codes.
    pub codes: Vec<u16>,
    /// Which random stream it draws from.
    pub stream: u64,
}

impl Captioning {
    /// One caption of each image, each with its own stream: the first gets 0.
    pub fn of_images<'a>(images: impl IntoIterator<Item = &'a [u16]>) -> Vec<Self> {
        let captioning = |(codes, stream): (&[u16], u64)| Self { codes: codes.to_vec(), stream };
        images.into_iter().zip(0..).map(captioning).collect()
    }
}

/// Texts that stand before the caption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// Bare BPE ids of the left text; usually none.
    pub left: Vec<u32>,
    /// Bare BPE ids that the caption begins with (ruDOLPH: "на картинке").
    pub right: Vec<u32>,
}

/// Captions in batches of `batch`: BPE ids with the right template, without BOS, task token and EOS.
///
/// Ids past the BPE vocabulary end a caption, as in the published code. `on_step` gets the captions finished so far.
///
/// # Errors
/// A setting, a template or the codes do not fit the model, or its logits are NaN.
pub fn caption(
    model: &Rudolph,
    images: &[Captioning],
    templates: &Templates,
    sampling: &SamplingConfig,
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<u32>>> {
    Ok(candidates(model, images, templates, 1, sampling, batch, on_step)?.into_iter().flatten().collect())
}

/// `count` captions of each image; the first is that of [`caption`], those after it draw from streams `1 << 32` apart.
///
/// Left text and image are read once for all captions of an image that are in one batch.
///
/// # Errors
/// As for [`caption`].
pub fn candidates(
    model: &Rudolph,
    images: &[Captioning],
    templates: &Templates,
    count: usize,
    sampling: &SamplingConfig,
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<u32>>>> {
    let (config, gpt) = (model.config(), model.gpt.config());
    let tokens = TokenPair::caption(config);
    if config.right == 0 {
        return Err(Error::config("right: a model without right text cannot caption"));
    }
    gpt.check_text(&templates.left)?;
    gpt.check_text(&templates.right)?;
    let left = frame(&templates.left, tokens.left, config.left).ids;
    let text = begin(&templates.right, tokens.right, config.right);
    let mut beginnings = Vec::with_capacity(images.len());
    for image in images {
        gpt.check_codes(&image.codes)?;
        let before = Before { left: left.clone(), codes: image.codes.clone() };
        let streams = (0..count as u64).map(|turn| image.stream + (turn << 32)).collect();
        beginnings.push(Beginning { before: Some(before), text: text.clone(), streams });
    }
    let said = say(model, &Rule::right(config), &beginnings, sampling, batch, on_step)?;
    let skip = (1 + usize::from(tokens.right.is_some())).min(text.len());
    let bare = |texts: Vec<Vec<u32>>| texts.into_iter().map(|ids| ids[skip..].to_vec()).collect();
    Ok(said.into_iter().map(bare).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::EOS;
    use crate::gpt::trace::tests::poison;
    use crate::rudolph::tests::{model, tiny};

    fn images(n: u16) -> Vec<Captioning> {
        (0..n)
            .map(|i| Captioning { codes: (0..9).map(|c| (c * 5 + i) % 12).collect(), stream: i.into() })
            .collect()
    }

    #[test]
    fn a_caption_does_not_depend_on_its_batch() {
        let model = model(&tiny());
        let sampling = SamplingConfig { seed: 5, temperature: 2.0, ..SamplingConfig::text() };
        let run = |batch| {
            caption(&model, &images(6), &Templates::default(), &sampling, batch, &mut |_| ()).unwrap()
        };
        assert_eq!(run(6), run(1));
        assert!(run(6).iter().all(|text| text.len() <= 3 && text.iter().all(|id| *id < 20 && *id != EOS)));
        assert!(run(6).iter().any(|text| !text.is_empty()));
    }

    #[test]
    fn a_caption_begins_with_its_template() {
        let model = model(&tiny());
        let templates = Templates { left: vec![9], right: vec![6, 7] };
        let found = caption(&model, &images(2), &templates, &SamplingConfig::text(), 2, &mut |_| ()).unwrap();
        assert!(found.iter().all(|text| text.starts_with(&[6, 7])), "{found:?}");
        // A template that fills the segment is cut by its last id, as the published code does.
        let full = Templates { left: vec![], right: vec![6; 9] };
        let found = caption(&model, &images(1), &full, &SamplingConfig::text(), 1, &mut |_| ()).unwrap();
        assert!(found[0].starts_with(&[6, 6]) && found[0].len() <= 3, "{found:?}");
    }

    #[test]
    fn candidates_share_what_is_read_and_begin_with_the_caption() {
        let model = model(&tiny());
        let sampling = SamplingConfig { seed: 5, temperature: 2.0, top_p: 1.0, ..SamplingConfig::text() };
        let run = |count, batch| {
            candidates(&model, &images(3), &Templates::default(), count, &sampling, batch, &mut |_| ())
                .unwrap()
        };
        let (many, one) = (run(5, 4), run(1, 8));
        assert_eq!(many, run(5, 15));
        assert!(many.iter().zip(&one).all(|(many, one)| many[0] == one[0] && many.len() == 5));
        assert!(many[0].iter().any(|text| *text != many[0][0]), "{many:?}");
    }

    #[test]
    fn nan_logits_name_their_place() {
        let model = model(&tiny());
        let broken = burn::module::Module::map(model, &mut NotANumber);
        let fault =
            caption(&broken, &images(1), &Templates::default(), &SamplingConfig::text(), 1, &mut |_| ());
        assert!(fault.unwrap_err().to_string().contains("position 2 of the right text"));
        let mut poisoned = self::model(&tiny());
        poisoned.gpt = poison(poisoned.gpt, "transformer.layers.1.mlp.dense_4h_to_h.bias");
        let fault =
            caption(&poisoned, &images(1), &Templates::default(), &SamplingConfig::text(), 1, &mut |_| ());
        let said = fault.unwrap_err().to_string();
        assert!(said.starts_with("transformer.layers.1.mlp: NaN at position 2 of the right text"), "{said}");
    }

    struct NotANumber;

    impl burn::module::ModuleMapper for NotANumber {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<burn::tensor::Tensor<D>>,
        ) -> burn::module::Param<burn::tensor::Tensor<D>> {
            param.map(|value| value * f64::NAN)
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = model(&tiny());
        let image = Captioning { codes: vec![0; 4], stream: 0 };
        let fault = caption(&model, &[image], &Templates::default(), &SamplingConfig::text(), 1, &mut |_| ());
        assert_eq!(fault.unwrap_err().to_string(), "4 codes, a grid of 3 has 9");
    }
}
