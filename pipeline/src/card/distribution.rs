//! Numbers of many rows as a histogram of fixed bins, with exact ends and mean, and quantiles within 0.1 %.
//!
//! Bins are fixed beforehand and all sums are whole numbers, so that neither order nor threads change a figure.

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

/// The longest value whose quantiles are told apart.
const LARGEST: u64 = 1 << 40;

/// What is measured, which decides the bins: about two to an octave, as all of these spread over orders of magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A side in pixels.
    Side,
    /// Pixels.
    Area,
    /// Width over height, in thousandths.
    Aspect,
    /// Bytes.
    Bytes,
    /// Characters of a text.
    Characters,
    /// Words of a text.
    Words,
}

impl Scale {
    /// Where bins begin; the last has no end.
    pub fn edges(self) -> &'static [u64] {
        match self {
            Self::Side => &[
                0, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192,
            ],
            Self::Area => &[
                0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
                2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
            ],
            // The middles are powers of the fourth root of 2, so that a square lies in the middle of its bin.
            Self::Aspect => &[
                0, 193, 229, 273, 324, 386, 459, 545, 648, 771, 917, 1091, 1297, 1542, 1834, 2181, 2594,
                3084, 3668, 4362, 5187,
            ],
            Self::Bytes => &[
                0, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
                2_000_000, 5_000_000, 10_000_000,
            ],
            Self::Characters => {
                &[0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
            }
            Self::Words => &[0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256],
        }
    }
}

/// A bin: values from `from` up to, but not including, `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// The least value in it.
    pub from: u64,
    /// The least value beyond it; `None` for the last bin, which has no end.
    pub to: Option<u64>,
    /// Values in it.
    pub count: u64,
}

/// The figures of a number over many rows, in the unit of its [`Scale`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    #[serde(skip)]
    pub(super) scale: Scale,
    /// Values.
    pub count: u64,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// Their mean.
    #[serde(serialize_with = "two_digits")]
    pub mean: f64,
    /// One in twenty is not larger.
    pub p05: u64,
    /// The median.
    pub p50: u64,
    /// One in twenty is not smaller.
    pub p95: u64,
    /// From the first bin with a value to the last.
    pub bins: Vec<Bin>,
}

fn two_digits<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 100.0).round() / 100.0)
}

impl Distribution {
    /// The value, if there is only one.
    pub(super) fn single(&self) -> Option<u64> {
        (self.min == self.max).then_some(self.min)
    }
}

/// Takes the values in.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    scale: Scale,
    bins: Vec<u64>,
    /// `None` until something is recorded, as each takes a quarter of a megabyte.
    values: Option<Histogram<u64>>,
    count: u64,
    sum: u128,
    ends: (u64, u64),
}

impl Recorder {
    pub(super) fn new(scale: Scale) -> Self {
        let bins = vec![0; scale.edges().len()];
        Self { scale, bins, values: None, count: 0, sum: 0, ends: (u64::MAX, 0) }
    }

    pub(super) fn record(&mut self, value: u64) {
        let bin = self.scale.edges().partition_point(|edge| *edge <= value);
        // The first edge is 0.
        self.bins[bin - 1] += 1;
        if self.values.is_none() {
            // The bounds are constants that fit.
            self.values = Histogram::new_with_bounds(1, LARGEST, 3).ok();
        }
        if let Some(values) = &mut self.values {
            values.saturating_record(value);
        }
        self.count += 1;
        self.sum += u128::from(value);
        self.ends = (self.ends.0.min(value), self.ends.1.max(value));
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.bins.iter_mut().zip(other.bins).for_each(|(bin, more)| *bin += more);
        match (&mut self.values, other.values) {
            // Both have the same bounds, so that nothing is out of them.
            (Some(values), Some(more)) => values.add(more).unwrap_or_default(),
            (values @ None, more) => *values = more,
            (Some(_), None) => {}
        }
        self.count += other.count;
        self.sum += other.sum;
        self.ends = (self.ends.0.min(other.ends.0), self.ends.1.max(other.ends.1));
    }

    /// The figures; `None` where nothing was recorded.
    pub(super) fn close(self) -> Option<Distribution> {
        let values = self.values?;
        let (min, max) = self.ends;
        let at = |quantile| values.value_at_quantile(quantile).clamp(min, max);
        Some(Distribution {
            scale: self.scale,
            count: self.count,
            min,
            max,
            mean: self.sum as f64 / self.count as f64,
            p05: at(0.05),
            p50: at(0.5),
            p95: at(0.95),
            bins: bins(self.scale.edges(), &self.bins),
        })
    }
}

/// The bins between the first and the last that is not empty.
fn bins(edges: &[u64], counts: &[u64]) -> Vec<Bin> {
    let bin =
        |(i, count): (usize, &u64)| Bin { from: edges[i], to: edges.get(i + 1).copied(), count: *count };
    let filled = |count: &u64| *count > 0;
    let first = counts.iter().position(filled).unwrap_or(0);
    let last = counts.iter().rposition(filled).map_or(0, |last| last + 1);
    counts.iter().enumerate().map(bin).take(last).skip(first).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Scale; 6] =
        [Scale::Side, Scale::Area, Scale::Aspect, Scale::Bytes, Scale::Characters, Scale::Words];

    fn of(scale: Scale, values: &[u64]) -> Option<Distribution> {
        let mut recorder = Recorder::new(scale);
        values.iter().for_each(|value| recorder.record(*value));
        recorder.close()
    }

    #[test]
    fn edges_rise_from_nothing() {
        for scale in ALL {
            assert_eq!(scale.edges()[0], 0);
            assert!(scale.edges().windows(2).all(|two| two[0] < two[1]), "{scale:?}");
        }
        // The middle of the bin of squares, and its mirror images.
        let edges = Scale::Aspect.edges();
        assert!(edges.iter().skip(1).all(|edge| edges.iter().any(|e| (e * edge).abs_diff(1_000_000) < 4000)));
    }

    #[test]
    fn values_fall_into_their_bins() {
        let side = of(Scale::Side, &[255, 256, 256, 383, 384, 10_000]).unwrap();
        assert_eq!((side.count, side.min, side.max, side.p50), (6, 255, 10_000, 256));
        assert_eq!(side.bins[0], Bin { from: 192, to: Some(256), count: 1 });
        assert_eq!(side.bins[1], Bin { from: 256, to: Some(384), count: 3 });
        assert_eq!(side.bins.last(), Some(&Bin { from: 8192, to: None, count: 1 }));
        assert!(of(Scale::Side, &[]).is_none());
        assert_eq!(of(Scale::Words, &[0]).unwrap().single(), Some(0));
        let huge = of(Scale::Bytes, &[u64::MAX, 1]).unwrap();
        assert_eq!((huge.count, huge.min, huge.max), (2, 1, u64::MAX));
        assert!(huge.p95 >= LARGEST, "too large is cut, not lost");
    }

    proptest! {
        #[test]
        fn parts_add_up_in_any_order(values in proptest::collection::vec(0_u64..100_000, 1..60), cut in 0_usize..60) {
            let (head, tail) = values.split_at(cut.min(values.len()));
            let record = |values: &[u64]| {
                let mut recorder = Recorder::new(Scale::Area);
                values.iter().for_each(|value| recorder.record(*value));
                recorder
            };
            let mut backwards = record(tail);
            backwards.merge(record(head));
            let whole = of(Scale::Area, &values);
            prop_assert_eq!(&backwards.close(), &whole);
            let whole = whole.unwrap();
            prop_assert_eq!(whole.bins.iter().map(|bin| bin.count).sum::<u64>(), values.len() as u64);
            prop_assert!(whole.min <= whole.p05 && whole.p05 <= whole.p50 && whole.p95 <= whole.max);
        }
    }
}
