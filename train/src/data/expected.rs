//! What a model asks of the shards, and how a shard that it cannot be trained on is refused.

use std::path::{Path, PathBuf};

use tokenize::tokens::TokenMeta;

use crate::{Error, Result};

/// What a model asks of the shards. `None` asks nothing.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// sha256 of the codec's weights, and where they are.
    pub codec: Option<(PathBuf, String)>,
    /// sha256 of the vocabulary, and where it is.
    pub bpe: Option<(PathBuf, String)>,
    /// Codes per side.
    pub grid: usize,
    /// Codes that the model has logits for: exactly those of the codec, so that it never draws one that none stands for.
    pub codebook_size: usize,
    /// The model has rows for text ids below this.
    pub vocab_size: usize,
}

/// Refuses a shard that the model cannot be trained on, and says why.
pub(crate) fn check(shard: &Path, meta: &TokenMeta, expected: &Expected) -> Result<()> {
    let refuse = |why: String, cure: &str| Err(Error::data(shard, why).with_hint(cure));
    let hashes = [
        ("codec", &meta.codec_sha256, &expected.codec, "name the codec that made the shard in `data.codec`"),
        (
            "vocabulary",
            &meta.bpe_sha256,
            &expected.bpe,
            "name the vocabulary that made the shard in `data.bpe`",
        ),
    ];
    // Shards of texts alone know no codec.
    let images = !meta.codec_sha256.is_empty() || meta.codebook_size > 0;
    for (what, found, wanted, cure) in hashes.into_iter().skip(usize::from(!images)) {
        if let Some((path, sha256)) = wanted
            && sha256 != found
        {
            let [found, sha256] = [found, sha256].map(|hash| hash.get(..12).unwrap_or(hash));
            return refuse(
                format!("made with another {what} (sha256 {found}…) than {} ({sha256}…)", path.display()),
                &format!("{cure}, or make the shards again with `tokenize shards`"),
            );
        }
    }
    if images && meta.grid != expected.grid {
        return refuse(
            format!("a grid of {0}×{0} codes, the model has {1}×{1}", meta.grid, expected.grid),
            "set `model.grid` to the shard's grid, or make the shards again at another image size",
        );
    }
    if images && meta.codebook_size != expected.codebook_size {
        return refuse(
            format!("{} codes, the model has {}", meta.codebook_size, expected.codebook_size),
            "set `model.image_vocab` to the codec's codebook size",
        );
    }
    if meta.vocab_size > expected.vocab_size {
        return refuse(
            format!("text ids below {}, the model has only {}", meta.vocab_size, expected.vocab_size),
            "set `model.text_vocab` to the vocabulary's size",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tokens::tests::meta;

    fn expected() -> Expected {
        Expected { grid: 2, codebook_size: 16, vocab_size: 50, ..Expected::default() }
    }

    #[test]
    fn misfits_are_refused_by_name() {
        let refusal = |change: fn(&mut Expected)| {
            let mut expected = expected();
            change(&mut expected);
            check(Path::new("s.parquet"), &meta(), &expected).unwrap_err().to_string()
        };
        assert_eq!(
            refusal(|e| e.codec = Some(("new.safetensors".into(), "0123456789abcdef".into()))),
            "s.parquet: made with another codec (sha256 c0dec…) than new.safetensors (0123456789ab…)"
        );
        assert!(refusal(|e| e.bpe = Some(("v.json".into(), "x".into()))).contains("another vocabulary"));
        assert_eq!(refusal(|e| e.grid = 4), "s.parquet: a grid of 2×2 codes, the model has 4×4");
        assert_eq!(refusal(|e| e.codebook_size = 8), "s.parquet: 16 codes, the model has 8");
        assert_eq!(refusal(|e| e.codebook_size = 32), "s.parquet: 16 codes, the model has 32");
        assert_eq!(refusal(|e| e.vocab_size = 49), "s.parquet: text ids below 50, the model has only 49");
        assert!(check(Path::new("s.parquet"), &meta(), &expected()).is_ok());
    }
}
