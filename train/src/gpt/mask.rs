//! Which key a query may attend to: causal masks of DALL·E and RuDOLPH by their closed forms.
//!
//! Source: `rudalle/dalle/image_attention.py` and `rudolph/model/sparse_transformer`; the closed forms equal the
//! published mask buffers, so no checkpoint's mask needs to be read.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::segments::Segments;
use crate::fused::Tiles;

/// Added to the score of a forbidden pair: far below every real score, and still finite in f32 and bf16.
pub(crate) const FORBIDDEN: f32 = -1e9;

/// What an image position sees of the image before it. Text sees, and is seen, without restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MaskKind {
    /// Everything before it.
    Full,
    /// Everything, also what comes after it: BERT's objective. For sequences that are one image.
    All,
    /// The last `grid + 1` positions: the row so far, back to the code straight above.
    Row,
    /// The codes above it in its column.
    Col,
    /// The codes before it in its row, and no more: `axial_row` of DALLE-pytorch.
    AxialRow,
    /// A square whose lower right corner it is: `conv_like` of DALLE-pytorch.
    Corner {
        /// Side of the square; 5 in the published code.
        kernel: usize,
    },
    /// A square around it.
    Conv {
        /// Side of the square, odd.
        kernel: usize,
        /// Whether the square wraps around the grid's borders, as in OpenAI's DALL·E and ruDALL·E v2.
        #[serde(default)]
        wrap: bool,
    },
}

impl MaskKind {
    /// Whether query position `q` may attend to key position `p`.
    pub fn allows(self, segments: &Segments, q: usize, p: usize) -> bool {
        if self == Self::All {
            return true;
        }
        if p > q {
            return false;
        }
        let image = segments.image_range();
        if !(image.contains(&q) && image.contains(&p)) {
            return true;
        }
        match self {
            Self::Full | Self::All => true,
            Self::Row => q - p <= segments.grid,
            Self::Col => (q - p).is_multiple_of(segments.grid),
            Self::AxialRow => (q - image.start) / segments.grid == (p - image.start) / segments.grid,
            Self::Corner { kernel } => {
                let (q, p, side) = (q - image.start, p - image.start, segments.grid);
                q / side - p / side < kernel && q % side >= p % side && q % side - p % side < kernel
            }
            Self::Conv { kernel, wrap } => {
                let (q, p, side) = (q - image.start, p - image.start, segments.grid);
                let reach = kernel / 2;
                let near = |a: usize, b: usize| {
                    let apart = a.abs_diff(b);
                    (if wrap { apart.min(side - apart) } else { apart }) <= reach
                };
                near(q / side, p / side) && near(q % side, p % side)
            }
        }
    }
}

/// The mask kind of every layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "snake_case", deny_unknown_fields)]
pub enum MaskSchedule {
    /// Every layer sees everything before it (ImageGPT).
    Full,
    /// Every layer sees everything (ImageGPT trained by BERT's objective).
    All,
    /// row, col, row, row, row, col, …, and conv in the last layer (DALL·E, ruDALL·E).
    Dalle {
        /// Side of the last layer's square; 11 in the published models.
        kernel: usize,
        /// Whether it wraps around (v2).
        #[serde(default)]
        wrap: bool,
    },
    /// row, col, row, conv, …, and a wider conv in the last layer (RuDOLPH).
    Rudolph {
        /// Side of the square in every fourth layer.
        kernel: usize,
        /// Side of the last layer's square.
        last_kernel: usize,
    },
    /// One kind per layer, first layer first.
    Layers {
        /// As many as there are layers.
        kinds: Vec<MaskKind>,
    },
}

impl MaskSchedule {
    /// The kind of layer `index` of `layers`, counted from 0.
    pub fn kind(&self, index: usize, layers: usize) -> MaskKind {
        match self {
            Self::Full => MaskKind::Full,
            Self::All => MaskKind::All,
            _ if index % 4 == 1 && !matches!(self, Self::Layers { .. }) => MaskKind::Col,
            &Self::Dalle { kernel, wrap } if index + 1 == layers => MaskKind::Conv { kernel, wrap },
            &Self::Rudolph { last_kernel, .. } if index + 1 == layers => {
                MaskKind::Conv { kernel: last_kernel, wrap: false }
            }
            &Self::Rudolph { kernel, .. } if index % 4 == 3 => MaskKind::Conv { kernel, wrap: false },
            Self::Dalle { .. } | Self::Rudolph { .. } => MaskKind::Row,
            Self::Layers { kinds } => kinds.get(index).copied().unwrap_or(MaskKind::Full),
        }
    }

    /// What is wrong with the schedule for `layers` layers, if anything.
    pub(super) fn fault(&self, layers: usize) -> Option<String> {
        let even =
            |kernel: usize| kernel.is_multiple_of(2).then(|| format!("a kernel of {kernel} has no centre"));
        match self {
            Self::Full | Self::All => None,
            &Self::Dalle { kernel, .. } => even(kernel),
            &Self::Rudolph { kernel, last_kernel } => even(kernel).or_else(|| even(last_kernel)),
            Self::Layers { kinds } if kinds.len() == layers => None,
            Self::Layers { kinds } => Some(format!("{} kinds for {layers} layers", kinds.len())),
        }
    }
}

/// The mask of one layer: its closed form, and the same as numbers to add to attention scores.
#[derive(Clone, Debug)]
pub struct Mask {
    /// What image positions see.
    pub kind: MaskKind,
    /// Where the image lies.
    pub segments: Segments,
    bias: Tensor<2>,
    /// The same for the kernel that skips what is forbidden.
    pub(super) tiles: Tiles,
}

impl Mask {
    /// Computes the mask once for a whole sequence.
    pub fn new(kind: MaskKind, segments: Segments, device: &Device) -> Self {
        let n = segments.total();
        let values = (0..n * n)
            .map(|i| if kind.allows(&segments, i / n, i % n) { 0.0 } else { FORBIDDEN })
            .collect::<Vec<f32>>();
        let bias = Tensor::from_data(TensorData::new(values, [n, n]), device);
        Self { kind, segments, bias, tiles: Tiles::new(kind, segments) }
    }

    /// Whether query position `q` may attend to key position `p`.
    pub fn allows(&self, q: usize, p: usize) -> bool {
        self.kind.allows(&self.segments, q, p)
    }

    /// `[1, 1, queries, keys]` to add to scores, for the last `queries` of the first `keys` positions.
    pub fn bias(&self, queries: usize, keys: usize, device: &Device) -> Tensor<4> {
        let rows = self.bias.clone().slice([keys - queries..keys, 0..keys]);
        rows.to_device(device).unsqueeze::<4>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, position by position: a pixel sees pixels by their rows and columns.
    fn brute_force(kind: MaskKind, s: &Segments, q: usize, p: usize) -> bool {
        let pixel = |i: usize| {
            (i >= s.left && i < s.left + s.image())
                .then(|| (((i - s.left) / s.grid) as i64, ((i - s.left) % s.grid) as i64))
        };
        let causal = p <= q;
        let (Some((qr, qc)), Some((pr, pc))) = (pixel(q), pixel(p)) else { return causal };
        let side = s.grid as i64;
        causal
            && match kind {
                MaskKind::Full | MaskKind::All => true,
                MaskKind::Row => (qr == pr) || (pr == qr - 1 && pc >= qc),
                MaskKind::Col => qc == pc,
                MaskKind::AxialRow => qr == pr,
                MaskKind::Corner { kernel } => {
                    let side = 0..kernel as i64;
                    side.contains(&(qr - pr)) && side.contains(&(qc - pc))
                }
                MaskKind::Conv { kernel, wrap } => {
                    let reach = (kernel / 2) as i64;
                    let shifts = if wrap { vec![-side, 0, side] } else { vec![0] };
                    let near = |a: i64, b: i64| shifts.iter().any(|shift| (a - b + shift).abs() <= reach);
                    near(qr, pr) && near(qc, pc)
                }
            }
    }

    fn kinds() -> impl Strategy<Value = MaskKind> {
        prop_oneof![
            Just(MaskKind::Full),
            Just(MaskKind::Row),
            Just(MaskKind::Col),
            Just(MaskKind::AxialRow),
            (1usize..5).prop_map(|kernel| MaskKind::Corner { kernel }),
            (0usize..5, any::<bool>()).prop_map(|(k, wrap)| MaskKind::Conv { kernel: 2 * k + 1, wrap }),
        ]
    }

    proptest! {
        #[test]
        fn closed_form_is_the_definition(
            kind in kinds(), left in 0usize..6, grid in 1usize..6, right in 0usize..5,
        ) {
            let segments = Segments { left, grid, right };
            for q in 0..segments.total() {
                for p in 0..segments.total() {
                    prop_assert_eq!(
                        kind.allows(&segments, q, p), brute_force(kind, &segments, q, p), "{:?} q={} p={}", kind, q, p
                    );
                }
            }
        }
    }

    #[test]
    fn published_schedules() {
        let conv = |kernel, wrap| MaskKind::Conv { kernel, wrap };
        let of = |schedule: MaskSchedule, n| (0..n).map(|i| schedule.kind(i, n)).collect::<Vec<_>>();
        use MaskKind::{Col, Row};
        assert_eq!(
            of(MaskSchedule::Dalle { kernel: 11, wrap: true }, 5),
            [Row, Col, Row, Row, conv(11, true)]
        );
        assert_eq!(
            of(MaskSchedule::Rudolph { kernel: 7, last_kernel: 9 }, 8),
            [Row, Col, Row, conv(7, false), Row, Col, Row, conv(9, false)]
        );
    }

    #[test]
    fn schedules_read_from_toml() {
        let text = "schedule = 'layers'\nkinds = [{ kind = 'row' }, { kind = 'conv', kernel = 3 }]";
        let schedule: MaskSchedule = toml::from_str(text).unwrap();
        assert_eq!(schedule.kind(1, 2), MaskKind::Conv { kernel: 3, wrap: false });
        assert!(schedule.fault(3).is_some() && schedule.fault(2).is_none());
    }
}
