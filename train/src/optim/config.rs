//! The table `[optim]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AdafactorConfig, LionConfig, MuonConfig};
use crate::{Error, Result};

/// Numbers of the [`Optimizer`](super::Optimizer): clipping, decay and rates of all kinds, and what each kind has of its own.
///
/// The defaults are those of DALL·E (Ramesh et al., 2021, appendix B.2): betas 0.9 and 0.96, decay 4.5e-2; the clipping
/// norm 1.0 is that of RuDOLPH's notebooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// How a parameter is updated.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: OptimKind,
    /// Of AdamW: decay of the running mean and of the running square of the gradients.
    pub betas: [f64; 2],
    /// Of AdamW: added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; never applied to vectors (biases, norms) and embeddings.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 turns clipping off.
    pub clip: f64,
    /// Embeddings learn this many times as fast. A row is updated only when its word or code is seen, so a short
    /// training leaves it near where it began.
    pub embedding_rate: f64,
    /// Factors of the learning rate; 0 freezes. A key is the name of a module or parameter on a parameter's path, such as
    /// `encoder`; or several in a row, in which a `*` stands for anything: `layers.*.attention`, `*.bias`. All factors of one
    /// path multiply.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// Numbers of Lion, where `kind` names it.
    #[serde(skip_serializing_if = "is_default")]
    pub lion: LionConfig,
    /// Numbers of Adafactor, where `kind` names it.
    #[serde(skip_serializing_if = "is_default")]
    pub adafactor: AdafactorConfig,
    /// Hidden matrices by Muon; without it `kind` updates them as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
}

/// See [`OptimConfig::kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimKind {
    /// Two moments for each weight (Loshchilov and Hutter 2019).
    #[default]
    AdamW,
    /// One moment, and steps of one size (Chen et al. 2023).
    Lion,
    /// A second moment for each row and column alone (Shazeer and Stern 2018).
    Adafactor,
}

/// What is left out of `run.toml`: a run that began before a key existed must find no change.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            kind: OptimKind::AdamW,
            betas: [0.9, 0.96],
            epsilon: 1e-8,
            weight_decay: 4.5e-2,
            clip: 1.0,
            embedding_rate: 1.0,
            rates: BTreeMap::new(),
            lion: LionConfig::default(),
            adafactor: AdafactorConfig::default(),
            muon: None,
        }
    }
}

impl OptimConfig {
    /// Refuses numbers with which nothing would be learned.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        let numbers = [
            ("weight_decay", self.weight_decay),
            ("clip", self.clip),
            ("embedding_rate", self.embedding_rate),
            ("epsilon", self.epsilon),
        ];
        let wrong = numbers.into_iter().find(|(_, value)| !sound(*value));
        let rates = self.rates.iter().find(|(_, value)| !sound(**value));
        if let Some(key) =
            wrong.map(|(key, _)| key.to_owned()).or(rates.map(|(key, _)| format!("rates.{key}")))
        {
            return Err(Error::config(format!("optim.{key}: must be a number that is not negative")));
        }
        if !self.betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(Error::config("optim.betas: both must be in [0, 1)"));
        }
        match self.kind {
            OptimKind::AdamW => Ok(()),
            OptimKind::Lion => self.lion.check(),
            OptimKind::Adafactor => self.adafactor.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_before_there_were_kinds_reads_and_writes_the_same() {
        let old =
            "betas = [0.9, 0.96]\nepsilon = 1e-8\nweight_decay = 0.045\nclip = 1.0\nembedding_rate = 1.0\n";
        let config: OptimConfig = toml::from_str(old).unwrap();
        assert_eq!(config, OptimConfig::default());
        let written: toml::Table = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(written, toml::from_str::<toml::Table>(old).unwrap());
    }

    #[test]
    fn faults_name_their_key() {
        let fault =
            |text: &str| toml::from_str::<OptimConfig>(text).unwrap().check().unwrap_err().to_string();
        for (text, key) in [
            ("clip = -1.0", "optim.clip: "),
            ("rates = { encoder = -0.5 }", "optim.rates.encoder: "),
            ("betas = [0.9, 1.0]", "optim.betas: "),
            ("kind = 'lion'\nlion = { betas = [0.9, 1.5] }", "optim.lion.betas: "),
            ("kind = 'adafactor'\nadafactor = { update_clip = 0.0 }", "optim.adafactor.update_clip: "),
        ] {
            assert!(fault(text).starts_with(key), "{text}: {}", fault(text));
        }
        let error = toml::from_str::<OptimConfig>("kind = 'lino'").unwrap_err().to_string();
        assert!(error.contains("`adamw`, `lion`, `adafactor`"), "{error}");
    }
}
