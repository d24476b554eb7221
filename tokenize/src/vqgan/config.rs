//! The VQGAN's shape: taming's `ddconfig` plus codebook, as one TOML table.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{Decoder, Encoder, Quantizer, VqGan, layers, tile};
use crate::{Error, Result};

/// How a latent vector becomes a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuantizerKind {
    /// Nearest codebook row in L2 (taming `VectorQuantizer2`).
    #[default]
    Vq,
    /// Argmax of a 1×1 projection (taming `GumbelQuantize`; no noise when encoding).
    Gumbel,
}

/// Hyper-parameters of a VQGAN; the defaults are taming's ImageNet f16, 1,024 codes.
///
/// Source: CompVis/taming-transformers `configs/imagenet_vqgan.yaml` and
/// `taming/modules/diffusionmodules/model.py`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VqGanConfig {
    /// Channels at full resolution.
    pub ch: usize,
    /// Channel multiplier of each level; every level after the first halves the side.
    pub ch_mult: Vec<usize>,
    /// Residual blocks per encoder level (the decoder has one more).
    pub num_res_blocks: usize,
    /// Sides (counted from `resolution`) whose levels carry self-attention.
    pub attn_resolutions: Vec<usize>,
    /// Image side that `attn_resolutions` refers to.
    pub resolution: usize,
    /// Channels of the encoder's output.
    pub z_channels: usize,
    /// Dimension of a codebook row.
    pub embed_dim: usize,
    /// Codebook rows.
    pub n_embed: usize,
    /// Groups of every group normalisation.
    pub groups: usize,
    /// The quantiser.
    pub quantizer: QuantizerKind,
    /// The encoder sees each f×f tile by itself and does not normalise, so that a code depends on its own pixels alone:
    /// plain background is one code wherever it lies. It starts as a rearrangement of the tile's pixels. The published
    /// models see the whole picture.
    pub tiles: bool,
}

impl Default for VqGanConfig {
    fn default() -> Self {
        Self {
            ch: 128,
            ch_mult: vec![1, 1, 2, 2, 4],
            num_res_blocks: 2,
            attn_resolutions: vec![16],
            resolution: 256,
            z_channels: 256,
            embed_dim: 256,
            n_embed: 1024,
            groups: 32,
            quantizer: QuantizerKind::Vq,
            tiles: false,
        }
    }
}

impl VqGanConfig {
    /// Pixels per code side (4, 8 or 16 in the published models).
    pub fn downsampling(&self) -> usize {
        1 << self.ch_mult.len().saturating_sub(1)
    }

    /// Number of distinct codes.
    pub fn codebook_size(&self) -> usize {
        self.n_embed
    }

    /// Channels at `level` (0 = full resolution).
    pub(super) fn channels(&self, level: usize) -> usize {
        self.ch * self.ch_mult[level]
    }

    /// Whether the blocks of `level` are followed by attention.
    pub(crate) fn has_attention(&self, level: usize) -> bool {
        self.attn_resolutions.contains(&(self.resolution >> level))
    }

    /// Checks what the layers cannot express.
    ///
    /// # Errors
    /// Names the key that does not fit.
    pub fn validate(&self) -> Result<()> {
        let refuse = |key: &str, why: String| Err(Error::Config { key: key.to_owned(), why });
        if self.ch_mult.is_empty() || self.ch_mult.contains(&0) {
            return refuse("ch_mult", "needs at least one level, each at least 1".to_owned());
        }
        if self.ch == 0 {
            return refuse("ch", "needs at least one channel".to_owned());
        }
        // The first level begins with `ch` channels whatever its multiplier; with them all multiples are divided.
        if self.groups == 0 || !self.ch.is_multiple_of(self.groups) {
            return refuse(
                "groups",
                format!("{} does not divide the {} channels of ch", self.groups, self.ch),
            );
        }
        if self.n_embed == 0 || self.n_embed > usize::from(u16::MAX) + 1 {
            return refuse(
                "n_embed",
                format!("{} codes do not fit the u16 codes of a token shard", self.n_embed),
            );
        }
        if self.num_res_blocks == 0 || self.z_channels == 0 || self.embed_dim == 0 {
            return refuse(
                "num_res_blocks",
                "num_res_blocks, z_channels and embed_dim must be at least 1".to_owned(),
            );
        }
        self.validate_tiles()
    }

    /// With tiles every layer of the encoder must have room for the values of a tile.
    fn validate_tiles(&self) -> Result<()> {
        let folded = |level: usize| 3usize << (2 * level);
        let last = self.ch_mult.len() - 1;
        // A level ends with the halving to the next one, at its own width.
        let levels = (0..=last).map(|level| ("ch_mult", self.channels(level), folded(last.min(level + 1))));
        let ends =
            [("z_channels", self.z_channels, folded(last)), ("embed_dim", self.embed_dim, folded(last))];
        match levels.chain(ends).find(|(_, has, needs)| self.tiles && has < needs) {
            Some((key, has, needs)) => {
                let why = format!("{has} channels cannot hold the {needs} values of a tile, as `tiles` asks");
                Err(Error::Config { key: key.to_owned(), why })
            }
            None => Ok(()),
        }
    }

    /// A model with random weights; with [`Self::tiles`] the encoder passes pixels on.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init(&self, device: &Device) -> Result<VqGan> {
        self.init_drawing(3, device)
    }

    /// [`Self::init`] with a decoder that draws another number of channels than three colours.
    pub(crate) fn init_drawing(&self, channels: usize, device: &Device) -> Result<VqGan> {
        self.validate()?;
        let quant_conv = layers::conv1x1(self.z_channels, self.embed_dim, device);
        let (encoder, quant_conv) = if self.tiles {
            let whole = Self { groups: 0, ..self.clone() };
            let values = 3 * self.downsampling().pow(2);
            (Encoder::new(&whole, device).wired(), tile::wire(quant_conv, &tile::straight(values, 0), 0.0))
        } else {
            (Encoder::new(self, device), quant_conv)
        };
        Ok(VqGan {
            encoder,
            decoder: Decoder::new(self, channels, device),
            quantize: Quantizer::new(self, device),
            quant_conv,
            tile: self.tiles.then(|| self.downsampling()),
            post_quant_conv: layers::conv1x1(self.embed_dim, self.z_channels, device),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_the_groups_do_not_divide_are_refused_before_a_layer_panics() {
        let fault = |config: VqGanConfig| config.validate().unwrap_err().to_string();
        assert!(VqGanConfig::default().validate().is_ok());
        assert!(fault(VqGanConfig { ch: 0, ..VqGanConfig::default() }).starts_with("ch: "));
        assert!(fault(VqGanConfig { groups: 0, ..VqGanConfig::default() }).starts_with("groups: "));
        // 48 channels times 2 are a multiple of 32, 48 are none.
        let only_multiplied = VqGanConfig { ch: 48, ch_mult: vec![2, 2], ..VqGanConfig::default() };
        assert_eq!(fault(only_multiplied), "groups: 32 does not divide the 48 channels of ch");
    }
}
