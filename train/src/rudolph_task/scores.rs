//! Held-out losses, added up over batches.

use burn::tensor::Tensor;

use crate::objective::{LossWeights, PositionLosses};
use crate::rudolph::Task;
use crate::run::Metrics;

/// Sums of held-out losses over the positions that count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scores {
    left: Sum,
    image: Sum,
    right: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    count: f64,
}

impl Scores {
    /// Adds a batch of one task: captions are judged where they are the answer, images where a caption asks for them.
    pub(super) fn add(&mut self, task: Task, losses: PositionLosses) {
        if task == Task::ImageToText {
            if let Some((losses, counts)) = losses.right {
                self.right.add(losses, scalar(counts.sum()));
            }
            return;
        }
        for (sum, losses) in [(&mut self.left, losses.left), (&mut self.image, losses.image)] {
            if let Some(losses) = losses {
                let count = losses.shape().num_elements() as f64;
                sum.add(losses, count);
            }
        }
    }

    /// The means, led by their weighted mean `loss`.
    pub(super) fn metrics(&self, weights: &LossWeights) -> Metrics {
        let parts = [
            ("left", self.left, weights.left),
            ("image", self.image, weights.image),
            ("right", self.right, weights.right),
        ];
        let present = || parts.iter().filter(|(_, sum, _)| sum.count > 0.0);
        let weight: f64 = present().map(|(_, _, weight)| weight).sum();
        let loss: f64 = present().map(|(_, sum, weight)| sum.mean() * weight).sum();
        let mut metrics = Metrics::new().with("loss", loss / weight);
        metrics.extend(present().map(|(name, sum, _)| Some((*name, sum.mean()))));
        metrics
    }
}

impl Sum {
    fn add(&mut self, losses: Tensor<2>, count: f64) {
        self.sum += scalar(losses.sum());
        self.count += count;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }
}

/// A number that lies on a device.
pub(super) fn scalar(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}

/// At most `limit` of `rows` rows, evenly spread; 0 takes all.
pub(super) fn spread(rows: usize, limit: usize) -> Vec<usize> {
    let count = if limit == 0 { rows } else { rows.min(limit) };
    (0..count).map(|i| i * rows / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use proptest::prelude::*;

    fn losses<const B: usize, const N: usize>(values: [[f32; N]; B]) -> Tensor<2> {
        Tensor::from_data(values, &Device::flex())
    }

    #[test]
    fn means_are_over_all_positions_and_pads_do_not_count() {
        let mut scores = Scores::default();
        let images = |values| PositionLosses { left: None, image: Some(losses(values)), right: None };
        scores.add(Task::TextToImage, images([[1.0, 2.0], [3.0, 4.0]]));
        scores.add(
            Task::TextToImage,
            PositionLosses { left: None, image: Some(losses([[8.0, 6.0]])), right: None },
        );
        let right = Some((losses([[5.0, 0.0]]), losses([[1.0, 0.0]])));
        scores.add(Task::ImageToText, PositionLosses { left: None, image: Some(losses([[99.0]])), right });
        let expected =
            Metrics::new().with("loss", (7.0 * 4.0 + 5.0) / 8.0).with("image", 4.0).with("right", 5.0);
        assert_eq!(scores.metrics(&LossWeights::default()), expected);
    }

    proptest! {
        #[test]
        fn a_spread_is_distinct_rows(rows in 1usize..500, limit in 0usize..600) {
            let spread = spread(rows, limit);
            prop_assert!(spread.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(spread.iter().all(|row| *row < rows));
            prop_assert_eq!(spread.len(), if limit == 0 { rows } else { rows.min(limit) });
        }
    }
}
