//! Metrics for Prometheus' textfile collector: a file, replaced as a whole every few seconds, so that no port is open.
//!
//! The format is Prometheus' text exposition format, version 0.0.4; names follow its naming conventions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::dns::Dns;
use super::tally::Tally;
use super::timings::Phase;
use crate::progress::Ticker;
use crate::{Result, atomic};

/// Time between two states of the file.
const EVERY: Duration = Duration::from_secs(5);

/// Writes the file until it is dropped or ended.
pub(super) struct Exporter {
    path: PathBuf,
    tally: Arc<Tally>,
    dns: Dns,
    ticker: Ticker,
}

impl Exporter {
    /// Writes the first state, so that a path that cannot be written is an error at the start.
    pub(super) fn start(path: &str, tally: &Arc<Tally>, dns: &Dns) -> Result<Self> {
        let (path, tally, dns) = (PathBuf::from(path), Arc::clone(tally), dns.clone());
        atomic::write(&path, text(&tally, &dns))?;
        let state = (path.clone(), Arc::clone(&tally), dns.clone());
        // A state that cannot be written is made up for by the next one.
        let tick = move || drop(atomic::write(&state.0, text(&state.1, &state.2)));
        Ok(Self { ticker: Ticker::start("prometheus", EVERY, tick), path, tally, dns })
    }

    /// Writes the last state.
    pub(super) fn finish(self) -> Result<()> {
        self.ticker.end();
        atomic::write(&self.path, text(&self.tally, &self.dns))
    }
}

/// All metrics.
fn text(tally: &Tally, dns: &Dns) -> String {
    let mut text = String::new();
    head(&mut text, "rows_total", "counter", "Rows of the list that are done, by reason.");
    for (reason, rows) in tally.counts() {
        sample(&mut text, "rows_total", &format!("{{reason=\"{reason}\"}}"), rows as f64);
    }
    let bytes = tally.bytes() as f64;
    single(&mut text, "downloaded_bytes_total", "counter", "Bytes of bodies that arrived.", bytes);
    let lookups = dns.lookups() as f64;
    single(&mut text, "dns_lookups_total", "counter", "Host names that were looked up.", lookups);
    let in_flight = tally.in_flight() as f64;
    single(&mut text, "downloads_in_flight", "gauge", "Downloads under way.", in_flight);
    let elapsed = tally.elapsed().as_secs_f64();
    single(&mut text, "elapsed_seconds", "gauge", "Time since the crawl began.", elapsed);
    phases(&mut text, tally);
    text
}

fn phases(text: &mut String, tally: &Tally) {
    let name = "phase_seconds";
    head(text, name, "summary", "Time of the steps of a download: DNS, connect, first byte, body, decode.");
    for phase in Phase::ALL {
        let Some(quantiles) = tally.timings.quantiles(phase) else { continue };
        let phase = phase.code();
        for (quantile, time) in [("0.5", quantiles.p50), ("0.99", quantiles.p99)] {
            let labels = format!("{{phase=\"{phase}\",quantile=\"{quantile}\"}}");
            sample(text, name, &labels, time.as_secs_f64());
        }
        let labels = format!("{{phase=\"{phase}\"}}");
        sample(text, &format!("{name}_sum"), &labels, quantiles.sum.as_secs_f64());
        sample(text, &format!("{name}_count"), &labels, quantiles.count as f64);
    }
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    head(text, name, kind, help);
    sample(text, name, "", value);
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    *text += &format!("# HELP pipeline_{name} {help}\n# TYPE pipeline_{name} {kind}\n");
}

fn sample(text: &mut String, name: &str, labels: &str, value: f64) {
    *text += &format!("pipeline_{name}{labels} {value}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crawl::dns::DnsChoice;
    use crate::reason::Reason;

    fn state() -> (Arc<Tally>, Dns) {
        (Arc::new(Tally::new()), Dns::new(&DnsChoice::System).unwrap())
    }

    #[test]
    fn the_text_is_in_the_exposition_format() {
        let (tally, dns) = state();
        tally.row(Reason::Ok);
        tally.row(Reason::HttpNotFound);
        tally.downloaded(2048);
        tally.timings.record(Phase::Body, Duration::from_millis(250));
        let text = text(&tally, &dns);
        for line in [
            "# TYPE pipeline_rows_total counter",
            "pipeline_rows_total{reason=\"http_not_found\"} 1",
            "pipeline_downloaded_bytes_total 2048",
            "pipeline_downloads_in_flight 0",
            "# TYPE pipeline_phase_seconds summary",
            "pipeline_phase_seconds_sum{phase=\"body\"} 0.25",
            "pipeline_phase_seconds_count{phase=\"body\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }

    #[test]
    fn the_last_state_is_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crawl.prom");
        let (tally, dns) = state();
        let exporter = Exporter::start(path.to_str().unwrap(), &tally, &dns).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("reason="));
        tally.row(Reason::Ok);
        exporter.finish().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("{reason=\"ok\"} 1"));
        let below_a_file = path.join("crawl.prom");
        assert!(Exporter::start(below_a_file.to_str().unwrap(), &tally, &dns).is_err());
    }
}
