//! The command line; flags become `--set`s of the config, so that both say the same.

use std::path::Path;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pipeline::cli::Common;
use pipeline::crawl::{ListFormat, OutputFormat};
use pipeline::unit::Selection;

use crate::dedup::Dedup;
use crate::extract::Extract;
use crate::filter::Filter;
use crate::image_flags::{self, ImageFlags};
use crate::img2dataset::Img2dataset;
use crate::reshard::Reshard;
use crate::score::Score;

/// From links to image-text pairs
#[derive(Parser)]
#[command(name = "pipeline", version, about, max_term_width = 110)]
#[command(after_help = "Examples:
  pipeline extract crawl-data/*.wat.gz --out data/links
  pipeline crawl urls.parquet --out data/pairs --image-size 256
  pipeline crawl crawl.toml --set net.concurrency=512
  pipeline show data/pairs

Exit codes: 0 done, 1 below run.min_success or units missing, 2 usage or config, 75 try again, 130/143 interrupted")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Find the images of pages (WARC, WAT, HTML, sitemaps) and write link tables
    Extract(Box<Extract>),
    /// Download the images of a link list, resize them and write pair shards
    Crawl(Box<Crawl>),
    /// Show what a crawl would do: rows, units, hosts, bytes and time
    Plan(Box<Crawl>),
    /// Keep the rows of pair shards or link tables that rules want, and the others apart
    Filter(Box<Filter>),
    /// Drop rows whose URL or picture is there already, placeholders, and pictures of evaluation sets
    Dedup(Dedup),
    /// Cut shards anew: merge, subset, split without leakage, shuffle, sort
    Reshard(Box<Reshard>),
    /// Add columns from ONNX models: NSFW, CLIP, your own
    Score(Box<Score>),
    /// Write a page about folders of shards: what is in them, how it came about, what was removed and why
    Card(crate::card::Card),
    /// Show a folder of shards (schema, counts, sizes), a shard, or the effective config
    Show(Show),
    /// Show which units of a folder are done
    Status(Folder),
    /// Write manifest.json from the commits; exit code 1 while units are missing
    Finish(Folder),
    /// Explain a reason code: what happened and what to do; without a code, all of them
    Explain(Explain),
    /// Look whether this machine and an output folder can carry a crawl: files, memory, disk, DNS, TLS
    Doctor(Doctor),
    /// Print the completion script of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// `pipeline crawl` and `pipeline plan`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline crawl urls.parquet --out data/pairs --image-size 256
  pipeline crawl links.csv --url-col URL --caption-col TEXT --out data/pairs
  pipeline crawl 'shards/*.tar' --out data/pairs     # images that are there: tars, folders, Parquet
  pipeline crawl data/pairs --retry-failed --out data/more
  pipeline crawl crawl.toml --set net.allow='[\"10.0.0.5:80\"]'
  pipeline crawl crawl.toml --unit env   # one unit, by the number of the array job

The same command again continues where it stopped. Ctrl-C stops at the next safe point.")]
pub(crate) struct Crawl {
    /// A config file (.toml), or link lists, tars, folders of images, patterns, URLs of them
    #[arg(required_unless_present = "url_list")]
    input: Vec<String>,
    /// The same under img2dataset's name
    #[arg(long, alias = "url_list", value_name = "PATH", hide = true, conflicts_with = "input")]
    url_list: Vec<String>,
    /// Folder for the shards, or a bucket: s3://…, gs://…, az://…
    #[arg(long, alias = "output-folder", value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// parquet, webdataset, files or dummy [parquet]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "FORMAT", help_heading = "Output")]
    output_format: Option<OutputFormat>,
    /// Digits of a shard's number
    #[arg(long, alias = "oom-shard-count", hide = true, value_name = "N", help_heading = "Output")]
    shard_digits: Option<usize>,
    /// Rows in a shard [10000]
    #[arg(long, alias = "number-sample-per-shard", value_name = "N", help_heading = "Output")]
    rows_per_unit: Option<u64>,
    /// parquet, csv, tsv, json, jsonl, txt, webdataset, images
    #[arg(
        long,
        value_enum,
        alias = "input_format",
        hide_possible_values = true,
        value_name = "FORMAT",
        help_heading = "Input"
    )]
    input_format: Option<ListFormat>,
    /// Column of the URL [url]
    #[arg(long, alias = "url_col", value_name = "NAME", help_heading = "Input")]
    url_col: Option<String>,
    /// Column of the caption [caption]
    #[arg(long, alias = "caption_col", value_name = "NAME", help_heading = "Input")]
    caption_col: Option<String>,
    /// Fetch failed rows of an earlier output again [transient ones]
    #[arg(
        long,
        num_args = 0..,
        require_equals = true,
        value_delimiter = ',',
        default_missing_value = "transient",
        value_name = "REASON,…",
        help_heading = "Input"
    )]
    retry_failed: Option<Vec<String>>,
    /// Columns to carry along
    #[arg(long, alias = "save-additional-columns", value_name = "NAME,…", help_heading = "Input")]
    columns: Vec<String>,
    /// Column of the boxes to blur, each [left, top, right, bottom] from 0 to 1
    #[arg(long, value_name = "NAME", help_heading = "Input", hide_short_help = true)]
    bbox_col: Option<String>,
    #[command(flatten)]
    image: ImageFlags,
    /// Downloads at a time [256]
    #[arg(long, alias = "thread-count", value_name = "N", help_heading = "Network")]
    concurrency: Option<usize>,
    /// Seconds for a whole download [10]
    #[arg(long, value_name = "S", help_heading = "Network")]
    timeout: Option<f64>,
    /// Downloads at a time from one domain, 0: no limit [4]
    #[arg(long, value_name = "N", help_heading = "Network")]
    per_host: Option<usize>,
    /// Further attempts where a failure may pass, at the end of a shard [1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    retries: Option<u32>,
    /// Private address that may be asked
    #[arg(long, value_name = "HOST:PORT", help_heading = "Network")]
    allow: Vec<String>,
    /// Address for sites' keepers, in the User-Agent
    #[arg(long, value_name = "MAILTO|URL", help_heading = "Network")]
    contact: Option<String>,
    /// Neither fetch nor obey robots.txt
    #[arg(long, help_heading = "Network")]
    no_robots: bool,
    /// Name by which sites address the crawler [troika-pipeline]
    #[arg(long, value_name = "NAME", help_heading = "Network", hide_short_help = true)]
    user_agent_token: Option<String>,
    /// X-Robots-Tag words that opt out; `[]` for none
    #[arg(long, value_name = "WORD,…", help_heading = "Network", hide_short_help = true)]
    disallowed_header_directives: Option<String>,
    /// Who is asked for addresses: built-in, system, or name servers [built-in]
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS,…", help_heading = "Network")]
    dns: Vec<String>,
    /// Accept https certificates that are not valid
    #[arg(
        long,
        alias = "ignore_ssl_certificate",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
        hide_possible_values = true,
        value_name = "BOOL",
        help_heading = "Network",
        hide_short_help = true
    )]
    ignore_ssl_certificate: Option<bool>,
    /// Keep metrics for Prometheus in this file
    #[arg(long, value_name = "FILE", help_heading = "Run", hide_short_help = true)]
    prometheus: Option<String>,
    /// Decoding threads [one per core]
    #[arg(long, alias = "processes-count", value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Show what would be done, as `pipeline plan` does, and do nothing
    #[arg(long, help_heading = "Run", hide_short_help = true)]
    pub(crate) dry_run: bool,
    /// Work on this unit alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    pub(crate) unit: Option<Selection>,
    /// Delete the shards of an earlier plan in the folder and start over
    #[arg(long, help_heading = "Run")]
    fresh: bool,
    #[command(flatten)]
    pub(crate) img2dataset: Img2dataset,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Crawl {
    /// The config file, when the input is one.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        match self.input.as_slice() {
            [file] if is_toml(file) => Some(Path::new(file)),
            _ => None,
        }
    }

    /// The inputs, when they are none.
    fn inputs(&self) -> Option<String> {
        let all = [self.input.as_slice(), &self.url_list].concat();
        match (self.config_file(), all.as_slice()) {
            (Some(_), _) => None,
            (None, [one]) => Some(toml::Value::from(one.as_str()).to_string()),
            (None, _) => Some(toml::Value::from(all).to_string()),
        }
    }

    /// Whether to start over.
    pub(crate) fn fresh(&self) -> bool {
        self.fresh || self.img2dataset.overwrite()
    }

    /// The columns to carry along, however they are listed.
    fn columns(&self) -> Vec<String> {
        self.columns.iter().flat_map(|columns| image_flags::list(columns)).collect()
    }

    /// The flags as settings, then the `--set`s, which win.
    pub(crate) fn sets(&self) -> Vec<String> {
        let name =
            |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let retry = self.retry_failed.as_deref().and_then(texts);
        // Whoever names the list as img2dataset does expects its defaults.
        let defaults = (!self.url_list.is_empty()).then_some(());
        let format = self.output_format.or_else(|| defaults.map(|()| OutputFormat::Files));
        let flags = [
            ("input.urls", self.inputs()),
            ("input.format", name(self.input_format.and_then(|format| format.to_possible_value()))),
            ("input.retry_failed", retry),
            ("output.path", self.out.as_deref().map(text).or_else(|| defaults.map(|()| "images".to_owned()))),
            ("output.format", name(format.and_then(|format| format.to_possible_value()))),
            ("output.shard_digits", self.shard_digits.map(|n| n.to_string())),
            ("output.rows_per_unit", self.rows_per_unit.map(|n| n.to_string())),
            ("input.url_col", self.url_col.as_deref().map(text)),
            ("input.caption_col", self.caption_col.as_deref().map(text)),
            ("input.columns", texts(&self.columns())),
            ("input.bbox_col", self.bbox_col.as_deref().map(text)),
            ("net.concurrency", self.concurrency.map(|n| n.to_string())),
            ("net.timeout", self.timeout.map(|s| toml::Value::from(s).to_string())),
            ("net.per_host", self.per_host.map(|n| n.to_string())),
            ("net.retries", self.retries.map(|n| n.to_string())),
            ("net.allow", texts(&self.allow)),
            ("manners.contact", self.contact.as_deref().map(text)),
            ("manners.robots", self.no_robots.then(|| "false".to_owned())),
            ("manners.user_agent_token", self.user_agent_token.as_deref().map(text)),
            ("manners.directives", self.disallowed_header_directives.as_deref().map(words)),
            ("net.dns", self.dns()),
            ("net.ignore_ssl_certificate", self.ignore_ssl_certificate.map(|on| on.to_string())),
            ("run.prometheus", self.prometheus.as_deref().map(text)),
            ("run.threads", self.threads.map(|n| n.to_string())),
        ];
        sets(flags.into_iter().chain(self.image.sets()), &self.common)
    }
}

/// A list as TOML, from `a,b` or from img2dataset's spelling `["a", "b"]`.
fn words(list: &str) -> String {
    let mark = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"' | '\'');
    let words = list.split(',').map(|word| word.trim_matches(mark)).filter(|word| !word.is_empty());
    toml::Value::from(words.collect::<Vec<_>>()).to_string()
}

impl Crawl {
    /// One word stays a word, as `system` is no server.
    fn dns(&self) -> Option<String> {
        match self.dns.as_slice() {
            [] => None,
            [word] => Some(text(word)),
            servers => Some(toml::Value::from(servers.to_vec()).to_string()),
        }
    }
}

/// Flags as settings of a config, then the `--set`s, which win.
pub(crate) fn sets(
    flags: impl IntoIterator<Item = (&'static str, Option<String>)>,
    common: &Common,
) -> Vec<String> {
    let set = |(key, value): (&str, Option<String>)| value.map(|value| format!("{key}={value}"));
    flags.into_iter().filter_map(set).chain(common.sets.iter().cloned()).collect()
}

/// Words as a TOML list, unless there are none.
pub(crate) fn texts(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| toml::Value::from(words.to_vec()).to_string())
}

/// A word as a TOML string.
pub(crate) fn text(word: &str) -> String {
    toml::Value::from(word).to_string()
}

/// Whether a path names a config file.
pub(crate) fn is_toml(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// `pipeline show`.
#[derive(Args)]
pub(crate) struct Show {
    /// A folder of shards, one Parquet file, or a config file (.toml)
    pub(crate) path: String,
    /// The first N pictures as thumbnails [6]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "6")]
    pub(crate) preview: Option<usize>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `pipeline status` and `pipeline finish`.
#[derive(Args)]
pub(crate) struct Folder {
    /// A folder of shards
    pub(crate) folder: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `pipeline explain`.
#[derive(Args)]
pub(crate) struct Explain {
    /// A code from the `reason` column
    pub(crate) code: Option<String>,
    /// JSON lines on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pipeline doctor`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline doctor crawl.toml
  pipeline doctor data/pairs --site commons.wikimedia.org")]
pub(crate) struct Doctor {
    /// A config file (.toml), or the folder or bucket that a crawl is to write to
    pub(crate) target: Option<String>,
    /// Host that is asked over https
    #[arg(long, value_name = "HOST", default_value = "example.org")]
    pub(crate) site: String,
    #[command(flatten)]
    pub(crate) common: Common,
}
