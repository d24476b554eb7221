//! The table `[data]`: shards and what made them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokenize::bpe::{Bpe, Specials};

use super::exercise::Exercise;
use super::mix::TaskMix;
use crate::data::{Block, Catalog, Choose, Reading, Stream, Texts, Tokens, Where, split};
use crate::{Error, Result};

/// The token shards and what made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A folder of token shards, or one shard.
    pub tokens: PathBuf,
    /// More shards by name, for tasks with a key `set`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, SetConfig>,
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

/// Shards that have a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SetConfig {
    /// A folder of token shards, or one shard.
    pub tokens: PathBuf,
    /// Which rows are trained on.
    pub train: Where,
    /// Which rows the held-out losses are measured on.
    pub held_out: Where,
    /// Without such a condition: this many images, the last ones, are held out.
    pub holdout: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            tokens: "data/tokens".into(),
            sets: BTreeMap::new(),
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

    /// The shards of every task, and for each task in the order of the mix which of them are its own. Those without a
    /// name are the first, if a task has them.
    ///
    /// # Errors
    /// A name that `[data.sets]` does not have; shards that do not fit.
    pub(super) fn sets(&self, mix: &TaskMix, reading: &Reading) -> Result<(Vec<Sets>, Vec<usize>)> {
        let mut names: Vec<Option<&String>> = mix.0.values().map(|practice| practice.set.as_ref()).collect();
        let of_tasks = names.clone();
        names.sort();
        names.dedup();
        let sets = names.iter().map(|name| self.set(*name, mix, reading)).collect::<Result<Vec<_>>>()?;
        let place = |name: &Option<&String>| names.iter().position(|known| known == name).unwrap_or(0);
        Ok((sets, of_tasks.iter().map(place).collect()))
    }

    fn set(&self, name: Option<&String>, mix: &TaskMix, reading: &Reading) -> Result<Sets> {
        let Some(name) = name else {
            let paths = [Some(self.tokens.as_path()), self.texts.as_deref()].into_iter().flatten().collect();
            let config = SetConfig {
                tokens: self.tokens.clone(),
                train: self.train.clone(),
                held_out: self.held_out.clone(),
                holdout: self.holdout,
            };
            return Sets::open(None, paths, &config, self.buffer_rows, reading);
        };
        let Some(config) = self.sets.get(name) else {
            let task = mix.0.iter().find(|(_, practice)| practice.set.as_ref() == Some(name));
            let task = task.map_or("", |(task, _)| task.as_str());
            let known: Vec<_> = self.sets.keys().map(String::as_str).collect();
            let error = Error::config(format!("tasks.{task}.set: no table `[data.sets.{name}]`"));
            return Err(match pipeline::settings::suggest(name, &known) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        Sets::open(Some(name.clone()), vec![&config.tokens], config, self.buffer_rows, reading)
    }
}

/// The rows of a run, or of those of its tasks that have the same shards.
pub(super) struct Sets {
    name: Option<String>,
    pub(super) path: PathBuf,
    /// All training rows, or the first of them where there are more than are held in memory.
    pub(super) sample: Arc<Tokens>,
    /// Where all rows lie, if they are not held in memory.
    pub(super) blocks: Option<Vec<Block>>,
    reading: Arc<Reading>,
    pub(super) held_out: Option<Tokens>,
    fingerprint: String,
}

impl Sets {
    fn open(
        name: Option<String>,
        paths: Vec<&Path>,
        config: &SetConfig,
        buffer: usize,
        reading: &Reading,
    ) -> Result<Self> {
        let SetConfig { train, held_out, holdout, .. } = config;
        let reading = Reading { filter: train.clone(), ..reading.clone() };
        let texts = Texts { templates: &reading.templates, bpe: reading.bpe.as_ref() };
        let load = |filter: &Where| Tokens::load_with(&paths, filter, &reading.expected, &texts);
        let mut catalog = Catalog::read(&paths, &reading)?;
        let (sample, blocks, held_out, fingerprint) = if buffer == 0 || catalog.rows() <= buffer {
            let (sample, held_out) = split(load, train, held_out, *holdout)?;
            let fingerprint = sample.fingerprint().to_owned();
            (sample, None, held_out, fingerprint)
        } else {
            let held_out = match (held_out.is_any(), *holdout) {
                (false, _) => Some(load(held_out)?),
                (true, 0) => None,
                (true, count) => Some(catalog.hold_out(count, &reading)?),
            };
            (reading.sample(&catalog.blocks)?, Some(catalog.blocks), held_out, catalog.fingerprint)
        };
        let path = config.tokens.clone();
        let (sample, reading) = (Arc::new(sample), Arc::new(reading));
        Ok(Self { name, path, sample, blocks, reading, held_out, fingerprint })
    }

    /// Hash of all rows of a run; that of the only set alone where there is one without a name.
    pub(super) fn fingerprint_of(sets: &[Self]) -> String {
        if let [Self { name: None, fingerprint, .. }] = sets {
            return fingerprint.clone();
        }
        let of = |set: &Self| format!("{} {};", set.name.as_deref().unwrap_or_default(), set.fingerprint);
        let all: String = sets.iter().map(of).collect();
        Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// ` of birds`, where it has a name.
    pub(super) fn of_name(&self) -> String {
        self.name.as_ref().map_or_else(String::new, |name| format!(" of {name}"))
    }

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
            None => {
                let (rows, of) = (self.sample.len(), self.of_name());
                format!("{rows} training rows{of}, {} images", self.sample.images().len())
            }
            Some(blocks) => {
                let rows: usize = blocks.iter().map(|block| block.rows).sum();
                format!("{rows} training rows{}, read from the shards {buffer} at a time", self.of_name())
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
