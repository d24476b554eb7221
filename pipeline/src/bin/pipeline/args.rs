//! The command line; flags become `--set`s of the config, so that both say the same.

use std::path::Path;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pipeline::cli::Common;
use pipeline::crawl::ListFormat;
use pipeline::picture::{EncodeFormat, ResizeMode};
use pipeline::unit::Selection;

/// From links to image-text pairs
#[derive(Parser)]
#[command(name = "pipeline", version, about, max_term_width = 110)]
#[command(after_help = "Examples:
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
    /// Download the images of a link list, resize them and write pair shards
    Crawl(Box<Crawl>),
    /// Show what a crawl would do: lists, rows, units, plan id
    Plan(Box<Crawl>),
    /// Show a folder of shards (schema, counts, sizes), a shard, or the effective config
    Show(Show),
    /// Show which units of a folder are done
    Status(Folder),
    /// Write manifest.json from the commits; exit code 1 while units are missing
    Finish(Folder),
    /// Explain a reason code: what happened and what to do; without a code, all of them
    Explain(Explain),
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
  pipeline crawl links.csv --url-col URL --caption-col TEXT --out data/pairs --resize-mode center_crop
  pipeline crawl 'shards/*.tar' --out data/pairs     # images that are there: tars, folders, Parquet
  pipeline crawl data/pairs --retry-failed --out data/more
  pipeline crawl crawl.toml --set net.allow='[\"10.0.0.5:80\"]'
  pipeline crawl crawl.toml --unit env      # one unit, its number from SLURM_ARRAY_TASK_ID and the like

The same command again continues where it stopped. Ctrl-C stops at the next safe point.")]
pub(crate) struct Crawl {
    /// A config file (.toml), or link lists, tars, folders of images, patterns, URLs of them
    #[arg(required_unless_present = "url_list")]
    input: Vec<String>,
    /// The same under img2dataset's name
    #[arg(long, alias = "url_list", value_name = "PATH", hide = true, conflicts_with = "input")]
    url_list: Vec<String>,
    /// Folder for the shards
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// Rows in a shard [10000]
    #[arg(long, alias = "number-sample-per-shard", value_name = "N", help_heading = "Output")]
    rows_per_unit: Option<u64>,
    /// parquet, csv, tsv, json, jsonl, txt, webdataset or images [by the names]
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
    /// Column of the caption [caption]; beside images: txt, folder or a key of the JSON
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
    #[arg(
        long,
        aliases = ["save-additional-columns", "save_additional_columns"],
        value_delimiter = ',',
        value_name = "NAME,…",
        help_heading = "Input"
    )]
    columns: Vec<String>,
    /// Side of the images in pixels [256]
    #[arg(long, value_name = "N", help_heading = "Images")]
    image_size: Option<u32>,
    /// What becomes of images that are not square [border]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "no|border|keep_ratio|keep_ratio_largest|center_crop",
        help_heading = "Images"
    )]
    resize_mode: Option<ResizeMode>,
    /// Format of the images [jpg]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "jpg|png|webp",
        help_heading = "Images"
    )]
    encode_format: Option<EncodeFormat>,
    /// jpg: 1 to 100 [95]; png: 0 to 9 [6]
    #[arg(long, value_name = "N", help_heading = "Images")]
    encode_quality: Option<u8>,
    /// Downloads at a time [256]
    #[arg(long, alias = "thread-count", value_name = "N", help_heading = "Network")]
    concurrency: Option<usize>,
    /// Seconds for a whole download [10]
    #[arg(long, value_name = "S", help_heading = "Network")]
    timeout: Option<f64>,
    /// Private address that may be asked
    #[arg(long, value_name = "HOST:PORT", help_heading = "Network")]
    allow: Vec<String>,
    /// Decoding threads [one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Work on this unit alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    pub(crate) unit: Option<Selection>,
    /// Delete the shards of an earlier plan in the folder and start over
    #[arg(long, help_heading = "Run")]
    pub(crate) fresh: bool,
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

    /// The flags as settings, then the `--set`s, which win.
    pub(crate) fn sets(&self) -> Vec<String> {
        let text = |value: &String| toml::Value::from(value.as_str()).to_string();
        let list =
            |values: &[String]| (!values.is_empty()).then(|| toml::Value::from(values.to_vec()).to_string());
        let name =
            |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let retry = self.retry_failed.as_deref().and_then(list);
        let flags = [
            ("input.urls", self.inputs()),
            ("input.format", name(self.input_format.and_then(|format| format.to_possible_value()))),
            ("input.retry_failed", retry),
            ("output.path", self.out.as_ref().map(text)),
            ("output.rows_per_unit", self.rows_per_unit.map(|n| n.to_string())),
            ("input.url_col", self.url_col.as_ref().map(text)),
            ("input.caption_col", self.caption_col.as_ref().map(text)),
            ("input.columns", list(&bare(&self.columns))),
            ("image.size", self.image_size.map(|n| n.to_string())),
            ("image.resize_mode", name(self.resize_mode.and_then(|mode| mode.to_possible_value()))),
            ("image.encode_format", name(self.encode_format.and_then(|format| format.to_possible_value()))),
            ("image.encode_quality", self.encode_quality.map(|n| n.to_string())),
            ("net.concurrency", self.concurrency.map(|n| n.to_string())),
            ("net.timeout", self.timeout.map(|s| toml::Value::from(s).to_string())),
            ("net.allow", list(&self.allow)),
            ("run.threads", self.threads.map(|n| n.to_string())),
        ];
        let set = |(key, value): (&str, Option<String>)| value.map(|value| format!("{key}={value}"));
        flags.into_iter().filter_map(set).chain(self.common.sets.iter().cloned()).collect()
    }
}

/// Names without the brackets and quotes of a Python list, as img2dataset's users write them: `["a","b"]`.
fn bare(names: &[String]) -> Vec<String> {
    let around = |c: char| "[]'\" ".contains(c);
    names.iter().map(|name| name.trim_matches(around).to_owned()).filter(|name| !name.is_empty()).collect()
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
