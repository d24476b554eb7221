//! The activations of the published models' feed-forward layers.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use crate::fused::{self, Gelu};

/// `sqrt(2/π)`
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// What stands between the two linear maps of a feed-forward layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`, `gelu_jit` of ruDALL·E and RuDOLPH.
    #[default]
    TanhGelu,
    /// `x · sigmoid(1.702 x)` of ImageGPT and CLIP.
    QuickGelu,
    /// `x · GELU(gate)` with the exact GELU, `x` and `gate` being the two halves of a map that is twice as wide
    /// (Shazeer 2020); DALLE-pytorch.
    Geglu,
}

impl Activation {
    /// How many values one output needs.
    pub const fn inputs(self) -> usize {
        match self {
            Self::TanhGelu | Self::QuickGelu => 1,
            Self::Geglu => 2,
        }
    }

    /// `[.., n]` → `[.., n / inputs]`
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::TanhGelu => tanh_gelu(x),
            Self::QuickGelu => quick_gelu(x),
            Self::Geglu => {
                let half = x.dims()[D - 1] / 2;
                x.clone().narrow(D - 1, 0, half) * activation::gelu(x.narrow(D - 1, half, half))
            }
        }
    }
}

/// GELU by its tanh approximation (Hendrycks and Gimpel 2016).
pub fn tanh_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    fused::gelu(x.clone(), Gelu::Tanh).unwrap_or_else(|| gated_gelu(x))
}

/// `x · sigmoid(1.702 x)`
fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    fused::gelu(x.clone(), Gelu::Quick).unwrap_or_else(|| x.clone() * activation::sigmoid(x * 1.702))
}

/// [`tanh_gelu`] in ordinary operations.
///
/// Since `0.5 (1 + tanh(u)) = sigmoid(2u)`, it costs one transcendental pass with a stored-output gradient.
fn gated_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let inner = x.clone().square() * (2.0 * SQRT_2_OVER_PI * 0.044_715) + 2.0 * SQRT_2_OVER_PI;
    let gate = activation::sigmoid(x.clone() * inner);
    x * gate
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn the_kernels_and_the_plain_forms_agree_in_values_and_gradients() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::random([33, 17], Distribution::Normal(0.0, 3.0), &device).require_grad();
        let grad = |y: Tensor<2>| x.grad(&(y.clone() * y).sum().backward()).unwrap();
        let quick = x.clone() * activation::sigmoid(x.clone() * 1.702);
        for (form, plain) in [(Gelu::Tanh, gated_gelu(x.clone())), (Gelu::Quick, quick)] {
            let fast = fused::gelu(x.clone(), form).unwrap();
            let apart = (fast.clone() - plain.clone()).abs().max().into_scalar::<f32>();
            assert!(apart < 1e-5, "{form:?}: {apart}");
            let apart = (grad(fast) - grad(plain)).abs().max().into_scalar::<f32>();
            assert!(apart < 1e-4, "{form:?}: {apart}");
        }
    }

    #[test]
    fn equals_the_tanh_form() {
        let xs = [-6.0f32, -1.5, -0.1, 0.0, 0.3, 2.0, 7.0];
        let input = Tensor::<1>::from_floats(xs, &Device::flex());
        for y in [tanh_gelu(input.clone()), gated_gelu(input)] {
            for (x, y) in xs.iter().zip(y.into_data().as_slice::<f32>().unwrap()) {
                let tanh = (SQRT_2_OVER_PI as f32 * (x + 0.044_715 * x.powi(3))).tanh();
                assert!((0.5 * x * (1.0 + tanh) - y).abs() < 1e-5, "{x}");
            }
        }
    }
}
