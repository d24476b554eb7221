//! `pipeline show`: what lies in a folder of shards, without a line of code; or the effective config.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
use pipeline::cli::print;
use pipeline::crawl::{ByteSize, Counts, CrawlConfig, line};
use pipeline::pairs::{self, PairReader};
use pipeline::reason::{Reason, Status};
use pipeline::store::Store;
use pipeline::unit::{Commit, committed};
use pipeline::{Error, Result, settings};
use serde_json::json;

use crate::args::{Show, is_toml};
use crate::preview::preview;

pub(crate) fn show(args: &Show) -> Result<()> {
    if is_toml(&args.path) {
        return show_config(args);
    }
    if let Some(count) = args.preview {
        return preview(&args.path, count.max(1));
    }
    let Contents { schema, shards, rows, bytes, counts } = contents(&args.path)?;
    let columns: Vec<(String, String)> =
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
    let metadata: BTreeMap<_, _> =
        schema.metadata().iter().filter(|(key, _)| key.starts_with("troika.")).collect();
    let statuses = statuses(&counts);
    if args.common.json {
        let columns: Vec<_> =
            columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let record = json!({
            "type": "show", "version": 1, "path": args.path, "shards": shards, "rows": rows, "bytes": bytes,
            "status": statuses, "reasons": counts, "columns": columns, "metadata": metadata,
        });
        return print(&record.to_string());
    }
    let mut lines = vec![format!("{}: {shards} shards, {rows} rows, {}", args.path, ByteSize(bytes).human())];
    lines.extend(metadata.iter().map(|(key, value)| format!("  {key} = {value}")));
    lines.push("columns".to_owned());
    lines.extend(columns.iter().map(|(name, kind)| format!("  {name}: {kind}")));
    // A table of links counts its rows by other things.
    let known = |code: &String| code.parse::<Reason>().is_ok() || code.parse::<Status>().is_ok();
    let lists = match counts.keys().any(known) {
        true => vec![("status", &statuses), ("reason", &counts)],
        false => vec![("rows", &counts)],
    };
    for (title, counts) in lists {
        if !counts.is_empty() {
            lines.push(title.to_owned());
            lines.extend(counts.iter().map(|(name, rows)| format!("  {name}: {rows}")));
        }
    }
    print(&lines.join("\n"))
}

fn show_config(args: &Show) -> Result<()> {
    let config: CrawlConfig = settings::load(Some(Path::new(&args.path)), &args.common.sets)?;
    if args.common.json {
        let value = serde_json::to_value(&config).map_err(|e| Error::config(&args.path, e.to_string()))?;
        return print(&json!({"type": "config", "version": 1, "config": value}).to_string());
    }
    print(settings::to_toml(&config)?.trim_end())
}

/// What a path holds.
struct Contents {
    /// Of the first shard; without a column where only counts were written.
    schema: Arc<Schema>,
    shards: usize,
    rows: u64,
    bytes: u64,
    /// Rows per reason.
    counts: BTreeMap<String, u64>,
}

/// From the commits where there are any, else by reading the rows.
fn contents(path: &str) -> Result<Contents> {
    let mut counts = BTreeMap::new();
    if Path::new(path).is_file() {
        let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        let rows = count_rows(path, &mut counts)?;
        return Ok(Contents { schema: pairs::open(path)?.schema()?, shards: 1, rows, bytes, counts });
    }
    let commits = match path.ends_with(".parquet") {
        true => Vec::new(),
        false => committed(&Store::open(path)?)?,
    };
    if commits.is_empty() {
        let reader = pairs::open(path)?;
        let (schema, shards) = (reader.schema()?, reader.shards());
        let (number, bytes) = (shards.len(), shards.map(|shard| shard.bytes).sum());
        let rows = count_rows(path, &mut counts)?;
        return Ok(Contents { schema, shards: number, rows, bytes, counts });
    }
    for (code, rows) in commits.iter().flat_map(|commit| &commit.counts) {
        *counts.entry(code.clone()).or_default() += rows;
    }
    let store = Store::open(path)?;
    let schema = PairReader::new(&store, pairs::shards(&store)?).schema()?;
    let rows = commits.iter().map(|commit| commit.rows).sum();
    let bytes = commits.iter().map(Commit::bytes).sum();
    Ok(Contents { schema, shards: commits.len(), rows, bytes, counts })
}

fn count_rows(path: &str, counts: &mut BTreeMap<String, u64>) -> Result<u64> {
    let mut rows = 0;
    for pair in pairs::open(path)?.without_images() {
        let pair = pair?;
        let code = pair.reason.map_or(pair.status.code(), Reason::code);
        *counts.entry(code.to_owned()).or_default() += 1;
        rows += 1;
    }
    Ok(rows)
}

/// Rows per status of img2dataset; shards without reasons are counted by status already.
fn statuses(counts: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut statuses = BTreeMap::new();
    for (code, rows) in counts {
        let status = code.parse::<Reason>().map_or(code.as_str(), |reason| reason.status().code());
        *statuses.entry(status.to_owned()).or_default() += rows;
    }
    statuses
}

/// The counts of a manifest as one line.
pub(crate) fn tell(counts: &BTreeMap<String, u64>) -> String {
    let known: Counts = counts
        .iter()
        .filter_map(|(code, rows)| code.parse().ok().map(|reason: Reason| (reason, *rows)))
        .collect();
    if known.is_empty() {
        return counts.iter().map(|(name, rows)| format!("{name} {rows}")).collect::<Vec<_>>().join(", ");
    }
    line(&known, usize::MAX)
}
