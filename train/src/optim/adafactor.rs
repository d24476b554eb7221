//! Adafactor: a second moment for each row and column of a matrix in place of one for each weight, and no first moment.
//!
//! Source: Shazeer and Stern 2018 (arXiv 1804.04235), algorithms 4 and 5. The learning rate is that of the schedule, not
//! the paper's relative step.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::Numbers;
use super::norm::square_sum;
use crate::{Error, Result};

/// Numbers of Adafactor; the defaults are the paper's (section 9), but for `scale_by_rms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdafactorConfig {
    /// The share of the past in the second moments of step `t` (counted from 1) is `1 - t^-exponent`.
    pub exponent: f64,
    /// Largest root mean square of an update before the rate.
    pub update_clip: f64,
    /// Added to squared gradients.
    pub epsilon: f64,
    /// The share of the past in a running mean of the updates; 0, as in the paper, keeps none and saves its memory.
    pub momentum: f64,
    /// Multiplies the rate by the root mean square of the weights, as the paper does: with it a rate of 0.01 is usual,
    /// without it one of AdamW's.
    pub scale_by_rms: bool,
    /// Least such mean, so that weights of 0 learn.
    pub smallest_rms: f64,
}

impl Default for AdafactorConfig {
    fn default() -> Self {
        Self {
            exponent: 0.8,
            update_clip: 1.0,
            epsilon: 1e-30,
            momentum: 0.0,
            scale_by_rms: false,
            smallest_rms: 1e-3,
        }
    }
}

/// What is remembered of one parameter's gradients.
#[derive(Clone, Debug)]
pub(super) struct Squares {
    pub(super) second: Second,
    /// Running mean of the updates, flat, where one is kept.
    pub(super) mean: Option<Tensor<1>>,
}

/// Running means of squared gradients.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each parameter: hundreds, not millions")]
pub(super) enum Second {
    /// Of a matrix: its rows' and its columns' means.
    Factored { rows: Tensor<1>, columns: Tensor<1> },
    /// Of a vector, each element's.
    Full(Tensor<1>),
}

/// A parameter as a matrix: what convolutions have behind their first axis are columns. None of what is a vector.
pub(super) fn matrix(shape: &[usize]) -> Option<[usize; 2]> {
    match shape {
        [rows, rest @ ..] if !rest.is_empty() => Some([*rows, rest.iter().product()]),
        _ => None,
    }
}

impl AdafactorConfig {
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        let above = |value: f64| value.is_finite() && value > 0.0;
        let positive = [
            ("exponent", self.exponent),
            ("update_clip", self.update_clip),
            ("epsilon", self.epsilon),
            ("smallest_rms", self.smallest_rms),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| !above(*value)) {
            return Err(Error::config(format!("optim.adafactor.{key}: must be a number above 0")));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::config("optim.adafactor.momentum: must be in [0, 1)"));
        }
        Ok(())
    }

    /// Numbers that are remembered of a parameter.
    pub(super) fn floats(&self, shape: &[usize]) -> usize {
        let all = shape.iter().product();
        let second = matrix(shape).map_or(all, |[rows, columns]| rows + columns);
        second + if self.momentum > 0.0 { all } else { 0 }
    }

    /// Step number `step` of the optimizer, counted from 1; without a state it is the parameter's first one.
    pub(super) fn update<const D: usize>(
        &self,
        numbers: Numbers,
        step: u64,
        weights: Tensor<D>,
        grad: Tensor<D>,
        old: Option<Squares>,
    ) -> (Tensor<D>, Squares) {
        let shape = weights.shape();
        let grad: Tensor<1> = grad.reshape([-1]) * numbers.gradient;
        let (second, mean) = old.map_or((None, None), |old| (Some(old.second), old.mean));
        let second = self.second(&grad, matrix(&shape), second, step);
        let update = second.divide(grad);
        let rms = |flat: Tensor<1>| rms(flat, matrix(&shape).map_or(1, |[rows, _]| rows));
        let clipping = (rms(update.clone()) / self.update_clip).clamp_min(1.0);
        let mut update = update / clipping;
        if self.scale_by_rms {
            update = update * rms(weights.clone().reshape([-1])).clamp_min(self.smallest_rms);
        }
        update = update * numbers.lr;
        let mut kept = None;
        if self.momentum > 0.0 {
            // As in the paper's code the rate is within the mean.
            let fresh = update * (1.0 - self.momentum);
            update = mean.map_or(fresh.clone(), |mean| mean * self.momentum + fresh);
            kept = Some(update.clone());
        }
        (weights * numbers.keep - update.reshape(shape), Squares { second, mean: kept })
    }

    /// The running means after a gradient.
    fn second(&self, grad: &Tensor<1>, matrix: Option<[usize; 2]>, old: Option<Second>, step: u64) -> Second {
        let squares = grad.clone().square() + self.epsilon;
        let take = (step.max(1) as f64).powf(-self.exponent);
        // What has no past takes all of the first gradient, whenever that comes.
        let blend = |old: Option<Tensor<1>>, new: Tensor<1>| match old {
            Some(old) => old * (1.0 - take) + new * take,
            None => new,
        };
        let Some([rows, columns]) = matrix else {
            let old = old.and_then(|old| if let Second::Full(old) = old { Some(old) } else { None });
            return Second::Full(blend(old, squares));
        };
        let squares: Tensor<2> = squares.reshape([rows, columns]);
        let (old_rows, old_columns) = match old {
            Some(Second::Factored { rows, columns }) => (Some(rows), Some(columns)),
            _ => (None, None),
        };
        Second::Factored {
            rows: blend(old_rows, squares.clone().mean_dim(1).reshape([rows])),
            columns: blend(old_columns, squares.mean_dim(0).reshape([columns])),
        }
    }
}

impl Second {
    /// A flat gradient divided by the root of the second moments.
    fn divide(&self, grad: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Full(second) => grad / second.clone().sqrt(),
            Self::Factored { rows, columns } => {
                let [r, c] = [rows.dims()[0], columns.dims()[0]];
                // The rows by their mean first: the product of two small moments would vanish.
                let rows: Tensor<1> = (rows.clone() / rows.clone().mean()).sqrt();
                let matrix: Tensor<2> = grad.reshape([r, c]);
                let columns: Tensor<2> = columns.clone().sqrt().reshape([1, c]);
                (matrix / rows.reshape([r, 1]) / columns).reshape([r * c])
            }
        }
    }
}

/// Root mean square of what is a matrix of so many rows.
fn rms(flat: Tensor<1>, rows: usize) -> Tensor<1> {
    let all = flat.dims()[0];
    (square_sum(flat.reshape([rows, all / rows.max(1)])) / all as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::{AdafactorConfig as Burns, Optimizer};
    use burn::tensor::{Device, Distribution, Tolerance};

    const NUMBERS: Numbers = Numbers { lr: 0.01, keep: 1.0 - 0.01 * 0.1, gradient: 1.0 };

    fn against_burn<const D: usize>(shape: [usize; D], scale_by_rms: bool) {
        let device = Device::flex();
        let burns = Burns::new()
            .with_relative_step(false)
            .with_scale_parameter(scale_by_rms)
            .with_weight_decay(0.1)
            .build();
        let config = AdafactorConfig { scale_by_rms, ..AdafactorConfig::default() };
        // Later gradients are larger, so that updates are clipped.
        let random = |size| Tensor::<D>::random(shape, Distribution::Normal(0.0, size), &device);
        let start = random(1.0);
        let (mut ours, mut theirs) = (start.clone(), start);
        let (mut state, mut their_state) = (None, None);
        for step in 1..6 {
            let grad = random(step as f64);
            let (weights, squares) = config.update(NUMBERS, step, ours, grad.clone(), state);
            (ours, state) = (weights, Some(squares));
            (theirs, their_state) = burns.step(0.01, theirs, grad, their_state);
        }
        ours.into_data().assert_approx_eq::<f32>(&theirs.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn agrees_with_burns_adafactor() {
        for scale_by_rms in [false, true] {
            against_burn([5, 9], scale_by_rms);
            against_burn([9], scale_by_rms);
        }
    }

    #[test]
    fn a_convolutions_kernel_is_a_matrix() {
        assert_eq!(matrix(&[8, 4, 3, 3]), Some([8, 36]));
        assert_eq!((matrix(&[7]), matrix(&[])), (None, None));
        let device = Device::flex();
        let random =
            |shape| Tensor::<1>::random([24], Distribution::Normal(0.0, 1.0), &device).reshape(shape);
        let (weights, grad): (Tensor<4>, Tensor<4>) = (random([2, 3, 2, 2]), random([2, 3, 2, 2]));
        let flat = |tensor: &Tensor<4>| tensor.clone().reshape([2, 12]);
        let config = AdafactorConfig::default();
        let (one, _) = config.update::<2>(NUMBERS, 1, flat(&weights), flat(&grad), None);
        let (other, _) = config.update(NUMBERS, 1, weights, grad, None);
        assert_eq!(one.into_data(), flat(&other).into_data());
    }

    #[test]
    fn a_running_mean_softens_the_first_step_and_nothing_moves_without_a_gradient() {
        let device = Device::flex();
        let weights = Tensor::<2>::ones([2, 3], &device);
        let grad = Tensor::<2>::from_data([[1.0f32, -2.0, 3.0], [0.5, 0.1, -1.0]], &device);
        let numbers = Numbers { keep: 1.0, ..NUMBERS };
        let moved = |momentum| {
            let config = AdafactorConfig { momentum, ..AdafactorConfig::default() };
            let (after, squares) = config.update(numbers, 1, weights.clone(), grad.clone(), None);
            assert_eq!(squares.mean.is_some(), momentum > 0.0);
            weights.clone() - after
        };
        let tenth = moved(0.0) * 0.1;
        tenth.into_data().assert_approx_eq::<f32>(&moved(0.9).into_data(), Tolerance::absolute(1e-6));
        let none = grad.zeros_like();
        let (still, _) = AdafactorConfig::default().update(numbers, 1, weights.clone(), none, None);
        assert_eq!(still.into_data(), weights.into_data());
    }
}
