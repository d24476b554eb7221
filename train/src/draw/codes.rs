//! The loop that draws: one code after the other, with a K/V cache, for a whole batch.

use burn::tensor::{Int, Tensor};

use super::Drawing;
use crate::error::{Error, Result};
use crate::gpt::{Batch, Cache, Gpt, Head, Vocabulary, ids};
use crate::sampling::{SamplingConfig, Stream};

/// Draws one image per drawing, all in one batch, after the framed left text `[b, left]` of a model that has one. With
/// guidance `left` has twice as many rows: the texts, then as many empty ones.
///
/// Codes that are given for every drawing of the batch are fed many at a time, together with what stands before them.
///
/// # Errors
/// The model's logits are NaN.
pub fn draw_codes(
    gpt: &Gpt,
    left: Option<Tensor<2, Int>>,
    drawings: &[Drawing],
    sampling: &SamplingConfig,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<u16>>> {
    let rows = drawings.len() * if sampling.is_guided() { 2 } else { 1 };
    let before = match left.clone() {
        Some(left) => gpt.embed_left(left),
        None => gpt.embed_start(rows),
    };
    let places = gpt.config().segments().image();
    let mut drawn = Loop::new(gpt, drawings, sampling, rows);
    let mut waiting: Vec<_> = before.into_iter().collect();
    while drawn.place() < places {
        let from = drawn.place();
        if drawn.all_given() {
            while drawn.place() < places && drawn.all_given() {
                drawn.push_given();
            }
        } else {
            let Some(hidden) = drawn.feed(std::mem::take(&mut waiting)) else { break };
            drawn.push_drawn(hidden).map_err(|error| drawn.blame(error, left.clone()))?;
        }
        waiting.extend(drawn.embed(from));
        on_step(drawn.place() * drawings.len());
    }
    Ok(drawn.codes)
}

type Given = std::collections::HashMap<usize, u16>;

/// What goes on from code to code.
struct Loop<'a> {
    gpt: &'a Gpt,
    head: Head,
    sampling: &'a SamplingConfig,
    cache: Cache,
    streams: Vec<Stream>,
    given: Vec<Given>,
    codes: Vec<Vec<u16>>,
    /// Sequences: twice the drawings with guidance.
    rows: usize,
}

impl<'a> Loop<'a> {
    fn new(gpt: &'a Gpt, drawings: &[Drawing], sampling: &'a SamplingConfig, rows: usize) -> Self {
        let (config, device) = (gpt.config(), gpt.device());
        let stream = |drawing: &Drawing| Stream::new(sampling.seed, drawing.stream);
        Self {
            gpt,
            head: gpt.head_of(Vocabulary::Image),
            sampling,
            cache: Cache::new(config, rows, &device),
            streams: drawings.iter().map(stream).collect(),
            given: drawings.iter().map(|drawing| drawing.given.iter().copied().collect()).collect(),
            codes: vec![Vec::with_capacity(config.segments().image()); drawings.len()],
            rows,
        }
    }

    /// How many codes there are.
    fn place(&self) -> usize {
        self.codes.first().map_or(usize::MAX, Vec::len)
    }

    fn all_given(&self) -> bool {
        self.given.iter().all(|given| given.contains_key(&self.place()))
    }

    fn push_given(&mut self) {
        for (codes, given) in self.codes.iter_mut().zip(&self.given) {
            codes.extend(given.get(&codes.len()));
        }
    }

    /// Gives the transformer the vectors that it has not seen, and takes what it says of the last.
    fn feed(&mut self, waiting: Vec<Tensor<3>>) -> Option<Tensor<3>> {
        let mut waiting = waiting;
        let x = if waiting.len() > 1 { Tensor::cat(waiting, 1) } else { waiting.pop()? };
        self.gpt.forward_last(x, &mut self.cache)
    }

    fn push_drawn(&mut self, hidden: Tensor<3>) -> Result<()> {
        let logits = host(self.gpt.logits_of(hidden, &self.head));
        let place = self.place();
        // Special image tokens, behind the codes, are never drawn.
        let codes = self.gpt.config().image_vocab;
        let (with, without) = logits.split_at(self.codes.len());
        let choose = |(row, stream): (usize, &mut Stream)| -> Result<u16> {
            let without = without.get(row).map(|logits| &logits[..codes]);
            Ok(match self.given[row].get(&place) {
                Some(code) => *code,
                None => self.sampling.choose_guided(&with[row][..codes], without, stream)? as u16,
            })
        };
        let chosen = self.streams.iter_mut().enumerate().map(choose).collect::<Result<Vec<_>>>()?;
        self.codes.iter_mut().zip(chosen).for_each(|(codes, code)| codes.push(code));
        Ok(())
    }

    /// The error for logits that are no numbers, with the step and the tensor where it began: the sequence is computed
    /// again.
    fn blame(&self, error: Error, left: Option<Tensor<2, Int>>) -> Error {
        let drawn = self.codes.iter().cycle().take(self.rows).cloned().collect::<Vec<_>>();
        // The start token of a model without text comes with its image, even with an empty one.
        let image = ids(&drawn, &self.gpt.device());
        match (error, self.gpt.first_bad(&Batch { left, image, right: None })) {
            (Error::Logits, Some(tensor)) => {
                Error::NotFinite { what: format!("{tensor} at step {}", self.place()) }
            }
            (error, _) => error,
        }
    }

    /// Vectors of the codes from `from` on. The twins without text get what was drawn with it.
    fn embed(&self, from: usize) -> Option<Tensor<3>> {
        let new = self.codes.iter().cycle().take(self.rows).map(|codes| codes[from..].to_vec());
        let new = ids(&new.collect::<Vec<_>>(), &self.gpt.device())?;
        self.gpt.embed_image(new, from)
    }
}

/// `[b, 1, v]` → one vector per row.
pub(crate) fn host(logits: Tensor<3>) -> Vec<Vec<f32>> {
    let [_, _, v] = logits.dims();
    let values = logits.inner().to_data_as::<f32>();
    let values = values.as_slice::<f32>().unwrap_or_default();
    values.chunks(v).map(<[f32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draws, draw};
    use crate::gpt::{Batch, frame};
    use crate::model::Model;
    use crate::rudolph::tests as rudolph;
    use burn::tensor::Device;
    use proptest::prelude::*;

    fn models() -> Vec<Model> {
        use crate::{dalle, image_gpt, objective::LossLayout};
        let device = Device::flex();
        let dalle = |loss_layout| dalle::DalleConfig { loss_layout, ..dalle::tests::tiny() }.init(&device);
        vec![
            Model::Rudolph(rudolph::model(&rudolph::tiny())),
            Model::Dalle(rudolph::fill(dalle(LossLayout::V2))),
            Model::Dalle(rudolph::fill(dalle(LossLayout::V3))),
            Model::ImageGpt(rudolph::fill(image_gpt::tests::tiny().init(&device))),
        ]
    }

    /// Logits of the image after each of `cuts` of a sequence's vectors, and the largest difference from `full`.
    fn furthest(gpt: &Gpt, x: &Tensor<3>, cuts: &[usize], full: &Tensor<3>) -> f32 {
        let (head, total) = (gpt.head_of(Vocabulary::Image), x.dims()[1]);
        let (mut cache, mut at, mut furthest) =
            (Cache::new(gpt.config(), x.dims()[0], &gpt.device()), 0, 0.0);
        for cut in cuts.iter().cycle() {
            let n = (*cut).min(total - at);
            let hidden = gpt.forward_last(x.clone().narrow(1, at, n), &mut cache).unwrap();
            at += n;
            let apart = gpt.logits_of(hidden, &head) - full.clone().narrow(1, at - 1, 1);
            furthest = f32::max(furthest, apart.abs().max().into_scalar::<f32>());
            if at == total {
                break;
            }
        }
        furthest
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn runs_of_any_length_give_the_logits_of_the_whole_sequence(
            kind in 0usize..4, cuts in prop::collection::vec(1usize..9, 1..6), seed in 0u16..7,
        ) {
            let model = &models()[kind];
            let gpt = model.gpt();
            let codes: Vec<u16> = (0..9).map(|i| (i * (seed + 1) + seed) % 7).collect();
            let left = gpt.config().left;
            let text = if left > 0 { vec![frame(&[7, 8], None, left).ids; 2] } else { Vec::new() };
            let image = ids(&vec![codes; 2], &gpt.device());
            let x = gpt.embed(&Batch { left: ids(&text, &gpt.device()), image, right: None }).unwrap();
            let full = gpt.logits(gpt.forward(x.clone(), None), Vocabulary::Image);
            prop_assert!(furthest(gpt, &x, &cuts, &full) <= 1e-5);
            prop_assert!(furthest(gpt, &x, &[1], &full) <= 1e-5);
        }

        #[test]
        fn a_run_fed_at_once_draws_what_it_draws_one_by_one(kind in 0usize..4, up in 1usize..9, down in 8usize..10) {
            let model = &models()[kind];
            let places = (0..up).chain(down..9);
            let given: Vec<_> = places.map(|place| (place, (place * 5 % 7) as u16)).collect();
            let sampling = SamplingConfig { seed: 3, ..SamplingConfig::default() };
            let text = if model.gpt().config().left > 0 { vec![7] } else { Vec::new() };
            let bound = Drawing { text: text.clone(), given: given.clone(), stream: 4 };
            let run = |drawings: &[Drawing]| draw(model, drawings, &sampling, 9, &mut |_| ()).unwrap().remove(0);
            let at_once = run(&[bound.clone(), bound.clone()]);
            // A neighbour without given codes makes every step one code long.
            let one_by_one = run(&[bound, Drawing { text, ..Drawing::default() }]);
            prop_assert!(given.iter().all(|(place, code)| at_once[*place] == *code));
            prop_assert_eq!(at_once, one_by_one);
        }
    }

    #[test]
    fn a_whole_picture_given_is_given_back() {
        let given = (0..9).map(|place| (place, 3)).collect();
        let drawing = Drawing { text: vec![7], given, stream: 0 };
        let drawn = draw(&models()[0], &[drawing], &SamplingConfig::default(), 1, &mut |_| ()).unwrap();
        assert_eq!(drawn, [[3; 9]]);
    }
}
