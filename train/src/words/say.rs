//! The sampler of texts: ids drawn one by one into one text of the sequence, many texts at a time.

use burn::tensor::Tensor;

use crate::draw::host;
use crate::error::{Error, Result};
use crate::gpt::{Batch, Cache, EOS, Gpt, Vocabulary, ids};
use crate::rudolph::{Rudolph, RudolphConfig};
use crate::sampling::{SamplingConfig, Stream};

/// Where words go, and what ends them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    right: bool,
    /// Positions of the text.
    length: usize,
    /// Ids that can be drawn: those below.
    offered: usize,
    /// The last id that does not end a text.
    last: u32,
}

impl Rule {
    /// Words behind an image. The pads of the left text are never drawn; special ids end the text.
    pub(super) fn right(config: &RudolphConfig) -> Self {
        let offered = config.text_vocab + config.text_special;
        Self { right: true, length: config.right, offered, last: config.text_vocab as u32 - 1 }
    }

    /// Words that go on in the left text. As published, pads can be drawn and end the text like the special ids, but for
    /// the first of these, which is passed over.
    pub(super) fn left(config: &RudolphConfig) -> Self {
        let offered = config.gpt().total_text();
        Self { right: false, length: config.left, offered, last: config.text_vocab as u32 }
    }

    fn embed(&self, gpt: &Gpt, texts: &[Vec<u32>], from: usize) -> Option<Tensor<3>> {
        let ids = ids(texts, &gpt.device())?;
        if self.right { gpt.embed_right(ids, from) } else { gpt.continue_left(ids, from) }
    }

    fn place(&self, place: usize) -> String {
        format!("position {place} of the {} text", if self.right { "right" } else { "left" })
    }
}

/// What stands before a right text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// The framed left text.
    pub(crate) left: Vec<u32>,
    /// The image.
    pub(crate) codes: Vec<u16>,
}

/// The beginning of a text, and the random streams of its continuations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Left text and image; `None` where the left text itself goes on.
    pub(super) before: Option<Before>,
    /// BOS, task token and the words that are given.
    pub(super) text: Vec<u32>,
    /// One for each continuation.
    pub(super) streams: Vec<u64>,
}

/// Continues every beginning once for each of its streams, `batch` texts at a time: whole texts with BOS, up to and
/// without EOS. `on_text` gets the texts finished so far.
///
/// # Errors
/// A setting is not valid, or the model's logits are NaN.
pub(super) fn say(
    model: &Rudolph,
    rule: &Rule,
    beginnings: &[Beginning],
    sampling: &SamplingConfig,
    batch: usize,
    on_text: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<u32>>>> {
    sampling.validate()?;
    let streams = |(index, begun): (usize, &Beginning)| {
        begun.streams.iter().map(|stream| (index, *stream)).collect::<Vec<_>>()
    };
    let rows = beginnings.iter().enumerate().flat_map(streams).collect::<Vec<_>>();
    let mut said = vec![Vec::new(); beginnings.len()];
    let mut done = 0;
    for chunk in rows.chunks(batch.max(1)) {
        let texts = say_batch(&model.gpt, rule, beginnings, chunk, sampling)?;
        chunk.iter().zip(texts).for_each(|((index, _), text)| said[*index].push(text));
        done += chunk.len();
        on_text(done);
    }
    Ok(said)
}

/// The same for rows of (beginning, stream), in order of their beginnings.
fn say_batch(
    gpt: &Gpt,
    rule: &Rule,
    beginnings: &[Beginning],
    rows: &[(usize, u64)],
    sampling: &SamplingConfig,
) -> Result<Vec<Vec<u32>>> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let before = beginnings[first.0..=last.0].iter().filter_map(|begun| begun.before.as_ref());
    let places = rows.iter().map(|(index, _)| index - first.0).collect::<Vec<_>>();
    let mut cache = match read(gpt, &before.collect::<Vec<_>>()) {
        Some(cache) => cache.select(&places),
        None => Cache::new(gpt.config(), rows.len(), &gpt.device()),
    };
    let given = rows.iter().map(|(index, _)| beginnings[*index].text.as_slice()).collect::<Vec<_>>();
    let mut streams = rows.iter().map(|(_, stream)| Stream::new(sampling.seed, *stream)).collect::<Vec<_>>();
    let start = given.iter().map(|given| given.len()).min().unwrap_or_default();
    let mut texts = given.iter().map(|given| given[..start].to_vec()).collect::<Vec<_>>();
    let mut ended = vec![false; rows.len()];
    let mut input = rule.embed(gpt, &texts, 0);
    for place in start..rule.length {
        let Some(x) = input.take() else { break };
        let last = x.dims()[1] - 1;
        let hidden = gpt.forward(x, Some(&mut cache)).narrow(1, last, 1);
        let logits = host(gpt.logits(hidden, Vocabulary::Text));
        let next = (0..rows.len()).map(|row| match given[row].get(place) {
            Some(id) => Ok(*id),
            None if ended[row] => Ok(EOS),
            None => rule.draw(&logits[row], place, sampling, &mut streams[row]),
        });
        let next = next.collect::<Result<Vec<_>>>().map_err(|error| {
            let before = places.iter().filter_map(|place| beginnings[first.0 + place].before.as_ref());
            blame(gpt, &before.collect::<Vec<_>>(), &texts, error)
        })?;
        for (row, (text, id)) in texts.iter_mut().zip(next).enumerate() {
            text.push(id);
            ended[row] |= place >= given[row].len() && id == EOS;
        }
        if ended.iter().all(|ended| *ended) {
            break;
        }
        let step = texts.iter().map(|text| vec![text[place]]).collect::<Vec<_>>();
        input = rule.embed(gpt, &step, place);
    }
    let until_end = |text: Vec<u32>| text.into_iter().take_while(|id| *id != EOS).collect();
    Ok(texts.into_iter().map(until_end).collect())
}

/// The same error with the tensor where it began: the sequences are computed again.
fn blame(gpt: &Gpt, before: &[&Before], texts: &[Vec<u32>], error: Error) -> Error {
    let Error::NotFinite { what } = error else { return error };
    let text = ids(texts, &gpt.device());
    let batch = match before {
        [] => Batch { left: text, image: None, right: None },
        before => Batch { right: text, ..read_first(gpt, before) },
    };
    let what = match gpt.first_bad(&batch) {
        Some(tensor) => format!("{tensor} at {what}"),
        None => what,
    };
    Error::NotFinite { what }
}

impl Rule {
    fn draw(
        &self,
        logits: &[f32],
        place: usize,
        sampling: &SamplingConfig,
        stream: &mut Stream,
    ) -> Result<u32> {
        match sampling.choose(&logits[..self.offered], stream) {
            Ok(id) if id as u32 > self.last => Ok(EOS),
            Ok(id) => Ok(id as u32),
            Err(Error::Logits) => Err(Error::NotFinite { what: self.place(place) }),
            Err(other) => Err(other),
        }
    }
}

/// The keys and values of left texts and images, one row each; `None` where there are none.
pub(crate) fn read(gpt: &Gpt, before: &[&Before]) -> Option<Cache> {
    let x = gpt.embed(&read_first(gpt, before))?;
    let mut cache = Cache::new(gpt.config(), before.len(), &gpt.device());
    gpt.forward(x, Some(&mut cache));
    Some(cache)
}

fn read_first(gpt: &Gpt, before: &[&Before]) -> Batch {
    let device = gpt.device();
    let left = ids(&before.iter().map(|before| before.left.clone()).collect::<Vec<_>>(), &device);
    let image = ids(&before.iter().map(|before| before.codes.clone()).collect::<Vec<_>>(), &device);
    Batch { left, image, right: None }
}
