//! taming's parameter names → LlamaGen's.

/// The published name of one of [`VqGan`](crate::vqgan::VqGan)'s parameters.
///
/// LlamaGen's levels are `conv_blocks`, counted in the order in which they run, so the decoder's go from the lowest
/// resolution to the highest, against taming's `up`; its middle is a list.
pub(super) fn published(key: &str, levels: usize) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    match *parts.as_slice() {
        [half, "mid", layer, ref rest @ ..] => {
            let at = ["block_1", "attn_1", "block_2"].iter().position(|name| *name == layer).unwrap_or_default();
            format!("{half}.mid.{at}.{}", rest.join("."))
        }
        [half, list @ ("down" | "up"), level, kind, ref rest @ ..] => {
            let level = level.parse().unwrap_or(0);
            let at = if list == "up" { levels.saturating_sub(level + 1) } else { level };
            let kind = if kind == "block" { "res" } else { kind };
            format!("{half}.conv_blocks.{at}.{kind}.{}", rest.join("."))
        }
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_run_in_the_order_of_their_numbers() {
        for (ours, theirs) in [
            ("encoder.conv_in.weight", "encoder.conv_in.weight"),
            ("encoder.down.4.block.1.conv2.bias", "encoder.conv_blocks.4.res.1.conv2.bias"),
            ("encoder.down.0.downsample.conv.weight", "encoder.conv_blocks.0.downsample.conv.weight"),
            ("encoder.mid.attn_1.proj_out.weight", "encoder.mid.1.proj_out.weight"),
            ("decoder.mid.block_2.norm1.weight", "decoder.mid.2.norm1.weight"),
            ("decoder.up.4.attn.2.q.weight", "decoder.conv_blocks.0.attn.2.q.weight"),
            ("decoder.up.1.upsample.conv.bias", "decoder.conv_blocks.3.upsample.conv.bias"),
            ("decoder.up.0.block.0.nin_shortcut.bias", "decoder.conv_blocks.4.res.0.nin_shortcut.bias"),
            ("quantize.embedding.weight", "quantize.embedding.weight"),
        ] {
            assert_eq!(published(ours, 5), theirs);
        }
    }
}
