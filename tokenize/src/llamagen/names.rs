//! LlamaGen's parameter names → taming's.

/// Our name of a published parameter; `None` for what is no weight.
///
/// LlamaGen's levels are `conv_blocks`, counted in the order in which they run, so the decoder's go from the lowest
/// resolution to the highest, against taming's `up`; its middle is a list.
pub(super) fn name(published: &str, levels: usize) -> Option<String> {
    let parts: Vec<&str> = published.split('.').collect();
    Some(match *parts.as_slice() {
        // Recent codes, for the statistics of training.
        ["quantize", "codebook_used"] => return None,
        [half, "mid", layer @ ("0" | "1" | "2"), ref rest @ ..] => {
            let layer = if layer == "1" {
                "attn_1"
            } else if layer == "0" {
                "block_1"
            } else {
                "block_2"
            };
            format!("{half}.mid.{layer}.{}", rest.join("."))
        }
        [half @ ("encoder" | "decoder"), "conv_blocks", level, kind, ref rest @ ..] => {
            let level: usize = level.parse().ok().filter(|level| *level < levels)?;
            let (list, level) = if half == "encoder" { ("down", level) } else { ("up", levels - 1 - level) };
            let kind = if kind == "res" { "block" } else { kind };
            format!("{half}.{list}.{level}.{kind}.{}", rest.join("."))
        }
        _ => published.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_run_in_the_order_of_their_numbers() {
        for (theirs, ours) in [
            ("encoder.conv_in.weight", "encoder.conv_in.weight"),
            ("encoder.conv_blocks.4.res.1.conv2.bias", "encoder.down.4.block.1.conv2.bias"),
            ("encoder.conv_blocks.0.downsample.conv.weight", "encoder.down.0.downsample.conv.weight"),
            ("encoder.mid.1.proj_out.weight", "encoder.mid.attn_1.proj_out.weight"),
            ("decoder.mid.2.norm1.weight", "decoder.mid.block_2.norm1.weight"),
            ("decoder.conv_blocks.0.attn.2.q.weight", "decoder.up.4.attn.2.q.weight"),
            ("decoder.conv_blocks.3.upsample.conv.bias", "decoder.up.1.upsample.conv.bias"),
            ("decoder.conv_blocks.4.res.0.nin_shortcut.bias", "decoder.up.0.block.0.nin_shortcut.bias"),
            ("quantize.embedding.weight", "quantize.embedding.weight"),
        ] {
            assert_eq!(name(theirs, 5).unwrap(), ours);
        }
        assert_eq!(name("quantize.codebook_used", 5), None);
    }
}
