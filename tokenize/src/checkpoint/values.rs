//! Numbers of every stored format as f32, and the one that is none.

use burn::tensor::DType;
use half::{bf16, f16};

use super::Fault;

/// # Errors
/// A format that is no number here; the first value that is not finite, with its place.
pub(super) fn floats(bytes: &[u8], dtype: DType) -> Result<Vec<f32>, Fault> {
    let floats = match dtype {
        DType::F32 => each(bytes, f32::from_le_bytes),
        DType::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        DType::BF16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        DType::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        DType::I64 => each(bytes, |bytes| i64::from_le_bytes(bytes) as f32),
        DType::I32 => each(bytes, |bytes| i32::from_le_bytes(bytes) as f32),
        DType::I16 => each(bytes, |bytes| f32::from(i16::from_le_bytes(bytes))),
        DType::I8 => each(bytes, |bytes| f32::from(i8::from_le_bytes(bytes))),
        DType::U8 => each(bytes, |[byte]| f32::from(byte)),
        DType::Bool(_) => each(bytes, |[byte]| f32::from(u8::from(byte != 0))),
        other => return Err(format!("has numbers of the kind {other:?}, which no weights are")),
    };
    match floats.iter().position(|value| !value.is_finite()) {
        Some(place) => {
            let bad = floats.iter().filter(|value| !value.is_finite()).count();
            let (value, values) = (floats[place], floats.len());
            Err(format!("holds {value} at index {place}; not finite: {bad} of {values} values"))
        }
        None => Ok(floats),
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
