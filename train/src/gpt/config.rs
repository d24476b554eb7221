//! The hyper-parameters of [`Gpt`](super::Gpt): which model it is.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{Activation, Gpt, MaskSchedule, NormKind, Segments};
use crate::error::{Error, Result};

/// How an image position is told apart from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridPositions {
    /// A learned vector per row plus one per column (DALL·E, RuDOLPH).
    #[default]
    RowCol,
    /// A learned vector per position (ImageGPT).
    Flat,
    /// None, and none for text: queries, keys and values are turned by angles of their position (DALLE-pytorch with
    /// `rotary_emb`).
    Rotary,
}

/// The token before the first one, if the model has one; the last token of a sequence is then never an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// None: the first token is given (RuDOLPH and ruDALL·E v3, whose texts begin with BOS).
    #[default]
    None,
    /// A second BOS before the left text (ruDALL·E v2).
    Text,
    /// A learned vector before the image, the last row of the image table (ImageGPT).
    Image,
    /// Id 0 before the left text, which the masks count as text (DALLE-pytorch).
    Zero,
}

/// Which layers use one set of weights: layers with the same id. Without ids every layer has its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shared {
    /// An id per layer for its attention.
    pub attention: Vec<usize>,
    /// An id per layer for its feed-forward part.
    pub feed_forward: Vec<usize>,
}

/// The first layer with the id of layer `index`: the one that holds the weights.
pub(crate) fn owner(ids: &[usize], index: usize) -> usize {
    let id = ids.get(index);
    id.and_then(|id| ids.iter().position(|other| other == id)).unwrap_or(index)
}

/// One core for ImageGPT, DALL·E and RuDOLPH.
///
/// The default is the shape of RuDOLPH-350M (`models.md` of the published code: `rudolph/model/__init__.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GptConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Attention heads; they divide `dim` unless `head_dim` is given.
    pub heads: usize,
    /// Width of one head; `dim / heads` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Left-text positions.
    pub left: usize,
    /// Image codes per side.
    pub grid: usize,
    /// Right-text positions.
    pub right: usize,
    /// BPE ids. The text table also holds the special tokens and one pad per left position, in this order.
    pub text_vocab: usize,
    /// Special text tokens after the BPE ids.
    pub text_special: usize,
    /// Codes of the image codec.
    pub image_vocab: usize,
    /// Special image tokens after the codes.
    pub image_special: usize,
    /// Kind of every norm.
    pub norm: NormKind,
    /// Added to a norm's variance.
    pub epsilon: f64,
    /// Norms before each addition to the residual stream (CogView).
    pub sandwich: bool,
    /// Activation of the feed-forward layers.
    pub activation: Activation,
    /// Biases in the layers' linear maps.
    pub bias: bool,
    /// Whether the map to queries, keys and values has one, too.
    pub qkv_bias: bool,
    /// A learned factor per channel on each branch (LayerScale, Touvron et al. 2021).
    pub layer_scale: bool,
    /// Half of each branch's channels come from the position before, or above (token shift of DALLE-pytorch).
    pub shift_tokens: bool,
    /// Layers that use one set of weights.
    pub shared: Shared,
    /// Token vectors are the columns of the map to the logits.
    pub tied: bool,
    /// The last layer's output is divided by its largest value (CogView; `stable` of DALLE-pytorch).
    pub divide_max: bool,
    /// Bias in the map to the logits.
    pub head_bias: bool,
    /// A second norm between the last layer's and the logits.
    pub head_norm: bool,
    /// What each layer may see of the image.
    pub masks: MaskSchedule,
    /// Position vectors of the image.
    pub positions: GridPositions,
    /// The token before the first.
    pub start: Start,
    /// The embeddings' share of their gradient (CogView): 0.1 in the published models, 1 to leave it whole.
    pub gradient_shrink: f64,
    /// Share of the elements that each layer's two branches lose in training.
    pub dropout: f64,
    /// Standard deviation of new weights; maps into the residual stream get it divided by `sqrt(2·layers)`.
    pub init_std: f64,
    /// Standard deviation of new token and position vectors.
    pub embedding_std: f64,
    /// First gain of the sandwich norms: how much each branch adds to the residual stream before anything is learned.
    pub branch_gain: f64,
}

impl Default for GptConfig {
    fn default() -> Self {
        Self {
            layers: 24,
            dim: 1024,
            heads: 16,
            head_dim: None,
            left: 64,
            grid: 16,
            right: 64,
            text_vocab: 16384,
            text_special: 384,
            image_vocab: 8192,
            image_special: 384,
            norm: NormKind::Layer,
            epsilon: 1e-5,
            sandwich: true,
            activation: Activation::TanhGelu,
            bias: true,
            qkv_bias: true,
            layer_scale: false,
            shift_tokens: false,
            shared: Shared::default(),
            tied: false,
            divide_max: false,
            head_bias: true,
            head_norm: true,
            masks: MaskSchedule::Rudolph { kernel: 7, last_kernel: 9 },
            positions: GridPositions::RowCol,
            start: Start::None,
            gradient_shrink: 0.1,
            dropout: 0.0,
            init_std: 0.02,
            embedding_std: 0.02,
            branch_gain: 1.0,
        }
    }
}

impl GptConfig {
    /// The parts of a sequence.
    pub const fn segments(&self) -> Segments {
        Segments { left: self.left, grid: self.grid, right: self.right }
    }

    /// The parts of a sequence as the masks see them, with a start token that counts as text.
    pub fn seen_segments(&self) -> Segments {
        Segments { left: self.left + usize::from(self.start == Start::Zero), ..self.segments() }
    }

    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.dim / self.heads)
    }

    /// Width of all heads together.
    pub fn inner_dim(&self) -> usize {
        self.heads * self.head_dim()
    }

    /// Rows of the text table: BPE ids, special tokens, one pad per left position. 0 without text.
    pub const fn total_text(&self) -> usize {
        if self.left + self.right == 0 { 0 } else { self.text_vocab + self.text_special + self.left }
    }

    /// Logits of the image: codes and special tokens.
    pub const fn total_image(&self) -> usize {
        self.image_vocab + self.image_special
    }

    /// The id that stands for a pad at left position `position`.
    pub const fn left_pad(&self, position: usize) -> usize {
        self.text_vocab + self.text_special + position
    }

    /// Checks bare BPE ids.
    ///
    /// # Errors
    /// [`Error::Config`] with the first id that is none of [`Self::text_vocab`].
    pub fn check_text(&self, text: &[u32]) -> Result<()> {
        match text.iter().find(|id| **id as usize >= self.text_vocab) {
            Some(id) => {
                Err(Error::config(format!("text id {id} is not below text_vocab {}", self.text_vocab)))
            }
            None => Ok(()),
        }
    }

    /// Checks that codes are one image of this model.
    ///
    /// # Errors
    /// [`Error::Config`] with the count or the code that does not fit.
    pub fn check_codes(&self, codes: &[u16]) -> Result<()> {
        let wanted = self.segments().image();
        if codes.len() != wanted {
            return Err(Error::config(format!(
                "{} codes, a grid of {} has {wanted}",
                codes.len(),
                self.grid
            )));
        }
        match codes.iter().find(|code| usize::from(**code) >= self.image_vocab) {
            Some(code) => {
                Err(Error::config(format!("code {code} is not below image_vocab {}", self.image_vocab)))
            }
            None => Ok(()),
        }
    }

    /// Standard deviation of new weights that write into the residual stream.
    pub(super) fn residual_std(&self) -> f64 {
        self.init_std / (2.0 * self.layers as f64).sqrt()
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the reason.
    pub fn validate(&self) -> Result<()> {
        let fault = |key: &str, why: String| Err(Error::config(format!("{key}: {why}")));
        let positive = [("layers", self.layers), ("dim", self.dim), ("heads", self.heads)];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return fault(key, "must be at least 1".to_owned());
        }
        if self.head_dim.is_none() && !self.dim.is_multiple_of(self.heads) {
            return fault("heads", format!("{} heads do not divide dim {}", self.heads, self.dim));
        }
        if self.grid == 0 && self.left + self.right == 0 {
            return fault("grid", "a sequence needs a text or an image".to_owned());
        }
        if self.grid > 0 && self.image_vocab == 0 {
            return fault("image_vocab", "an image needs codes".to_owned());
        }
        // BOS, EOS and one token between them.
        if let Some((key, _)) =
            [("left", self.left), ("right", self.right)].iter().find(|(_, n)| matches!(n, 1 | 2))
        {
            return fault(key, "a text segment has no place for a token between BOS and EOS".to_owned());
        }
        if self.left + self.right > 0 && self.text_vocab < 5 {
            return fault("text_vocab", "must hold PAD, UNK, BOS, EOS and at least one piece".to_owned());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return fault("dropout", format!("{} is not in 0..1", self.dropout));
        }
        if !(0.0..=1.0).contains(&self.gradient_shrink) {
            return fault("gradient_shrink", format!("{} is not in 0..=1", self.gradient_shrink));
        }
        if let Some((key, why)) = self.form_fault() {
            return fault(key, why);
        }
        match self.masks.fault(self.layers) {
            Some(why) => fault("masks", why),
            None => Ok(()),
        }
    }

    /// What is wrong with the parts that only some models have.
    fn form_fault(&self) -> Option<(&'static str, String)> {
        let (attention, feed_forward) = (&self.shared.attention, &self.shared.feed_forward);
        for (key, ids) in [("shared.attention", attention), ("shared.feed_forward", feed_forward)] {
            if !ids.is_empty() && ids.len() != self.layers {
                return Some((key, format!("{} ids for {} layers", ids.len(), self.layers)));
            }
        }
        let kind = |index| self.masks.kind(index, self.layers);
        if let Some(index) = (0..attention.len()).find(|index| kind(*index) != kind(owner(attention, *index)))
        {
            let first = owner(attention, index);
            return Some(("shared.attention", format!("layers {first} and {index} have different masks")));
        }
        if self.head_dim == Some(0) {
            return Some(("head_dim", "must be at least 1".to_owned()));
        }
        if self.shift_tokens && !self.dim.is_multiple_of(4) {
            return Some(("shift_tokens", format!("dim {} has no quarters", self.dim)));
        }
        if (self.shift_tokens || self.positions == GridPositions::Rotary) && self.right > 0 {
            return Some(("right", "shifted tokens and rotary positions know no right text".to_owned()));
        }
        if self.positions == GridPositions::Rotary && self.head_dim() < 6 {
            return Some(("positions", format!("a head of {} has no room for angles", self.head_dim())));
        }
        None
    }

    /// A new model with random weights from the device's generator.
    pub fn init(&self, device: &Device) -> Gpt {
        Gpt::new(self, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vocabulary_sizes() {
        let config = GptConfig::default();
        assert_eq!((config.total_text(), config.total_image()), (16832, 8576));
        assert_eq!(config.left_pad(0), 16832 - 64);
    }

    #[test]
    fn faults_name_the_key() {
        let bad = |change: fn(&mut GptConfig)| {
            let mut config = GptConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(bad(|c| c.heads = 7), "heads: 7 heads do not divide dim 1024");
        assert!(bad(|c| c.layers = 0).starts_with("layers: "));
        assert!(bad(|c| c.left = 2).starts_with("left: "));
        assert!(bad(|c| c.dropout = 1.0).starts_with("dropout: "));
        assert!(bad(|c| c.masks = MaskSchedule::Dalle { kernel: 10, wrap: false }).starts_with("masks: "));
        assert!(GptConfig::default().validate().is_ok());
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<GptConfig>("layer = 3").is_err());
        assert_eq!(toml::from_str::<GptConfig>("layers = 3").unwrap().layers, 3);
    }
}
