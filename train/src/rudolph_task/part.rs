//! A step in parts: each part of the batch has a graph and gradients of its own, so the parts are computed side by side.
//!
//! A small model leaves cores idle between its products; two parts fill each other's gaps. The gradients are added in
//! the order of the parts, so the result depends on how many there are and not on the cores.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::scores::scalar;
use crate::Result;
use crate::objective::Losses;
use crate::rudolph::{Row, Rudolph};
use crate::run::Metrics;

/// Rows of one task.
pub(super) struct Part<'a> {
    /// What is asked for.
    pub(super) rows: Vec<Row<'a>>,
    /// What the model reads of the images, where that differs.
    pub(super) read: Option<Vec<Vec<u16>>>,
}

/// What one part contributes.
struct Passed {
    grads: GradientsParams,
    rows: f64,
    /// Total, left, image and right, as far as the task has them.
    losses: [Option<f64>; 4],
}

/// Names of [`Passed::losses`].
const NAMES: [&str; 4] = ["loss", "left", "image", "right"];

/// The gradients of the mean loss over all rows, and the mean losses of the rows that have them.
///
/// # Errors
/// A row that does not fit the model.
pub(super) fn pass(
    model: &Rudolph,
    parts: Vec<Part<'_>>,
    device: &Device,
) -> Result<(GradientsParams, Metrics)> {
    let all: f64 = parts.iter().map(|part| part.rows.len() as f64).sum();
    let jobs: Vec<_> = parts.into_iter().map(|part| (part, model.clone())).collect();
    let job = |(part, model): (Part<'_>, Rudolph)| one(model, &part, all, device);
    // Dropout draws from the device's one generator, so its order must be fixed.
    let passed = if model.config().dropout > 0.0 {
        jobs.into_iter().map(job).collect::<Result<Vec<_>>>()?
    } else {
        jobs.into_par_iter().map(job).collect::<Result<Vec<_>>>()?
    };
    let mut metrics = Metrics::new();
    for (i, name) in NAMES.into_iter().enumerate() {
        let with: Vec<_> = passed.iter().filter_map(|part| Some((part.rows, part.losses[i]?))).collect();
        let rows: f64 = with.iter().map(|(rows, _)| rows).sum();
        let sum: f64 = with.iter().map(|(rows, loss)| rows * loss).sum();
        metrics.extend([(rows > 0.0).then_some((name, sum / rows))]);
    }
    let mut sum = GradientsAccumulator::new();
    passed.into_iter().for_each(|part| sum.accumulate(model, part.grads));
    Ok((sum.grads(), metrics))
}

/// One part, on a copy of the model whose graph no other part touches.
fn one(model: Rudolph, part: &Part<'_>, all: f64, device: &Device) -> Result<Passed> {
    let model = model.fork(device);
    let (asked, _) = model.config().batch(&part.rows, device)?;
    let Losses { total, left, image, right } = match &part.read {
        None => model.losses(&asked),
        Some(read) => {
            let rows = part.rows.iter().zip(read).map(|(row, codes)| Row { codes, ..*row });
            let (read, _) = model.config().batch(&rows.collect::<Vec<_>>(), device)?;
            model.losses_of(&asked, &read)
        }
    };
    let rows = part.rows.len() as f64;
    let value = |loss: Option<Tensor<1>>| loss.map(scalar);
    let losses = [Some(scalar(total.clone())), value(left), value(image), value(right)];
    let grads = GradientsParams::from_grads((total * (rows / all)).backward(), &model);
    Ok(Passed { grads, rows, losses })
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleVisitor;
    use burn::module::Param;

    use super::*;
    use crate::rudolph::Task;
    use crate::rudolph::tests::{model, tiny};

    /// All gradients one behind the other, 0 where there is none.
    struct Flat(GradientsParams, Vec<f32>);

    impl ModuleVisitor for Flat {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match self.0.remove::<D>(param.id) {
                Some(grad) => self.1.extend(grad.into_data().iter::<f32>()),
                None => self.1.extend(std::iter::repeat_n(0.0, param.val().shape().num_elements())),
            }
        }
    }

    #[test]
    fn parts_add_up_to_the_whole_step() {
        let device = Device::flex().autodiff();
        let model = model(&tiny()).fork(&device).train();
        let codes: Vec<Vec<u16>> = (0..5).map(|i| (0..9).map(|j| (i * 7 + j * 3) % 12).collect()).collect();
        let texts: Vec<Vec<u32>> = (0..5).map(|i| vec![5 + i, 9]).collect();
        let rows: Vec<Row<'_>> =
            (0..5).map(|i| Row { task: Task::TextToImage, text: &texts[i], codes: &codes[i] }).collect();
        let read: Vec<Vec<u16>> =
            codes.iter().map(|codes| codes.iter().map(|code| 11 - code).collect()).collect();
        let run = |each: usize| {
            let parts = rows.chunks(each).zip(read.chunks(each));
            let parts = parts.map(|(rows, read)| Part { rows: rows.to_vec(), read: Some(read.to_vec()) });
            let (grads, metrics) = pass(&model, parts.collect(), &device).unwrap();
            let mut flat = Flat(grads, Vec::new());
            model.visit(&mut flat);
            (flat.1, metrics.get("loss").unwrap(), metrics.get("image").unwrap())
        };
        let (whole, halves) = (run(5), run(3));
        let apart = whole.0.iter().zip(&halves.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5 && whole.0.iter().any(|g| g.abs() > 1e-3), "{apart}");
        assert!((whole.1 - halves.1).abs() < 1e-5 && (whole.2 - halves.2).abs() < 1e-5);
        assert_eq!(halves.0, run(3).0, "bit for bit");
    }
}
