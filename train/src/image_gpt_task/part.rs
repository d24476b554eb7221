//! A step in parts: each part of the batch has a graph and gradients of its own, so the parts are computed side by side.
//! The gradients are added in the order of the parts, so the result depends on how many there are and not on the cores.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::pupil::{Judged, Pictures, Pupil};
use crate::Result;
use crate::run::Metrics;

/// What one part contributes.
struct Passed {
    grads: GradientsParams,
    rows: f64,
    /// Total, of the pixels, of the classes.
    losses: [Option<f64>; 3],
}

/// Names of [`Passed::losses`].
const NAMES: [&str; 3] = ["loss", "pixel", "class"];

/// The gradients of the mean loss over all pictures, and the losses.
///
/// # Errors
/// A picture that does not fit the model.
pub(super) fn pass(
    pupil: &Pupil,
    parts: Vec<Pictures<'_>>,
    device: &Device,
) -> Result<(GradientsParams, Metrics)> {
    let all: f64 = parts.iter().map(|part| part.codes.len() as f64).sum();
    let jobs: Vec<_> = parts.into_iter().map(|part| (part, pupil.clone())).collect();
    let job = |(part, pupil): (Pictures<'_>, Pupil)| one(pupil, &part, all, device);
    // Dropout draws from the device's one generator, so its order must be fixed.
    let passed = if pupil.model.config().dropout > 0.0 {
        jobs.into_iter().map(job).collect::<Result<Vec<_>>>()?
    } else {
        jobs.into_par_iter().map(job).collect::<Result<Vec<_>>>()?
    };
    let mut metrics = Metrics::new();
    for (i, name) in NAMES.into_iter().enumerate() {
        let parts = passed.iter().filter_map(|part| Some(part.rows * part.losses[i]?));
        metrics.extend([parts.reduce(|a, b| a + b).map(|sum| (name, sum / all))]);
    }
    let mut sum = GradientsAccumulator::new();
    passed.into_iter().for_each(|part| sum.accumulate(pupil, part.grads));
    Ok((sum.grads(), metrics))
}

/// One part, on a copy of the model whose graph no other part touches.
fn one(pupil: Pupil, part: &Pictures<'_>, all: f64, device: &Device) -> Result<Passed> {
    let pupil = pupil.fork(device);
    let judged: Judged = pupil.judge(part, device)?;
    let pixel = judged.pixel_loss();
    let class = judged.class.map(|(class, _)| class.mean());
    // The joint loss of fine-tuning: both count the same.
    let total = match &class {
        Some(class) => pixel.clone() + class.clone(),
        None => pixel.clone(),
    };
    let losses = [Some(scalar(total.clone())), Some(scalar(pixel)), class.map(scalar)];
    let rows = part.codes.len() as f64;
    let grads = GradientsParams::from_grads((total * (rows / all)).backward(), &pupil);
    Ok(Passed { grads, rows, losses })
}

/// A number that lies on a device.
pub(super) fn scalar(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_gpt::tests::tiny;
    use crate::rudolph::tests::{Flat, fill};

    fn run(pupil: &Pupil, codes: &[Vec<u16>], masked: bool, each: usize) -> (Vec<f32>, Metrics) {
        let device = Device::flex().autodiff();
        let parts = codes.chunks(each).map(|codes| Pictures {
            codes: codes.iter().map(Vec::as_slice).collect(),
            // As many hidden in each picture, so that means of means are means.
            seen: masked.then(|| {
                codes
                    .iter()
                    .map(|codes| (0..9).map(|i| (i + usize::from(codes[0])) % 3 > 0).collect())
                    .collect()
            }),
            classes: Some(codes.iter().map(|codes| usize::from(codes[0]) % 3).collect()),
        });
        let (grads, metrics) = pass(pupil, parts.collect(), &device).unwrap();
        let mut flat = Flat(grads, Vec::new());
        pupil.visit(&mut flat);
        (flat.1, metrics)
    }

    #[test]
    fn parts_add_up_to_the_whole_step_in_every_objective() {
        let device = Device::flex().autodiff();
        let codes: Vec<Vec<u16>> = (0..5).map(|i| (0..9).map(|j| (i * 7 + j * 3) % 7).collect()).collect();
        for bidirectional in [false, true] {
            let config = crate::image_gpt::ImageGptConfig { bidirectional, ..tiny() };
            let pupil = Pupil::new(fill(config.init(&device)), Some(3), &device);
            let pupil = pupil.fork(&device).train();
            let (whole, halves) =
                (run(&pupil, &codes, bidirectional, 5), run(&pupil, &codes, bidirectional, 3));
            let apart = whole.0.iter().zip(&halves.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5 && whole.0.iter().any(|g| g.abs() > 1e-3), "{apart}");
            assert!((whole.1.get("loss").unwrap() - halves.1.get("loss").unwrap()).abs() < 1e-5);
            // A classifier of zeros knows nothing: ln 3.
            assert!((whole.1.get("class").unwrap() - 3f64.ln()).abs() < 1e-5);
            assert_eq!(halves.0, run(&pupil, &codes, bidirectional, 3).0, "bit for bit");
        }
    }
}
