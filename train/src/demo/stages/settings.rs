//! The demo's configurations, each loaded as its own command would load it.

use std::path::{Path, PathBuf};

use pipeline::crawl::CrawlConfig;
use pipeline::settings::load;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokenize::shards::ShardsConfig;

use super::super::options::Sets;
use super::super::place::{Place, command, set_path};
use crate::token_task::RudolphTask;
use crate::vqgan::VqGanTask;
use crate::{Error, Result};

/// A configuration with the file and the `--set` flags that made it.
#[derive(Clone, Debug)]
pub(in super::super) struct Configured<T> {
    pub(in super::super) config: T,
    path: PathBuf,
    sets: Vec<String>,
}

impl<T: Serialize + DeserializeOwned> Configured<T> {
    fn load(path: PathBuf, mut sets: Vec<String>, wanted: &[String]) -> Result<Self> {
        sets.extend_from_slice(wanted);
        Ok(Self { config: load(Some(&path), &sets)?, path, sets })
    }

    /// The command that does the same.
    pub(super) fn command(&self, program: &[&str]) -> String {
        command(program, &self.path, &self.sets)
    }

    /// Another `--set`, last.
    pub(super) fn set(&mut self, set: String) -> Result<()> {
        self.sets.push(set);
        self.config = load(Some(&self.path), &self.sets)?;
        Ok(())
    }
}

/// All four.
#[derive(Clone, Debug)]
pub(in super::super) struct Settings {
    pub(in super::super) crawl: Configured<CrawlConfig>,
    pub(in super::super) tokens: Configured<ShardsConfig>,
    pub(in super::super) rudolph: Configured<RudolphTask>,
    /// With `--from-scratch`.
    pub(in super::super) vqgan: Option<Configured<VqGanTask>>,
}

impl Settings {
    /// Reads the files of `configs/demo`; paths point into the output folder, and what the user sets comes last.
    ///
    /// # Errors
    /// A wrong key or value, before any work is done.
    pub(super) fn load(place: &Place, wanted: &Sets, from_scratch: bool) -> Result<Self> {
        let out = |key: &str, name: &str| set_path(key, &place.out(name));
        let codec = match from_scratch {
            true => place.out("vqgan/model/vqgan.safetensors"),
            false => present(place.config("codec/vqgan.safetensors"))?,
        };
        let codec = |key: &str| set_path(key, &codec);
        let crawl = vec![out("input.urls", "links.tsv"), out("output.path", "pairs")];
        let tokens =
            vec![out("pairs", "pairs"), codec("codec"), out("bpe", "bpe.model"), out("out", "tokens")];
        let rudolph = vec![
            out("data.tokens", "tokens"),
            codec("data.codec"),
            out("data.bpe", "bpe.model"),
            out("run.out", "rudolph"),
        ];
        let vqgan = || {
            let sets = vec![out("data.pairs", "pairs"), out("run.out", "vqgan")];
            Configured::load(place.config("vqgan.toml"), sets, &wanted.vqgan)
        };
        Ok(Self {
            crawl: Configured::load(place.config("crawl.toml"), crawl, &wanted.crawl)?,
            tokens: Configured::load(place.config("tokens.toml"), tokens, &wanted.tokens)?,
            rudolph: Configured::load(place.config("rudolph.toml"), rudolph, &wanted.rudolph)?,
            vqgan: from_scratch.then(vqgan).transpose()?,
        })
    }

    /// The weights of the codec.
    pub(in super::super) fn codec(&self) -> &Path {
        &self.tokens.config.codec
    }
}

fn present(codec: PathBuf) -> Result<PathBuf> {
    match std::fs::metadata(&codec) {
        Ok(_) => Ok(codec),
        Err(error) => Err(Error::config(format!("{}: {error}", codec.display()))
            .with_hint("the demo's codec comes with the repository; --from-scratch trains another one")),
    }
}
