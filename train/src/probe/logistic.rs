//! Multinomial logistic regression by burn's L-BFGS.
//!
//! The crates for it (linfa-logistic) bring a second array library and their own L-BFGS for one product of two matrices
//! that burn has, on any device; so the loss is written out here and burn's optimizer finds its minimum.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::{GradientsParams, LBFGSConfig, LineSearchFn};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::objective::linear_cross_entropy;

/// How a classifier is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticConfig {
    /// Most iterations of L-BFGS.
    pub iterations: usize,
    /// Half of this, times the squares of all weights, joins the mean loss; scikit-learn's `1 / (C · pictures)`.
    pub decay: f64,
}

impl Default for LogisticConfig {
    fn default() -> Self {
        Self { iterations: 200, decay: 1e-4 }
    }
}

/// A linear classifier of features of mean 0 and deviation 1.
#[derive(Debug)]
pub struct Logistic {
    mean: Vec<f32>,
    scale: Vec<f32>,
    map: Linear,
    dim: usize,
}

impl Logistic {
    /// Fits a classifier to `[pictures · dim]` features and as many classes, of which there are `kinds`.
    pub fn fit(
        features: &[f32],
        classes: &[usize],
        kinds: usize,
        config: &LogisticConfig,
        device: &Device,
    ) -> Self {
        let dim = features.len() / classes.len().max(1);
        let (mean, scale) = moments(features, dim);
        let device = device.clone().autodiff();
        let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device).require_grad();
        let map = Linear {
            weight: Param::from_tensor(zeros([dim, kinds])),
            bias: Some(Param::from_tensor(zeros([1, kinds]).reshape([kinds]).detach().require_grad())),
        };
        let mut fitted = Self { mean, scale, map, dim };
        let x = fitted.tensor(features, &device);
        let targets: Vec<i64> = classes.iter().map(|class| *class as i64).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [classes.len()]), &device);
        let loss = |map: Linear| {
            let (weight, bias) = (map.weight.val(), map.bias.as_ref().map(Param::val));
            let nll = linear_cross_entropy(x.clone(), weight.clone(), bias, targets.clone()).mean();
            let loss = nll + weight.square().sum() * (config.decay / 2.0);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            (value, GradientsParams::from_grads(loss.backward(), &map))
        };
        let optimizer = LBFGSConfig::new()
            .with_max_iter(config.iterations)
            .with_history_size(10)
            .with_tolerance_grad(1e-5)
            .with_tolerance_change(1e-9)
            .with_max_eval(Some(2 * config.iterations))
            .with_line_search_fn(LineSearchFn::StrongWolfe);
        fitted.map = optimizer.init().step(1.0, fitted.map, loss).0;
        fitted
    }

    /// The most probable class of each picture.
    pub fn classes(&self, features: &[f32]) -> Vec<usize> {
        let map = self.map.clone().valid();
        let x = self.tensor(features, &map.weight.device());
        let logits = x.matmul(map.weight.val());
        let logits = match &map.bias {
            Some(bias) => logits + bias.val().unsqueeze::<2>(),
            None => logits,
        };
        logits.argmax(1).into_data().iter::<i64>().map(|class| class as usize).collect()
    }

    /// Share of the pictures whose class it tells right.
    pub fn accuracy(&self, features: &[f32], classes: &[usize]) -> f64 {
        let found = self.classes(features);
        let right = found.iter().zip(classes).filter(|(found, class)| found == class).count();
        right as f64 / classes.len().max(1) as f64
    }

    /// Features of mean 0 and deviation 1, as a tensor `[pictures, dim]`.
    fn tensor(&self, features: &[f32], device: &Device) -> Tensor<2> {
        let by_place = self.mean.iter().zip(&self.scale).cycle();
        let values = features.iter().zip(by_place).map(|(x, (mean, scale))| (x - mean) * scale);
        let values: Vec<f32> = values.collect();
        let rows = values.len() / self.dim.max(1);
        Tensor::from_data(TensorData::new(values, [rows, self.dim]), device)
    }
}

/// Mean of each feature, and what its deviation is divided by; a feature that never differs is left out by a 0.
fn moments(features: &[f32], dim: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (features.len() / dim.max(1)).max(1) as f64;
    let (mut sums, mut squares) = (vec![0.0f64; dim], vec![0.0f64; dim]);
    for row in features.chunks_exact(dim.max(1)) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += f64::from(*x) / rows;
        }
    }
    for row in features.chunks_exact(dim.max(1)) {
        for ((square, mean), x) in squares.iter_mut().zip(&sums).zip(row) {
            *square += (f64::from(*x) - mean).powi(2) / rows;
        }
    }
    let scale = |square: f64| if square > 1e-16 { 1.0 / square.sqrt() } else { 0.0 };
    (
        sums.iter().map(|sum| *sum as f32).collect(),
        squares.into_iter().map(|square| scale(square) as f32).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::Stream;

    /// Three clouds in a plane, with a third feature that is always 7.
    fn clouds(each: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(seed, 0);
        let mut noise = || (0..4).map(|_| stream.draw(&[0.1; 10]) as f32 / 10.0).sum::<f32>() - 1.8;
        let centres = [[0.0, 3.0], [3.0, 0.0], [-3.0, -3.0]];
        let mut features = Vec::new();
        for row in 0..3 * each {
            features.extend([centres[row % 3][0] + noise(), centres[row % 3][1] + noise(), 7.0]);
        }
        (features, (0..3 * each).map(|row| row % 3).collect())
    }

    #[test]
    fn clouds_apart_are_told_apart() {
        let (features, classes) = clouds(60, 1);
        let fitted = Logistic::fit(&features, &classes, 3, &LogisticConfig::default(), &Device::flex());
        let (features, classes) = clouds(60, 2);
        assert!(fitted.accuracy(&features, &classes) > 0.97);
        let turned: Vec<usize> = classes.iter().map(|class| (class + 1) % 3).collect();
        assert!(fitted.accuracy(&features, &turned) < 0.03);
    }

    #[test]
    fn the_gradient_vanishes_at_the_minimum() {
        // Labels that a line cannot tell apart, so that the minimum is finite: the mean residual must be 0 per class.
        let (features, classes) = clouds(40, 3);
        let mixed: Vec<usize> = classes
            .iter()
            .enumerate()
            .map(|(i, class)| if i % 5 == 0 { (class + 1) % 3 } else { *class })
            .collect();
        let config = LogisticConfig { decay: 0.0, ..LogisticConfig::default() };
        let fitted = Logistic::fit(&features, &mixed, 3, &config, &Device::flex());
        let map = fitted.map.clone().valid();
        let x = fitted.tensor(&features, &Device::flex());
        let logits = x.matmul(map.weight.val()) + map.bias.unwrap().val().unsqueeze::<2>();
        let shares = burn::tensor::activation::softmax(logits, 1).mean_dim(0).into_data();
        for (class, share) in shares.iter::<f32>().enumerate() {
            let wanted = mixed.iter().filter(|label| **label == class).count() as f32 / mixed.len() as f32;
            assert!((share - wanted).abs() < 1e-3, "class {class}: {share} {wanted}");
        }
    }
}
