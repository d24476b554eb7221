//! Codebook rows that nobody uses, moved to where the latents are.
//!
//! Gradient descent moves only the rows that win; a row far from every latent never moves again.
//! Source of the cure: Dhariwal et al. 2020, "Jukebox", section 3.1 (random restarts). Where the rows go is k-means++
//! (Arthur and Vassilvitskii 2007): in proportion to the error they would mend, not to how common a latent is, or a plain
//! background would collect hundreds of rows that mean the same.

use burn::tensor::{DType, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokenize::vqgan::Quantizer;

/// When a row is moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartConfig {
    /// Steps without use after which a row is replaced by a latent of the batch; 0 never.
    pub after: u64,
    /// No restarts from this step on, so that the codebook settles; 0: restarts never end.
    pub until: u64,
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self { after: 100, until: 0 }
    }
}

/// How long each row has been idle.
#[derive(Clone, Debug)]
pub(super) struct Idle {
    steps: Vec<u64>,
}

impl Idle {
    /// Rows of a fresh codebook are all overdue: the first batch places them among the latents.
    pub(super) fn new(rows: usize, config: &RestartConfig) -> Self {
        Self { steps: vec![config.after; rows] }
    }

    pub(super) fn from_steps(steps: Vec<u64>) -> Self {
        Self { steps }
    }

    pub(super) fn steps(&self) -> &[u64] {
        &self.steps
    }

    /// Counts the use of `codes` and moves overdue rows onto latents that are badly served; their numbers come out.
    ///
    /// # Shapes
    /// latents `[b, c, h, w]`, codes `[b, h, w]`
    pub(super) fn restart(
        &mut self,
        quantizer: Quantizer,
        latents: &Tensor<4>,
        codes: &Tensor<3, Int>,
        config: &RestartConfig,
        (seed, step): (u64, u64),
    ) -> (Quantizer, Vec<usize>) {
        for idle in &mut self.steps {
            *idle += 1;
        }
        for code in codes.clone().into_data().convert_dtype(DType::I64).iter::<i64>() {
            if let Some(idle) = usize::try_from(code).ok().and_then(|code| self.steps.get_mut(code)) {
                *idle = 0;
            }
        }
        let over = config.after == 0 || (config.until > 0 && step >= config.until);
        let overdue: Vec<usize> =
            (0..self.steps.len()).filter(|row| !over && self.steps[*row] > config.after).collect();
        if overdue.is_empty() {
            return (quantizer, overdue);
        }
        for row in &overdue {
            self.steps[*row] = 0;
        }
        (place(quantizer, latents, &overdue, crate::device::mix(seed, step)), overdue)
    }
}

/// Puts the rows of `overdue` onto latents that the other rows are far from, each chosen with a probability in proportion
/// to its squared distance from the nearest row: k-means++ (Arthur and Vassilvitskii 2007). Latents of a plain background
/// lie on one row and draw no second one.
fn place(quantizer: Quantizer, latents: &Tensor<4>, overdue: &[usize], seed: u64) -> Quantizer {
    let Some(codebook) = quantizer.codebook() else { return quantizer };
    let codebook = codebook.val();
    let [rows, width] = codebook.dims();
    let [b, _, h, w] = latents.dims();
    let latents = latents.clone().inner().permute([0, 2, 3, 1]).reshape([b * h * w, width]).into_data();
    let table = codebook.clone().inner().into_data();
    let (Ok(latents), Ok(table)) = (latents.as_slice::<f32>(), table.as_slice::<f32>()) else {
        return quantizer;
    };
    let mut table = table.to_vec();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut away = vec![f32::INFINITY; b * h * w];
    let live = (0..rows).filter(|row| overdue.binary_search(row).is_err());
    live.for_each(|row| approach(&mut away, latents, &table[row * width..][..width]));
    for row in overdue {
        let chosen = draw(&away, &mut random) * width;
        let latent = &latents[chosen..chosen + width];
        table[row * width..][..width].copy_from_slice(latent);
        approach(&mut away, latents, latent);
    }
    let device = codebook.device();
    let moved = Tensor::<2>::from_data(TensorData::new(table, [rows, width]), &device).require_grad();
    quantizer.with_codebook(moved)
}

/// Shortens each latent's squared distance to that from `row`, where it is nearer.
fn approach(away: &mut [f32], latents: &[f32], row: &[f32]) {
    for (away, latent) in away.iter_mut().zip(latents.chunks_exact(row.len())) {
        let square: f32 = latent.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum();
        *away = away.min(square);
    }
}

/// An index with a probability in proportion to its weight; any of them where all weights are infinite or 0.
fn draw(weights: &[f32], random: &mut ChaCha8Rng) -> usize {
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    if !(total.is_finite() && total > 0.0) {
        return random.random_range(0..weights.len());
    }
    let mut left = random.random::<f64>() * total;
    let passed = weights.iter().position(|weight| {
        left -= f64::from(*weight);
        left < 0.0
    });
    passed.unwrap_or(weights.len() - 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};
    use tokenize::vqgan::VqGanConfig;

    use super::*;

    #[test]
    fn idle_rows_move_onto_latents_and_used_rows_stay() {
        let device = Device::flex().autodiff();
        let shape = VqGanConfig {
            ch: 8,
            ch_mult: vec![1],
            groups: 4,
            embed_dim: 4,
            n_embed: 6,
            ..VqGanConfig::default()
        };
        let quantizer = shape.init(&device).unwrap().quantize;
        let config = RestartConfig { after: 2, until: 0 };
        let latents = Tensor::<4>::random([1, 4, 2, 2], Distribution::Uniform(5.0, 6.0), &device);
        let codes = Tensor::<3, Int>::zeros([1, 2, 2], &device);
        let mut idle = Idle::from_steps(vec![0; 6]);
        let before = quantizer.codebook().unwrap().val().into_data();
        let (mut quantizer, mut moved) = (quantizer, Vec::new());
        for step in 0..3 {
            assert!(moved.is_empty());
            (quantizer, moved) = idle.restart(quantizer, &latents, &codes, &config, (1, step));
        }
        assert_eq!(moved, [1, 2, 3, 4, 5]);
        let after = quantizer.codebook().unwrap().val().into_data();
        let (before, after) = (before.as_slice::<f32>().unwrap(), after.as_slice::<f32>().unwrap());
        assert_eq!(before[..4], after[..4]);
        assert!(after[4..].iter().all(|value| (4.9..6.1).contains(value)), "{after:?}");
        assert_eq!(idle.steps(), [0; 6]);
    }

    #[test]
    fn rows_spread_over_what_differs_not_over_what_is_frequent() {
        let device = Device::flex().autodiff();
        let shape = VqGanConfig {
            ch: 8,
            ch_mult: vec![1],
            groups: 4,
            embed_dim: 1,
            n_embed: 3,
            ..VqGanConfig::default()
        };
        // Nearly all latents are the same: background. Rows placed by frequency would nearly all be there, too.
        let mut values = vec![0.5f32; 1024];
        (values[100], values[900]) = (7.0, -7.0);
        let latents = Tensor::<1>::from_data(values.as_slice(), &device).reshape([1, 1, 32, 32]);
        for seed in 0..20 {
            let quantizer = shape.init(&device).unwrap().quantize;
            let quantizer = place(quantizer, &latents, &[0, 1, 2], seed);
            let mut rows = quantizer.codebook().unwrap().val().into_data().try_to_vec::<f32>().unwrap();
            rows.sort_by(f32::total_cmp);
            assert_eq!(rows, [-7.0, 0.5, 7.0]);
        }
    }
}
