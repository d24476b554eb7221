//! The config of a crawl: plain serde structs, defaults where img2dataset has them.

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize};

use super::address::Policy;
use super::dns::DnsChoice;
use super::list::{ListFormat, RetryFailed};
use super::manners::{self, MannersConfig};
use super::output::OutputFormat;
use super::size::ByteSize;
use crate::pairs::HashKind;
use crate::picture::{
    DecodeOptions, EncodeFormat, EncodeOptions, Interpolation, JPEG_CODEC, ResizeMode, ResizeOptions,
};
use crate::{Error, Result};

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

/// `[input]`: link lists, or images that are there already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Files, folders, patterns (`shards/*.tar`, `**`), on disk or under `s3://`, `gs://`, `az://`, `http(s)://`. Of a
    /// folder its lists or tars are taken in the order of their names, or all images in it and below.
    #[serde(deserialize_with = "one_or_many")]
    pub urls: Vec<String>,
    /// What the files are; unset: by their ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<ListFormat>,
    /// Column of the URL.
    pub url_col: String,
    /// Column of the caption; unset: `caption` where the list has one. Beside images `txt` is the text, `folder` the name
    /// of the folder around, any other a key of the JSON; unset: the text, else the JSON's `caption`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption_col: Option<String>,
    /// Column of image bytes in a Parquet list, which are then taken instead of a download; unset: `jpg`, `png` or
    /// `webp` (shards), or `image` (Hugging Face's struct); empty: none, everything is downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_col: Option<String>,
    /// Columns to carry into the shards, with their types; with images: `folder`, `source_key`, keys of the JSON.
    pub columns: Vec<String>,
    /// Whether quotes in CSV and TSV hold cells together; `false` for lists whose captions have quotes as they come.
    pub quoting: bool,
    /// The inputs are outputs of earlier crawls (img2dataset's too), of which only failed rows are fetched: `false`,
    /// `true` (what may come out otherwise: time-outs, DNS, 429, 5xx, …), or classes, `all`, a status, codes of
    /// `pipeline explain`. They go into a new folder with their caption and additional columns; `source_key` holds the
    /// key that a row had. To join both: drop the rows of the old output whose key is the `source_key` of a success in
    /// the new one, and append the successes.
    pub retry_failed: RetryFailed,
    /// Column of the boxes to blur in each picture: a list of `[left, top, right, bottom]` between 0 and 1 of its width
    /// and height as it stands upright, or the same as JSON text. It comes into the shards too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox_col: Option<String>,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            format: None,
            url_col: "url".into(),
            caption_col: None,
            image_col: None,
            columns: Vec::new(),
            quoting: true,
            retry_failed: RetryFailed::default(),
            bbox_col: None,
        }
    }
}

/// Whose habits the pictures follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Ours: pictures stand upright, in three channels, over the chosen colour, and filters never alias.
    #[default]
    None,
    /// img2dataset's, whatever the other keys say: EXIF orientation and colour profiles are ignored, the background is
    /// white, grey pictures stay grey, and linear, cubic and Lanczos reduce without antialiasing as OpenCV does.
    /// (Sizes, offsets and the area filter are the same in both. 16-bit pictures are scaled in both: there they turn
    /// white.)
    Img2dataset,
}

/// `[image]`: decode, resize, encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// Side of the result in pixels.
    pub size: u32,
    /// What becomes of pictures that are not square.
    pub resize_mode: ResizeMode,
    /// Leave smaller pictures as they are.
    pub only_if_bigger: bool,
    /// Filter for reducing.
    pub downscale: Interpolation,
    /// Filter for enlarging.
    pub upscale: Interpolation,
    /// Colour under transparent pixels and of the border.
    pub background: [u8; 3],
    /// Whether EXIF orientation is applied.
    pub exif_orientation: bool,
    /// Whether colours are taken to sRGB by the picture's ICC profile.
    pub icc: bool,
    /// Pictures with more pixels are refused by their header.
    pub max_pixels: u64,
    /// Pictures with a shorter side are refused; 0 refuses none.
    pub min_side: u32,
    /// Pictures with more pixels are refused; 0 refuses none.
    pub max_area: u64,
    /// Pictures with a larger ratio of sides are refused; 0 refuses none.
    pub max_aspect_ratio: f64,
    /// Format in the shards.
    pub encode_format: EncodeFormat,
    /// jpg: 1 to 100 (95), png: compression 0 to 9 (6), webp: 1 to 100 (95), above 100 lossless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode_quality: Option<u8>,
    /// Store a file of the right format as it came where nothing about it changes.
    pub skip_reencode: bool,
    /// Store every body as it came, undecoded and unchecked, without sizes.
    pub disable_all_reencoding: bool,
    /// Hash of the downloaded bytes: none, md5, sha256, sha512.
    pub compute_hash: HashKind,
    /// `[column, hash]`: rows whose bytes do not have the hash in that column are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_hash: Option<(String, HashKind)>,
    /// Store EXIF tags as a JSON object.
    pub extract_exif: bool,
    /// Whose habits the pictures follow.
    pub compat: Compat,
}

impl Default for ImageConfig {
    fn default() -> Self {
        let (decode, resize) = (DecodeOptions::default(), ResizeOptions::default());
        Self {
            size: resize.size,
            resize_mode: resize.mode,
            only_if_bigger: resize.only_if_bigger,
            downscale: resize.downscale,
            upscale: resize.upscale,
            background: decode.background,
            exif_orientation: decode.exif_orientation,
            icc: decode.icc,
            max_pixels: decode.max_pixels,
            min_side: 0,
            max_area: 0,
            max_aspect_ratio: 0.0,
            encode_format: EncodeFormat::Jpg,
            encode_quality: None,
            skip_reencode: false,
            disable_all_reencoding: false,
            compute_hash: HashKind::default(),
            verify_hash: None,
            extract_exif: true,
            compat: Compat::None,
        }
    }
}

impl ImageConfig {
    /// The part about decoding.
    pub fn decode(&self) -> DecodeOptions {
        DecodeOptions {
            background: self.background(),
            max_pixels: self.max_pixels,
            exif_orientation: self.exif_orientation && !self.as_img2dataset(),
            icc: self.icc && !self.as_img2dataset(),
        }
    }

    /// The part about resizing.
    pub fn resize(&self) -> ResizeOptions {
        ResizeOptions {
            mode: self.resize_mode,
            size: self.size,
            only_if_bigger: self.only_if_bigger,
            upscale: self.upscale,
            downscale: self.downscale,
            antialias: !self.as_img2dataset(),
            background: self.background(),
            max_pixels: self.max_pixels,
        }
    }

    /// Whether img2dataset's habits are followed.
    pub(super) fn as_img2dataset(&self) -> bool {
        self.compat == Compat::Img2dataset
    }

    fn background(&self) -> [u8; 3] {
        if self.as_img2dataset() { [255; 3] } else { self.background }
    }

    /// What cannot work, as key and message.
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let ratio = self.max_aspect_ratio;
        match &self.verify_hash {
            _ if self.size == 0 || self.size > 65_535 => Some(("image.size", "lies between 1 and 65535")),
            _ if ratio != 0.0 && !(1.0..1e9).contains(&ratio) => {
                Some(("image.max_aspect_ratio", "is at least 1, or 0 to refuse none"))
            }
            _ if self.always_too_large() => {
                Some(("image.size", "gives every picture more pixels than image.max_pixels"))
            }
            Some((_, kind)) if *kind != self.compute_hash || *kind == HashKind::None => {
                Some(("image.verify_hash", "names another hash than image.compute_hash"))
            }
            _ => self.encode().problem().map(|problem| ("image.encode_quality", problem)),
        }
    }

    /// Whether no picture can be resized within the limit. Where the size is only that of the longer side, or small
    /// pictures are left alone, some can.
    fn always_too_large(&self) -> bool {
        use ResizeMode::{Border, CenterCrop, KeepRatio, KeepRatioLargest, No};
        let square = u64::from(self.size) * u64::from(self.size);
        match self.resize_mode {
            Border | CenterCrop | KeepRatio => !self.only_if_bigger && square > self.max_pixels,
            KeepRatioLargest | No => false,
        }
    }

    /// The part about encoding.
    pub fn encode(&self) -> EncodeOptions {
        EncodeOptions { format: self.encode_format, quality: self.encode_quality }
    }
}

/// `[net]`: the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetConfig {
    /// Downloads at a time.
    pub concurrency: usize,
    /// Seconds for a whole download: connection, redirects, head and body.
    pub timeout: f64,
    /// Seconds for a connection.
    pub connect_timeout: f64,
    /// Seconds from a request to the head of its answer, connection included.
    pub first_byte_timeout: f64,
    /// Bytes per second that a body must bring once it has run for 5 s; 0 asks for none.
    pub min_bytes_per_second: ByteSize,
    /// Largest body.
    pub max_bytes: ByteSize,
    /// Most redirects in a row; every target is checked like a URL of the list.
    pub max_redirects: u32,
    /// How the crawler introduces itself; `manners.contact` comes after it.
    pub user_agent: String,
    /// `HOST:PORT` that may lie on a private, local or reserved address.
    pub allow: Vec<String>,
    /// `HOST=ADDRESS:PORT`: where a host is found without asking DNS (the port counts where a URL has none).
    pub resolve: Vec<String>,
    /// Who is asked for the addresses of hosts: `"built-in"`, `"system"`, or a list of name servers.
    pub dns: DnsChoice,
    /// Fetch from https servers whose certificate is not valid, too: anybody in between can then change the images.
    pub ignore_ssl_certificate: bool,
    /// Downloads at a time from one registrable domain; 0: no limit. Unset: 4, and no limit for hosts that `allow` or
    /// `resolve` name, which are the user's own. Set, it holds for those too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_host: Option<usize>,
    /// Requests per second to one registrable domain; 0: no limit.
    pub per_host_rate: f64,
    /// Longest pause in seconds that a site may ask for by robots.txt's crawl-delay or by Retry-After; what asks for a
    /// longer one is left alone.
    pub max_site_delay: f64,
    /// Further attempts at a row whose failure may pass, at the end of its unit.
    pub retries: u32,
    /// Seconds before the second attempt; doubled before each further one.
    pub retry_backoff: f64,
    /// Failures or opt-outs of a domain in a row after which its rows of the unit are answered `host_stopped`, save for
    /// probes; 0: never. Unset: 10, and never for hosts that `allow` or `resolve` name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<u32>,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            timeout: 10.0,
            connect_timeout: 5.0,
            first_byte_timeout: 8.0,
            min_bytes_per_second: ByteSize(1024),
            max_bytes: ByteSize::mib(32),
            max_redirects: 10,
            user_agent: concat!(
                "troika-pipeline/",
                env!("CARGO_PKG_VERSION"),
                " (image-text dataset crawler)"
            )
            .into(),
            allow: Vec::new(),
            resolve: Vec::new(),
            dns: DnsChoice::default(),
            ignore_ssl_certificate: false,
            per_host: None,
            per_host_rate: 0.0,
            max_site_delay: 30.0,
            retries: 1,
            retry_backoff: 1.0,
            breaker: None,
        }
    }
}

/// `[output]`: the shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// A folder, or a bucket as `s3://…`, `gs://…`, `az://…`.
    pub path: String,
    /// Where the pictures go.
    pub format: OutputFormat,
    /// Rows in a shard: what a kill can cost, what a cluster hands out.
    pub rows_per_unit: u64,
    /// Digits of a shard's number in names and keys.
    pub shard_digits: usize,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { path: String::new(), format: OutputFormat::Parquet, rows_per_unit: 10_000, shard_digits: 5 }
    }
}

impl OutputConfig {
    fn validate(&self) -> Result<()> {
        if self.format == OutputFormat::Tfrecord {
            let error = Error::config("output.format", "tfrecord is not written");
            return Err(error.with_hint("choose parquet or webdataset, which hold the same rows"));
        }
        if self.path.starts_with("http://") || self.path.starts_with("https://") {
            let error = Error::config("output.path", format!("{} can be read, not written", self.path));
            return Err(error.with_hint("name a folder or a bucket: s3://…, gs://…, az://…"));
        }
        if self.rows_per_unit == 0 {
            return Err(Error::config("output.rows_per_unit", "must be at least 1"));
        }
        if !(1..=12).contains(&self.shard_digits) {
            return Err(Error::config("output.shard_digits", "lies between 1 and 12"));
        }
        Ok(())
    }
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
            _ if self.net.concurrency == 0 => return wrong("net.concurrency", "must be at least 1"),
            _ if !seconds(self.net.timeout) => {
                return wrong("net.timeout", "is a positive number of seconds");
            }
            _ if !seconds(self.net.connect_timeout) => {
                return wrong("net.connect_timeout", "is a positive number of seconds");
            }
            _ if !seconds(self.net.first_byte_timeout) => {
                return wrong("net.first_byte_timeout", "is a positive number of seconds");
            }
            _ if !(0.0..=1.0).contains(&self.run.min_success) => {
                return wrong("run.min_success", "lies between 0 and 1");
            }
            _ if self.run.memory_budget.0 < 4 * self.net.max_bytes.0 => {
                return wrong("run.memory_budget", "must be at least four times net.max_bytes");
            }
            _ => {}
        }
        if let Some((key, message)) = self.net.schedule_problem() {
            return wrong(key, message);
        }
        if let Some((key, message)) = self.image.problem() {
            return wrong(key, message);
        }
        self.manners.validate(&self.net.user_agent)?;
        Policy::new(&self.net).map(|_| ())
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

impl NetConfig {
    /// The first limit or retry setting that cannot work.
    fn schedule_problem(&self) -> Option<(&'static str, &'static str)> {
        let rate = self.per_host_rate;
        match self {
            _ if rate != 0.0 && !(1e-4..=1e6).contains(&rate) => {
                Some(("net.per_host_rate", "is 0 or lies between 0.0001 and 1000000"))
            }
            _ if !(0.0..=86_400.0).contains(&self.max_site_delay) => {
                Some(("net.max_site_delay", "lies between 0 and 86400 seconds"))
            }
            _ if self.retries > 100 => Some(("net.retries", "is at most 100")),
            _ if !(0.0..=3600.0).contains(&self.retry_backoff) => {
                Some(("net.retry_backoff", "lies between 0 and 3600 seconds"))
            }
            _ => None,
        }
    }
}

fn seconds(value: f64) -> bool {
    value > 0.0 && value < 1e6
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(path) => vec![path],
        OneOrMany::Many(paths) => paths,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
