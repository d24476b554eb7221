//! The table `[model]`: what it does not say may come from the folder that a run starts from.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};

use crate::{Error, Result};

/// Keys that may differ from those of the weights that a run starts from: they say how a model learns, not what it is.
const FREE: [&str; 6] = ["loss", "tokens", "dropout", "gradient_shrink", "embedding_std", "branch_gain"];

/// Hyper-parameters, and which of them the file gave.
#[derive(Clone, Debug, Default)]
pub struct ModelTable<C> {
    config: C,
    given: Table,
}

impl<C: Clone + Serialize + DeserializeOwned> ModelTable<C> {
    /// The same with `base` in place of the defaults: those of the weights in `origin`.
    ///
    /// # Errors
    /// Keys that were given and say that the model is another one than `base`.
    pub(super) fn filled(&self, base: &C, origin: &Path) -> Result<Self> {
        let fault = |error: String| Error::config(format!("model: {error}"));
        let base = Table::try_from(base).map_err(|error| fault(error.to_string()))?;
        let mut merged = base.clone();
        overlay(&mut merged, &self.given);
        let config: C = Value::Table(merged).try_into().map_err(|error| fault(error.message().to_owned()))?;
        let merged = Table::try_from(&config).map_err(|error| fault(error.to_string()))?;
        let differ = |(key, value): &(&String, &Value)| {
            !FREE.contains(&key.as_str()) && base.get(*key) != Some(*value)
        };
        let line = |(key, value): (&String, &Value)| {
            let there = base.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("  model.{key}: {value} here, {there} there")
        };
        let lines: Vec<_> = merged.iter().filter(differ).map(line).collect();
        if lines.is_empty() {
            return Ok(Self { config, given: self.given.clone() });
        }
        let what = format!("{} is another model than the configuration says:", origin.display());
        Err(Error::config(format!("{what}\n{}", lines.join("\n")))
            .with_hint("leave these keys out, or start from weights of that shape"))
    }
}

/// Puts the values of `over` into `table`, key by key.
fn overlay(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(value)) => overlay(below, value),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

impl<C> From<C> for ModelTable<C> {
    fn from(config: C) -> Self {
        Self { config, given: Table::new() }
    }
}

impl<C> Deref for ModelTable<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.config
    }
}

impl<C> DerefMut for ModelTable<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.config
    }
}

impl<C: PartialEq> PartialEq for ModelTable<C> {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl<C: Serialize> Serialize for ModelTable<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.config.serialize(serializer)
    }
}

impl<'de, C: DeserializeOwned> Deserialize<'de> for ModelTable<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Table::deserialize(deserializer)?;
        let config = Value::Table(given.clone()).try_into::<C>();
        Ok(Self { config: config.map_err(|error| D::Error::custom(error.message()))?, given })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rudolph::RudolphConfig;

    type Model = ModelTable<RudolphConfig>;

    fn table(text: &str) -> Model {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_given_comes_from_the_weights() {
        let base = RudolphConfig { layers: 3, dim: 8, ..RudolphConfig::default() };
        let model = table("layers = 3\ndropout = 0.25\nloss = { right = 7.0 }");
        let filled = model.filled(&base, Path::new("m")).unwrap();
        assert_eq!((filled.layers, filled.dim, filled.dropout), (3, 8, 0.25));
        assert_eq!((filled.loss.left, filled.loss.right), (1.0, 7.0));
        // As `run.toml` has it: every key written out.
        let again: Model = toml::from_str(&pipeline::settings::to_toml(&filled).unwrap()).unwrap();
        assert_eq!(again.filled(&base, Path::new("m")).unwrap(), filled);
    }

    #[test]
    fn another_model_is_shown_key_by_key() {
        let base = RudolphConfig { layers: 3, ..RudolphConfig::default() };
        let error = table("layers = 4\ngrid = 32").filled(&base, Path::new("m")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "m is another model than the configuration says:\n  model.grid: 32 here, 16 there\n  model.layers: 4 here, 3 there"
        );
    }
}
