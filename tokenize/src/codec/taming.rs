//! The configuration that the shapes of a model in taming's layout tell.

use super::beside::Stated;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::vqgan::{ANCHOR, QuantizerKind, VqGanConfig};

/// The side that published configurations count their attention from; no shape tells it.
const RESOLUTION: usize = 256;

/// The configuration of a model: what the shapes tell, completed by what a file beside the weights says.
///
/// # Errors
/// Shapes that are no such model; every contradiction between the two, by key.
pub(super) fn config(model: &Checkpoint, stated: &Stated) -> Result<VqGanConfig> {
    let seen = Seen::of(model)?;
    let resolution = stated.resolution.unwrap_or(RESOLUTION);
    let attention = seen.attention.iter().map(|level| resolution >> level).collect();
    let found = VqGanConfig {
        attn_resolutions: stated.attn_resolutions.clone().unwrap_or(attention),
        resolution,
        groups: stated.groups.unwrap_or(32),
        tiles: stated.tiles.unwrap_or(false),
        ..seen.config
    };
    let levels = (0..found.ch_mult.len()).filter(|level| found.has_attention(*level));
    let levels: Vec<usize> = levels.collect();
    let mut faults = stated.contradictions(&found);
    if levels != seen.attention {
        let at = |levels: &[usize]| levels.iter().map(|level| resolution >> level).collect::<Vec<_>>();
        let (stated, seen) = (at(&levels), at(&seen.attention));
        faults.push(format!(
            "attn_resolutions puts attention at {stated:?} of {resolution}, the weights at {seen:?}"
        ));
    }
    if !faults.is_empty() {
        let file = stated.file.as_deref().map_or_else(String::new, |file| file.display().to_string());
        return Err(model.fault(format!("the weights contradict {file}: {}", faults.join("; "))));
    }
    Ok(found)
}

/// What the shapes of a model tell.
struct Seen {
    config: VqGanConfig,
    /// Levels whose blocks are followed by attention.
    attention: Vec<usize>,
}

impl Seen {
    fn of(model: &Checkpoint) -> Result<Self> {
        let size = |key: &str, axis: usize| {
            let size = model.shape(key).and_then(|shape| shape.get(axis).copied()).filter(|size| *size > 0);
            size.ok_or_else(|| model.fault(format!("{key} is missing, or is no kernel")))
        };
        let count = |key: &dyn Fn(usize) -> String| {
            (0..).take_while(|index| model.shape(&key(*index)).is_some()).count()
        };
        let ch = size(ANCHOR, 0)?;
        let levels = count(&|level| format!("encoder.down.{level}.block.0.conv1.weight"));
        let multiple =
            |level: usize| {
                let channels = size(&format!("encoder.down.{level}.block.0.conv1.weight"), 0)?;
                match channels.is_multiple_of(ch) {
                    true => Ok(channels / ch),
                    false => Err(model
                        .fault(format!("encoder.down.{level} has {channels} channels, no multiple of {ch}"))),
                }
            };
        let latents = size("encoder.conv_out.weight", 0)?;
        let embed_dim = size("quant_conv.weight", 0)?;
        let z_channels = size("quant_conv.weight", 1)?;
        let drawn = ["decoder.conv_in.weight", "decoder.decoder.conv_in.weight"];
        let drawn = drawn.iter().find_map(|key| size(key, 1).ok());
        if drawn.is_some_and(|drawn| latents == 2 * drawn) {
            return Err(model.fault(format!(
                "the encoder gives {latents} channels and the decoder takes half of them (double_z): a continuous \
                 latent, not a codec"
            )));
        }
        let gumbel = model.shape("quantize.proj.weight").is_some();
        let config = VqGanConfig {
            ch,
            ch_mult: (0..levels).map(multiple).collect::<Result<_>>()?,
            num_res_blocks: count(&|block| format!("encoder.down.0.block.{block}.conv1.weight")),
            z_channels,
            embed_dim,
            n_embed: size(if gumbel { "quantize.proj.weight" } else { "quantize.embedding.weight" }, 0)?,
            quantizer: if gumbel { QuantizerKind::Gumbel } else { QuantizerKind::Vq },
            ..VqGanConfig::default()
        };
        let has_attention =
            |level: &usize| model.shape(&format!("encoder.down.{level}.attn.0.q.weight")).is_some();
        Ok(Self { config, attention: (0..levels).filter(has_attention).collect() })
    }
}
