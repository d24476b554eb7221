//! DALL·E as lucidrains' DALLE-pytorch has it, so that its checkpoints give their numbers here.
//!
//! Source: `lucidrains/DALLE-pytorch` 1.6.6 (`dalle_pytorch/transformer.py`, `attention.py`, `dalle_pytorch.py`). Beside
//! ruDALL·E: GEGLU feed-forward layers, a factor per channel on each branch, no bias in the map to queries, keys and
//! values, heads of any width, other sparse masks, id 0 before the text and no BOS or EOS in it.
//!
//! Its loss is one softmax over text and image together, with a mask that puts -max on the logits of the other part and
//! labels moved by the text's size. What is masked weighs exactly nothing, so this is the softmax over a slice of
//! [`objective`](crate::objective) in the layout v2; `joint` in its tests shows it.

mod hparams;
mod names;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tokenize::checkpoint::Checkpoint;

use crate::gpt::{
    Activation, Gpt, GptConfig, GridPositions, MaskKind, MaskSchedule, Shared, Start, Vocabulary,
};

pub(crate) use names::{ours, published, published_shape};

/// What is different from ruDALL·E. The names are those of the constructor `DALLE(…)`, the defaults those of
/// `train_dalle.py`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DallePytorch {
    /// Width of one head.
    pub dim_head: usize,
    /// What each layer sees of the image; the list begins again when it ends.
    pub attn_types: Vec<AttentionType>,
    /// The last layer's output is divided by its largest value. The checkpoint's embeddings were trained with 0.1 of
    /// their gradient then (`gradient_shrink`).
    pub stable: bool,
    /// Norms before each addition to the residual stream.
    pub sandwich_norm: bool,
    /// Half of each branch's channels come from the position before, or above.
    pub shift_tokens: bool,
    /// Angles in place of learned positions.
    pub rotary_emb: bool,
    /// Layers with the same id use one attention; the list begins again when it ends. Empty: each has its own.
    pub shared_attn_ids: Vec<usize>,
    /// The same for feed-forward parts.
    pub shared_ff_ids: Vec<usize>,
    /// Token vectors are the columns of the map to the logits.
    pub share_input_output_emb: bool,
}

/// Kinds of attention in DALLE-pytorch. Its `sparse` (DeepSpeed) looks at blocks drawn at random, which no checkpoint
/// keeps, and is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionType {
    /// Everything before it.
    #[default]
    Full,
    /// The text and the codes before it in its row.
    AxialRow,
    /// The text and the codes above it in its column.
    AxialCol,
    /// The text and a square whose lower right corner it is.
    ConvLike,
}

impl Default for DallePytorch {
    fn default() -> Self {
        Self {
            dim_head: 64,
            attn_types: vec![AttentionType::Full],
            stable: false,
            sandwich_norm: false,
            shift_tokens: false,
            rotary_emb: false,
            shared_attn_ids: Vec::new(),
            shared_ff_ids: Vec::new(),
            share_input_output_emb: false,
        }
    }
}

impl DallePytorch {
    /// The core's configuration: `core` with everything that is different here; `kernel` is the side of `conv_like`'s
    /// square.
    pub fn gpt(&self, core: GptConfig, kernel: usize) -> GptConfig {
        let around = |ids: &[usize]| ids.iter().copied().cycle().take(core.layers).collect::<Vec<_>>();
        let kind = |kind: &AttentionType| match kind {
            AttentionType::Full => MaskKind::Full,
            AttentionType::AxialRow => MaskKind::AxialRow,
            AttentionType::AxialCol => MaskKind::Col,
            AttentionType::ConvLike => MaskKind::Corner { kernel },
        };
        GptConfig {
            head_dim: Some(self.dim_head),
            activation: Activation::Geglu,
            sandwich: self.sandwich_norm,
            qkv_bias: false,
            // Its only norm after the layers belongs to the head; here it is the one after the layers.
            head_norm: false,
            layer_scale: true,
            shift_tokens: self.shift_tokens,
            shared: Shared {
                attention: around(&self.shared_attn_ids),
                feed_forward: around(&self.shared_ff_ids),
            },
            tied: self.share_input_output_emb,
            divide_max: self.stable,
            masks: MaskSchedule::Layers {
                kinds: self.attn_types.iter().map(kind).cycle().take(core.layers).collect(),
            },
            positions: if self.rotary_emb { GridPositions::Rotary } else { GridPositions::RowCol },
            start: Start::Zero,
            ..core
        }
    }
}

/// A checkpoint without the second names of weights that layers share: a `.pt` has each of them under every layer's name.
pub(crate) fn without_seconds(file: Checkpoint, shared: &Shared) -> Checkpoint {
    let whole = file.below("to_logits.1.weight").unwrap_or(file);
    whole.renamed(|key| {
        let second = ours(key).is_some_and(|name| names::is_second(&name, shared));
        (!second).then(|| key.to_owned())
    })
}

/// The published logits: of text and image together, with -max on those of the other part: `[b, t, text + image]`.
pub(crate) fn masked_logits(gpt: &Gpt, hidden: Tensor<3>) -> Tensor<3> {
    let [b, t, _] = hidden.dims();
    let (text, total) = (gpt.config().left.min(t), gpt.columns(Vocabulary::All).len());
    let columns = gpt.columns(Vocabulary::Text).len();
    let logits = gpt.logits(hidden, Vocabulary::All);
    let masked =
        |rows: usize, columns: usize| Tensor::<3>::full([b, rows, columns], f32::MIN, &logits.device());
    let words = logits.clone().slice([0..b, 0..text, 0..columns]);
    let codes = logits.clone().slice([0..b, text..t, columns..total]);
    let words = Tensor::cat(vec![words, masked(text, total - columns)], 2);
    if t == text {
        return words;
    }
    Tensor::cat(vec![words, Tensor::cat(vec![masked(t - text, columns), codes], 2)], 1)
}

#[cfg(test)]
mod tests;
