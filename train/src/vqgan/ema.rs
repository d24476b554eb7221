//! A codebook whose rows are running means of the latents that chose them, instead of weights with a gradient.
//!
//! Source: van den Oord et al. 2017, appendix A.1; taming `EMAVectorQuantizer` and `EmbeddingEMA`
//! (`modules/vqvae/quantize.py`).

use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::run::tensors::{Lazy, Stored};
use crate::{Error, Result};

/// How the codebook learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodebookConfig {
    /// By gradient or as running means.
    pub kind: CodebookKind,
    /// Of `ema`: the share of the past in each step's means.
    pub decay: f64,
    /// Of `ema`: added to each row's count, so that no row is divided by nothing.
    pub epsilon: f64,
}

/// See [`CodebookConfig::kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodebookKind {
    /// The optimizer moves the rows along the gradient of the codebook loss.
    #[default]
    Gradient,
    /// Running means; the codebook loss is left out.
    Ema,
}

impl Default for CodebookConfig {
    fn default() -> Self {
        Self { kind: CodebookKind::Gradient, decay: 0.99, epsilon: 1e-5 }
    }
}

impl CodebookConfig {
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.decay) {
            return Err(Error::config(format!("codebook.decay: {} is not in [0, 1)", self.decay)));
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::config(format!("codebook.epsilon: {} is not above 0", self.epsilon)));
        }
        Ok(())
    }
}

/// The running counts and sums. On the host, where adding up in a fixed order costs little beside the network: a
/// device's atomic additions would make a run irreproducible.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EmaCodebook {
    /// Latents that chose each row.
    size: Vec<f32>,
    /// Their sum, row by row.
    sum: Vec<f32>,
}

impl EmaCodebook {
    /// Begins as if one latent had chosen each row: taming counts none, and a row that is not used at once is thrown far
    /// away by the division.
    pub(super) fn new(codebook: &Tensor<2>) -> Self {
        Self { size: vec![1.0; codebook.dims()[0]], sum: values(codebook) }
    }

    /// Takes one step's latents in and returns the rows `[rows, width]`.
    ///
    /// # Shapes
    /// latents `[b, width, h, w]`, codes `[b, h, w]`
    pub(super) fn update(
        &mut self,
        config: &CodebookConfig,
        latents: &Tensor<4>,
        codes: &Tensor<3, Int>,
    ) -> Tensor<2> {
        let (rows, [b, width, h, w]) = (self.size.len(), latents.dims());
        let mut size = vec![0.0f32; rows];
        let mut sum = vec![0.0f32; rows * width];
        let chosen = codes.clone().into_data().convert_dtype(DType::I64);
        let latent = values::<2>(&latents.clone().permute([0, 2, 3, 1]).reshape([b * h * w, width]));
        for (code, latent) in chosen.iter::<i64>().zip(latent.chunks_exact(width)) {
            let Some(row) = usize::try_from(code).ok().filter(|row| *row < rows) else { continue };
            size[row] += 1.0;
            let place = &mut sum[row * width..][..width];
            place.iter_mut().zip(latent).for_each(|(sum, value)| *sum += value);
        }
        let (keep, take) = (config.decay as f32, (1.0 - config.decay) as f32);
        let blend = |old: &mut [f32], new: &[f32]| {
            old.iter_mut().zip(new).for_each(|(old, new)| *old = *old * keep + new * take);
        };
        blend(&mut self.size, &size);
        blend(&mut self.sum, &sum);
        self.rows(config, width, &latents.device())
    }

    /// The means, their counts smoothed as Laplace does.
    fn rows(&self, config: &CodebookConfig, width: usize, device: &Device) -> Tensor<2> {
        let epsilon = config.epsilon as f32;
        let total: f32 = self.size.iter().sum();
        let all = total + self.size.len() as f32 * epsilon;
        let counts = self.size.iter().map(|size| (size + epsilon) / all * total);
        let rows = self.sum.chunks_exact(width).zip(counts);
        let means: Vec<f32> = rows.flat_map(|(sum, count)| sum.iter().map(move |sum| sum / count)).collect();
        Tensor::from_data(TensorData::new(means, [self.size.len(), width]), device)
    }

    /// Gives rows that were moved to their new places a history of one latent.
    pub(super) fn restart(&mut self, moved: &[usize], codebook: &Tensor<2>) {
        let width = codebook.dims()[1];
        let table = values(codebook);
        for row in moved {
            self.size[*row] = 1.0;
            self.sum[row * width..][..width].copy_from_slice(&table[row * width..][..width]);
        }
    }

    /// Counts and sums, exactly.
    pub(super) fn tensors(&self) -> Vec<(String, Lazy)> {
        let (rows, device) = (self.size.len(), Device::flex());
        let size = Tensor::<1>::from_data(TensorData::new(self.size.clone(), [rows]), &device);
        let sum = TensorData::new(self.sum.clone(), [rows, self.sum.len() / rows.max(1)]);
        let sum = Tensor::<2>::from_data(sum, &device);
        vec![("size".into(), Lazy::new(size)), ("sum".into(), Lazy::new(sum))]
    }

    /// Reads what [`Self::tensors`] gave of a codebook of the same shape.
    pub(super) fn load(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let stored = Stored::parse(path, &bytes)?;
        let size = stored.get::<1>("size", &Device::flex())?.into_data();
        let sum = stored.get::<2>("sum", &Device::flex())?.into_data();
        let read = Self { size: size.iter().collect(), sum: sum.iter().collect() };
        if (read.size.len(), read.sum.len()) != (self.size.len(), self.sum.len()) {
            return Err(Error::weights(path, "the running means of another codebook"));
        }
        *self = read;
        Ok(())
    }
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().convert_dtype(DType::F32).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqgan::golden::Golden;

    #[test]
    fn two_updates_are_those_of_taming() {
        let golden = Golden::open();
        let config = CodebookConfig { kind: CodebookKind::Ema, decay: 0.9, epsilon: 1e-5 };
        let mut ema = EmaCodebook::new(&golden.get("vq.codebook"));
        ema.size = vec![0.0; 5];
        for step in 0..2 {
            let latents = golden.get::<4>("vq.latents").add_scalar(f64::from(step));
            let codes = golden.codes(&format!("ema.{step}.codes"));
            let rows = ema.update(&config, &latents, &codes);
            golden.close(&format!("ema.{step}.codebook"), &rows, 1e-5);
            let size = Tensor::<1>::from_data(ema.size.as_slice(), &golden.device);
            golden.close(&format!("ema.{step}.cluster_size"), &size, 1e-6);
        }
    }

    #[test]
    fn a_row_that_nobody_chooses_stays_and_a_restarted_one_is_where_it_was_put() {
        let device = Device::flex();
        let codebook = Tensor::<2>::from_data([[1.0f32, -2.0], [3.0, 4.0], [9.0, 9.0]], &device);
        let mut ema = EmaCodebook::new(&codebook);
        let latents = Tensor::<4>::full([1, 2, 1, 4], 3.0, &device);
        let codes = Tensor::<3, Int>::ones([1, 1, 4], &device);
        let config = CodebookConfig { kind: CodebookKind::Ema, epsilon: 1e-9, ..CodebookConfig::default() };
        let rows = values(&ema.update(&config, &latents, &codes));
        assert!((rows[0] - 1.0).abs() < 1e-5 && (rows[1] + 2.0).abs() < 1e-5, "{rows:?}");
        assert!(rows[3] < 4.0 && rows[3] > 3.0, "moved towards its latents: {rows:?}");
        ema.restart(&[2], &Tensor::from_data([[0.0f32, 0.0], [0.0, 0.0], [5.0, 6.0]], &device));
        assert_eq!(values(&ema.rows(&config, 2, &device))[4..], [5.0, 6.0]);
    }

    #[test]
    fn the_file_keeps_every_bit_and_refuses_another_codebook() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("codebook.safetensors");
        let ema = EmaCodebook { size: vec![0.1, 1.0 / 3.0], sum: vec![1.0, 2.0, 3.0, 1e-7] };
        crate::run::tensors::write(&path, ema.tensors(), None).unwrap();
        let mut read = EmaCodebook { size: vec![0.0; 2], sum: vec![0.0; 4] };
        read.load(&path).unwrap();
        assert_eq!(read, ema);
        let mut other = EmaCodebook { size: vec![0.0; 3], sum: vec![0.0; 6] };
        assert!(other.load(&path).unwrap_err().to_string().ends_with("of another codebook"));
    }
}
