//! Normalisation over the last dimension: LayerNorm (Ba et al. 2016) and the RMS form of ImageGPT.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, module};
use serde::{Deserialize, Serialize};

use crate::fused;

/// Which statistic a norm divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Centred, with a bias.
    #[default]
    Layer,
    /// Not centred, no bias.
    Rms,
}

/// A norm with the field names of the published checkpoints.
#[derive(Module, Debug)]
pub struct Norm {
    weight: Param<Tensor<1>>,
    bias: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl Norm {
    /// A norm over `dim` channels that starts as the identity.
    pub fn new(kind: NormKind, dim: usize, epsilon: f64, device: &Device) -> Self {
        let bias = match kind {
            NormKind::Layer => Some(Param::from_tensor(Tensor::zeros([dim], device))),
            NormKind::Rms => None,
        };
        Self { weight: Param::from_tensor(Tensor::ones([dim], device)), bias, epsilon }
    }

    /// The same with every gain at `gain`.
    #[must_use]
    pub fn with_gain(mut self, gain: f64) -> Self {
        let weight = self.weight.val();
        self.weight = Param::from_tensor(Tensor::<1>::full(weight.dims(), gain, &weight.device()));
        self
    }

    /// `[.., dim]` → the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.bias {
            Some(bias) => layer_norm(x, self.weight.val(), bias.val(), self.epsilon),
            None => rms_norm(x, self.weight.val(), self.epsilon),
        }
    }
}

/// `(x - mean) / sqrt(var + epsilon) * weight + bias` over the last dimension.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    match fused::layer_norm(x.clone(), weight.clone(), bias.clone(), epsilon) {
        Some(y) => y,
        None => module::layer_norm(x, weight, Some(bias), epsilon),
    }
}

/// `x / sqrt(mean(x²) + epsilon) * weight` over the last dimension.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    fused::rms_norm(x.clone(), weight.clone(), epsilon).unwrap_or_else(|| plain_rms_norm(x, weight, epsilon))
}

/// [`rms_norm`] in ordinary operations.
fn plain_rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let rms = x.clone().square().mean_dim(D - 1).add_scalar(epsilon).sqrt();
    x / rms * weight.unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn the_kernel_and_the_plain_form_agree_in_values_and_gradients() {
        let device = Device::flex().autodiff();
        let draw = |shape| Tensor::<2>::random(shape, Distribution::Normal(0.5, 2.0), &device).require_grad();
        let (x, weight, bias) = (draw([37, 24]), draw([1, 24]), draw([1, 24]));
        let run = |fast: bool| {
            let (w, b) = (weight.clone().squeeze_dim::<1>(0), bias.clone().squeeze_dim::<1>(0));
            let y = if fast {
                fused::layer_norm(x.clone(), w, b, 1e-5).unwrap()
            } else {
                module::layer_norm(x.clone(), w, Some(b), 1e-5)
            };
            let grads = (y.clone() * y.clone().sin()).sum().backward();
            [y.inner(), x.grad(&grads).unwrap(), weight.grad(&grads).unwrap(), bias.grad(&grads).unwrap()]
        };
        for (fast, plain) in run(true).into_iter().zip(run(false)) {
            let scale = plain.clone().abs().max().into_scalar::<f32>().max(1.0);
            assert!((fast - plain).abs().max().into_scalar::<f32>() / scale < 1e-5);
        }
    }

    #[test]
    fn the_rms_kernel_and_the_plain_form_agree_in_values_and_gradients() {
        let device = Device::flex().autodiff();
        let draw = |shape| Tensor::<2>::random(shape, Distribution::Normal(0.5, 2.0), &device).require_grad();
        let (x, weight) = (draw([131, 24]), draw([1, 24]));
        let run = |fast: bool| {
            let w = weight.clone().squeeze_dim::<1>(0);
            let y = match fast {
                true => fused::rms_norm(x.clone(), w, 1e-5).unwrap(),
                false => plain_rms_norm(x.clone(), w, 1e-5),
            };
            let grads = (y.clone() * y.clone().sin()).sum().backward();
            [y.inner(), x.grad(&grads).unwrap(), weight.grad(&grads).unwrap()]
        };
        for (fast, plain) in run(true).into_iter().zip(run(false)) {
            let scale = plain.clone().abs().max().into_scalar::<f32>().max(1.0);
            assert!((fast - plain).abs().max().into_scalar::<f32>() / scale < 1e-5);
        }
    }

    #[test]
    fn layer_norm_centres_and_rms_norm_does_not() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 6.0]], &device);
        let layer = Norm::new(NormKind::Layer, 4, 1e-5, &device).forward(x.clone());
        let rms = Norm::new(NormKind::Rms, 4, 1e-5, &device).forward(x);
        let (layer, rms) = (layer.into_data(), rms.into_data());
        let (deviation, root) = (3.5f32.sqrt(), 12.5f32.sqrt());
        for (i, x) in [1.0f32, 2.0, 3.0, 6.0].into_iter().enumerate() {
            assert!((layer.as_slice::<f32>().unwrap()[i] - (x - 3.0) / deviation).abs() < 1e-5);
            assert!((rms.as_slice::<f32>().unwrap()[i] - x / root).abs() < 1e-5);
        }
    }
}
