//! The authors' settings of top-k and top-p, by name.

use super::SamplingConfig;

/// A published setting. The numbered ones are ruDALL·E's list, which its authors run through for one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Preset {
    /// Top-k 2048, top-p 0.995
    #[value(name = "rudalle-1")]
    Rudalle1,
    /// Top-k 1536, top-p 0.99
    #[value(name = "rudalle-2")]
    Rudalle2,
    /// Top-k 1024, top-p 0.99
    #[value(name = "rudalle-3")]
    Rudalle3,
    /// Top-k 1024, top-p 0.98
    #[value(name = "rudalle-4")]
    Rudalle4,
    /// Top-k 512, top-p 0.97
    #[value(name = "rudalle-5")]
    Rudalle5,
    /// Top-k 384, top-p 0.96
    #[value(name = "rudalle-6")]
    Rudalle6,
    /// Top-k 256, top-p 0.95
    #[value(name = "rudalle-7")]
    Rudalle7,
    /// Top-k 128, top-p 0.95
    #[value(name = "rudalle-8")]
    Rudalle8,
    /// Kandinsky, and DALL·E where nothing is said: top-k 768, top-p 0.99
    Kandinsky,
    /// RuDOLPH's images: top-k 768, top-p 0.99
    Rudolph,
    /// RuDOLPH's texts: top-k 64, top-p 0.8, temperature 0.9
    RudolphText,
    /// ImageGPT: top-k 40
    #[value(name = "imagegpt")]
    ImageGpt,
}

impl Preset {
    /// The setting.
    ///
    /// Sources: ruDALL·E's README and notebooks, `rudolph/api.py`, Hugging Face's notebook of ImageGPT.
    #[must_use]
    pub fn config(self) -> SamplingConfig {
        let (top_k, top_p) = match self {
            Self::Rudalle1 => (2048, 0.995),
            Self::Rudalle2 => (1536, 0.99),
            Self::Rudalle3 => (1024, 0.99),
            Self::Rudalle4 => (1024, 0.98),
            Self::Rudalle5 => (512, 0.97),
            Self::Rudalle6 => (384, 0.96),
            Self::Rudalle7 => (256, 0.95),
            Self::Rudalle8 => (128, 0.95),
            Self::Kandinsky | Self::Rudolph => (768, 0.99),
            Self::RudolphText => return SamplingConfig::text(),
            Self::ImageGpt => (40, 1.0),
        };
        SamplingConfig { top_k, top_p, ..SamplingConfig::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_preset_is_what_its_help_says() {
        for preset in Preset::value_variants() {
            let (value, config) = (preset.to_possible_value().unwrap(), preset.config());
            let help = value.get_help().unwrap().to_string();
            assert!(help.contains(&format!("op-k {}", config.top_k)), "{help}");
            assert!(config.top_p == 1.0 || help.contains(&format!("top-p {}", config.top_p)), "{help}");
            assert!(config.validate().is_ok());
        }
    }
}
