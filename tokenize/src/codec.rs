//! An image codec from a file: pictures ↔ grids of codes.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use pipeline::picture::Picture;
use sha2::{Digest, Sha256};

use crate::vqgan::{VqGan, VqGanConfig};
use crate::{Error, Result, pixels};

/// A loaded codec. Its identity is the hash of its weights file.
#[derive(Debug)]
pub struct Codec {
    /// File name without its extension.
    pub name: String,
    /// sha256 of the weights file, in hex.
    pub sha256: String,
    /// The shape of the model.
    pub config: VqGanConfig,
    model: VqGan,
    device: Device,
    path: PathBuf,
    preprocess: pixels::Preprocess,
}

/// Kinds.
#[derive(Clone, Copy, Debug)]
pub enum CodecKind {
    /// VQGAN.
    Vqgan,
}

impl CodecKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        "vqgan"
    }
}

impl Codec {
    /// Loads weights (`.safetensors`, `.ckpt`, `.pth`, `.bin`) and the configuration beside them: the same name with
    /// `.toml`.
    ///
    /// # Errors
    /// A missing file; a configuration that does not fit the weights, with the keys that differ.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let settings = path.with_extension("toml");
        if !settings.exists() {
            let why = format!("the codec's configuration is missing: expected {}", settings.display());
            return Err(Error::Checkpoint { path: path.to_owned(), why });
        }
        let config: VqGanConfig = pipeline::settings::load(Some(&settings), &[])?;
        let device = device.clone().without_autodiff();
        let model = config.init(&device)?.load(path)?;
        Ok(Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            config,
            model,
            device,
            path: path.to_owned(),
            preprocess: pixels::Preprocess::default(),
        })
    }

    /// The weights file; its configuration lies beside it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Pixels per code side.
    pub fn downsampling(&self) -> usize {
        self.config.downsampling()
    }

    /// Which model it is.
    pub fn kind(&self) -> CodecKind {
        CodecKind::Vqgan
    }

    /// The side of the pictures that it was trained on, in pixels.
    pub fn resolution(&self) -> usize {
        self.config.resolution
    }

    /// Pixels per side of the pictures that it draws from a grid.
    pub fn decoded_size(&self, grid: usize) -> usize {
        grid * self.downsampling()
    }

    /// What is done to a picture before it.
    pub fn preprocess(&self) -> &pixels::Preprocess {
        &self.preprocess
    }

    /// Number of distinct codes.
    pub fn codebook_size(&self) -> usize {
        self.config.codebook_size()
    }

    /// Codes per side of a square picture.
    pub fn grid(&self, image_size: usize) -> usize {
        image_size / self.downsampling()
    }

    fn checked_grid(&self, side: u32) -> Result<usize> {
        let (side, factor) = (side as usize, self.downsampling());
        if side == 0 || !side.is_multiple_of(factor) {
            return Err(Error::Config {
                key: "image_size".to_owned(),
                why: format!("{side} is not a multiple of {factor}, the codec's downsampling factor"),
            });
        }
        Ok(side / factor)
    }

    /// Codes of square pictures of one size, row by row.
    ///
    /// # Errors
    /// Sizes that differ or are no multiple of the downsampling factor.
    pub fn encode(&self, pictures: &[Picture]) -> Result<Vec<Vec<u16>>> {
        let Some(first) = pictures.first() else { return Ok(Vec::new()) };
        let (width, height) = (self.checked_grid(first.width())?, self.checked_grid(first.height())?);
        let codes = self.model.encode(pixels::to_tensor(pictures, &self.device)?);
        let data = codes.into_data().convert_dtype(DType::I64);
        let values = data.as_slice::<i64>().map_err(|error| Error::Config {
            key: "device".to_owned(),
            why: format!("the codes cannot be read back: {error:?}"),
        })?;
        let code = |value: &i64| u16::try_from(*value).unwrap_or(u16::MAX);
        Ok(values.chunks_exact(width * height).map(|codes| codes.iter().map(code).collect()).collect())
    }

    /// Pictures of square grids of codes.
    ///
    /// # Errors
    /// A grid of another size, or a code outside the codebook.
    pub fn decode(&self, codes: &[Vec<u16>], grid: usize) -> Result<Vec<Picture>> {
        if codes.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = Vec::with_capacity(codes.len() * grid * grid);
        for (row, codes) in codes.iter().enumerate() {
            if codes.len() != grid * grid {
                return Err(refuse(row, format!("{} codes, expected {grid}x{grid}", codes.len())));
            }
            if let Some(code) = codes.iter().find(|code| usize::from(**code) >= self.codebook_size()) {
                return Err(refuse(row, format!("code {code}, the codebook has {}", self.codebook_size())));
            }
            values.extend(codes.iter().map(|code| i64::from(*code)));
        }
        let codes =
            Tensor::<3, Int>::from_data(TensorData::new(values, [codes.len(), grid, grid]), &self.device);
        pixels::to_pictures(self.model.decode(codes))
    }
}

fn refuse(row: usize, why: String) -> Error {
    Error::Config { key: format!("codes[{row}]"), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqgan::Precision;

    fn tiny() -> VqGanConfig {
        VqGanConfig {
            ch: 8,
            ch_mult: vec![1, 2],
            num_res_blocks: 1,
            attn_resolutions: vec![8],
            resolution: 16,
            z_channels: 4,
            embed_dim: 4,
            n_embed: 32,
            groups: 4,
            ..VqGanConfig::default()
        }
    }

    fn saved(folder: &Path) -> PathBuf {
        let path = folder.join("codec.safetensors");
        tiny().init(&Device::flex()).unwrap().save(&path, Precision::Half).unwrap();
        let text = pipeline::settings::to_toml(&tiny()).unwrap();
        pipeline::atomic::write(path.with_extension("toml"), text.as_bytes()).unwrap();
        path
    }

    #[test]
    fn codes_survive_saving_in_half_precision_and_do_not_depend_on_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let codec = Codec::load(&saved(folder.path()), &Device::flex()).unwrap();
        let pictures: Vec<Picture> =
            (0..3).map(|i| Picture::filled(16, 16, [90 * i, 10, 200 - 60 * i])).collect();
        let together = codec.encode(&pictures).unwrap();
        for (picture, codes) in pictures.iter().zip(&together) {
            assert_eq!(codec.encode(std::slice::from_ref(picture)).unwrap(), std::slice::from_ref(codes));
        }
        let decoded = codec.decode(&together, codec.grid(16)).unwrap();
        assert_eq!((decoded.len(), decoded[0].width(), decoded[0].height()), (3, 16, 16));
    }

    #[test]
    fn wrong_codes_and_sizes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let codec = Codec::load(&saved(folder.path()), &Device::flex()).unwrap();
        let error = codec.decode(&[vec![0; 64], vec![32; 64]], 8).unwrap_err().to_string();
        assert_eq!(error, "codes[1]: code 32, the codebook has 32");
        assert!(codec.decode(&[vec![0; 3]], 8).is_err());
        assert!(codec.encode(&[Picture::filled(15, 15, [0; 3])]).is_err());
    }

    #[test]
    fn weights_of_another_shape_name_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        let other = VqGanConfig { n_embed: 64, num_res_blocks: 2, ..tiny() };
        let text = pipeline::settings::to_toml(&other).unwrap();
        pipeline::atomic::write(path.with_extension("toml"), text.as_bytes()).unwrap();
        let error = Codec::load(&path, &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("quantize.embedding") && error.contains("missing"), "{error}");
    }
}
