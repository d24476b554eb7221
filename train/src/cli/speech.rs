//! What the commands in which a model says something share: flags of the sampler, pictures, opening the model.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::Common;

use super::pictures::load;
use crate::bundle::{Bundle, Sampling};
use crate::rudolph::Rudolph;
use crate::sampling::SamplingConfig;
use crate::{Error, Result, device};

/// How words are drawn. The defaults are those of `rudolph/api.py`.
#[derive(Args, Debug)]
pub(super) struct SpeechArgs {
    /// Keep the K most probable ids; 0 keeps all, 1 is the most probable text
    #[arg(long, value_name = "K", default_value_t = 64, help_heading = "Sampling")]
    top_k: usize,
    /// Keep the most probable ids that together reach this probability; 1 keeps all
    #[arg(long, value_name = "P", default_value_t = 0.8, help_heading = "Sampling")]
    top_p: f64,
    /// Below 1 bolder, above 1 wilder
    #[arg(long, value_name = "T", default_value_t = 0.9, help_heading = "Sampling")]
    temperature: f64,
    /// Another seed, another text; the same seed, the same text
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    seed: u64,
    #[command(flatten)]
    pub(super) machine: MachineArgs,
}

/// Where it is computed.
#[derive(Args, Debug)]
pub(super) struct MachineArgs {
    /// Texts computed together
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(super) batch: usize,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
}

impl SpeechArgs {
    pub(super) fn sampling(&self) -> Result<Sampling> {
        let (top_k, top_p, temperature, seed) = (self.top_k, self.top_p, self.temperature, self.seed);
        let config = SamplingConfig { top_k, top_p, temperature, seed, ..SamplingConfig::text() };
        config.validate()?;
        Ok(Sampling { config, batch: self.machine.batch.max(1) })
    }
}

impl MachineArgs {
    /// Opens a model that can `verb`, and says that it is `doing` so.
    pub(super) fn open(
        &self,
        run: &Path,
        doing: &str,
        verb: &str,
        common: &Common,
    ) -> Result<Bundle<Rudolph>> {
        common.say(&format!("{doing} with {}", run.display()));
        Bundle::open(run, &device::open(&self.device)?)?.rudolph(verb)
    }
}

/// At least one.
pub(super) fn at_least_one(flag: &str, number: usize) -> Result<()> {
    if number == 0 { Err(Error::config(format!("{flag}: must be at least 1"))) } else { Ok(()) }
}

/// The codes of picture files, made square as `tokenize shards` makes them for this codec.
pub(super) fn codes(bundle: &Bundle<Rudolph>, paths: &[PathBuf], batch: usize) -> Result<Vec<Vec<u16>>> {
    let pictures = paths.iter().map(|path| load(path, bundle)).collect::<Result<Vec<_>>>()?;
    bundle.codes(&pictures, batch)
}
