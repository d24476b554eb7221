//! The VQGAN's losses (taming `VQLPIPSWithDiscriminator`, without the perceptual term).

use burn::tensor::{Tensor, activation::relu};
use serde::{Deserialize, Serialize};

/// Weights of the autoencoder's loss.
///
/// A perceptual term (LPIPS) is not here: its backbone's weights come with no package. taming's
/// form is `l1 = 1, l2 = 0, codebook = 1, commitment = 0.25`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Mean absolute error of pixels in [-1, 1].
    pub l1: f64,
    /// Mean squared error of pixels in [-1, 1]; what PSNR measures.
    pub l2: f64,
    /// Moves codebook rows to the latents.
    pub codebook: f64,
    /// Keeps latents near their rows (β; van den Oord et al. 2017, eq. 3).
    pub commitment: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { l1: 1.0, l2: 0.0, codebook: 1.0, commitment: 0.25 }
    }
}

impl LossConfig {
    /// Reconstruction loss of pixels in [-1, 1].
    ///
    /// # Shapes
    /// `[b, 3, h, w]` twice → `[1]`
    pub fn reconstruction(&self, pixels: Tensor<4>, drawn: Tensor<4>) -> Tensor<1> {
        let difference = drawn - pixels;
        let square = |d: Tensor<4>| (d.clone() * d).mean();
        match (self.l1 > 0.0, self.l2 > 0.0) {
            (true, true) => {
                difference.clone().abs().mean().mul_scalar(self.l1) + square(difference).mul_scalar(self.l2)
            }
            (true, false) => difference.abs().mean().mul_scalar(self.l1),
            _ => square(difference).mul_scalar(self.l2),
        }
    }

    /// Codebook and commitment loss.
    ///
    /// # Shapes
    /// latents and their codebook rows `[b, c, h, w]` → `[1]`
    pub fn quantization(&self, latents: Tensor<4>, rows: Tensor<4>) -> Tensor<1> {
        let square = |d: Tensor<4>| (d.clone() * d).mean();
        let codebook = square(rows.clone() - latents.clone().detach());
        let commitment = square(latents - rows.detach());
        codebook.mul_scalar(self.codebook) + commitment.mul_scalar(self.commitment)
    }
}

/// Discriminator's hinge loss (Lim & Ye 2017; taming `hinge_d_loss`).
pub fn hinge_discriminator(real: Tensor<4>, drawn: Tensor<4>) -> Tensor<1> {
    let margin = |logits: Tensor<4>| relu(logits.add_scalar(1.0)).mean();
    (margin(real.neg()) + margin(drawn)).mul_scalar(0.5)
}

/// Generator's adversarial loss: minus the mean logit of what it drew.
pub fn hinge_generator(drawn: Tensor<4>) -> Tensor<1> {
    drawn.mean().neg()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn full(value: f32) -> Tensor<4> {
        Tensor::full([2, 3, 4, 4], value, &Device::flex())
    }

    #[test]
    fn reconstruction_weighs_both_norms() {
        let loss = LossConfig { l1: 2.0, l2: 3.0, ..LossConfig::default() };
        let value: f32 = loss.reconstruction(full(0.5), full(0.0)).into_scalar();
        assert!((value - (2.0 * 0.5 + 3.0 * 0.25)).abs() < 1e-6);
    }

    #[test]
    fn quantization_moves_each_side_by_its_own_weight() {
        let device = Device::flex().autodiff();
        let loss = LossConfig { codebook: 1.0, commitment: 0.25, ..LossConfig::default() };
        let latents = Tensor::<4>::full([1, 1, 1, 1], 1.0, &device).require_grad();
        let rows = Tensor::<4>::zeros([1, 1, 1, 1], &device).require_grad();
        let grads = loss.quantization(latents.clone(), rows.clone()).backward();
        let of = |t: &Tensor<4>| t.grad(&grads).map(|g| g.into_scalar::<f32>());
        assert_eq!(of(&latents), Some(0.5));
        assert_eq!(of(&rows), Some(-2.0));
    }

    #[test]
    fn hinge_is_zero_beyond_the_margin() {
        assert_eq!(hinge_discriminator(full(1.5), full(-1.5)).into_scalar::<f32>(), 0.0);
        assert_eq!(hinge_generator(full(0.5)).into_scalar::<f32>(), -0.5);
    }
}
