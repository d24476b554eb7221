//! A step in parts: each part of the batch has a graph and gradients of its own, so the parts are computed side by side.
//!
//! A small model leaves cores idle between its products; two parts fill each other's gaps. As many parts as there are
//! threads are computed at a time, and the gradients are added in the order of the parts: the result depends on how many
//! there are and not on the cores, and with more parts than cores this is gradient accumulation.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use rayon::prelude::*;

use crate::Result;

/// The sum of the parts' gradients, and what each part says beside. `job` gets a part and a copy of the model.
///
/// # Errors
/// That of the first part in order that has one.
pub fn in_parts<M: Module + Sync, P: Send, T: Send>(
    model: &M,
    parts: Vec<P>,
    side_by_side: bool,
    job: impl Fn(P, M) -> Result<(GradientsParams, T)> + Sync + Send,
) -> Result<(GradientsParams, Vec<T>)> {
    let wave = width(parts.len(), side_by_side);
    let mut sum = GradientsAccumulator::new();
    let mut said = Vec::with_capacity(parts.len());
    let mut jobs = parts.into_iter().map(|part| (part, model.clone())).peekable();
    while jobs.peek().is_some() {
        let now: Vec<_> = jobs.by_ref().take(wave).collect();
        let run = |(part, model)| job(part, model);
        let done: Vec<_> = if wave == 1 {
            now.into_iter().map(run).collect::<Result<_>>()?
        } else {
            now.into_par_iter().map(run).collect::<Result<_>>()?
        };
        for (grads, words) in done {
            sum.accumulate(model, grads);
            said.push(words);
        }
    }
    Ok((sum.grads(), said))
}

/// How many parts are computed at a time.
#[must_use]
pub fn width(parts: usize, side_by_side: bool) -> usize {
    if side_by_side { rayon::current_num_threads().clamp(1, parts.max(1)) } else { 1 }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::Error;

    #[test]
    fn the_sum_is_the_same_side_by_side_and_one_by_one() {
        let device = Device::flex().autodiff();
        let layer: Linear = LinearConfig::new(3, 2).init(&device);
        let job = |part: f32, layer: Linear| {
            let layer = layer.fork(&device);
            let loss = layer.forward(Tensor::<2>::ones([1, 3], &device) * part).powi_scalar(2).sum();
            Ok((GradientsParams::from_grads(loss.backward(), &layer), part))
        };
        let parts = vec![1.0, 0.1, 3.0, 0.7, 2.0];
        let run = |side_by_side| {
            let (grads, said) = in_parts(&layer, parts.clone(), side_by_side, job).unwrap();
            assert_eq!(said, parts);
            grads.get::<2>(layer.weight.id).unwrap().into_data()
        };
        assert_eq!(run(true), run(false));
        let fault = |part: f32, _: Linear| -> Result<(GradientsParams, ())> {
            Err(Error::config(format!("part {part}")))
        };
        assert_eq!(in_parts(&layer, parts, true, fault).err().unwrap().to_string(), "part 1");
    }
}
