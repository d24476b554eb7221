//! Sber's Gumbel VQGAN whose decoder draws the bands of a Haar wavelet, so that 32 × 32 codes become 512 pixels.
//!
//! Source: ai-forever/ru-dalle `rudalle/vae/decoder_dwt.py` (`DWTInverse(mode="zero", wave="db1")` of
//! pytorch_wavelets).

use burn::tensor::{Device, Int, Tensor};

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::vqgan::{VqGan, VqGanConfig};

/// A key that only this model has.
pub(super) const ANCHOR: &str = "decoder.decoder.conv_in.weight";
/// What the decoder draws: the low-pass picture, then three bands of each colour.
const BANDS: usize = 12;

/// The codec.
#[derive(Debug)]
pub struct SberDwt {
    model: VqGan,
    /// The wavelet's tap, 1/√2 but for what the file's number format took.
    tap: f32,
}

impl SberDwt {
    /// The model of a checkpoint (Sber's `vqgan.gumbelf8-sber-dwt.model.ckpt`) below its prefix `model.`.
    ///
    /// # Errors
    /// Weights that do not fit, key by key; a wavelet that is not Haar's.
    pub(super) fn open(checkpoint: &Checkpoint, config: &VqGanConfig, device: &Device) -> Result<Self> {
        let tap = tap(checkpoint)?;
        // The decoder brings a projection of its own; the one outside is left over from the model it was tuned from.
        let named = checkpoint.clone().without(&["decoder.idwt.", "post_quant_conv."]).renamed(|key| {
            let key =
                key.strip_prefix("decoder.").map_or(key, |rest| match rest.starts_with("post_quant_conv.") {
                    true => rest,
                    false => rest.strip_prefix("decoder.").map_or(key, |_| rest),
                });
            Some(key.to_owned())
        });
        Ok(Self { model: named.fill(config.init_drawing(BANDS, device)?)?, tap })
    }

    /// The VQGAN in it; its decoder draws twelve bands.
    pub fn model(&self) -> &VqGan {
        &self.model
    }

    /// Deterministic codes of a batch of pictures.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, h/f, w/f]`
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<3, Int> {
        self.model.encode(pixels)
    }

    /// Pictures of a batch of codes.
    ///
    /// # Shapes
    /// `[b, h, w]` → pixels around [-1, 1] `[b, 3, 2·h·f, 2·w·f]`, not clamped
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        self.draw(self.model.decode(codes))
    }

    /// The pictures of twelve bands.
    ///
    /// # Shapes
    /// `[b, 12, h, w]` → `[b, 3, 2·h, 2·w]`
    pub(crate) fn draw(&self, bands: Tensor<4>) -> Tensor<4> {
        inverse_haar(bands, self.tap)
    }
}

/// The tap of the wavelet's four filters in the file, `(tap, tap)` and `(tap, -tap)`.
fn tap(checkpoint: &Checkpoint) -> Result<f32> {
    let mut tap = 0.5_f32.sqrt();
    for key in checkpoint.keys().filter(|key| key.starts_with("decoder.idwt.")) {
        let values = checkpoint.floats(key)?;
        match values[..] {
            [first, second] if (first - tap).abs() < 1e-3 && second.abs() == first => tap = first,
            _ => {
                return Err(
                    checkpoint.fault(format!("{key} is {values:?}: only Haar's wavelet is known here"))
                );
            }
        }
    }
    Ok(tap)
}

/// One level of the inverse Haar transform; with `tap` = 1/√2 it keeps the energy.
///
/// # Shapes
/// low-pass `[b, 0..c]`, then (low-high, high-low, high-high) of each of `c` colours: `[b, 4·c, h, w]` →
/// `[b, c, 2·h, 2·w]`
fn inverse_haar(bands: Tensor<4>, tap: f32) -> Tensor<4> {
    let [b, channels, h, w] = bands.dims();
    let c = channels / 4;
    let low = bands.clone().narrow(1, 0, c);
    let high: Tensor<5> = bands.narrow(1, c, 3 * c).reshape([b, c, 3, h, w]);
    let band = |index| high.clone().narrow(2, index, 1).reshape([b, c, h, w]);
    let (vertical, horizontal, diagonal) = (band(0), band(1), band(2));
    let (left, right) = (low.clone() + horizontal.clone(), low - horizontal);
    let (falling, rising) = (vertical.clone() + diagonal.clone(), vertical - diagonal);
    let pixels: [Tensor<5>; 4] =
        [left.clone() + falling.clone(), right.clone() + rising.clone(), left - falling, right - rising]
            .map(|pixel| pixel.mul_scalar(tap * tap).unsqueeze_dim(4));
    let blocks: Tensor<6> = Tensor::cat(pixels.to_vec(), 4).reshape([b, c, h, w, 2, 2]);
    blocks.permute([0, 1, 2, 4, 3, 5]).reshape([b, c, 2 * h, 2 * w])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_band_has_its_signs() {
        let drawn = |band: usize| {
            let mut values = [0.0_f32; 4];
            values[band] = 1.0;
            let bands = Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 4, 1, 1]);
            inverse_haar(bands, 1.0).into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(drawn(0), [1.0, 1.0, 1.0, 1.0]);
        assert_eq!(drawn(1), [1.0, 1.0, -1.0, -1.0]);
        assert_eq!(drawn(2), [1.0, -1.0, 1.0, -1.0]);
        assert_eq!(drawn(3), [1.0, -1.0, -1.0, 1.0]);
    }

    #[test]
    fn energy_is_kept() {
        use burn::tensor::Distribution;
        let bands = Tensor::<4>::random([2, 12, 3, 5], Distribution::Normal(0.0, 1.0), &Device::flex());
        let energy = |x: Tensor<4>| x.powi_scalar(2).sum().into_scalar::<f32>();
        let (before, after) = (energy(bands.clone()), energy(inverse_haar(bands, 0.5_f32.sqrt())));
        assert!((before - after).abs() < 1e-3 * before, "{before} {after}");
    }
}
