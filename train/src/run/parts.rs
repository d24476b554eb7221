//! A step in parts: each part of the batch has a graph and gradients of its own, so the parts are computed side by side.
//!
//! A small model leaves cores idle between its products; two parts fill each other's gaps. As many parts as there are
//! threads are computed at a time, and the gradients are added in the order of the parts: the result depends on how many
//! there are and not on the cores, devices or processes, and with more parts than these it is gradient accumulation.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Metrics;
use crate::Result;
use crate::ranks::{Sum, Team};

/// What one part says beside its gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// How many rows it has.
    pub rows: f64,
    /// The losses that it has, by their names.
    pub losses: Vec<(String, f64)>,
}

impl Said {
    /// The mean of each loss over the rows that have it, in the order in which they come.
    #[must_use]
    pub fn means(parts: &[Self]) -> Metrics {
        let mut names: Vec<&String> = Vec::new();
        for (name, _) in parts.iter().flat_map(|part| &part.losses) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mean = |name: &String| {
            let loss =
                |part: &Self| Some((part.rows, part.losses.iter().find(|(other, _)| other == name)?.1));
            let with: Vec<_> = parts.iter().filter_map(loss).collect();
            let rows: f64 = with.iter().map(|(rows, _)| rows).sum();
            with.iter().map(|(rows, loss)| rows * loss).sum::<f64>() / rows
        };
        names.into_iter().map(|name| (name.clone(), mean(name))).collect()
    }
}

/// The sum of the parts' gradients, and what each part says beside. `parts` are those of all processes; `job` gets each
/// part that is this one's, with a copy of the model and the device that both are for.
///
/// # Errors
/// That of the first part in order that has one.
pub fn in_parts<M: Module + Sync, P: Send, T: Send + Serialize + DeserializeOwned>(
    model: &M,
    parts: Vec<P>,
    team: &Team,
    side_by_side: bool,
    job: impl Fn(P, M, &Device) -> Result<(GradientsParams, T)> + Sync + Send,
) -> Result<(GradientsParams, Vec<T>)> {
    let wave = team.width(parts.len(), side_by_side);
    let mut sum = Sum::new(model, team, parts.len());
    let copies = team.copies(model);
    let copies = copies.iter().map(|(model, device)| (model.clone(), *device)).cycle();
    let mut jobs = team.share(parts).into_iter().zip(copies).peekable();
    let run = |(part, (copy, device))| {
        let (grads, said) = job(part, copy, device)?;
        Ok((team.home(grads, device, model), said))
    };
    while jobs.peek().is_some() {
        let now: Vec<_> = jobs.by_ref().take(wave).collect();
        let done: Vec<_> = if now.len() == 1 {
            now.into_iter().map(run).collect()
        } else {
            now.into_par_iter().map(run).collect()
        };
        done.into_iter().try_for_each(|part| sum.add(part))?;
    }
    sum.finish()
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Tensor;

    use super::*;
    use crate::Error;

    #[test]
    fn the_sum_is_the_same_side_by_side_and_one_by_one() {
        let device = Device::flex().autodiff();
        let layer: Linear = LinearConfig::new(3, 2).init(&device);
        let job = |part: f32, layer: Linear, device: &Device| {
            let layer = layer.fork(device);
            let loss = layer.forward(Tensor::<2>::ones([1, 3], device) * part).powi_scalar(2).sum();
            Ok((GradientsParams::from_grads(loss.backward(), &layer), part))
        };
        let parts = vec![1.0, 0.1, 3.0, 0.7, 2.0];
        let team = Team::alone(device.clone());
        let run = |side_by_side| {
            let (grads, said) = in_parts(&layer, parts.clone(), &team, side_by_side, job).unwrap();
            assert_eq!(said, parts);
            grads.get::<2>(layer.weight.id).unwrap().into_data()
        };
        assert_eq!(run(true), run(false));
        let fault = |part: f32, _: Linear, _: &Device| -> Result<(GradientsParams, ())> {
            Err(Error::config(format!("part {part}")))
        };
        let error = in_parts(&layer, parts, &team, true, fault).err().unwrap();
        assert_eq!(error.to_string(), "part 1");
    }
}
