//! The scores of many rows as one record, with every number's definition in its name.

use std::f64::consts::LN_2;

use serde::Serialize;

use super::tokens::{RowScore, Segment};

/// Sums over rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Rows scored.
    pub rows: u64,
    /// Rows without a picture, which are not scored.
    pub without_picture: u64,
    /// Texts cut to their segment.
    pub cut: u64,
    total: RowScore,
}

/// Over all tokens of a segment, each counting the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SegmentSummary {
    /// Tokens predicted; pads are none.
    pub tokens: u64,
    /// Mean loss in nats.
    pub nats_per_token: f64,
    /// The same divided by ln 2.
    pub bits_per_token: f64,
    /// The exponential of the mean loss.
    pub perplexity_exp_of_mean: f64,
    /// The mean of the exponentials of the losses, as ruDALL·E and RuDOLPH report it.
    pub perplexity_mean_of_exp: f64,
}

/// What `train score` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Rows scored.
    pub rows: u64,
    /// Rows without a picture, which are not scored.
    pub rows_without_picture: u64,
    /// Texts cut to their segment.
    pub texts_cut: u64,
    /// Text before the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<SegmentSummary>,
    /// The image's codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<SegmentSummary>,
    /// Text after the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<SegmentSummary>,
    /// Bits of the codes divided by the picture's pixels and three channels. What the codec loses is not in it; a
    /// palette's pixel is one code, so that it is a third of its bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_dimension: Option<f64>,
    /// Share of the codes that were the model's first guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_accuracy_top_1: Option<f64>,
    /// Share of the codes among its five first guesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_accuracy_top_5: Option<f64>,
}

impl From<Segment> for SegmentSummary {
    fn from(segment: Segment) -> Self {
        Self {
            tokens: segment.tokens,
            nats_per_token: segment.loss(),
            bits_per_token: segment.loss() / LN_2,
            perplexity_exp_of_mean: segment.perplexity(),
            perplexity_mean_of_exp: segment.mean_exponential(),
        }
    }
}

impl Sums {
    /// Adds a row.
    pub fn add(&mut self, score: &RowScore) {
        self.rows += 1;
        let join = |total: &mut Option<Segment>, new: Option<Segment>| {
            if let Some(new) = new {
                total.get_or_insert_default().add(&new);
            }
        };
        join(&mut self.total.left, score.left);
        join(&mut self.total.image, score.image);
        join(&mut self.total.right, score.right);
        self.total.first += score.first;
        self.total.five += score.five;
    }

    /// The record; `downsampling` is the codec's pixels per code and side.
    #[must_use]
    pub fn finish(&self, downsampling: usize) -> Summary {
        let image = self.total.image.map(SegmentSummary::from);
        let share = |count: u64| image.map(|image| count as f64 / image.tokens as f64);
        let dimensions = (3 * downsampling * downsampling) as f64;
        Summary {
            rows: self.rows,
            rows_without_picture: self.without_picture,
            texts_cut: self.cut,
            left: self.total.left.map(Into::into),
            image,
            right: self.total.right.map(Into::into),
            bits_per_dimension: image.map(|image| image.bits_per_token / dimensions),
            code_accuracy_top_1: share(self.total.first),
            code_accuracy_top_5: share(self.total.five),
        }
    }
}

impl Summary {
    /// A table of the segments and a line for each of the other numbers.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<8}{:>12}{:>14}{:>14}{:>18}{:>18}",
            "segment", "tokens", "nats/token", "bits/token", "exp(mean loss)", "mean(exp loss)"
        )];
        for (name, segment) in [("left", self.left), ("image", self.image), ("right", self.right)] {
            let Some(s) = segment else { continue };
            lines.push(format!(
                "{name:<8}{:>12}{:>14.4}{:>14.4}{:>18.4}{:>18.4}",
                s.tokens,
                s.nats_per_token,
                s.bits_per_token,
                s.perplexity_exp_of_mean,
                s.perplexity_mean_of_exp
            ));
        }
        if let Some(bits) = self.bits_per_dimension {
            lines.push(format!("bits per dimension (pixel and channel, codes alone): {bits:.4}"));
        }
        if let (Some(first), Some(five)) = (self.code_accuracy_top_1, self.code_accuracy_top_5) {
            lines.push(format!("code accuracy: top-1 {:.2} %, top-5 {:.2} %", 100.0 * first, 100.0 * five));
        }
        let mut rows = format!("{} rows", self.rows);
        if self.rows_without_picture > 0 {
            rows += &format!(", {} more without a picture", self.rows_without_picture);
        }
        if self.texts_cut > 0 {
            rows += &format!(", {} texts cut", self.texts_cut);
        }
        lines.push(rows);
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(losses: &[f64]) -> Option<Segment> {
        let mut segment = Segment::default();
        for nats in losses {
            segment.add(&Segment { tokens: 1, nats: *nats, exponentials: nats.exp() });
        }
        Some(segment)
    }

    #[test]
    fn every_token_counts_the_same_and_both_perplexities_have_their_definition() {
        let mut sums = Sums::default();
        sums.add(&RowScore { image: segment(&[0.0, LN_2]), first: 1, five: 2, ..RowScore::default() });
        sums.add(&RowScore { image: segment(&[3.0 * LN_2]), first: 0, five: 1, ..RowScore::default() });
        let summary = sums.finish(2);
        let image = summary.image.unwrap();
        assert!((image.bits_per_token - 4.0 / 3.0).abs() < 1e-12);
        assert!((image.perplexity_exp_of_mean - 2f64.powf(4.0 / 3.0)).abs() < 1e-9);
        assert!((image.perplexity_mean_of_exp - 11.0 / 3.0).abs() < 1e-9);
        assert!((summary.bits_per_dimension.unwrap() - 4.0 / 36.0).abs() < 1e-12);
        assert_eq!(summary.code_accuracy_top_5, Some(1.0));
        assert_eq!((summary.left, summary.right), (None, None));
        insta::assert_snapshot!(summary.table(), @r"
        segment       tokens    nats/token    bits/token    exp(mean loss)    mean(exp loss)
        image              3        0.9242        1.3333            2.5198            3.6667
        bits per dimension (pixel and channel, codes alone): 0.1111
        code accuracy: top-1 33.33 %, top-5 100.00 %
        2 rows
        ");
    }
}
