//! The codec's own losses (taming `VQLPIPSWithDiscriminator`): pixels, perception, quantisation.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::lpips::{Lpips, LpipsConfig};
use crate::Result;

/// Which of both terms of the quantisation loss carries β.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BetaForm {
    /// The commitment term, as in the paper (van den Oord et al. 2017, eq. 3).
    #[default]
    Fixed,
    /// The codebook term: taming's `VectorQuantizer2(legacy=True)`, under which its published codecs were trained.
    Legacy,
}

/// Weights of the autoencoder's loss. taming's form is `l1 = 1, l2 = 0, codebook = 1, commitment = 0.25` with LPIPS of
/// weight 1.
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
    /// `legacy` exchanges the two factors above, as taming did.
    pub form: BetaForm,
    /// The perceptual term, for whoever has its weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpips: Option<LpipsConfig>,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { l1: 1.0, l2: 0.0, codebook: 1.0, commitment: 0.25, form: BetaForm::Fixed, lpips: None }
    }
}

/// What makes a drawing good: the weighted pixel loss and the perceptual distance.
pub(super) struct Criterion {
    config: LossConfig,
    lpips: Option<Lpips>,
}

/// A reconstruction's loss and its parts, `[1]` each.
pub(super) struct Reconstruction {
    /// Weighted l1 and l2.
    pub(super) pixels: Tensor<1>,
    /// Mean LPIPS, without its weight.
    pub(super) perceptual: Option<Tensor<1>>,
    /// Both together.
    pub(super) total: Tensor<1>,
}

impl Criterion {
    /// Reads LPIPS' weights, where there are any.
    ///
    /// # Errors
    /// They are missing or incomplete.
    pub(super) fn new(config: &LossConfig, device: &Device) -> Result<Self> {
        let lpips = config.lpips.as_ref().map(|lpips| Lpips::load(lpips, device)).transpose()?;
        Ok(Self { config: config.clone(), lpips })
    }

    /// SHA-256 of LPIPS' files, empty without: they are as much a part of the data as the pictures.
    pub(super) fn fingerprint(&self) -> &[u8] {
        self.lpips.as_ref().map_or(&[], Lpips::fingerprint)
    }

    /// # Shapes
    /// pixels in [-1, 1] and what was drawn of them, `[b, 3, h, w]` both
    pub(super) fn reconstruction(&self, pixels: Tensor<4>, drawn: Tensor<4>) -> Reconstruction {
        let by_pixel = self.config.pixels(pixels.clone(), drawn.clone());
        let Some((lpips, config)) = self.lpips.as_ref().zip(self.config.lpips.as_ref()) else {
            return Reconstruction { total: by_pixel.clone(), pixels: by_pixel, perceptual: None };
        };
        let distance = lpips.distance(pixels, drawn).mean();
        let total = by_pixel.clone() + distance.clone().mul_scalar(config.weight);
        Reconstruction { pixels: by_pixel, perceptual: Some(distance), total }
    }
}

impl LossConfig {
    /// Weighted l1 and l2 of pixels in [-1, 1].
    ///
    /// # Shapes
    /// `[b, 3, h, w]` twice → `[1]`
    pub fn pixels(&self, pixels: Tensor<4>, drawn: Tensor<4>) -> Tensor<1> {
        let difference = drawn - pixels;
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
        let (codebook, _) = self.factors();
        let pull = square(rows.clone() - latents.clone().detach()).mul_scalar(codebook);
        pull + self.commitment(latents, rows)
    }

    /// The commitment loss alone: an EMA codebook moves its rows by itself.
    ///
    /// # Shapes
    /// as [`Self::quantization`]
    pub fn commitment(&self, latents: Tensor<4>, rows: Tensor<4>) -> Tensor<1> {
        square(latents - rows.detach()).mul_scalar(self.factors().1)
    }

    /// Factors of the codebook term and of the commitment term.
    fn factors(&self) -> (f64, f64) {
        match self.form {
            BetaForm::Fixed => (self.codebook, self.commitment),
            BetaForm::Legacy => (self.commitment, self.codebook),
        }
    }
}

fn square(difference: Tensor<4>) -> Tensor<1> {
    (difference.clone() * difference).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqgan::golden::Golden;

    fn full(value: f32) -> Tensor<4> {
        Tensor::full([2, 3, 4, 4], value, &Device::flex())
    }

    #[test]
    fn pixels_weigh_both_norms() {
        let loss = LossConfig { l1: 2.0, l2: 3.0, ..LossConfig::default() };
        let value: f32 = loss.pixels(full(0.5), full(0.0)).into_scalar();
        assert!((value - (2.0 * 0.5 + 3.0 * 0.25)).abs() < 1e-6);
    }

    #[test]
    fn both_forms_of_beta_are_those_of_taming() {
        let golden = Golden::open();
        let [b, c, h, w] = [2, 4, 3, 3];
        for (name, form) in [("fixed", BetaForm::Fixed), ("legacy", BetaForm::Legacy)] {
            let latents = golden.get::<4>("vq.latents").require_grad();
            let codebook = golden.get::<2>("vq.codebook").require_grad();
            let codes = golden.codes("vq.codes").reshape([b * h * w]);
            let rows = codebook.clone().select(0, codes).reshape([b, h, w, c]).permute([0, 3, 1, 2]);
            let loss = LossConfig { form, ..LossConfig::default() }.quantization(latents.clone(), rows);
            golden.close(&format!("vq.{name}.loss"), &loss, 1e-6);
            let grads = loss.backward();
            golden.close(&format!("vq.{name}.latents_gradient"), &latents.grad(&grads).unwrap(), 1e-6);
            golden.close(&format!("vq.{name}.codebook_gradient"), &codebook.grad(&grads).unwrap(), 1e-6);
        }
    }

    #[test]
    fn an_ema_codebook_gets_no_gradient() {
        let device = Device::flex().autodiff();
        let rows = Tensor::<4>::zeros([1, 1, 1, 1], &device).require_grad();
        let latents = Tensor::<4>::ones([1, 1, 1, 1], &device).require_grad();
        let grads = LossConfig::default().commitment(latents.clone(), rows.clone()).backward();
        assert_eq!(latents.grad(&grads).map(|g| g.into_scalar::<f32>()), Some(0.5));
        assert!(rows.grad(&grads).is_none());
    }
}
