//! `pipeline extract`: its flags and what it tells.

use std::path::Path;

use clap::{Args, ValueEnum};
use pipeline::cli::{Common, print};
use pipeline::crawl::ByteSize;
use pipeline::extract::{self, ExtractConfig, InputKind, RunOptions};
use pipeline::unit::Selection;
use pipeline::{Result, interrupt, settings};
use serde_json::json;

use crate::args::{is_toml, sets, text, texts};
use crate::commands::record;

/// `pipeline extract`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline extract crawl-data/*.wat.gz --out data/links
  pipeline extract wat.paths.gz --out data/links         # fetches what the list names from data.commoncrawl.org
  pipeline extract site/ --base http://example.org/ --out data/links
  pipeline extract https://example.org/sitemap.xml --contact mailto:you@example.org --out data/links
  pipeline extract extract.toml --unit env   # one unit, by the number of the array job

Writes a link table: `pipeline crawl data/links --out data/pairs` fetches the images.
The same command again continues where it stopped. Ctrl-C stops at the next safe point.")]
pub(crate) struct Extract {
    /// A config file (.toml), or WARC, WAT and HTML files, folders, patterns, sitemaps, .paths lists, URLs
    #[arg(required = true)]
    input: Vec<String>,
    /// Folder for the link tables, or a bucket: s3://…, gs://…, az://…
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// Single pages in a table [1000]; an archive has one of its own
    #[arg(long, value_name = "N", help_heading = "Output")]
    pages_per_unit: Option<u64>,
    /// Leave out links without a caption
    #[arg(long, help_heading = "Output")]
    captioned_only: bool,
    /// Leave out a link that was there before in the same unit, with the same caption
    #[arg(long, help_heading = "Output")]
    dedup: bool,
    /// cc2dataset: its columns and rules, for WAT files
    #[arg(long, value_name = "PROGRAM", help_heading = "Output")]
    compat: Option<String>,
    /// warc, html, sitemap or paths [by name, else by content]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "KIND", help_heading = "Input")]
    kind: Option<InputKind>,
    /// Address of the folder of saved pages [what they say themselves]
    #[arg(long, value_name = "URL", help_heading = "Input")]
    base: Option<String>,
    /// The folder whose address is --base [the one that is named]
    #[arg(long, value_name = "DIR", help_heading = "Input", requires = "base")]
    root: Option<String>,
    /// What the lines of a .paths list follow [https://data.commoncrawl.org/]
    #[arg(long, value_name = "PREFIX", help_heading = "Input")]
    paths_base: Option<String>,
    /// Where captions come from, the best first [alt,figcaption,title]; also heading
    #[arg(long, value_delimiter = ',', value_name = "SOURCE,…", help_heading = "Pages")]
    captions: Vec<String>,
    /// Take the image for previews (og:image), too
    #[arg(long, help_heading = "Pages")]
    og_image: bool,
    /// Private address that may be asked
    #[arg(long, value_name = "HOST:PORT", help_heading = "Network")]
    allow: Vec<String>,
    /// Address for sites' keepers, in the User-Agent
    #[arg(long, value_name = "MAILTO|URL", help_heading = "Network")]
    contact: Option<String>,
    /// Neither fetch nor obey robots.txt
    #[arg(long, help_heading = "Network")]
    no_robots: bool,
    /// Threads, and files read at a time [one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Show what would be read, and do nothing
    #[arg(long, help_heading = "Run")]
    dry_run: bool,
    /// Work on this unit alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    unit: Option<Selection>,
    /// Delete the tables of an earlier plan in the folder and start over
    #[arg(long, help_heading = "Run")]
    fresh: bool,
    #[command(flatten)]
    common: Common,
}

impl Extract {
    /// The config file, when the input is one.
    fn config_file(&self) -> Option<&Path> {
        match self.input.as_slice() {
            [file] if is_toml(file) => Some(Path::new(file)),
            _ => None,
        }
    }

    /// The flags as settings, then the `--set`s, which win.
    fn sets(&self) -> Vec<String> {
        let on = |flag: bool| flag.then(|| "true".to_owned());
        let kind = self.kind.and_then(|kind| kind.to_possible_value());
        let flags = [
            ("input.paths", self.config_file().is_none().then(|| texts(&self.input)).flatten()),
            ("input.kind", kind.map(|kind| kind.get_name().to_owned())),
            ("input.base", self.base.as_deref().map(text)),
            ("input.root", self.root.as_deref().map(text)),
            ("input.paths_base", self.paths_base.as_deref().map(text)),
            ("page.captions", texts(&self.captions)),
            ("page.og_image", on(self.og_image)),
            ("output.path", self.out.as_deref().map(text)),
            ("output.pages_per_unit", self.pages_per_unit.map(|pages| pages.to_string())),
            ("output.captioned_only", on(self.captioned_only)),
            ("output.dedup", on(self.dedup)),
            ("output.compat", self.compat.as_deref().map(text)),
            ("net.allow", texts(&self.allow)),
            ("manners.contact", self.contact.as_deref().map(text)),
            ("manners.robots", self.no_robots.then(|| "false".to_owned())),
            ("run.threads", self.threads.map(|threads| threads.to_string())),
        ];
        sets(flags, &self.common)
    }
}

pub(crate) fn extract(args: &Extract) -> Result<u8> {
    let config: ExtractConfig = settings::load(args.config_file(), &args.sets())?;
    if args.dry_run {
        return outlook(args, &config).map(|()| 0);
    }
    let options = RunOptions {
        selection: args.unit.unwrap_or(Selection::All),
        fresh: args.fresh,
        style: args.common.progress_style(),
        verbose: args.common.verbose,
        interrupt: interrupt::install(),
    };
    let summary = extract::run(&config, &options)?;
    if args.common.json {
        record("summary", json!(summary))?;
        return Ok(0);
    }
    args.common.say(&summary.text());
    match summary.units_missing {
        0 => args.common.say(&format!("next: {}", summary.next_command())),
        missing => {
            args.common
                .say(&format!("{missing} units are missing: see `pipeline status {}`", summary.output));
        }
    }
    Ok(0)
}

fn outlook(args: &Extract, config: &ExtractConfig) -> Result<()> {
    let plan = extract::outlook(config)?;
    if args.common.json {
        return record("plan", json!(plan));
    }
    let bytes = plan.inputs.iter().map(|input| input.bytes).sum();
    let (units, size) = (plan.units.len(), ByteSize(bytes).human());
    let mut lines =
        vec![format!("plan {}: {} files and pages in {units} units, {size}", plan.plan_id, plan.rows())];
    for input in &plan.inputs {
        let pages = if input.rows > 1 { format!("{} pages, ", input.rows) } else { String::new() };
        lines.push(format!("  {}: {pages}{}", input.path, ByteSize(input.bytes).human()));
    }
    print(&lines.join("\n"))
}
