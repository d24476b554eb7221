//! VQGAN in the layout of CompVis/taming-transformers: encoder, quantiser, decoder.
//!
//! Field names are the published parameter names, so a checkpoint loads without renaming.
//! Sources: `taming/modules/diffusionmodules/model.py`, `taming/modules/vqvae/quantize.py`,
//! `taming/models/vqgan.py`.

mod attention;
mod config;
mod decoder;
mod encoder;
mod layers;
mod quantize;
mod resnet;
mod tile;
mod weights;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Int, Tensor};

pub use config::{QuantizerKind, VqGanConfig};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use quantize::Quantizer;
pub(crate) use weights::ANCHOR;
pub use weights::Precision;

use crate::fused;

/// Gets the output of a stage of the model by its published name.
pub type See<'a> = &'a mut dyn FnMut(std::fmt::Arguments<'_>, &Tensor<4>);

/// Encoder, quantiser and decoder with the two 1×1 convolutions around the codebook.
#[derive(Module, Debug)]
pub struct VqGan {
    /// Pixels to latents.
    pub encoder: Encoder,
    /// Latents to pixels.
    pub decoder: Decoder,
    /// The codebook.
    pub quantize: Quantizer,
    quant_conv: Conv2d,
    post_quant_conv: Conv2d,
    /// Side of the tiles that the encoder sees, if it does not see the whole picture.
    #[module(skip)]
    tile: Option<usize>,
}

impl VqGan {
    /// Latents before quantisation.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, embed_dim, h/f, w/f]`
    pub fn latents(&self, pixels: Tensor<4>) -> Tensor<4> {
        let [_, _, h, w] = pixels.dims();
        let latents = match self.tile {
            Some(f) => tile::join(self.encoder.forward(tile::cut(pixels, f)), [h / f, w / f]),
            None => self.encoder.forward(pixels),
        };
        fused::conv1x1(latents, &self.quant_conv)
    }

    /// [`Self::latents`] of what the encoder gives.
    pub fn projected(&self, encoded: Tensor<4>) -> Tensor<4> {
        fused::conv1x1(encoded, &self.quant_conv)
    }

    /// [`Decoder::observed`] of quantised latents.
    pub fn observe_decoder(&self, quantized: Tensor<4>, see: See<'_>) -> Tensor<4> {
        self.decoder.observed(self.post_quant_conv.forward(quantized), see)
    }

    /// Deterministic codes of a batch of pictures.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, h/f, w/f]`
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<3, Int> {
        self.quantize.codes(self.latents(pixels))
    }

    /// Pictures of a batch of codes.
    ///
    /// # Shapes
    /// `[b, h, w]` → pixels around [-1, 1] `[b, 3, h·f, w·f]`, not clamped
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        self.decode_latents(self.quantize.lookup(codes))
    }

    /// Pictures of quantised latents.
    ///
    /// # Shapes
    /// `[b, embed_dim, h, w]` → pixels around [-1, 1] `[b, 3, h·f, w·f]`, not clamped
    pub fn decode_latents(&self, quantized: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(fused::conv1x1(quantized, &self.post_quant_conv))
    }

    /// [`Decoder::features`] of quantised latents.
    pub fn decode_features(&self, quantized: Tensor<4>) -> Tensor<4> {
        self.decoder.features(fused::conv1x1(quantized, &self.post_quant_conv))
    }
}
