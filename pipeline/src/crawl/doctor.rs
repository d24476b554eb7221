//! `pipeline doctor`: whether this machine and this output folder can carry a crawl, before it starts.
//!
//! Every check says what it found and, where that is bad, the cure. Nothing is changed: the one file that the store
//! check writes is deleted again.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::budget::Bodies;
use super::config::{CrawlConfig, NetConfig};
use super::descriptors;
use super::fetch::Fetcher;
use super::size::ByteSize;
use super::timings::Timings;
use crate::Result;
use crate::store::Store;

/// How a check came out, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// The crawl works, more slowly or with more failures.
    Warn,
    /// The crawl will not work.
    Fail,
}

impl Verdict {
    /// `ok`, `warn` or `fail`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), cure: None }
    }

    fn bad(name: &'static str, verdict: Verdict, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, verdict, found: found.into(), cure: Some(cure.into()) }
    }
}

/// Looks at everything; `site` is a host that should be reachable by https.
pub fn examine(config: &CrawlConfig, site: &str) -> Vec<Check> {
    let mut checks = vec![threads(config), memory(config), open_files(&config.net)];
    if !config.output.path.is_empty() {
        checks.extend(output(&config.output.path));
    }
    checks.extend(network(config, site));
    checks
}

fn threads(config: &CrawlConfig) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if config.run.threads == 0 { cores } else { config.run.threads };
    let found = format!("{threads} decoding threads on {cores} cores");
    match threads > cores {
        true => Check::bad(
            "threads",
            Verdict::Warn,
            found,
            "more threads than cores decode no faster: lower run.threads",
        ),
        false => Check::ok("threads", found),
    }
}

/// The budget against what the system has free.
fn memory(config: &CrawlConfig) -> Check {
    let budget = config.run.memory_budget;
    let Some(free) = available_memory() else {
        return Check::ok(
            "memory",
            format!("{} budget; the system does not say what is free", budget.human()),
        );
    };
    let found = format!("{} budget, {} available", budget.human(), ByteSize(free).human());
    match budget.0 > free {
        true => {
            Check::bad("memory", Verdict::Warn, found, "lower run.memory_budget, or the crawl may be killed")
        }
        false => Check::ok("memory", found),
    }
}

/// Linux's estimate of what programs can take without swapping.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

fn open_files(net: &NetConfig) -> Check {
    let needed = descriptors::needed(net.concurrency);
    let Some(limit) = descriptors::raise() else { return Check::ok("open files", "not limited") };
    let found =
        format!("{limit} may be open, {needed} are needed for {} downloads at a time", net.concurrency);
    match limit < needed {
        true => Check::bad("open files", Verdict::Fail, found, descriptors::cure(needed)),
        false => Check::ok("open files", found),
    }
}

/// Whether the folder can be written, keeps the promise that commits stand on, and has room.
fn output(location: &str) -> Vec<Check> {
    let store = match Store::create(location) {
        Ok(store) => store,
        Err(error) => {
            let cure = "name a folder or bucket that this user may write with --out";
            return vec![Check::bad("output", Verdict::Fail, error.to_string(), cure)];
        }
    };
    let mut checks = vec![match first_wins(&store) {
        Ok(true) => Check::ok("output", format!("{location}: of two writers the first wins")),
        Ok(false) => {
            let cure = "run one process at a time on this store: it may lose units that two work on";
            Check::bad("output", Verdict::Fail, format!("{location}: put-if-absent overwrites"), cure)
        }
        Err(error) => {
            Check::bad("output", Verdict::Fail, error.to_string(), "see that this user may write there")
        }
    }];
    checks.extend(room(&store));
    checks
}

/// Writes one name twice by put-if-absent: whether the second try is refused.
fn first_wins(store: &Store) -> Result<bool> {
    let name = format!(".doctor-{}", std::process::id());
    store.delete(&name)?;
    let both =
        store.put_if_absent(&name, "1").and_then(|first| Ok((first, store.put_if_absent(&name, "2")?)));
    store.delete(&name)?;
    Ok(both? == (true, false))
}

/// Free space, where the output is a folder.
#[cfg(unix)]
fn room(store: &Store) -> Option<Check> {
    let folder = store.local_path("")?;
    let disk = rustix::fs::statvfs(&folder).ok()?;
    let free = ByteSize(disk.f_bavail.saturating_mul(disk.f_frsize));
    let found = format!("{} free, about {} pictures of 256 px", free.human(), free.0 / (20 << 10));
    let cure = "free some space: 10,000 pictures of 256 px take about 200 MiB";
    Some(match free.0 < 1 << 30 {
        true => Check::bad("disk", Verdict::Warn, found, cure),
        false => Check::ok("disk", found),
    })
}

#[cfg(not(unix))]
fn room(_store: &Store) -> Option<Check> {
    None
}

/// One https request: DNS, TLS and the way out.
fn network(config: &CrawlConfig, site: &str) -> Vec<Check> {
    let net = &config.net;
    let url = format!("https://{site}/");
    let bodies = Bodies::new(4 * net.max_bytes.0, 1, net.max_bytes.0);
    let fetcher = match Fetcher::new(net, &config.manners, bodies.clone()) {
        Ok(fetcher) => fetcher,
        Err(error) => {
            return vec![Check::bad(
                "network",
                Verdict::Fail,
                error.to_string(),
                "see the key that it names",
            )];
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![Check::bad("network", Verdict::Fail, error.to_string(), "too few open files?")];
        }
    };
    let timings = Arc::new(Timings::new());
    let started = Instant::now();
    let fetched = runtime.block_on(async {
        let held = bodies.start().await?;
        Some(fetcher.fetch(&url, held, &timings).await.map(|_| ()).map_err(|failure| failure.reason))
    });
    // A look-up that hangs must not hold up the answer.
    runtime.shutdown_background();
    let took = started.elapsed().as_millis();
    vec![match fetched {
        Some(Err(reason)) => {
            let cure = format!("{} (pipeline explain {reason})", reason.hint());
            Check::bad("network", Verdict::Fail, format!("{url}: {}", reason.text()), cure)
        }
        Some(Ok(())) | None => Check::ok("network", format!("{url} answered in {took} ms")),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lets_the_first_writer_win_and_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let checks = output(folder.path().to_str().unwrap());
        assert_eq!(checks[0].verdict, Verdict::Ok, "{checks:?}");
        assert!(checks[1].found.contains(" free"), "{checks:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_work_has_a_cure() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config = CrawlConfig::default();
        config.output.path = file.path().join("below-a-file").display().to_string();
        config.net.concurrency = 1 << 40;
        config.run.threads = 1 << 20;
        config.run.memory_budget = ByteSize(1 << 60);
        config.net.timeout = 0.5;
        let checks = examine(&config, "nowhere.invalid");
        let of = |name: &str| checks.iter().find(|check| check.name == name).unwrap().clone();
        assert_eq!(of("threads").verdict, Verdict::Warn);
        assert_eq!(of("memory").verdict, Verdict::Warn);
        assert_eq!(of("open files").verdict, Verdict::Fail);
        assert!(of("open files").cure.unwrap().contains("ulimit -n "));
        assert_eq!(of("output").verdict, Verdict::Fail);
        assert_eq!(of("network").verdict, Verdict::Fail);
        assert!(checks.iter().all(|check| (check.verdict == Verdict::Ok) == check.cure.is_none()));
    }
}
