//! The outputs of a case in taming's layout or LlamaGen's: encoder, codes, quantised latents and decodings, and what
//! the stages between them give.

use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use super::{Case, Outputs, tensors};
use crate::Result;
use crate::codec::{Codec, Model};
use crate::vqgan::{QuantizerKind, VqGan, VqGanConfig};

/// taming's `ddconfig`, as far as it decides the layers.
#[derive(Deserialize)]
struct DdConfig {
    z_channels: usize,
    resolution: usize,
    ch: usize,
    ch_mult: Vec<usize>,
    num_res_blocks: usize,
    attn_resolutions: Vec<usize>,
}

/// Computes every output that the case holds and this model has a name for.
///
/// # Errors
/// A checkpoint that is recognised as something else than the case's configuration, or inputs that are missing.
pub(super) fn compute(case: &Case, device: &Device) -> Result<Outputs> {
    let codec = Codec::load(&case.checkpoint()?, device)?;
    if let Some(found) = codec.config() {
        let expected = config(case)?;
        if *found != expected {
            return Err(case.fault(&format!("the weights are recognised as {found:?}, not as {expected:?}")));
        }
    }
    let mut outputs = Outputs::new();
    encoded(case, &codec, device, &mut outputs)?;
    decoded(case, &codec, device, &mut outputs)?;
    // Cases differ in what they store.
    outputs.retain(|name, _| case.tensors().contains_key(name));
    Ok(outputs)
}

fn config(case: &Case) -> Result<VqGanConfig> {
    let dd: DdConfig = case.config("/config/ddconfig")?;
    let quantizer: String = case.config("/config/quantizer")?;
    Ok(VqGanConfig {
        ch: dd.ch,
        ch_mult: dd.ch_mult,
        num_res_blocks: dd.num_res_blocks,
        attn_resolutions: dd.attn_resolutions,
        resolution: dd.resolution,
        z_channels: dd.z_channels,
        embed_dim: case.config("/config/embed_dim")?,
        n_embed: case.config("/config/n_embed")?,
        groups: case.config("/config/group_norm_groups")?,
        quantizer: if quantizer.starts_with("argmax") { QuantizerKind::Gumbel } else { QuantizerKind::Vq },
        tiles: false,
    })
}

/// The layers under taming's names.
fn layers<'a>(case: &Case, codec: &'a Codec) -> Result<&'a VqGan> {
    match codec.model() {
        Model::VqGan(model) => Ok(model),
        Model::SberDwt(model) => Ok(model.model()),
        Model::LlamaGen(model) => Ok(model.model()),
        Model::Dvae(_) | Model::Clusters(_) => {
            Err(case.fault(&format!("the checkpoint is of the kind {}, not a VQGAN", codec.kind())))
        }
    }
}

fn encoded(case: &Case, codec: &Codec, device: &Device, outputs: &mut Outputs) -> Result<()> {
    let pixels = tensors::input(case, device, outputs)?.mul_scalar(2.0).sub_scalar(1.0);
    let model = layers(case, codec)?;
    let mut stages = Vec::new();
    let encoded = model.encoder.observed(pixels.clone(), &mut |name, x| {
        stages.push((format!("act.encoder.{name}"), x.clone()));
    });
    let latents = model.projected(encoded.clone());
    stages.extend(model.quantize.logits(latents.clone()).map(|x| ("act.quantize.proj".to_owned(), x)));
    stages.extend([("act.encoder".to_owned(), encoded), ("act.quant_conv".to_owned(), latents)]);
    let codes = match codec.model() {
        Model::LlamaGen(model) => model.encode(pixels),
        _ => model.encode(pixels),
    };
    stages.push(("quantized".to_owned(), model.quantize.lookup(codes.clone())));
    for (name, x) in &stages {
        tensors::keep(case, outputs, name, x)?;
    }
    outputs.insert("codes".to_owned(), tensors::integers(case, codes)?);
    Ok(())
}

/// Decodes the stored codes, not the computed ones, so that one wrong code does not blur what is wrong.
fn decoded(case: &Case, codec: &Codec, device: &Device, outputs: &mut Outputs) -> Result<()> {
    let model = layers(case, codec)?;
    let wavelets = match codec.model() {
        Model::SberDwt(model) => Some(model),
        _ => None,
    };
    let decoder = if wavelets.is_some() { "act.decoder.decoder" } else { "act.decoder" };
    for (source, target) in tensors::sources(case) {
        let Some(source) = source else { continue };
        let codes = tensors::codes(case, &source, device)?;
        let mut stages: Vec<(String, Tensor<4>)> = Vec::new();
        let drawn = model.observe_decoder(model.quantize.lookup(codes), &mut |name, x| {
            stages.push((format!("{decoder}.{name}"), x.clone()));
        });
        stages.push((decoder.to_owned(), drawn.clone()));
        let raw = match wavelets {
            Some(model) => model.draw(drawn),
            None => drawn,
        };
        let unit = raw.clone().clamp(-1.0, 1.0).add_scalar(1.0).div_scalar(2.0);
        // The stages are stored for the picture's own codes.
        for (name, x) in stages.iter().filter(|_| target == "decoded") {
            tensors::keep(case, outputs, name, x)?;
        }
        tensors::keep(case, outputs, &format!("{target}_raw"), &raw)?;
        tensors::keep(case, outputs, &format!("{target}_01"), &unit)?;
    }
    Ok(())
}
