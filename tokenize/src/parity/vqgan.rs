//! The outputs of a VQGAN case: encoder, codes, quantised latents and decodings.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use serde::Deserialize;

use super::{Array, Case, Outputs};
use crate::Result;
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
/// A checkpoint that does not fit the case's configuration, or inputs that are missing.
pub(super) fn compute(case: &Case, device: &Device) -> Result<Outputs> {
    let model = config(case)?.init(device)?.load(&case.checkpoint()?)?;
    let mut outputs = Outputs::new();
    encoded(case, &model, device, &mut outputs)?;
    decoded(case, &model, device, &mut outputs)?;
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

fn encoded(case: &Case, model: &VqGan, device: &Device, outputs: &mut Outputs) -> Result<()> {
    let (shape, values) = case.reals("input")?;
    let shape: [usize; 4] = shape.try_into().map_err(|_| case.fault("`input` is not [b, 3, h, w]"))?;
    let input = Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device);
    let pixels = input.mul_scalar(2.0).sub_scalar(1.0);
    let codes = model.encode(pixels.clone());
    let [batch, height, width] = codes.dims();
    outputs.insert("act.encoder".to_owned(), reals(case, model.encoder.forward(pixels.clone()))?);
    outputs.insert("act.quant_conv".to_owned(), reals(case, model.latents(pixels))?);
    outputs.insert("quantized".to_owned(), reals(case, model.quantize.lookup(codes.clone()))?);
    let values = codes.into_data().convert_dtype(DType::I64);
    let values = values.as_slice::<i64>().map_err(|error| case.fault(&format!("codes: {error:?}")))?;
    outputs.insert("codes".to_owned(), Array::i64(&[batch, height * width], values.to_vec()));
    Ok(())
}

/// Decodes the stored codes, not the computed ones, so that one wrong code does not blur what is wrong.
fn decoded(case: &Case, model: &VqGan, device: &Device, outputs: &mut Outputs) -> Result<()> {
    let whole = if case.tensors().contains_key("decode_codes") { "decode_codes" } else { "codes" };
    let random = case.tensors().keys().find(|name| name.starts_with("random_codes_")).cloned();
    for (source, target) in [(Some(whole.to_owned()), "decoded"), (random, "random_decoded")] {
        let Some(source) = source else { continue };
        let (shape, codes) = case.integers(&source)?;
        let [height, width] = grid(case, &source, shape)?;
        let data = TensorData::new(codes.to_vec(), [shape[0], height, width]);
        let raw = model.decode(Tensor::<3, Int>::from_data(data, device));
        let unit = raw.clone().clamp(-1.0, 1.0).add_scalar(1.0).div_scalar(2.0);
        outputs.insert(format!("{target}_raw"), reals(case, raw)?);
        outputs.insert(format!("{target}_01"), reals(case, unit)?);
    }
    Ok(())
}

/// Rows and columns of stored codes: `random_codes_2x3` says so, all others are square.
fn grid(case: &Case, name: &str, shape: &[usize]) -> Result<[usize; 2]> {
    let [_, length] = *shape else { return Err(case.fault(&format!("{name:?} is not [b, codes]"))) };
    let named = name.strip_prefix("random_codes_").and_then(|size| size.split_once('x'));
    let named = named.and_then(|(h, w)| Some([h.parse().ok()?, w.parse().ok()?]));
    let side = length.isqrt();
    let [height, width]: [usize; 2] = named.unwrap_or([side, side]);
    if height * width != length {
        return Err(case.fault(&format!("{name:?} holds {length} codes, not {height} x {width}")));
    }
    Ok([height, width])
}

fn reals(case: &Case, tensor: Tensor<4>) -> Result<Array> {
    let shape = tensor.dims();
    let data = tensor.into_data().convert_dtype(DType::F32);
    let values = data.as_slice::<f32>().map_err(|error| case.fault(&format!("{error:?}")))?;
    Ok(Array::f32(&shape, values.to_vec()))
}
