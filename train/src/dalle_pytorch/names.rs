//! Key names of DALLE-pytorch and of the core, both ways.

use crate::gpt::{Shared, owner};

/// `(published, ours)` outside the layers.
const OUTSIDE: [(&str, &str); 8] = [
    ("text_emb.", "text_embeddings."),
    ("image_emb.", "image_embeddings."),
    ("text_pos_emb.", "l_text_pos_embeddings."),
    // The package of the axial positions renamed its weights when it came to version 0.3.
    ("image_pos_emb.weights_0", "image_row_embeddings.weight"),
    ("image_pos_emb.weights_1", "image_col_embeddings.weight"),
    ("image_pos_emb.weights.0", "image_row_embeddings.weight"),
    ("image_pos_emb.weights.1", "image_col_embeddings.weight"),
    ("to_logits.0.", "transformer.final_layernorm."),
];

/// `(branch, published, ours)` inside a layer; the wrappers `fn.` before a published name are left out.
const INSIDE: [(usize, &str, &str); 10] = [
    (0, "norm.", "input_layernorm."),
    (0, "norm_out.", "before_first_addition_layernorm."),
    (0, "to_qkv.", "attention.query_key_value."),
    (0, "to_out.0.", "attention.dense."),
    (0, "scale", "attention_scale"),
    (1, "norm.", "post_attention_layernorm."),
    (1, "norm_out.", "before_second_addition_layernorm."),
    (1, "net.0.", "mlp.dense_h_to_4h."),
    (1, "net.3.", "mlp.dense_4h_to_h."),
    (1, "scale", "mlp_scale"),
];

/// The core's name of a published key; `None` for the image codec, for what has a closed form, and for the second names
/// of shared token vectors.
pub(crate) fn ours(published: &str) -> Option<String> {
    let unneeded = ["vae.", "transformer.pos_emb", "text_emb.linear.", "image_emb.linear."];
    if unneeded.iter().any(|start| published.starts_with(start)) {
        return None;
    }
    let inside = || {
        let (index, rest) = published.strip_prefix("transformer.layers.layers.")?.split_once('.')?;
        let (branch, mut rest) = rest.split_once('.')?;
        while let Some(inner) = rest.strip_prefix("fn.") {
            rest = inner;
        }
        let part = INSIDE.iter().find(|(of, start, _)| branch == of.to_string() && rest.starts_with(start));
        part.map(|(_, start, ours)| format!("transformer.layers.{index}.{ours}{}", &rest[start.len()..]))
    };
    let outside = || {
        let (start, ours) = OUTSIDE.iter().find(|(start, _)| published.starts_with(start))?;
        Some(format!("{ours}{}", &published[start.len()..]))
    };
    // What has no name here is reported as it is.
    Some(inside().or_else(outside).unwrap_or_else(|| published.to_owned()))
}

/// The published name of one of the core's parameters; token shift puts two more wrappers around each part.
pub(crate) fn published(ours: &str, shift_tokens: bool) -> String {
    let inside = || {
        let (index, rest) = ours.strip_prefix("transformer.layers.")?.split_once('.')?;
        let (branch, name, start) = INSIDE.iter().find(|(_, _, start)| rest.starts_with(start))?;
        let wrappers = match *name {
            "scale" => 0,
            "norm." | "norm_out." => 1,
            _ => 3 - branch + if shift_tokens { 2 } else { 0 },
        };
        let (fns, tail) = ("fn.".repeat(wrappers), &rest[start.len()..]);
        Some(format!("transformer.layers.layers.{index}.{branch}.{fns}{name}{tail}"))
    };
    let outside = || {
        let (name, start) = OUTSIDE.iter().find(|(_, start)| ours.starts_with(start))?;
        Some(format!("{name}{}", &ours[start.len()..]))
    };
    inside().or_else(outside).unwrap_or_else(|| ours.to_owned())
}

/// The sizes in a checkpoint of one of the core's parameters: factors lie as `[1, 1, d]`, rows and columns as
/// `[1, g, 1, d]` and `[1, 1, g, d]`.
pub(crate) fn published_shape(ours: &str, memory: &[usize]) -> Vec<usize> {
    match *memory {
        [dim] if ours.ends_with("_scale") => vec![1, 1, dim],
        [grid, dim] if ours.starts_with("image_row_") => vec![1, grid, 1, dim],
        [grid, dim] if ours.starts_with("image_col_") => vec![1, 1, grid, dim],
        _ => memory.to_vec(),
    }
}

/// Whether one of the core's names belongs to weights that an earlier layer holds.
pub(super) fn is_second(ours: &str, shared: &Shared) -> bool {
    let place = ours.strip_prefix("transformer.layers.").and_then(|rest| rest.split_once('.'));
    let Some((index, rest)) = place.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)))
    else {
        return false;
    };
    let ids = match rest.split('.').next() {
        Some("attention") => &shared.attention,
        Some("mlp") => &shared.feed_forward,
        _ => return false,
    };
    owner(ids, index) != index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (there, here, shift) in [
            (
                "transformer.layers.layers.3.0.fn.fn.fn.to_qkv.weight",
                "transformer.layers.3.attention.query_key_value.weight",
                false,
            ),
            (
                "transformer.layers.layers.0.0.fn.fn.fn.fn.fn.to_out.0.bias",
                "transformer.layers.0.attention.dense.bias",
                true,
            ),
            (
                "transformer.layers.layers.10.1.fn.fn.net.3.bias",
                "transformer.layers.10.mlp.dense_4h_to_h.bias",
                false,
            ),
            (
                "transformer.layers.layers.1.1.fn.norm_out.bias",
                "transformer.layers.1.before_second_addition_layernorm.bias",
                true,
            ),
            ("transformer.layers.layers.1.1.scale", "transformer.layers.1.mlp_scale", true),
            ("image_pos_emb.weights_1", "image_col_embeddings.weight", false),
            ("text_pos_emb.weight", "l_text_pos_embeddings.weight", false),
            ("to_logits.0.bias", "transformer.final_layernorm.bias", false),
            ("to_logits.1.bias", "to_logits.1.bias", false),
        ] {
            assert_eq!(ours(there).as_deref(), Some(here));
            assert_eq!(published(here, shift), there);
        }
        assert_eq!(ours("image_pos_emb.weights.0").unwrap(), "image_row_embeddings.weight");
        assert_eq!(ours("vae.codebook.weight"), None);
        assert_eq!(ours("transformer.pos_emb"), None);
        assert_eq!(ours("text_emb.linear.weight"), None);
    }

    #[test]
    fn shared_weights_are_read_once() {
        let shared = Shared { attention: vec![0, 1, 0], feed_forward: Vec::new() };
        assert!(is_second("transformer.layers.2.attention.dense.bias", &shared));
        assert!(!is_second("transformer.layers.0.attention.dense.bias", &shared));
        assert!(!is_second("transformer.layers.2.attention_scale", &shared));
        assert!(!is_second("transformer.layers.2.mlp.dense_h_to_4h.bias", &shared));
    }
}
