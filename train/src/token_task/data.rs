//! The table `[data]`: shards and what made them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokenize::bpe::{Bpe, Specials};

use super::exercise::Exercise;
use crate::data::{Block, Catalog, Choose, Expected, Reading, Stream, Template, Texts, Tokens, Where, split};
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
    /// Rows that are held in memory and shuffled among each other. Where the shards hold more, windows of so many rows are
    /// read one after the other, in an order that changes from epoch to epoch; 0 holds all rows.
    pub buffer_rows: usize,
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
            buffer_rows: 1 << 20,
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
    pub(super) fn sets(&self, expected: Expected, templates: &[Template], bpe: &Bpe) -> Result<Sets> {
        let paths: Vec<&Path> =
            [Some(self.tokens.as_path()), self.texts.as_deref()].into_iter().flatten().collect();
        let (filter, templates) = (self.train.clone(), templates.to_vec());
        let reading = Reading { filter, expected, templates, bpe: Some(bpe.clone()) };
        let texts = Texts { templates: &reading.templates, bpe: reading.bpe.as_ref() };
        let load = |filter: &Where| Tokens::load_with(&paths, filter, &reading.expected, &texts);
        let mut catalog = Catalog::read(&paths, &reading)?;
        if self.buffer_rows == 0 || catalog.rows() <= self.buffer_rows {
            let (train, held_out) = split(load, &self.train, &self.held_out, self.holdout)?;
            let fingerprint = train.fingerprint().to_owned();
            return Ok(Sets {
                sample: Arc::new(train),
                blocks: None,
                reading: Arc::new(reading),
                held_out,
                fingerprint,
            });
        }
        let held_out = match (self.held_out.is_any(), self.holdout) {
            (false, _) => Some(load(&self.held_out)?),
            (true, 0) => None,
            (true, count) => Some(catalog.hold_out(count, &reading)?),
        };
        let sample = reading.sample(&catalog.blocks)?;
        let Catalog { blocks, fingerprint } = catalog;
        let (sample, reading) = (Arc::new(sample), Arc::new(reading));
        Ok(Sets { sample, blocks: Some(blocks), reading, held_out, fingerprint })
    }
}

/// The rows of a run.
pub(super) struct Sets {
    /// All training rows, or the first of them where there are more than are held in memory.
    pub(super) sample: Arc<Tokens>,
    /// Where all rows lie, if they are not held in memory.
    pub(super) blocks: Option<Vec<Block>>,
    reading: Arc<Reading>,
    pub(super) held_out: Option<Tokens>,
    pub(super) fingerprint: String,
}

impl Sets {
    /// The training rows that a task takes, `buffer` rows in memory at a time; `None` where it takes none.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub(super) fn stream(&self, exercise: &Exercise, buffer: usize, seed: u64) -> Result<Option<Stream>> {
        let task = exercise.clone();
        let choose: Choose = Arc::new(move |tokens| task.takes(tokens));
        match &self.blocks {
            None => Ok(Stream::whole(&self.sample, &choose, seed)),
            Some(blocks) => {
                Stream::windows(blocks, &self.reading, &choose, (buffer, seed), exercise.of_complete())
            }
        }
    }

    /// What there is to train on, in words.
    pub(super) fn note(&self, buffer: usize) -> String {
        match &self.blocks {
            None => format!("{} training rows, {} images", self.sample.len(), self.sample.images().len()),
            Some(blocks) => {
                let rows: usize = blocks.iter().map(|block| block.rows).sum();
                format!("{rows} training rows, read from the shards {buffer} at a time")
            }
        }
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
