//! Stored arrays as tensors, and tensors as arrays to compare.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use pipeline::picture::{DecodeOptions, decode};
use serde_json::Value;

use super::{Array, Case, Outputs};
use crate::pixels::Range;
use crate::{Error, Result};

/// The stored `input`, pixels in [0, 1] `[b, 3, h, w]`; among the outputs what the picture file gives.
pub(super) fn input(case: &Case, device: &Device, outputs: &mut Outputs) -> Result<Tensor<4>> {
    let (shape, values) = case.reals("input")?;
    let shape: [usize; 4] = shape.try_into().map_err(|_| case.fault("`input` is not [b, 3, h, w]"))?;
    if let Some(name) = case.json.pointer("/inputs/image").and_then(Value::as_str) {
        let path = case.dir.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let picture = decode(&bytes, &DecodeOptions::default());
        let picture = picture.map_err(|reason| case.fault(&format!("{name}: {}", reason.text())))?;
        outputs.insert("input".to_owned(), reals(case, Range::ZeroOne.to_tensor(&[picture], device)?)?);
    }
    Ok(Tensor::from_data(TensorData::new(values.to_vec(), shape), device))
}

/// Keeps a tensor if the case stores one of its name, or its first channel as `NAME.ch0`.
pub(super) fn keep(case: &Case, outputs: &mut Outputs, name: &str, tensor: &Tensor<4>) -> Result<()> {
    let first = format!("{name}.ch0");
    if case.tensors().contains_key(name) {
        outputs.insert(name.to_owned(), reals(case, tensor.clone())?);
    }
    if case.tensors().contains_key(&first) {
        outputs.insert(first, reals(case, tensor.clone().narrow(1, 0, 1))?);
    }
    Ok(())
}

/// The names of the stored codes to decode: those of the picture, and random ones.
pub(super) fn sources(case: &Case) -> [(Option<String>, &'static str); 2] {
    let whole = if case.tensors().contains_key("decode_codes") { "decode_codes" } else { "codes" };
    let random = case.tensors().keys().find(|name| name.starts_with("random_codes")).cloned();
    [(Some(whole.to_owned()), "decoded"), (random, "random_decoded")]
}

/// Stored codes as `[b, h, w]`.
pub(super) fn codes(case: &Case, name: &str, device: &Device) -> Result<Tensor<3, Int>> {
    let (shape, codes) = case.integers(name)?;
    let [height, width] = grid(case, name, shape)?;
    Ok(Tensor::from_data(TensorData::new(codes.to_vec(), [shape[0], height, width]), device))
}

/// Rows and columns of stored codes: `random_codes_2x3` says so, a picture's own have its proportions.
fn grid(case: &Case, name: &str, shape: &[usize]) -> Result<[usize; 2]> {
    let [_, length] = *shape else { return Err(case.fault(&format!("{name:?} is not [b, codes]"))) };
    let named = name.strip_prefix("random_codes_").and_then(|size| size.split_once('x'));
    let named = named.and_then(|(h, w)| Some([h.parse().ok()?, w.parse().ok()?]));
    let side = length.isqrt();
    let own = if side * side == length { [side, side] } else { of_picture(case, length) };
    let [height, width]: [usize; 2] = named.unwrap_or(own);
    if height * width != length {
        return Err(case.fault(&format!("{name:?} holds {length} codes, not {height} x {width}")));
    }
    Ok([height, width])
}

/// The grid of `length` codes with the proportions of `input`.
fn of_picture(case: &Case, length: usize) -> [usize; 2] {
    match case.reals("input").map(|(shape, _)| shape) {
        Ok(&[_, _, h, w]) if h > 0 && w > 0 => {
            let height = (length * h / w).isqrt();
            [height, length / height.max(1)]
        }
        _ => [0, 0],
    }
}

pub(super) fn reals(case: &Case, tensor: Tensor<4>) -> Result<Array> {
    let shape = tensor.dims();
    let data = tensor.into_data().convert_dtype(DType::F32);
    let values = data.as_slice::<f32>().map_err(|error| case.fault(&format!("{error:?}")))?;
    Ok(Array::f32(&shape, values.to_vec()))
}

/// Codes as `[b, h·w]`.
pub(super) fn integers(case: &Case, codes: Tensor<3, Int>) -> Result<Array> {
    let [batch, height, width] = codes.dims();
    let data = codes.into_data().convert_dtype(DType::I64);
    let values = data.as_slice::<i64>().map_err(|error| case.fault(&format!("codes: {error:?}")))?;
    Ok(Array::i64(&[batch, height * width], values.to_vec()))
}
