//! Held-out losses, added up over batches.

use burn::tensor::Tensor;

use super::exercise::Plan;
use super::mix::TaskKind;
use crate::objective::PositionLosses;
use crate::run::Metrics;

/// Sums of held-out losses over the positions that count, each with its weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores(Vec<(String, f64, Sum)>);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    count: f64,
}

impl Scores {
    /// Adds a batch of one task: texts and images are judged where they are the answer.
    pub(super) fn add(&mut self, plan: &Plan, losses: PositionLosses) {
        let every = |losses: Tensor<2>| (losses.shape().num_elements() as f64, losses);
        let (answers, weights) = (plan.kind.answers(), plan.loss.last());
        if let Some((losses, counts)) = losses.right.filter(|_| answers) {
            self.sum(plan, "right", weights.right).add(losses, scalar(counts.sum()));
        }
        if let Some((count, losses)) = losses.left.map(every).filter(|_| !answers) {
            self.sum(plan, "left", weights.left).add(losses, count);
        }
        let drawn = plan.kind == TaskKind::TextToImage;
        if let Some((count, losses)) = losses.image.map(every).filter(|_| drawn) {
            self.sum(plan, "image", weights.image).add(losses, count);
        }
    }

    fn sum(&mut self, plan: &Plan, segment: &str, weight: f64) -> &mut Sum {
        let name = plan.metric(segment);
        let place = self.0.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            self.0.push((name, weight, Sum::default()));
            self.0.len() - 1
        });
        &mut self.0[place].2
    }

    /// The means, led by their weighted mean `loss`; nothing where nothing was added.
    pub(super) fn metrics(&self) -> Metrics {
        let weight: f64 = self.0.iter().map(|(_, weight, _)| weight).sum();
        let loss: f64 = self.0.iter().map(|(_, weight, sum)| sum.mean() * weight).sum();
        let mut metrics = Metrics::new();
        metrics.extend([(weight > 0.0).then_some(("loss", loss / weight))]);
        metrics.extend(self.0.iter().map(|(name, _, sum)| Some((name.clone(), sum.mean()))));
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
    use crate::rudolph::tests::tiny;
    use crate::token_task::Practice;
    use burn::tensor::Device;
    use proptest::prelude::*;

    fn losses<const B: usize, const N: usize>(values: [[f32; N]; B]) -> Tensor<2> {
        Tensor::from_data(values, &Device::flex())
    }

    #[test]
    fn means_are_over_all_positions_and_pads_do_not_count() {
        let plan = |name: &str| Plan::new(&tiny(), name, &Practice::default()).unwrap();
        let mut scores = Scores::default();
        let images = |values| PositionLosses { left: None, image: Some(losses(values)), right: None };
        scores.add(&plan("text_to_image"), images([[1.0, 2.0], [3.0, 4.0]]));
        let more = PositionLosses { left: None, image: Some(losses([[8.0, 6.0]])), right: None };
        scores.add(&plan("text_to_image"), more);
        let right = Some((losses([[5.0, 0.0]]), losses([[1.0, 0.0]])));
        let captions = PositionLosses { left: None, image: Some(losses([[99.0]])), right };
        scores.add(&plan("image_to_text"), captions);
        let expected =
            Metrics::new().with("loss", (7.0 * 4.0 + 5.0) / 8.0).with("image", 4.0).with("right", 5.0);
        assert_eq!(scores.metrics(), expected);
        let text = PositionLosses { left: Some(losses([[2.0]])), image: None, right: None };
        scores.add(&plan("text_to_text"), text);
        assert_eq!(scores.metrics().get("text_to_text/left"), Some(2.0));
        assert!(Scores::default().metrics().is_empty());
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
