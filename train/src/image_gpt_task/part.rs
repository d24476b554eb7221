//! The pictures of a step, a part at a time: their losses and gradients.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::pupil::{Judged, Pictures, Pupil};
use crate::Result;
use crate::device::mix;
use crate::ranks::Team;
use crate::run::{Metrics, Said, in_parts};

/// The gradients of the mean loss over all pictures, and the losses: the same on every rank of the team, of which each
/// computes its share of the parts. With a seed for dropout the layers are computed anew on the way back.
///
/// # Errors
/// A picture that does not fit the model.
pub(super) fn pass(
    pupil: &Pupil,
    parts: Vec<Pictures<'_>>,
    recompute: Option<u64>,
    team: &Team,
) -> Result<(GradientsParams, Metrics)> {
    let all: f64 = parts.iter().map(|part| part.codes.len() as f64).sum();
    let parts: Vec<_> = (0..).zip(parts).collect();
    let job = |(index, part): (u64, Pictures<'_>), pupil, device: &Device| {
        one(pupil, &part, all, recompute.map(|seed| mix(seed, index)), device)
    };
    let (grads, said) = in_parts(pupil, parts, team, side_by_side(pupil), job)?;
    Ok((grads, Said::means(&said)))
}

/// Whether parts may be computed side by side: dropout draws from the device's one generator, in a fixed order.
pub(super) fn side_by_side(pupil: &Pupil) -> bool {
    pupil.model.config().dropout == 0.0
}

/// One part, on a copy of the model whose graph no other part touches.
fn one(
    pupil: Pupil,
    part: &Pictures<'_>,
    all: f64,
    recompute: Option<u64>,
    device: &Device,
) -> Result<(GradientsParams, Said)> {
    let pupil = pupil.fork(device);
    let rows = part.codes.len() as f64;
    let loss = |hidden: Tensor<3>| {
        let judged: Judged = pupil.judge(hidden, part, device);
        let pixel = judged.pixel_loss();
        let class = judged.class.map(|(class, _)| class.mean());
        // The joint loss of fine-tuning: both count the same.
        let total = match &class {
            Some(class) => pixel.clone() + class.clone(),
            None => pixel.clone(),
        };
        let losses = [("loss", Some(total.clone())), ("pixel", Some(pixel)), ("class", class)];
        let known = |(name, loss): (&str, Option<Tensor<1>>)| Some((name.to_owned(), scalar(loss?)));
        let losses = losses.into_iter().filter_map(known).collect();
        (total * (rows / all), losses)
    };
    let (x, gpt) = (pupil.embed(part, device)?, &pupil.model.gpt);
    let (grads, losses) = match recompute {
        Some(seed) => gpt.backward_by_layers(&pupil, x, seed, loss),
        None => {
            let (total, losses) = loss(gpt.forward(x, None));
            (GradientsParams::from_grads(total.backward(), &pupil), losses)
        }
    };
    Ok((grads, Said { rows, losses }))
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

    fn run(
        pupil: &Pupil,
        codes: &[Vec<u16>],
        masked: bool,
        (each, recompute): (usize, Option<u64>),
    ) -> (Vec<f32>, Metrics) {
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
        let (grads, metrics) = pass(pupil, parts.collect(), recompute, &Team::alone(device)).unwrap();
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
            let (whole, halves) = (
                run(&pupil, &codes, bidirectional, (5, None)),
                run(&pupil, &codes, bidirectional, (3, None)),
            );
            let apart = whole.0.iter().zip(&halves.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5 && whole.0.iter().any(|g| g.abs() > 1e-3), "{apart}");
            assert!((whole.1.get("loss").unwrap() - halves.1.get("loss").unwrap()).abs() < 1e-5);
            // A classifier of zeros knows nothing: ln 3.
            assert!((whole.1.get("class").unwrap() - 3f64.ln()).abs() < 1e-5);
            assert_eq!(halves.0, run(&pupil, &codes, bidirectional, (3, None)).0, "bit for bit");
            let anew = run(&pupil, &codes, bidirectional, (5, Some(1)));
            let apart = whole.0.iter().zip(&anew.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-6 && whole.1 == anew.1, "computed anew: {apart}");
        }
    }
}
