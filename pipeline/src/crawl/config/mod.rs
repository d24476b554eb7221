//! The config of a crawl: plain serde structs, one file per section, defaults where img2dataset has them.

mod image;
mod input;
mod net;
mod output;

use serde::{Deserialize, Serialize};

use super::list::{ListFormat, RetryFailed};
use super::manners::{self, MannersConfig};
use super::output::OutputFormat;
use super::size::ByteSize;
use crate::picture::JPEG_CODEC;
use crate::{Error, Result};

pub use image::{Compat, ImageConfig};
pub use input::InputConfig;
pub use net::NetConfig;
pub use output::OutputConfig;

/// `crawl.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrawlConfig {
    /// The link list.
    pub input: InputConfig,
    /// What becomes of the pictures.
    pub image: ImageConfig,
    /// The network.
    pub net: NetConfig,
    /// What sites say about crawling.
    pub manners: MannersConfig,
    /// The shards.
    pub output: OutputConfig,
    /// This machine.
    pub run: RunConfig,
}

/// `[run]`: this machine; nothing here changes a byte of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Threads for decoding and resizing; 0: one per core.
    pub threads: usize,
    /// Memory for bodies, pixels and pictures that wait for their turn.
    pub memory_budget: ByteSize,
    /// Share of rows that must succeed, 0 to 1; below it the exit code is 1.
    pub min_success: f64,
    /// A file with metrics for Prometheus' textfile collector, written every 5 s and at the end; empty: none.
    pub prometheus: String,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self { threads: 0, memory_budget: ByteSize::mib(1024), min_success: 0.0, prometheus: String::new() }
    }
}

/// What of the config decides the output: part of the plan id, and nothing else is.
#[derive(Serialize)]
pub(super) struct Decides<'a> {
    /// How each list is read: the same bytes are other rows as CSV than as plain text.
    formats: Vec<ListFormat>,
    url_col: &'a str,
    caption_col: Option<&'a str>,
    image_col: Option<&'a str>,
    columns: &'a [String],
    quoting: bool,
    retry_failed: &'a RetryFailed,
    bbox_col: Option<&'a str>,
    image: &'a ImageConfig,
    output: OutputFormat,
    shard_digits: usize,
    jpeg_codec: &'static str,
    max_bytes: ByteSize,
    max_redirects: u32,
    manners: manners::Decides<'a>,
    breaker: Option<u32>,
}

impl CrawlConfig {
    /// Refuses what cannot work, naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        if self.input.urls.is_empty() {
            let error = Error::config("input.urls", "no link list given");
            return Err(error.with_hint("pipeline crawl urls.parquet --out data/pairs"));
        }
        if self.output.path.is_empty() {
            return Err(
                Error::config("output.path", "no output folder given").with_hint("add --out data/pairs")
            );
        }
        self.output.validate()?;
        match self {
            _ if self.input.bbox_col.is_some() && self.image.disable_all_reencoding => {
                return wrong("input.bbox_col", "nothing can be blurred with image.disable_all_reencoding");
            }
            _ if !(0.0..=1.0).contains(&self.run.min_success) => {
                return wrong("run.min_success", "lies between 0 and 1");
            }
            _ if self.run.memory_budget.0 < 4 * self.net.max_bytes.0 => {
                return wrong("run.memory_budget", "must be at least four times net.max_bytes");
            }
            _ => {}
        }
        self.net.validate()?;
        if let Some((key, message)) = self.image.problem() {
            return wrong(key, message);
        }
        self.manners.validate(&self.net.user_agent)
    }

    /// `formats` are those of the lists, in their order.
    pub(super) fn decides(&self, formats: Vec<ListFormat>) -> Decides<'_> {
        Decides {
            formats,
            url_col: &self.input.url_col,
            caption_col: self.input.caption_col.as_deref(),
            image_col: self.input.image_col.as_deref(),
            columns: &self.input.columns,
            quoting: self.input.quoting,
            retry_failed: &self.input.retry_failed,
            bbox_col: self.input.bbox_col.as_deref(),
            image: &self.image,
            output: self.output.format,
            shard_digits: self.output.shard_digits,
            jpeg_codec: JPEG_CODEC,
            max_bytes: self.net.max_bytes,
            max_redirects: self.net.max_redirects,
            manners: self.manners.decides(&self.net.user_agent),
            breaker: self.net.breaker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::ResizeMode;

    fn config(sets: &[&str]) -> Result<CrawlConfig> {
        let mut all = vec!["input.urls=a.csv".to_owned(), "output.path=out".to_owned()];
        all.extend(sets.iter().map(|s| (*s).to_owned()));
        let config: CrawlConfig = crate::settings::load(None, &all)?;
        config.validate().map(|()| config)
    }

    #[test]
    fn the_defaults_are_img2datasets() {
        let config = config(&[]).unwrap();
        assert_eq!(config.input.urls, ["a.csv"]);
        assert_eq!((config.image.size, config.image.resize_mode), (256, ResizeMode::Border));
        assert_eq!((config.net.timeout, config.output.rows_per_unit), (10.0, 10_000));
    }

    #[test]
    fn what_cannot_work_names_its_key() {
        for (set, key) in [
            ("image.size=0", "image.size"),
            ("image.size=10000", "image.size"),
            ("image.max_pixels=65535", "image.size"),
            ("image.encode_quality=101", "image.encode_quality"),
            ("image.max_aspect_ratio=0.5", "image.max_aspect_ratio"),
            ("image.verify_hash=[\"md5\", \"md5\"]", "image.verify_hash"),
            ("net.timeout=0", "net.timeout"),
            ("net.first_byte_timeout=-1", "net.first_byte_timeout"),
            ("net.allow=[\"host\"]", "net.allow"),
            ("net.resolve=[\"host\"]", "net.resolve"),
            ("net.per_host_rate=-1", "net.per_host_rate"),
            ("net.max_site_delay=1e9", "net.max_site_delay"),
            ("net.retries=101", "net.retries"),
            ("net.retry_backoff=-1", "net.retry_backoff"),
            ("run.min_success=2", "run.min_success"),
            ("output.format=tfrecord", "output.format"),
            ("output.path=http://host/pairs", "output.path"),
            ("output.rows_per_unit=0", "output.rows_per_unit"),
            ("output.shard_digits=0", "output.shard_digits"),
            ("run.memory_budget=\"1 MiB\"", "run.memory_budget"),
            ("input.urls=[]", "input.urls"),
        ] {
            let error = config(&[set]).unwrap_err();
            assert!(error.to_string().starts_with(key), "{set}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn boxes_need_pixels() {
        let error = config(&["input.bbox_col=faces", "image.disable_all_reencoding=true"]).unwrap_err();
        assert!(error.to_string().starts_with("input.bbox_col"), "{error}");
    }

    #[test]
    fn img2datasets_habits_override_the_other_keys() {
        let image = config(&["image.compat=img2dataset", "image.background=[0, 0, 0]"]).unwrap().image;
        assert!(!image.decode().exif_orientation);
        assert_eq!((image.decode().background, image.resize().background), ([255; 3], [255; 3]));
        assert!(!image.resize().antialias);
    }

    #[test]
    fn the_written_config_reads_back() {
        let config = config(&[
            "net.max_bytes=\"5 MB\"",
            "image.resize_mode=center_crop",
            "image.verify_hash=[\"sha\", \"sha256\"]",
        ])
        .unwrap();
        let text = crate::settings::to_toml(&config).unwrap();
        assert_eq!(toml::from_str::<CrawlConfig>(&text).unwrap(), config);
    }
}
