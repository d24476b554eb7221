//! The adversarial losses (taming `modules/losses/vqperceptual.py`).

use burn::tensor::Tensor;
use burn::tensor::activation::{relu, softplus};
use serde::{Deserialize, Serialize};

/// How the discriminator's logits become its loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GanLoss {
    /// Linear up to a margin of 1 (Lim and Ye 2017; taming `hinge_d_loss`).
    #[default]
    Hinge,
    /// Cross entropy (Goodfellow et al. 2014; taming `vanilla_d_loss`).
    Vanilla,
}

impl GanLoss {
    /// The discriminator's loss.
    ///
    /// # Shapes
    /// logits `[b, 1, h, w]` of real and of drawn pictures → `[1]`
    pub fn discriminator(self, real: Tensor<4>, drawn: Tensor<4>) -> Tensor<1> {
        let (real, drawn) = match self {
            Self::Hinge => (relu(real.neg().add_scalar(1.0)), relu(drawn.add_scalar(1.0))),
            Self::Vanilla => (softplus(real.neg(), 1.0), softplus(drawn, 1.0)),
        };
        (real.mean() + drawn.mean()).mul_scalar(0.5)
    }
}

/// The codec's adversarial loss under either: minus the mean logit of what it drew.
///
/// # Shapes
/// logits `[b, 1, h, w]` → `[1]`
pub(super) fn generator(drawn: Tensor<4>) -> Tensor<1> {
    drawn.mean().neg()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::vqgan::golden::Golden;

    fn full(value: f32) -> Tensor<4> {
        Tensor::full([2, 3, 4, 4], value, &Device::flex())
    }

    #[test]
    fn both_losses_are_tamings() {
        let golden = Golden::open();
        let logits = || (golden.get::<4>("gan.real"), golden.get::<4>("gan.drawn"));
        for (name, kind) in [("gan.hinge", GanLoss::Hinge), ("gan.vanilla", GanLoss::Vanilla)] {
            let (real, drawn) = logits();
            golden.close(name, &kind.discriminator(real, drawn), 1e-6);
        }
    }

    #[test]
    fn hinge_is_zero_beyond_the_margin_and_neither_overflows() {
        assert_eq!(GanLoss::Hinge.discriminator(full(1.5), full(-1.5)).into_scalar::<f32>(), 0.0);
        assert_eq!(GanLoss::Vanilla.discriminator(full(-1e4), full(1e4)).into_scalar::<f32>(), 1e4);
        assert_eq!(generator(full(0.5)).into_scalar::<f32>(), -0.5);
    }
}
