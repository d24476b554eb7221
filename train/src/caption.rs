//! Image → text: right text drawn id by id after an image, many pictures at a time, with a K/V cache.

use crate::draw::host;
use crate::error::{Error, Result};
use crate::gpt::{Cache, EOS, Vocabulary, frame, ids};
use crate::rudolph::{Rudolph, Task};
use crate::sampling::{SamplingConfig, Stream};

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
    let config = model.config();
    sampling.validate()?;
    if config.right == 0 {
        return Err(Error::config("right: a model without right text cannot caption"));
    }
    if let Some(id) =
        templates.left.iter().chain(&templates.right).find(|id| **id as usize >= config.text_vocab)
    {
        return Err(Error::config(format!("text id {id} is not below text_vocab {}", config.text_vocab)));
    }
    for image in images {
        model.gpt.config().check_codes(&image.codes)?;
    }
    let mut captions = Vec::with_capacity(images.len());
    for chunk in images.chunks(batch.max(1)) {
        captions.extend(caption_batch(model, chunk, templates, sampling)?);
        on_step(captions.len());
    }
    Ok(captions)
}

fn caption_batch(
    model: &Rudolph,
    images: &[Captioning],
    templates: &Templates,
    sampling: &SamplingConfig,
) -> Result<Vec<Vec<u32>>> {
    let (config, gpt, device) = (model.config(), &model.gpt, model.gpt.device());
    let left = frame(&templates.left, config.left_token(Task::ImageToText), config.left).ids;
    let prompt = prompt(model, templates);
    let mut texts = vec![prompt.clone(); images.len()];
    let mut streams = images.iter().map(|image| Stream::new(sampling.seed, image.stream)).collect::<Vec<_>>();
    let mut cache = Cache::new(gpt.config(), images.len(), &device);
    let batch = crate::gpt::Batch {
        left: ids(&vec![left; images.len()], &device),
        image: ids(&images.iter().map(|image| image.codes.clone()).collect::<Vec<_>>(), &device),
        right: ids(&texts, &device),
    };
    let mut input = gpt.embed(&batch);
    for place in prompt.len()..config.right {
        let Some(x) = input.take() else { break };
        let last = x.dims()[1] - 1;
        let hidden = gpt.forward(x, Some(&mut cache)).narrow(1, last, 1);
        let logits = host(gpt.logits(hidden, Vocabulary::Text));
        for (row, text) in texts.iter_mut().enumerate() {
            // The pads of the left text, last in the vocabulary, are never drawn; a finished text only fills up.
            let offered = &logits[row][..config.text_vocab + config.text_special];
            let ended = text[prompt.len()..].contains(&EOS);
            let id = if ended { EOS } else { sampling.choose(offered, &mut streams[row])? as u32 };
            text.push(if id as usize >= config.text_vocab { EOS } else { id });
        }
        if texts.iter().all(|text| text[prompt.len()..].contains(&EOS)) {
            break;
        }
        let step = texts.iter().map(|text| vec![text[place]]).collect::<Vec<_>>();
        input = ids(&step, &device).and_then(|step| gpt.embed_right(step, place));
    }
    let skip = 1 + usize::from(config.right_token().is_some());
    Ok(texts
        .into_iter()
        .map(|text| text.into_iter().skip(skip).take_while(|id| *id != EOS).collect())
        .collect())
}

/// The right text up to where the caption goes on: BOS, task token, template.
fn prompt(model: &Rudolph, templates: &Templates) -> Vec<u32> {
    let config = model.config();
    let mut prompt = frame(&templates.right, config.right_token(), config.right).ids;
    let used = 1 + usize::from(config.right_token().is_some()) + templates.right.len();
    prompt.truncate(used);
    prompt
}

#[cfg(test)]
mod tests {
    use super::*;
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
        // A template that fills the segment leaves nothing to say.
        let full = Templates { left: vec![], right: vec![6; 9] };
        let found = caption(&model, &images(1), &full, &SamplingConfig::text(), 1, &mut |_| ()).unwrap();
        assert_eq!(found, [vec![6, 6, 6]]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = model(&tiny());
        let image = Captioning { codes: vec![0; 4], stream: 0 };
        let fault = caption(&model, &[image], &Templates::default(), &SamplingConfig::text(), 1, &mut |_| ());
        assert_eq!(fault.unwrap_err().to_string(), "4 codes, a grid of 3 has 9");
    }
}
