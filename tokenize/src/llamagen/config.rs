//! The shape of a LlamaGen codec, read from its weights.

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::vqgan::{QuantizerKind, VqGanConfig};

use super::RESOLUTION;

/// The hyper-parameters in taming's terms. Attention sits at the lowest resolution alone, and group norms have 32
/// groups; everything else shows in the shapes.
///
/// # Errors
/// Names the key that is missing or is no kernel.
pub fn config(checkpoint: &Checkpoint) -> Result<VqGanConfig> {
    let size = |key: &str, axis: usize| {
        let found = checkpoint.shape(key).and_then(|shape| shape.get(axis).copied());
        found.ok_or_else(|| checkpoint.fault(format!("{key} is missing or has too few dimensions")))
    };
    let ch = size("encoder.conv_in.weight", 0)?;
    let count =
        |key: &dyn Fn(usize) -> String| (0..).take_while(|i| checkpoint.shape(&key(*i)).is_some()).count();
    let levels = count(&|level| format!("encoder.conv_blocks.{level}.res.0.conv1.weight"));
    let ch_mult = (0..levels)
        .map(|level| Ok(size(&format!("encoder.conv_blocks.{level}.res.0.conv1.weight"), 0)? / ch.max(1)))
        .collect::<Result<Vec<_>>>()?;
    Ok(VqGanConfig {
        ch,
        num_res_blocks: count(&|block| format!("encoder.conv_blocks.0.res.{block}.conv1.weight")),
        attn_resolutions: vec![RESOLUTION >> ch_mult.len().saturating_sub(1)],
        ch_mult,
        resolution: RESOLUTION,
        z_channels: size("encoder.conv_out.weight", 0)?,
        embed_dim: size("quantize.embedding.weight", 1)?,
        n_embed: size("quantize.embedding.weight", 0)?,
        groups: 32,
        quantizer: QuantizerKind::Vq,
        ..VqGanConfig::default()
    })
}
