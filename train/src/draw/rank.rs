//! Which of several drawings of one text are the best, by the model that drew them.

use super::Draws;
use crate::error::Result;
use crate::gpt::Batch;
use crate::model::Model;
use crate::objective::PositionLosses;
use crate::rudolph::{Row, Rudolph, Task};
use crate::score::{perplexities, rerank};

/// What RuDOLPH's `self_reranking_by_text` counts of the text's perplexity; the image's has the rest.
const TEXT: f32 = 0.95;

/// How good a drawing is: the lower the better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// What drawings are put in order by.
    pub score: f32,
    /// The perplexity of the text after the image (mean of `exp(loss)`), of RuDOLPH.
    pub text: Option<f32>,
    /// The perplexity of the image (mean of `exp(loss)`).
    pub image: f32,
}

/// Scores of drawings of one text, in their order, computed in batches of `batch`.
///
/// RuDOLPH reads the text from the image again, and both perplexities count, each relative to the other drawings'
/// (`self_reranking_by_text`). The others have the image's perplexity alone (ruDALL·E's pipeline).
///
/// # Errors
/// Codes or ids that do not fit the model.
pub fn rank(model: &Model, text: &[u32], drawn: &[&[u16]], batch: usize) -> Result<Vec<Score>> {
    match model {
        Model::Rudolph(model) if model.config().right > 0 => read_back(model, text, drawn, batch),
        model => Ok(images(model, text, drawn, batch)?.into_iter().map(of_image).collect()),
    }
}

fn of_image(image: f32) -> Score {
    Score { score: image, text: None, image }
}

fn read_back(model: &Rudolph, text: &[u32], drawn: &[&[u16]], batch: usize) -> Result<Vec<Score>> {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for drawn in drawn.chunks(batch.max(1)) {
        let rows = drawn.iter().map(|codes| Row { task: Task::ImageToText, text, codes }).collect::<Vec<_>>();
        let (batch, _) = model.config().batch(&rows, &model.gpt().device())?;
        let found = perplexities(model, &batch);
        texts.extend(found.right);
        images.extend(found.image);
    }
    // Of one drawing, or of equal ones, nothing is relative.
    let finite = |score: f32| if score.is_finite() { score } else { 0.0 };
    let scores = rerank(&texts, &images, TEXT).into_iter().map(finite);
    let all = scores.zip(texts).zip(images);
    Ok(all.map(|((score, text), image)| Score { score, text: Some(text), image }).collect())
}

/// The perplexity of each image, after its text where the model has one.
fn images(model: &Model, text: &[u32], drawn: &[&[u16]], batch: usize) -> Result<Vec<f32>> {
    let device = model.gpt().device();
    let mut found = Vec::with_capacity(drawn.len());
    for drawn in drawn.chunks(batch.max(1)) {
        let losses: PositionLosses = match model {
            Model::Rudolph(model) => {
                let task = Task::TextToImage;
                let rows = drawn.iter().map(|codes| Row { task, text, codes }).collect::<Vec<_>>();
                model.position_losses(&model.config().batch(&rows, &device)?.0)
            }
            Model::Dalle(model) => {
                let rows = drawn.iter().map(|codes| (text, *codes)).collect::<Vec<_>>();
                model.position_losses(&model.config().batch(&rows, &device)?.0)
            }
            Model::ImageGpt(model) => {
                let batch: Batch = model.config().batch(drawn, &device)?;
                model.position_losses(&batch)
            }
        };
        if let Some(image) = losses.image {
            let [_, n] = image.dims();
            let mean = image.exp().sum_dim(1) / n as f64;
            found.extend(mean.inner().into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rudolph::tests as rudolph;
    use burn::tensor::Device;

    const CODES: [[u16; 9]; 3] =
        [[1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 0, 0, 0, 0], [9, 1, 8, 2, 7, 3, 6, 4, 5]];

    fn scores(model: &Model, batch: usize) -> Vec<Score> {
        rank(model, &[7, 8], &CODES.each_ref().map(<[u16; 9]>::as_slice), batch).unwrap()
    }

    #[test]
    fn every_kind_scores_and_the_batch_does_not_matter() {
        let device = Device::flex();
        let models = [
            Model::Rudolph(rudolph::model(&rudolph::tiny())),
            Model::Dalle(rudolph::fill(crate::dalle::tests::tiny().init(&device))),
            Model::ImageGpt(rudolph::fill(
                crate::image_gpt::ImageGptConfig { colours: 12, ..crate::image_gpt::tests::tiny() }
                    .init(&device),
            )),
        ];
        for model in &models {
            let (one, all) = (scores(model, 1), scores(model, 3));
            assert!(
                one.iter().zip(&all).all(|(a, b)| (a.image - b.image).abs() < 1e-3 * b.image),
                "{one:?} {all:?}"
            );
            assert!(all.iter().all(|score| score.image > 1.0), "{all:?}");
            assert_ne!(all[0].image, all[1].image);
        }
        let best = scores(&models[0], 3).into_iter().map(|score| score.score).fold(f32::INFINITY, f32::min);
        assert!(best >= 0.0 && best.is_finite(), "relative to the best of each perplexity: {best}");
        assert!(scores(&models[1], 3).iter().all(|score| score.text.is_none() && score.score == score.image));
    }

    #[test]
    fn one_drawing_has_a_score_too() {
        let model = Model::Rudolph(rudolph::model(&rudolph::tiny()));
        assert_eq!(rank(&model, &[7], &[&CODES[0]], 4).unwrap()[0].score, 0.0);
    }
}
