//! The configuration that a `.pt` of `train_dalle.py` carries.

use serde::Deserialize;
use serde_json::Value;
use tokenize::checkpoint::Checkpoint;

use super::{AttentionType, DallePytorch};
use crate::dalle::{DalleConfig, DalleLoss};
use crate::error::Result;
use crate::objective::LossLayout;

/// `hparams`: arguments of `DALLE(…)`, with its defaults where a file does not name one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hparams {
    dim: usize,
    depth: usize,
    #[serde(default = "default::num_text_tokens")]
    num_text_tokens: usize,
    #[serde(default = "default::text_seq_len")]
    text_seq_len: usize,
    #[serde(default = "default::heads")]
    heads: usize,
    #[serde(default = "default::dim_head")]
    dim_head: usize,
    #[serde(default)]
    reversible: bool,
    #[serde(default = "default::loss_img_weight")]
    loss_img_weight: f64,
    attn_types: Option<Vec<String>>,
    #[serde(default)]
    stable: bool,
    #[serde(default)]
    sandwich_norm: bool,
    #[serde(default = "default::yes")]
    shift_tokens: bool,
    #[serde(default = "default::yes")]
    rotary_emb: bool,
    shared_attn_ids: Option<Vec<usize>>,
    shared_ff_ids: Option<Vec<usize>>,
    #[serde(default)]
    share_input_output_emb: bool,
    /// Only training has dropout.
    #[serde(rename = "attn_dropout")]
    _attn_dropout: Option<Value>,
    #[serde(rename = "ff_dropout")]
    _ff_dropout: Option<Value>,
    /// Without meaning in 1.6.6.
    #[serde(rename = "sparse_attn")]
    _sparse_attn: Option<Value>,
    /// Another way to the same numbers.
    #[serde(rename = "optimize_for_inference")]
    _optimize_for_inference: Option<Value>,
}

/// What the constructor has where nothing is said.
mod default {
    pub(super) const fn num_text_tokens() -> usize {
        10_000
    }
    pub(super) const fn text_seq_len() -> usize {
        256
    }
    pub(super) const fn heads() -> usize {
        8
    }
    pub(super) const fn dim_head() -> usize {
        64
    }
    pub(super) const fn loss_img_weight() -> f64 {
        7.0
    }
    pub(super) const fn yes() -> bool {
        true
    }
}

impl DalleConfig {
    /// The configuration of a checkpoint that DALLE-pytorch's `train_dalle.py` saved: its `hparams`, and the sizes of
    /// the image from the shapes of the weights, since the codec may be any.
    ///
    /// # Errors
    /// The file has no `hparams`, or asks for what cannot be had: `reversible` layers or attention of the type `sparse`.
    pub fn from_dalle_pytorch(checkpoint: &Checkpoint) -> Result<Self> {
        let fault = |why: String| checkpoint.fault(format!("hparams{why}"));
        let Some(values) = checkpoint.plain("hparams")? else {
            return Err(
                fault(": there are none, so this is no checkpoint of train_dalle.py".to_owned()).into()
            );
        };
        let hparams: Hparams = serde_json::from_value(values).map_err(|error| fault(format!(": {error}")))?;
        if hparams.reversible {
            let why = ".reversible: true; models with reversible layers cannot be read";
            return Err(fault(why.to_owned()).into());
        }
        let attn_types = attention_types(&hparams).map_err(|why| fault(format!(".attn_types: {why}")))?;
        let (grid, image_vocab) = image(checkpoint, &hparams).map_err(|why| checkpoint.fault(why))?;
        let config = Self {
            layers: hparams.depth,
            dim: hparams.dim,
            heads: hparams.heads,
            text: hparams.text_seq_len,
            grid,
            kernel: 5,
            text_vocab: hparams.num_text_tokens,
            image_vocab,
            loss_layout: LossLayout::V2,
            loss: DalleLoss { text: 1.0, image: hparams.loss_img_weight },
            gradient_shrink: if hparams.stable { 0.1 } else { 1.0 },
            dalle_pytorch: Some(DallePytorch {
                dim_head: hparams.dim_head,
                attn_types,
                stable: hparams.stable,
                sandwich_norm: hparams.sandwich_norm,
                shift_tokens: hparams.shift_tokens,
                rotary_emb: hparams.rotary_emb,
                shared_attn_ids: hparams.shared_attn_ids.unwrap_or_default(),
                shared_ff_ids: hparams.shared_ff_ids.unwrap_or_default(),
                share_input_output_emb: hparams.share_input_output_emb,
            }),
            ..Self::default()
        };
        config.validate()?;
        Ok(config)
    }
}

fn attention_types(hparams: &Hparams) -> Result<Vec<AttentionType>, String> {
    let kind = |name: &String| match name.as_str() {
        "full" => Ok(AttentionType::Full),
        "axial_row" => Ok(AttentionType::AxialRow),
        "axial_col" => Ok(AttentionType::AxialCol),
        "conv_like" => Ok(AttentionType::ConvLike),
        "sparse" => {
            Err("\"sparse\" looks at random blocks of DeepSpeed, which the file does not hold".to_owned())
        }
        other => Err(format!("{other:?} is not known; known: full, axial_row, axial_col, conv_like")),
    };
    match &hparams.attn_types {
        Some(names) if !names.is_empty() => names.iter().map(kind).collect(),
        _ => Ok(vec![AttentionType::Full]),
    }
}

/// Codes per side and codes of the codec.
fn image(checkpoint: &Checkpoint, hparams: &Hparams) -> Result<(usize, usize), String> {
    let whole = checkpoint.below("to_logits.1.weight").ok_or("no weights: to_logits.1.weight is missing")?;
    let size = |key: &str, axis: usize| whole.shape(key).and_then(|shape| shape.get(axis)).copied();
    let grid = if hparams.rotary_emb {
        let codes = size("transformer.pos_emb", 1).and_then(|n| n.checked_sub(hparams.text_seq_len + 1));
        codes.map(usize::isqrt).ok_or("transformer.pos_emb does not tell how large images are")?
    } else {
        let rows = size("image_pos_emb.weights_0", 1).or_else(|| size("image_pos_emb.weights.0", 1));
        rows.ok_or("image_pos_emb.weights_0 does not tell how large images are")?
    };
    let text = hparams.num_text_tokens + hparams.text_seq_len;
    let image_vocab = size("to_logits.1.weight", 0).and_then(|rows| rows.checked_sub(text));
    let image_vocab = image_vocab.filter(|codes| *codes > 0);
    Ok((grid, image_vocab.ok_or("to_logits.1.weight has fewer rows than the text has ids")?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn parsed(values: Value) -> Result<Hparams, String> {
        serde_json::from_value(values).map_err(|error| error.to_string())
    }

    #[test]
    fn a_checkpoint_brings_its_configuration() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dalle-pytorch-full/dalle.pt");
        let config = DalleConfig::from_dalle_pytorch(&Checkpoint::open(&golden).unwrap()).unwrap();
        assert_eq!((config.layers, config.dim, config.heads, config.text), (6, 24, 2, 8));
        assert_eq!((config.grid, config.text_vocab, config.image_vocab), (4, 40, 30));
        assert_eq!((config.loss.image, config.gradient_shrink), (5.0, 0.1));
        let form = config.dalle_pytorch.unwrap();
        use AttentionType::{AxialCol, AxialRow, ConvLike, Full};
        assert_eq!(form.attn_types, [Full, AxialRow, AxialCol, ConvLike]);
        assert_eq!((form.shared_attn_ids, form.shared_ff_ids), (vec![0, 1, 2, 3], vec![0, 1, 2]));
        assert!(form.stable && form.rotary_emb && form.shift_tokens && form.share_input_output_emb);
    }

    #[test]
    fn another_checkpoint_is_refused() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rudalle-v2/pytorch_model.bin");
        let said = DalleConfig::from_dalle_pytorch(&Checkpoint::open(&golden).unwrap()).unwrap_err();
        assert!(said.to_string().contains("no checkpoint of train_dalle.py"), "{said}");
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let types = |names: Value| {
            let hparams = parsed(json!({ "dim": 8, "depth": 2, "attn_types": names })).unwrap();
            attention_types(&hparams)
        };
        assert!(
            types(json!(["full", "sparse"])).unwrap_err().starts_with("\"sparse\" looks at random blocks")
        );
        assert!(types(json!(["mlp"])).unwrap_err().contains("\"mlp\" is not known"));
        assert_eq!(types(Value::Null).unwrap(), [AttentionType::Full]);
        let Err(said) = parsed(json!({ "dim": 8, "depth": 2, "causal": true })) else { panic!("accepted") };
        assert!(said.contains("unknown field `causal`"), "{said}");
    }

    #[test]
    fn an_old_file_gets_the_defaults_of_the_constructor() {
        let hparams = parsed(json!({ "dim": 512, "depth": 2, "ff_dropout": 0.1 })).unwrap();
        assert_eq!((hparams.heads, hparams.dim_head, hparams.text_seq_len), (8, 64, 256));
        assert!(hparams.shift_tokens && hparams.rotary_emb && !hparams.stable);
    }
}
