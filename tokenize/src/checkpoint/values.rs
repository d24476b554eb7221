//! Numbers of every stored format as f32, and the one that is none.

use burn::tensor::DType;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::Fault;

/// Numbers that one thread turns at a time.
const STRIP: usize = 1 << 16;
/// Side of the squares that are turned at once: a row of f32 is one cache line.
const SIDE: usize = 16;

/// Writes as many numbers as there are places, from their little-endian bytes.
type Widen = fn(&[u8], &mut [f32]);

/// # Errors
/// A format that is no number here; the first value that is not finite, with its place.
pub(super) fn floats(bytes: &[u8], dtype: DType) -> Result<Vec<f32>, Fault> {
    let (widen, width) = (widen(dtype)?, dtype.size());
    let mut floats = vec![0.0; bytes.len() / width];
    let strips = floats.par_chunks_mut(STRIP).zip(bytes.par_chunks(STRIP * width));
    strips.for_each(|(floats, bytes)| widen(bytes, floats));
    all_finite(&floats).map(|()| floats)
}

/// The same of a matrix with so many columns, column after column.
pub(super) fn columns(bytes: &[u8], dtype: DType, columns: usize) -> Result<Vec<f32>, Fault> {
    let (widen, width) = (widen(dtype)?, dtype.size());
    let rows = bytes.len() / width / columns.max(1);
    let mut turned = vec![0.0; rows * columns];
    turned.par_chunks_mut((SIDE * rows).max(1)).enumerate().for_each(|(strip, turned)| {
        let (first, across) = (strip * SIDE, turned.len() / rows);
        let mut line = [0.0; SIDE];
        let mut square = [[0.0; SIDE]; SIDE];
        for top in (0..rows).step_by(SIDE) {
            let down = SIDE.min(rows - top);
            for row in 0..down {
                let start = ((top + row) * columns + first) * width;
                widen(&bytes[start..start + across * width], &mut line[..across]);
                for (column, value) in square.iter_mut().zip(&line[..across]) {
                    column[row] = *value;
                }
            }
            for (turned, column) in turned.chunks_mut(rows).zip(&square) {
                turned[top..top + down].copy_from_slice(&column[..down]);
            }
        }
    });
    all_finite(&turned).map(|()| turned)
}

fn all_finite(floats: &[f32]) -> Result<(), Fault> {
    let finite = |strip: &[f32]| strip.iter().fold(true, |all, value| all & value.is_finite());
    if floats.par_chunks(STRIP).all(finite) {
        return Ok(());
    }
    let place = floats.iter().position(|value| !value.is_finite()).unwrap_or_default();
    let bad = floats.iter().filter(|value| !value.is_finite()).count();
    let (value, values) = (floats[place], floats.len());
    Err(format!("holds {value} at index {place}; not finite: {bad} of {values} values"))
}

fn widen(dtype: DType) -> Result<Widen, Fault> {
    Ok(match dtype {
        DType::F32 => |bytes, floats| each(bytes, floats, f32::from_le_bytes),
        DType::F16 => |bytes, floats| {
            halves(bytes, floats, f16::from_le_bytes, HalfFloatSliceExt::convert_to_f32_slice);
        },
        DType::BF16 => |bytes, floats| {
            halves(bytes, floats, bf16::from_le_bytes, HalfFloatSliceExt::convert_to_f32_slice);
        },
        DType::F64 => |bytes, floats| each(bytes, floats, |bytes| f64::from_le_bytes(bytes) as f32),
        DType::I64 => |bytes, floats| each(bytes, floats, |bytes| i64::from_le_bytes(bytes) as f32),
        DType::I32 => |bytes, floats| each(bytes, floats, |bytes| i32::from_le_bytes(bytes) as f32),
        DType::I16 => |bytes, floats| each(bytes, floats, |bytes| f32::from(i16::from_le_bytes(bytes))),
        DType::I8 => |bytes, floats| each(bytes, floats, |bytes| f32::from(i8::from_le_bytes(bytes))),
        DType::U8 => |bytes, floats| each(bytes, floats, |[byte]| f32::from(byte)),
        DType::Bool(_) => |bytes, floats| each(bytes, floats, |[byte]| f32::from(u8::from(byte != 0))),
        other => return Err(format!("has numbers of the kind {other:?}, which no weights are")),
    })
}

/// Numbers as little-endian bytes of another format, each rounded to the nearest.
///
/// # Errors
/// A format that weights are not written in; the first value that is too large for it, with its place.
pub fn narrow(values: &[f32], dtype: DType) -> Result<Vec<u8>, String> {
    let bytes: Vec<u8> = match dtype {
        DType::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
        DType::BF16 => values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect(),
        other => return Err(format!("cannot be written as {other:?}")),
    };
    let infinite = |value: f32| match dtype {
        DType::F16 => f16::from_f32(value).is_infinite(),
        _ => bf16::from_f32(value).is_infinite(),
    };
    let overflow = |value: &f32| value.is_finite() && dtype != DType::F32 && infinite(*value);
    match values.iter().position(overflow) {
        Some(place) => Err(format!("holds {} at index {place}, more than {dtype:?} can hold", values[place])),
        None => Ok(bytes),
    }
}

fn each<const N: usize>(bytes: &[u8], floats: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    for (float, bytes) in floats.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *float = number(*bytes);
    }
}

/// Sixteen at a time: the processor's instructions take eight.
fn halves<H: Copy + Default>(
    bytes: &[u8],
    floats: &mut [f32],
    number: impl Fn([u8; 2]) -> H,
    widen: impl Fn(&[H], &mut [f32]),
) {
    let mut line = [H::default(); SIDE];
    for (floats, bytes) in floats.chunks_mut(SIDE).zip(bytes.chunks(2 * SIDE)) {
        for (half, bytes) in line.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *half = number(*bytes);
        }
        widen(&line[..floats.len()], floats);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_transpose_at_every_size() {
        for (rows, columns) in [(1, 1), (3, 40), (40, 3), (16, 16), (17, 33), (5, 0), (0, 5)] {
            let values: Vec<f32> = (0..rows * columns).map(|value| value as f32 / 8.0).collect();
            let halves: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
            let singles: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let place = |at: usize| values[at % rows * columns + at / rows];
            let expected: Vec<f32> = (0..rows * columns).map(place).collect();
            assert_eq!(super::columns(&halves, DType::F16, columns).unwrap(), expected);
            assert_eq!(super::columns(&singles, DType::F32, columns).unwrap(), expected);
            assert_eq!(floats(&halves, DType::F16).unwrap(), values);
        }
    }

    #[test]
    fn every_half_is_widened_as_it_should_be() {
        let finite = (0..=u16::MAX).map(f16::from_bits).filter(|half| half.is_finite());
        let (halves, wide): (Vec<f16>, Vec<f32>) = finite.map(|half| (half, half.to_f32())).unzip();
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        assert_eq!(floats(&bytes, DType::F16).unwrap(), wide);
        let bytes: Vec<u8> = [1.5f32, -3.0].iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(floats(&bytes, DType::BF16).unwrap(), [1.5, -3.0]);
    }

    #[test]
    fn narrowing_undoes_widening_and_refuses_what_is_too_large() {
        for dtype in [DType::F16, DType::BF16] {
            let bytes = narrow(&[0.1, -2.0, 65504.0], dtype).unwrap();
            let wide = floats(&bytes, dtype).unwrap();
            assert_eq!((wide[1], narrow(&wide, dtype).unwrap()), (-2.0, bytes));
        }
        let fault = narrow(&[1.0, 1e5], DType::F16).unwrap_err();
        assert_eq!(fault, "holds 100000 at index 1, more than F16 can hold");
        assert!(narrow(&[1.0], DType::I64).is_err());
    }

    #[test]
    fn what_is_not_finite_has_its_place() {
        let bytes: Vec<u8> = [1.0, f32::NAN, f32::INFINITY].iter().flat_map(|v| v.to_le_bytes()).collect();
        let fault = floats(&bytes, DType::F32).unwrap_err();
        assert_eq!(fault, "holds NaN at index 1; not finite: 2 of 3 values");
    }
}
