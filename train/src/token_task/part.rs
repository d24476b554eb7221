//! The rows of a step, a part at a time: their losses and gradients.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::TextImage;
use super::exercise::{Example, Plan, batch};
use super::scores::scalar;
use crate::Result;
use crate::device::mix;
use crate::gpt::{Batch, ids};
use crate::objective::{LossWeights, Losses};
use crate::ranks::Team;
use crate::run::{Metrics, Said, in_parts};

/// Rows of one task.
pub(super) struct Part<'a> {
    /// The task.
    pub(super) plan: &'a Plan,
    /// The weights of its losses at this step.
    pub(super) weights: LossWeights,
    /// What is asked for.
    pub(super) rows: Vec<Example<'a>>,
    /// What the model reads of the images, where that differs.
    pub(super) read: Option<Vec<Vec<u16>>>,
}

/// The gradients of the mean loss over all rows, and the mean losses of the rows that have them: the same on every rank of
/// the team, of which each computes its share of the parts. With a seed for dropout the layers are computed anew on the
/// way back.
pub(super) fn pass<M: TextImage>(
    model: &M,
    parts: Vec<Part<'_>>,
    recompute: Option<u64>,
    team: &Team,
) -> Result<(GradientsParams, Metrics)> {
    let all: f64 = parts.iter().map(|part| part.rows.len() as f64).sum();
    let parts: Vec<_> = (0..).zip(parts).collect();
    let job = |(index, part): (u64, Part<'_>), model: M, device: &Device| {
        Ok(one(model, &part, all, recompute.map(|seed| mix(seed, index)), device))
    };
    // Dropout draws from the device's one generator, so its order must be fixed.
    let (grads, said) = in_parts(model, parts, team, side_by_side(model), job)?;
    Ok((grads, Said::means(&said)))
}

/// Whether parts may be computed side by side.
pub(super) fn side_by_side<M: TextImage>(model: &M) -> bool {
    model.gpt().config().dropout == 0.0
}

/// One part, on a copy of the model whose graph no other part touches.
fn one<M: TextImage>(
    model: M,
    part: &Part<'_>,
    all: f64,
    recompute: Option<u64>,
    device: &Device,
) -> (GradientsParams, Said) {
    let model = model.fork(device);
    let asked = batch(&part.rows, device);
    let read = part.read.as_ref().map(|read| Batch { image: ids(read, device), ..asked.clone() });
    let read = read.as_ref().unwrap_or(&asked);
    let rows = part.rows.len() as f64;
    let loss = |hidden: Tensor<3>| {
        let Losses { total, left, image, right } = model.losses_from(hidden, &asked, &part.weights);
        let segments = [("left", left), ("image", image), ("right", right)];
        let of =
            |(segment, loss): (&str, Option<Tensor<1>>)| Some((part.plan.metric(segment), scalar(loss?)));
        let mut losses = vec![("loss".to_owned(), scalar(total.clone()))];
        losses.extend(segments.into_iter().filter_map(of));
        (total * (rows / all), losses)
    };
    let gpt = model.gpt();
    let (grads, losses) = match recompute.zip(gpt.embed(read)) {
        Some((seed, x)) => gpt.backward_by_layers(&model, x, seed, loss),
        None => {
            let (total, losses) = loss(gpt.hidden(read));
            (GradientsParams::from_grads(total.backward(), &model), losses)
        }
    };
    (grads, Said { rows, losses })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use burn::module::Module;

    use super::*;
    use crate::ranks::threads::together;
    use crate::rudolph::tests::{Flat, model, tiny};
    use crate::token_task::Practice;

    #[test]
    fn parts_add_up_to_the_whole_step() {
        let device = Device::flex().autodiff();
        let model = model(&tiny()).fork(&device).train();
        let plan = Plan::new(&tiny(), "text_to_image", &Practice::default()).unwrap();
        let codes: Vec<Vec<u16>> = (0..5).map(|i| (0..9).map(|j| (i * 7 + j * 3) % 12).collect()).collect();
        let rows: Vec<Example<'_>> = (0..5)
            .map(|i| Example::of(vec![2, 22, 5 + i as u32, 9, 3, 0], Cow::Borrowed(&codes[i])))
            .collect();
        let read: Vec<Vec<u16>> =
            codes.iter().map(|codes| codes.iter().map(|code| 11 - code).collect()).collect();
        let by = |team: &Team, each: usize, recompute: Option<u64>| {
            let parts = rows.chunks(each).zip(read.chunks(each));
            let parts = parts.map(|(rows, read)| Part {
                plan: &plan,
                weights: plan.loss.at(0),
                rows: rows.to_vec(),
                read: Some(read.to_vec()),
            });
            let (grads, metrics) = pass(&model, parts.collect(), recompute, team).unwrap();
            let mut flat = Flat(grads, Vec::new());
            model.visit(&mut flat);
            (flat.1, metrics.get("loss").unwrap(), metrics.get("image").unwrap())
        };
        let run = |each, recompute| by(&Team::alone(device.clone()), each, recompute);
        let (whole, halves) = (run(5, None), run(3, None));
        let apart = whole.0.iter().zip(&halves.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5 && whole.0.iter().any(|g| g.abs() > 1e-3), "{apart}");
        assert!((whole.1 - halves.1).abs() < 1e-5 && (whole.2 - halves.2).abs() < 1e-5);
        assert_eq!(halves.0, run(3, None).0, "bit for bit");
        for world in [2, 4] {
            let shared = together(world, |ranks| by(&Team::open(&ranks, ["cpu", "cpu"]).unwrap(), 2, None));
            assert!(shared.iter().all(|found| *found == run(2, None)), "{world} ranks");
        }
        let apart = whole.0.iter().zip(&run(5, Some(1)).0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "computed anew: {apart}");
    }
}
