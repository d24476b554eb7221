//! The config of a deduplication: plain serde structs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cluster::Link;
use super::stage::Stage;
use super::url::UrlConfig;
use crate::{Error, Result};

/// The largest distance: beyond it, pictures that have nothing in common are near.
const MOST_DISTANCE: u32 = 8;

/// `dedup.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DedupConfig {
    /// What is looked for; those for which the input has no columns are left out, and said to be.
    pub stages: Vec<Stage>,
    /// The shards to be rewritten.
    pub input: InputConfig,
    /// Which URLs are the same.
    pub url: UrlConfig,
    /// Pictures that stand in for others.
    pub placeholder: PlaceholderConfig,
    /// Pictures that look the same.
    pub near: NearConfig,
    /// Evaluation sets that training must not have seen.
    pub against: AgainstConfig,
    /// What becomes of the captions of dropped rows.
    pub captions: CaptionsConfig,
    /// The new shards.
    pub output: OutputConfig,
    /// This machine.
    pub run: RunConfig,
}

impl Default for DedupConfig {
    /// All stages, where a URL alone is enough.
    fn default() -> Self {
        Self {
            stages: vec![Stage::Url, Stage::Placeholder, Stage::Contaminated, Stage::Sha256, Stage::Near],
            input: InputConfig::default(),
            url: UrlConfig::default(),
            placeholder: PlaceholderConfig::default(),
            near: NearConfig::default(),
            against: AgainstConfig::default(),
            captions: CaptionsConfig::default(),
            output: OutputConfig::default(),
            run: RunConfig::default(),
        }
    }
}

/// `[input]`: pair shards or link tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// A folder or bucket of shards, or a Parquet file.
    pub path: String,
    /// Column of the URL.
    pub url_col: String,
    /// Column of the caption.
    pub caption_col: String,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { path: String::new(), url_col: "url".into(), caption_col: "caption".into() }
    }
}

/// `[placeholder]`: the same bytes, or the same hash, in at least so many rows from at least so many sites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceholderConfig {
    /// Rows.
    pub rows: u64,
    /// Sites: registrable domains, so that the servers of one shop count once.
    pub sites: u64,
}

impl Default for PlaceholderConfig {
    fn default() -> Self {
        Self { rows: 20, sites: 5 }
    }
}

/// `[near]`: when two pictures are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NearConfig {
    /// Most bits of 64 in which their hashes differ, 0 to 8.
    pub distance: u32,
    /// How pairs become groups.
    pub link: Link,
}

impl Default for NearConfig {
    /// At 6, copies that were resized, recompressed or framed are found (`bench/RESULTS.md`), and of 10 million random
    /// hashes about 700 pairs are near by chance: C(64, 32) hashes have as many ones as zeros, as a median makes them.
    fn default() -> Self {
        Self { distance: 6, link: Link::default() }
    }
}

/// `[against]`: evaluation sets; rows near to one of their pictures are dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgainstConfig {
    /// Folders of images, tars, pair shards, Parquet files with a column of images or a column `phash`.
    pub paths: Vec<String>,
    /// Most bits in which hashes differ, 0 to 8.
    pub distance: u32,
}

impl Default for AgainstConfig {
    fn default() -> Self {
        Self { paths: Vec::new(), distance: NearConfig::default().distance }
    }
}

/// What becomes of the captions of rows that were dropped in favour of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Merge {
    /// They stay with the dropped rows.
    #[default]
    No,
    /// The kept row has a column `captions`, a list: its own caption first, then the others.
    List,
    /// The kept row has all of them in its caption.
    Join,
}

/// `[captions]`: whether the captions of dropped rows go to the kept one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptionsConfig {
    /// Whether and how.
    pub merge: Merge,
    /// What stands between them when they are joined.
    pub separator: String,
    /// Most captions of a row; they are kept in memory until its shard is written.
    pub most: usize,
}

impl Default for CaptionsConfig {
    fn default() -> Self {
        Self { merge: Merge::default(), separator: "\n".into(), most: 8 }
    }
}

/// `[output]`: the new shards, one for each of the input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// A folder or a bucket.
    pub path: String,
}

/// `[run]`: this machine; nothing here changes a byte of the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Threads; 0: one per core.
    pub threads: usize,
}

/// What of the config decides the output, besides the shards of the input.
#[derive(Serialize)]
pub(super) struct Decides<'a> {
    stages: BTreeSet<Stage>,
    url_col: &'a str,
    caption_col: &'a str,
    url: &'a UrlConfig,
    placeholder: &'a PlaceholderConfig,
    near: &'a NearConfig,
    /// Content and distance.
    against: (Vec<String>, u32),
    captions: &'a CaptionsConfig,
    jpeg_codec: &'static str,
}

impl DedupConfig {
    /// Refuses what cannot work, naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        let missing = |key: &str, message: &str, cure: &str| Err(Error::config(key, message).with_hint(cure));
        match self {
            _ if self.input.path.is_empty() => {
                missing("input.path", "no shards given", "pipeline dedup data/pairs --out data/unique")
            }
            _ if self.output.path.is_empty() => {
                missing("output.path", "no output folder given", "add --out data/unique")
            }
            _ if self.stages.is_empty() => wrong("stages", "there is nothing to look for"),
            _ if self.near.distance > MOST_DISTANCE => wrong("near.distance", "lies between 0 and 8"),
            _ if self.against.distance > MOST_DISTANCE => wrong("against.distance", "lies between 0 and 8"),
            _ if self.placeholder.rows < 2 => wrong("placeholder.rows", "must be at least 2"),
            _ if self.captions.most == 0 => wrong("captions.most", "must be at least 1"),
            _ => Ok(()),
        }
    }

    /// Whether a stage is asked for.
    pub fn has(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }

    /// `against` are the digests of the evaluation sets.
    pub(super) fn decides(&self, against: Vec<String>) -> Decides<'_> {
        Decides {
            stages: self.stages.iter().copied().collect(),
            url_col: &self.input.url_col,
            caption_col: &self.input.caption_col,
            url: &self.url,
            placeholder: &self.placeholder,
            near: &self.near,
            against: (against, self.against.distance),
            captions: &self.captions,
            jpeg_codec: crate::picture::JPEG_CODEC,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Result<DedupConfig> {
        let mut all = vec!["input.path=in".to_owned(), "output.path=out".to_owned()];
        all.extend(sets.iter().map(|set| (*set).to_owned()));
        let config: DedupConfig = crate::settings::load(None, &all)?;
        config.validate().map(|()| config)
    }

    #[test]
    fn what_cannot_work_names_its_key() {
        for (set, key) in [
            ("input.path=\"\"", "input.path"),
            ("output.path=\"\"", "output.path"),
            ("stages=[]", "stages"),
            ("near.distance=9", "near.distance"),
            ("against.distance=9", "against.distance"),
            ("placeholder.rows=1", "placeholder.rows"),
            ("captions.most=0", "captions.most"),
        ] {
            let error = config(&[set]).unwrap_err();
            assert!(error.to_string().starts_with(key), "{set}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn the_written_config_reads_back() {
        let config =
            config(&["stages=[\"url_caption\", \"near\"]", "near.link=single", "captions.merge=join"]);
        let config = config.unwrap();
        assert_eq!(config.stages, [Stage::UrlCaption, Stage::Near]);
        let text = crate::settings::to_toml(&config).unwrap();
        assert_eq!(toml::from_str::<DedupConfig>(&text).unwrap(), config);
    }
}
