//! The config of `pipeline reshard`: what is taken, how it is divided, in which order, and how it is cut.

use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::settings::one_or_many;
use crate::{Error, Result};

/// Sides of a split at most: a row remembers its side in a byte, one value of which means none.
const MOST_SIDES: usize = 254;
/// Rows in a shard at most.
const MOST_ROWS: u64 = 1_000_000_000;
/// How far the shares of a split may be from 1 in sum: decimal fractions do not add up exactly.
const ROUNDING: f64 = 1e-9;

/// `reshard.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReshardConfig {
    /// Decides the shuffle, and which value goes to which side of a split.
    pub seed: u64,
    /// The shards.
    pub input: InputConfig,
    /// Which rows are taken.
    pub subset: SubsetConfig,
    /// Into which folders they go.
    pub split: SplitConfig,
    /// In which order.
    pub order: OrderConfig,
    /// The new shards.
    pub output: OutputConfig,
    /// This machine.
    pub run: RunConfig,
}

/// `[input]`: pair shards, link tables, or any Parquet files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Folders, buckets (`s3://…`, `gs://…`, `az://…`) or single files, read one after the other; all have the same
    /// columns.
    #[serde(deserialize_with = "one_or_many")]
    pub paths: Vec<String>,
}

/// `[subset]`: a list of the rows to keep, or of those to drop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubsetConfig {
    /// Rows in this list are kept, all others left out; empty: no such list. DataComp's `.npy` of uids, or Parquet, CSV,
    /// TSV, JSON, JSONL (a column of them), or text with one value per line; also `.gz` and `.zst`.
    pub keep: String,
    /// Rows in this list are left out; empty: no such list.
    pub drop: String,
    /// Column of the shards that is looked up in the list; empty: `uid` for `.npy`, else `key`.
    pub column: String,
    /// Column of the list; empty: of the same name.
    pub list_column: String,
    /// A row that the list keeps n times is written n times, as DataComp's resharder does.
    pub repeat: bool,
}

/// `[split]`: rows divided by the hash of a column, so that all rows of one value are on one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// `NAME=SHARE`, in this order; the shares sum to 1. Each side becomes a folder of the output. Empty: no split.
    pub sides: Vec<Share>,
    /// The column; empty: `cluster` where there is one (near-duplicates stay together), else `url`, else `key`. Rows
    /// without a value go by their key.
    pub by: String,
}

/// A side of a split, written `train=0.98`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    /// Name of the folder.
    pub name: String,
    /// Share of the values, above 0 and below 1.
    pub share: f64,
}

/// In which order rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// That of the input.
    #[default]
    Input,
    /// A random one: each is equally likely.
    Shuffle,
    /// By columns.
    Sort,
}

/// `[order]`: the order of the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderConfig {
    /// `input`, `shuffle` or `sort`.
    pub kind: Order,
    /// Columns to sort by, the first one first. Rows that are equal in all of them keep their order; those without a value
    /// come last.
    #[serde(deserialize_with = "one_or_many")]
    pub by: Vec<String>,
    /// Largest first.
    pub descending: bool,
}

/// `[output]`: the new shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// A folder or a bucket; of a split, the one that the folders of the sides lie in.
    pub path: String,
    /// Rows in a shard. A new order holds those of one in memory, without their pictures.
    pub rows_per_unit: u64,
    /// New keys, by shard and row as a crawl gives them. Otherwise rows keep theirs.
    pub rekey: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { path: String::new(), rows_per_unit: 10_000, rekey: false }
    }
}

/// `[run]`: this machine; nothing here changes a byte of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Shards in progress at a time; 0: one per core.
    pub threads: usize,
    /// Folder for rows on their way into another order, which takes as much room as they do; empty: the output folder, or
    /// the system's for temporary files where the output is a bucket. What a kill leaves there vanishes by itself.
    pub temp: String,
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(side: Share) -> Self {
        format!("{}={}", side.name, side.share)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, share) = text.split_once('=').ok_or_else(|| format!("`{text}`: expected NAME=SHARE"))?;
        let share = share.trim().parse().map_err(|_| format!("`{share}` is no number"))?;
        Ok(Self { name: name.trim().to_owned(), share })
    }
}

impl ReshardConfig {
    /// Refuses what cannot work, naming the key.
    pub fn validate(&self) -> Result<()> {
        if self.input.paths.is_empty() {
            let error = Error::config("input.paths", "no shards given");
            return Err(error.with_hint("pipeline reshard data/pairs --shuffle --out data/shuffled"));
        }
        if self.output.path.is_empty() {
            let error = Error::config("output.path", "no output folder given");
            return Err(error.with_hint("add --out data/resharded"));
        }
        if !(1..=MOST_ROWS).contains(&self.output.rows_per_unit) {
            let message = format!("lies between 1 and {MOST_ROWS}");
            return Err(Error::config("output.rows_per_unit", message));
        }
        self.subset.validate()?;
        self.split.validate()?;
        match self.order.kind {
            Order::Sort if self.order.by.is_empty() => Err(Error::config("order.by", "no column to sort by")),
            Order::Input | Order::Shuffle if !self.order.by.is_empty() => {
                Err(Error::config("order.by", "is for order.kind = \"sort\""))
            }
            _ => Ok(()),
        }
    }
}

impl SubsetConfig {
    fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        match (self.keep.is_empty(), self.drop.is_empty()) {
            (false, false) => wrong("subset.drop", "one list is read: of rows to keep, or of rows to drop"),
            (true, true) if !self.column.is_empty() => wrong("subset.column", "there is no list to look in"),
            (true, _) if self.repeat => wrong("subset.repeat", "is for a list of rows to keep"),
            _ => Ok(()),
        }
    }
}

impl SplitConfig {
    fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::config("split.sides", message));
        let names: Vec<&str> = self.sides.iter().map(|side| side.name.as_str()).collect();
        let sum: f64 = self.sides.iter().map(|side| side.share).sum();
        let whole = |name: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !name.is_empty() && !name.starts_with(['.', '_']) && name.bytes().all(plain)
        };
        if names.is_empty() && !self.by.is_empty() {
            return Err(
                Error::config("split.by", "there is no split").with_hint("--split train=0.98,test=0.02")
            );
        }
        if names.is_empty() {
            return Ok(());
        }
        if !(2..=MOST_SIDES).contains(&names.len()) {
            return wrong(format!("a split has 2 to {MOST_SIDES} sides"));
        }
        if let Some(name) = names.iter().find(|name| !whole(name)) {
            return wrong(format!("`{name}` is no name for a folder: letters, digits, `-`, `_` and `.`"));
        }
        if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return wrong(format!("two sides are called `{}`", twice.1));
        }
        if let Some(side) = self.sides.iter().find(|side| !(side.share > 0.0 && side.share < 1.0)) {
            return wrong(format!("the share of `{}` lies between 0 and 1", side.name));
        }
        if (sum - 1.0).abs() > ROUNDING {
            return wrong(format!("the shares sum to {sum}, not to 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(sets: &[&str]) -> String {
        let base = ["input.paths=a", "output.path=b"];
        let sets: Vec<String> = base.iter().chain(sets).map(|set| (*set).to_owned()).collect();
        let config = crate::settings::load::<ReshardConfig>(None, &sets);
        config.and_then(|config| config.validate()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_named() {
        let split = |sides: &str| fault(&[&format!("split.sides={sides}")]);
        assert_eq!(split(r#"["a=0.5","b=0.4"]"#), "split.sides: the shares sum to 0.9, not to 1");
        assert_eq!(split(r#"["a=0.5","a=0.5"]"#), "split.sides: two sides are called `a`");
        assert_eq!(split(r#"["a=1.5","b=-0.5"]"#), "split.sides: the share of `a` lies between 0 and 1");
        assert_eq!(split(r#"["a=1.0"]"#), "split.sides: a split has 2 to 254 sides");
        assert!(split(r#"["../a=0.5","b=0.5"]"#).contains("`../a` is no name for a folder"));
        assert!(split(r#"["a=half","b=0.5"]"#).ends_with("`half` is no number"));
        assert!(fault(&["subset.keep=x", "subset.drop=y"]).starts_with("subset.drop: one list is read"));
        assert!(fault(&["subset.drop=x", "subset.repeat=true"]).starts_with("subset.repeat: "));
        assert_eq!(fault(&["order.kind=sort"]), "order.by: no column to sort by");
        assert!(fault(&["order.by=score"]).starts_with("order.by: is for order.kind"));
        assert_eq!(fault(&["output.rows_per_unit=0"]), "output.rows_per_unit: lies between 1 and 1000000000");
    }

    #[test]
    fn shares_survive_a_config_file() {
        let side: Share = "train=0.98".parse().unwrap();
        assert_eq!(side, Share { name: "train".into(), share: 0.98 });
        let config = ReshardConfig {
            split: SplitConfig { sides: vec![side, "test=0.02".parse().unwrap()], by: String::new() },
            ..ReshardConfig::default()
        };
        let text = crate::settings::to_toml(&config).unwrap();
        assert!(text.contains("\"train=0.98\""), "{text}");
        assert_eq!(toml::from_str::<ReshardConfig>(&text).unwrap(), config);
    }

    #[test]
    fn the_shipped_configuration_is_complete() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/reshard.toml");
        let config: ReshardConfig = crate::settings::load(Some(&path), &[]).unwrap();
        config.validate().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let whole = toml::Table::try_from(&config).unwrap();
        for (section, keys) in whole {
            for key in keys.as_table().map_or(vec![&section], |keys| keys.keys().collect()) {
                assert!(text.contains(&format!("\n{key} = ")), "{key} is not in configs/reshard.toml");
            }
        }
    }
}
