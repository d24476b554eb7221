//! Token ids of a batch, by segment.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::embedding::{BOS, EOS};

/// A batch; later segments may be absent, and the sequence then stops early.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[b, left]` text ids, 0 where padded; absent in a model without text.
    pub left: Option<Tensor<2, Int>>,
    /// `[b, grid²]` codes.
    pub image: Option<Tensor<2, Int>>,
    /// `[b, right]` text ids, 0 where padded.
    pub right: Option<Tensor<2, Int>>,
}

/// One text segment, ready to be a row of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// Exactly as many ids as the segment has positions.
    pub ids: Vec<u32>,
    /// Whether the text was cut; the closing EOS is then gone, as in the published code.
    pub truncated: bool,
}

/// `[BOS] special ids… [EOS]`, cut or padded with 0 to `len`.
pub fn frame(ids: &[u32], special: Option<u32>, len: usize) -> Framed {
    let mut framed =
        [BOS].into_iter().chain(special).chain(ids.iter().copied()).chain([EOS]).collect::<Vec<_>>();
    let truncated = framed.len() > len;
    framed.resize(len, 0);
    Framed { ids: framed, truncated }
}

/// Bare ids, cut or padded with 0 to `len`: how a model that begins with [`Start::Zero`](super::Start) reads a text.
pub fn padded(ids: &[u32], len: usize) -> Framed {
    let mut bare = ids.to_vec();
    bare.resize(len, 0);
    Framed { ids: bare, truncated: ids.len() > len }
}

/// Rows of equal length as one integer tensor; `None` without rows or columns.
pub fn ids<T: Copy + Into<i64>>(rows: &[Vec<T>], device: &Device) -> Option<Tensor<2, Int>> {
    let columns = rows.first().map_or(0, Vec::len);
    if columns == 0 {
        return None;
    }
    let values = rows.iter().flatten().map(|&id| id.into()).collect::<Vec<i64>>();
    Some(Tensor::from_data(TensorData::new(values, [rows.len(), columns]), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_framed_padded_and_cut() {
        assert_eq!(frame(&[7, 8], None, 6), Framed { ids: vec![2, 7, 8, 3, 0, 0], truncated: false });
        assert_eq!(frame(&[7, 8], Some(40), 5), Framed { ids: vec![2, 40, 7, 8, 3], truncated: false });
        assert_eq!(frame(&[7, 8, 9], None, 4), Framed { ids: vec![2, 7, 8, 9], truncated: true });
        assert_eq!(frame(&[], None, 3).ids, [2, 3, 0]);
        assert_eq!(padded(&[7, 8], 4), Framed { ids: vec![7, 8, 0, 0], truncated: false });
        assert_eq!(padded(&[7, 8, 9], 2), Framed { ids: vec![7, 8], truncated: true });
    }
}
