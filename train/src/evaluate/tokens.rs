//! What a model says about token rows: the loss of every segment, and how often the next code is its first guess.

use burn::tensor::{Device, Int, Tensor};

use crate::Result;
use crate::draw::Draws;
use crate::gpt::{Batch, Gpt, Vocabulary};
use crate::model::Model;
use crate::objective::{LossLayout, PositionLosses, position_losses};
use crate::rudolph::{Row, Task};

/// What is scored: a text, a picture, and in RuDOLPH a text after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Bare BPE ids before the image.
    pub text: Vec<u32>,
    /// The image's codes; none only for [`Task::TextToText`].
    pub codes: Vec<u16>,
    /// Bare BPE ids after the image.
    pub right: Option<Vec<u32>>,
}

/// The losses of a segment's tokens, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segment {
    /// Tokens predicted; pads are none.
    pub tokens: u64,
    /// Sum of their losses in nats.
    pub nats: f64,
    /// Sum of the exponentials of their losses.
    pub exponentials: f64,
}

impl Segment {
    /// Mean loss in nats per token.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.nats / self.tokens as f64
    }

    /// The exponential of the mean loss: perplexity as language modelling has it.
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }

    /// The mean of `exp(loss)`: what ruDALL·E and RuDOLPH call perplexity (`rudolph/api.py`). Never below the other.
    #[must_use]
    pub fn mean_exponential(&self) -> f64 {
        self.exponentials / self.tokens as f64
    }

    /// Adds the tokens of another.
    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.nats += other.nats;
        self.exponentials += other.exponentials;
    }

    fn present(self) -> Option<Self> {
        (self.tokens > 0).then_some(self)
    }
}

/// The scores of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowScore {
    /// Text before the image, its pads left out.
    pub left: Option<Segment>,
    /// The image.
    pub image: Option<Segment>,
    /// Text after the image, its pads left out.
    pub right: Option<Segment>,
    /// Codes that were the model's first guess.
    pub first: u64,
    /// Codes that were among its five first guesses.
    pub five: u64,
}

impl RowScore {
    /// Its segments by name.
    #[must_use]
    pub fn segments(&self) -> [(&'static str, Option<Segment>); 3] {
        [("left", self.left), ("image", self.image), ("right", self.right)]
    }

    /// The segment whose loss is not finite.
    #[must_use]
    pub fn broken(&self) -> Option<&'static str> {
        let broken =
            |(_, segment): &(_, Option<Segment>)| segment.is_some_and(|found| !found.nats.is_finite());
        self.segments().into_iter().find(broken).map(|(name, _)| name)
    }
}

/// Scores a batch, one result per item, and counts the texts that were cut to their segment. A row's scores do not
/// depend on the others but for rounding.
///
/// # Errors
/// An item does not fit the model.
pub fn score(model: &Model, task: Task, items: &[Item], device: &Device) -> Result<(Vec<RowScore>, usize)> {
    let (batch, cut) = batch(model, task, items, device)?;
    let (gpt, layout) = (model.gpt(), layout(model));
    let hidden = gpt.hidden(&batch);
    let losses = position_losses(gpt, hidden.clone(), &batch, layout);
    let ranks = losses.image.as_ref().and_then(|image| ranks(gpt, hidden, &batch, image.dims()[1]));
    let mut scores = vec![RowScore::default(); items.len()];
    segments(gpt, &batch, losses, &mut scores);
    for (score, ranks) in scores.iter_mut().zip(ranks.iter().flatten()) {
        score.first = ranks.iter().filter(|rank| **rank < 1).count() as u64;
        score.five = ranks.iter().filter(|rank| **rank < 5).count() as u64;
    }
    Ok((scores, cut))
}

fn layout(model: &Model) -> LossLayout {
    match model {
        Model::Rudolph(model) => model.config().loss_layout,
        Model::Dalle(model) => model.config().loss_layout,
        Model::ImageGpt(_) => LossLayout::V2,
    }
}

fn batch(model: &Model, task: Task, items: &[Item], device: &Device) -> Result<(Batch, usize)> {
    match model {
        Model::ImageGpt(model) => {
            let codes = items.iter().map(|item| item.codes.as_slice()).collect::<Vec<_>>();
            Ok((model.config().batch(&codes, device)?, 0))
        }
        Model::Dalle(model) => {
            let rows = items.iter().map(|item| (item.text.as_slice(), item.codes.as_slice()));
            model.config().batch(&rows.collect::<Vec<_>>(), device)
        }
        Model::Rudolph(model) => {
            let rows = |task, text: fn(&Item) -> &[u32]| {
                let row = |item| Row { task, text: text(item), codes: &item.codes };
                model.config().batch(&items.iter().map(row).collect::<Vec<_>>(), device)
            };
            if items.iter().all(|item| item.right.is_none()) {
                return rows(task, |item| &item.text);
            }
            let (after, cut) = rows(Task::ImageToText, |item| item.right.as_deref().unwrap_or_default())?;
            if items.iter().all(|item| item.text.is_empty()) {
                return Ok((after, cut));
            }
            let (before, also) = rows(Task::TextToImage, |item| &item.text)?;
            Ok((Batch { right: after.right, ..before }, cut + also))
        }
    }
}

/// Adds each row's losses up.
fn segments(gpt: &Gpt, batch: &Batch, losses: PositionLosses, scores: &mut [RowScore]) {
    if let (Some(nll), Some(ids)) = (losses.left, &batch.left) {
        // Without a start token the first id is no target; a last target too many is the quirk's code, which is no text.
        let (skip, [b, n]) = (1 - gpt.shift(), nll.dims());
        let words = ids.dims()[1] - skip;
        let counts = ids.clone().narrow(1, skip, words).not_equal_scalar(0).float();
        let counts = match n - words {
            0 => counts,
            more => Tensor::cat(vec![counts, Tensor::zeros([b, more], &nll.device())], 1),
        };
        set(nll, &counts, scores, |score, segment| score.left = segment);
    }
    if let Some(nll) = losses.image {
        let counts = Tensor::ones_like(&nll);
        set(nll, &counts, scores, |score, segment| score.image = segment);
    }
    if let Some((nll, counts)) = losses.right {
        set(nll, &counts, scores, |score, segment| score.right = segment);
    }
}

fn set(
    nll: Tensor<2>,
    counts: &Tensor<2>,
    scores: &mut [RowScore],
    to: impl Fn(&mut RowScore, Option<Segment>),
) {
    let n = nll.dims()[1].max(1);
    let host =
        |tensor: Tensor<2>| tensor.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
    let (nll, counts) = (host(nll), host(counts.clone()));
    for (score, (nll, counts)) in scores.iter_mut().zip(nll.chunks(n).zip(counts.chunks(n))) {
        let mut segment = Segment::default();
        for (nats, _) in nll.iter().zip(counts).filter(|(_, counts)| **counts > 0.0) {
            segment.tokens += 1;
            segment.nats += f64::from(*nats);
            segment.exponentials += f64::from(*nats).exp();
        }
        to(score, segment.present());
    }
}

/// For every trained code of each row how many codes the model finds likelier; special image tokens, which are never
/// drawn, do not count.
fn ranks(gpt: &Gpt, hidden: Tensor<3>, batch: &Batch, trained: usize) -> Option<Vec<Vec<i64>>> {
    let codes = batch.image.clone()?;
    let [b, n] = codes.dims();
    let skip = n - trained;
    let before = batch.left.as_ref().map_or(0, |ids| ids.dims()[1]) + gpt.shift();
    let hidden = hidden.narrow(1, before + skip - 1, trained);
    let logits = gpt.logits(hidden, Vocabulary::Image).narrow(2, 0, gpt.config().image_vocab);
    let targets: Tensor<3, Int> = codes.narrow(1, skip, trained).unsqueeze_dim(2);
    let chosen = logits.clone().gather(2, targets);
    let ranks = logits.greater(chosen.expand([b, trained, gpt.config().image_vocab])).int().sum_dim(2);
    let ranks = ranks.into_data().convert::<i64>().try_to_vec::<i64>().unwrap_or_default();
    Some(ranks.chunks(trained.max(1)).map(<[i64]>::to_vec).collect())
}

#[cfg(test)]
mod tests;
