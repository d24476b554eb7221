//! The command line; flags become `--set`s of the config, so that both say the same.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use pipeline::cli::Common;
use pipeline::unit::Selection;

use crate::image_flags::{self, ImageFlags};

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
  pipeline crawl crawl.toml --set net.allow='[\"10.0.0.5:80\"]'
  pipeline crawl crawl.toml --unit env      # one unit, its number from SLURM_ARRAY_TASK_ID and the like

The same command again continues where it stopped. Ctrl-C stops at the next safe point.")]
pub(crate) struct Crawl {
    /// A config file (.toml) or a link list (.parquet .csv .tsv .jsonl .txt, or a folder of them)
    pub(crate) input: String,
    /// Folder for the shards
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// Rows in a shard [10000]
    #[arg(long, alias = "number-sample-per-shard", value_name = "N", help_heading = "Output")]
    rows_per_unit: Option<u64>,
    /// Column of the URL [url]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    url_col: Option<String>,
    /// Column of the caption [caption, where there is one]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    caption_col: Option<String>,
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
    /// Whether the input is a config file.
    pub(crate) fn is_config(&self) -> bool {
        is_toml(&self.input)
    }

    /// The columns to carry along, however they are listed.
    fn columns(&self) -> Vec<String> {
        self.columns.iter().flat_map(|columns| image_flags::list(columns)).collect()
    }

    /// The flags as settings, then the `--set`s, which win.
    pub(crate) fn sets(&self) -> Vec<String> {
        let text = |value: &String| toml::Value::from(value.as_str()).to_string();
        let list =
            |values: &[String]| (!values.is_empty()).then(|| toml::Value::from(values.to_vec()).to_string());
        let input = (!self.is_config()).then(|| text(&self.input));
        let flags = [
            ("input.urls", input),
            ("output.path", self.out.as_ref().map(text)),
            ("output.rows_per_unit", self.rows_per_unit.map(|n| n.to_string())),
            ("input.url_col", self.url_col.as_ref().map(text)),
            ("input.caption_col", self.caption_col.as_ref().map(text)),
            ("input.columns", list(&self.columns())),
            ("input.bbox_col", self.bbox_col.as_ref().map(text)),
            ("net.concurrency", self.concurrency.map(|n| n.to_string())),
            ("net.timeout", self.timeout.map(|s| toml::Value::from(s).to_string())),
            ("net.allow", list(&self.allow)),
            ("run.threads", self.threads.map(|n| n.to_string())),
        ];
        let set = |(key, value): (&str, Option<String>)| value.map(|value| format!("{key}={value}"));
        flags
            .into_iter()
            .chain(self.image.sets())
            .filter_map(set)
            .chain(self.common.sets.iter().cloned())
            .collect()
    }
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
