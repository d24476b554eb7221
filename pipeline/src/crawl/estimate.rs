//! What a crawl will meet and cost, before it starts: hosts, bytes, hours. Reads the lists, asks nobody.

use std::collections::HashMap;

use serde::Serialize;
use url::Url;

use super::address::Policy;
use super::config::CrawlConfig;
use super::list::{Columns, ListFile};
use super::schedule::HostName;
use crate::Result;
use crate::picture::EncodeFormat;
use crate::unit::{Commit, Plan, Unit};

/// Units that the sample of rows is spread over, and rows of each.
const UNITS: usize = 100;
const ROWS: usize = 1000;
/// Hosts that are named.
const NAMED: usize = 3;
/// Share of links of a web list that still lead to a picture: 50 to 90 % in users' reports of img2dataset.
const ALIVE: f64 = 0.75;
/// Seconds from a request to the end of a picture.
const DOWNLOAD: f64 = 0.5;
/// Pictures of 256 pixels that one core decodes, resizes and encodes in a second (bench/RESULTS.md).
const PER_CORE: f64 = 300.0;

/// A look ahead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Rows that were read for it.
    pub sampled_rows: u64,
    /// Registrable domains among them.
    pub hosts: usize,
    /// Those with the most rows, with their share of the sample.
    pub largest: Vec<(String, f64)>,
    /// Bytes of all shards.
    pub shard_bytes: u64,
    /// Seconds for the units that are not done.
    pub seconds: f64,
    /// Units of the output folder that the numbers come from; 0: they are typical values, good for the order of
    /// magnitude.
    pub from_units: usize,
}

/// Looks at rows spread over the whole list.
pub(super) fn estimate(
    config: &CrawlConfig,
    plan: &Plan,
    lists: &[ListFile],
    columns: &Columns,
    done: &[Commit],
) -> Result<Estimate> {
    let hosts = hosts(config, plan, lists, columns)?;
    let sampled: u64 = hosts.values().sum();
    let share = |rows: u64| rows as f64 / sampled.max(1) as f64;
    let mut largest: Vec<(String, f64)> =
        hosts.iter().map(|(name, rows)| (name.clone(), share(*rows))).collect();
    largest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let top = largest.first().map_or(0.0, |(_, share)| *share);
    largest.truncate(NAMED);
    let rows = plan.rows() as f64;
    let left = rows - done.iter().map(|commit| commit.rows as f64).sum::<f64>();
    let (bytes_per_row, seconds_per_row) = per_row(done).unwrap_or_else(|| typical(config, top));
    Ok(Estimate {
        sampled_rows: sampled,
        hosts: hosts.len(),
        largest,
        shard_bytes: (rows * bytes_per_row) as u64,
        seconds: left.max(0.0) * seconds_per_row,
        from_units: done.len(),
    })
}

/// Rows of the sample by registrable domain; rows without a URL are left out.
fn hosts(
    config: &CrawlConfig,
    plan: &Plan,
    lists: &[ListFile],
    columns: &Columns,
) -> Result<HashMap<String, u64>> {
    let policy = Policy::new(&config.net)?;
    let mut hosts = HashMap::new();
    let step = plan.units.len().div_ceil(UNITS).max(1);
    for unit in plan.units.iter().step_by(step) {
        let Some(list) = lists.iter().find(|list| list.name == unit.file) else { continue };
        let first = Unit { rows: unit.rows.min(ROWS as u64), ..unit.clone() };
        list.read(columns, &first, &mut |block| {
            for url in block.links.iter().flatten().filter_map(|url| Url::parse(url.trim()).ok()) {
                *hosts.entry(HostName::of(&url, &policy).domain().to_owned()).or_default() += 1;
            }
            true
        })?;
    }
    Ok(hosts)
}

/// Bytes and seconds per row of units that are done. Units overlap, and a crawl may have been interrupted: what counts
/// is the time during which any of them ran.
fn per_row(done: &[Commit]) -> Option<(f64, f64)> {
    let rows: u64 = done.iter().map(|commit| commit.rows).sum();
    let bytes: u64 = done.iter().map(Commit::bytes).sum();
    let span =
        |commit: &Commit| Some((commit.stats["start_time"].as_f64()?, commit.stats["end_time"].as_f64()?));
    let mut spans: Vec<(f64, f64)> = done.iter().filter_map(span).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut busy, mut until) = (0.0, f64::MIN);
    for (start, end) in spans {
        busy += (end - start.max(until)).max(0.0);
        until = until.max(end);
    }
    (rows > 0 && busy > 0.0).then(|| (bytes as f64 / rows as f64, busy / rows as f64))
}

/// Bytes and seconds per row where nothing is known; `top` is the share of the largest host.
fn typical(config: &CrawlConfig, top: f64) -> (f64, f64) {
    let side = f64::from(config.image.size);
    let bytes_per_pixel = match config.image.encode_format {
        EncodeFormat::Jpg => 0.3,
        EncodeFormat::Png => 1.6,
        EncodeFormat::Webp => 0.25,
    };
    let cores = match config.run.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let work = 1.0 / (cores as f64 * PER_CORE * (256.0 / side).powi(2).min(1.0));
    let wait = DOWNLOAD / config.net.concurrency as f64;
    let at_once = config.net.per_host.unwrap_or(4);
    let queue = if at_once == 0 { 0.0 } else { top * DOWNLOAD / at_once as f64 };
    (ALIVE * side * side * bytes_per_pixel, work.max(wait).max(queue))
}

impl Estimate {
    /// `example.org 12 %, …`
    pub fn largest_hosts(&self) -> String {
        let host = |(name, share): &(String, f64)| format!("{name} {:.0} %", 100.0 * share);
        self.largest.iter().map(host).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{InputConfig, OutputConfig, outlook};
    use super::*;

    fn commit(rows: u64, bytes: u64, start: f64, end: f64) -> Commit {
        serde_json::from_value(json!({
            "version": 2, "plan_id": "p", "unit": 0, "rows": rows, "counts": {},
            "files": [{"name": "a", "bytes": bytes, "sha256": ""}],
            "stats": {"start_time": start, "end_time": end},
        }))
        .unwrap()
    }

    #[test]
    fn time_in_which_units_overlap_counts_once_and_pauses_do_not() {
        let done = [commit(10, 100, 0.0, 4.0), commit(10, 300, 2.0, 5.0), commit(20, 0, 100.0, 101.0)];
        assert_eq!(per_row(&done), Some((10.0, 6.0 / 40.0)));
        assert_eq!(per_row(&[]), None);
    }

    #[test]
    fn hosts_are_counted_by_domain_and_the_largest_named() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("links.txt");
        let mut links = "http://a.example.org/1\nhttp://b.example.org/2\nhttp://c.example.org/3\n".to_owned();
        links += "http://other.net/1\nno link\n";
        crate::atomic::write(&list, links).unwrap();
        let config = CrawlConfig {
            input: InputConfig { urls: vec![list.display().to_string()], ..InputConfig::default() },
            output: OutputConfig {
                path: folder.path().join("out").display().to_string(),
                ..OutputConfig::default()
            },
            ..CrawlConfig::default()
        };
        let (plan, estimate) = outlook(&config).unwrap();
        assert_eq!((plan.rows(), estimate.sampled_rows, estimate.hosts), (5, 4, 2));
        assert_eq!(estimate.largest_hosts(), "example.org 75 %, other.net 25 %");
        assert_eq!((estimate.from_units, estimate.shard_bytes), (0, 73_728));
        assert!(estimate.seconds > 0.4, "four at a time from one host");
    }
}
