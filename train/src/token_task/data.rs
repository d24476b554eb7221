//! The table `[data]`: shards and what made them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokenize::bpe::{Bpe, Specials};

use crate::data::{Expected, Texts, Tokens, Where, split};
use crate::{Error, Result};

/// The token shards and what made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A folder of token shards, or one shard.
    pub tokens: PathBuf,
    /// More shards, of texts alone, for tasks that show no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<PathBuf>,
    /// The codec's weights.
    pub codec: PathBuf,
    /// The vocabulary.
    pub bpe: PathBuf,
    /// Which rows are trained on.
    pub train: Where,
    /// Which rows the held-out losses are measured on.
    pub held_out: Where,
    /// Without such a condition: this many images, the last ones, are held out; 0 means no validation.
    pub holdout: usize,
    /// At most this many held-out rows of a task are scored, spread over all of them; 0 scores all.
    pub held_out_rows: usize,
    /// Rows in a step.
    pub batch_size: usize,
    /// Parts of a step that are computed side by side. Their gradients are added in a fixed order, so the result depends
    /// on this number and not on the cores; with fewer cores than parts it is gradient accumulation.
    pub parts: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            tokens: "data/tokens".into(),
            texts: None,
            codec: "codec.safetensors".into(),
            bpe: "bpe.model".into(),
            train: Where::default(),
            held_out: Where::default(),
            holdout: 0,
            held_out_rows: 512,
            batch_size: 16,
            parts: 1,
        }
    }
}

impl DataConfig {
    /// Refuses what cannot be run.
    pub(super) fn check(&self) -> Result<()> {
        for (key, value) in [("batch_size", self.batch_size), ("parts", self.parts)] {
            if value == 0 {
                return Err(Error::config(format!("data.{key}: must be at least 1")));
            }
        }
        Ok(())
    }

    /// Refuses a vocabulary whose special ids are not those that the model frames texts with.
    pub(super) fn fits(&self, bpe: &Bpe) -> Result<()> {
        let (found, needed) = (bpe.specials(), Specials::default());
        if found == needed {
            return Ok(());
        }
        let ids = |specials: Specials| {
            let Specials { pad, unk, bos, eos } = specials;
            let [pad, unk, bos, eos] =
                [pad, unk, bos, eos].map(|id| id.map_or("none".to_owned(), |id| id.to_string()));
            format!("pad {pad}, unk {unk}, bos {bos}, eos {eos}")
        };
        Err(Error::config(format!(
            "data.bpe: {}: its special ids are {}; the model needs {}",
            self.bpe.display(),
            ids(found),
            ids(needed)
        ))
        .with_hint("train one with `tokenize bpe`, which gives these ids, and make the shards again with it"))
    }

    /// Training rows and held-out rows.
    pub(super) fn sets(&self, expected: &Expected, texts: &Texts<'_>) -> Result<(Tokens, Option<Tokens>)> {
        let paths: Vec<&Path> =
            [Some(self.tokens.as_path()), self.texts.as_deref()].into_iter().flatten().collect();
        let load = |filter: &Where| Tokens::load_with(&paths, filter, expected, texts);
        split(load, &self.train, &self.held_out, self.holdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_ids_must_be_those_of_the_model() {
        let bpe = |specials| {
            let model = tokenize::bpe::yttm::Model::new("▁cat".chars().collect(), vec![], specials);
            Bpe::from(model.unwrap())
        };
        let data = DataConfig::default();
        data.fits(&bpe(Specials::default())).unwrap();
        let others = Specials { pad: Some(3), unk: Some(0), bos: Some(2), eos: None };
        let error = data.fits(&bpe(others)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data.bpe: bpe.model: its special ids are pad 3, unk 0, bos 2, eos none; the model needs pad 0, unk 1, bos 2, eos 3"
        );
        assert!(error.hint().unwrap().contains("tokenize bpe"));
    }
}
