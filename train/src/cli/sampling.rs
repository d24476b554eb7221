//! Flags of every command that draws tokens.

use clap::Args;

use crate::bundle::Sampling;
use crate::sampling::SamplingConfig;

/// How tokens are drawn.
#[derive(Args, Debug)]
pub(super) struct SamplingArgs {
    /// Keep the K most probable tokens; 0 keeps all
    #[arg(long, value_name = "K", help_heading = "Sampling")]
    top_k: Option<usize>,
    /// Keep the most probable tokens that together reach this probability; 1 keeps all
    #[arg(long, value_name = "P", help_heading = "Sampling")]
    top_p: Option<f64>,
    /// Below 1 bolder, above 1 wilder
    #[arg(long, value_name = "T", help_heading = "Sampling")]
    temperature: Option<f64>,
    /// Above 1 the text counts for more, for a model trained with `tasks.text_dropout`; 1 is off
    #[arg(long, value_name = "G", help_heading = "Sampling")]
    guidance: Option<f64>,
    /// Another seed, another sample; the same seed, the same sample
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    pub(super) seed: u64,
    /// Samples computed together
    #[arg(long, value_name = "N", default_value_t = 16, help_heading = "Sampling")]
    pub(super) batch: usize,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub(super) device: String,
}

impl SamplingArgs {
    /// The flags over the defaults of what is drawn.
    pub(super) fn over(&self, defaults: SamplingConfig) -> Sampling {
        let config = SamplingConfig {
            top_k: self.top_k.unwrap_or(defaults.top_k),
            top_p: self.top_p.unwrap_or(defaults.top_p),
            temperature: self.temperature.unwrap_or(defaults.temperature),
            guidance: self.guidance.unwrap_or(defaults.guidance),
            seed: self.seed,
            ..defaults
        };
        Sampling { config, batch: self.batch }
    }
}
