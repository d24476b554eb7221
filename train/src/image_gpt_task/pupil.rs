//! What is trained: the model, with a classifier on top when it is fine-tuned, and their losses.

use burn::module::Module;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::mask;
use crate::Result;
use crate::gpt::{Vocabulary, ids};
use crate::image_gpt::ImageGpt;
use crate::objective::linear_cross_entropy;

/// The model and, for fine-tuning, a linear classifier of its mean output.
#[derive(Module, Debug)]
pub struct Pupil {
    /// The model.
    pub model: ImageGpt,
    /// `[d, classes]`, without a bias, zeros at first.
    pub classifier: Option<Linear>,
}

/// Some pictures, and what is asked about them.
pub(super) struct Pictures<'a> {
    /// Colours, picture by picture.
    pub(super) codes: Vec<&'a [u16]>,
    /// Which are told, for BERT's objective.
    pub(super) seen: Option<Vec<Vec<bool>>>,
    /// Numbers of classes, for fine-tuning.
    pub(super) classes: Option<Vec<usize>>,
}

/// What the model says of pictures, nothing averaged.
pub(super) struct Judged {
    /// Of the pixels that count; `[b, n]`, 0 where one does not.
    pub(super) pixels: Tensor<2>,
    /// 1 where a pixel counts.
    pub(super) counts: Option<Tensor<2>>,
    /// The last layer's output, `[b, n, d]`.
    pub(super) hidden: Tensor<3>,
    /// `[b]`, and the classifier's logits `[b, classes]`.
    pub(super) class: Option<(Tensor<1>, Tensor<2>)>,
}

impl Judged {
    /// Mean over the pixels that count: of each picture first, as published.
    pub(super) fn pixel_loss(&self) -> Tensor<1> {
        match &self.counts {
            None => self.pixels.clone().mean(),
            Some(counts) => {
                let counted = counts.clone().sum_dim(1).clamp_min(1.0);
                (self.pixels.clone().sum_dim(1) / counted).mean()
            }
        }
    }
}

impl Pupil {
    /// A model with a new classifier of so many classes.
    pub(super) fn new(model: ImageGpt, classes: Option<usize>, device: &Device) -> Self {
        let dim = model.config().dim;
        let classifier = classes
            .map(|classes| Linear { weight: Initializer::Zeros.init([dim, classes], device), bias: None });
        Self { model, classifier }
    }

    /// What enters the first layer: `[b, n, d]`.
    ///
    /// # Errors
    /// A picture that does not fit the model.
    pub(super) fn embed(&self, pictures: &Pictures, device: &Device) -> Result<Tensor<3>> {
        let batch = self.model.config().batch(&pictures.codes, device)?;
        let seen = pictures.seen.as_ref().map(|seen| mask::tensor(seen, device));
        Ok(self.model.embed(&batch, seen))
    }

    /// Losses of pictures, pixel by pixel and class by class, from the last layer's output.
    pub(super) fn judge(&self, hidden: Tensor<3>, pictures: &Pictures, device: &Device) -> Judged {
        let seen = pictures.seen.as_ref().map(|seen| mask::tensor(seen, device));
        let gpt = &self.model.gpt;
        let [b, n, d] = hidden.dims();
        let (weight, bias) = gpt.head(gpt.columns(Vocabulary::Image));
        let codes: Vec<Vec<u16>> = pictures.codes.iter().map(|codes| codes.to_vec()).collect();
        let targets = ids(&codes, device).unwrap_or_else(|| Tensor::zeros([b, n], device)).reshape([b * n]);
        let rows = hidden.clone().reshape([b * n, d]);
        let nll = linear_cross_entropy(rows, weight, bias, targets).reshape([b, n]);
        let counts = seen.map(|seen| -seen + 1.0);
        let pixels = match &counts {
            Some(counts) => nll * counts.clone(),
            None => nll,
        };
        let class = self.classifier.as_ref().zip(pictures.classes.as_ref()).map(|(classifier, classes)| {
            let pooled = hidden.clone().mean_dim(1).reshape([b, d]);
            let weight = classifier.weight.val();
            let logits = pooled.clone().matmul(weight.clone());
            (linear_cross_entropy(pooled, weight, None, numbers(classes, device)), logits)
        });
        Judged { pixels, counts, hidden, class }
    }
}

/// Class numbers as a tensor.
pub(super) fn numbers(classes: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = classes.iter().map(|class| *class as i64).collect();
    Tensor::from_data(TensorData::new(values, [classes.len()]), device)
}
