//! What became of the rows of pair shards: pictures, or the reasons why there are none, over all and by host.

use std::collections::{BTreeMap, HashMap};

use arrow::array::StringArray;
use url::Url;

use super::counts::Counts;
use super::record::{FailureReason, Failures, Host};
use super::scan::{Rows, Sum, cell};
use crate::Result;
use crate::reason::{Reason, Status};

/// The columns of [`Outcomes`].
pub(super) const COLUMNS: [&str; 5] = ["reason", "status", "error_message", "url", "rule"];
/// Reasons by which sites keep files out of collections.
const OPT_OUTS: [Reason; 3] = [Reason::Robots, Reason::OptOut, Reason::TdmReserved];

/// The outcome column by column.
pub(super) struct Outcome {
    reason: Option<StringArray>,
    status: Option<StringArray>,
    message: Option<StringArray>,
}

impl Outcome {
    pub(super) fn of(rows: &Rows) -> Self {
        let text = |name| rows.text(&[name]);
        Self { reason: text("reason"), status: text("status"), message: text("error_message") }
    }

    /// Whether there is an outcome at all: a table of links has none.
    pub(super) fn is_told(&self) -> bool {
        self.reason.is_some() || self.status.is_some()
    }

    /// Whether the row has a picture.
    pub(super) fn is_picture(&self, row: usize) -> bool {
        match cell(self.status.as_ref(), row) {
            Some(status) => status == Status::Success.code(),
            None => cell(self.reason.as_ref(), row) == Some(Reason::Ok.code()),
        }
    }

    /// The reason or, in shards of others, their message.
    fn code(&self, row: usize) -> &str {
        let told = [&self.reason, &self.message, &self.status].map(|column| cell(column.as_ref(), row));
        told.into_iter().flatten().next().unwrap_or("unknown")
    }
}

/// The host of a URL.
pub(super) fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// Rows with a picture.
#[derive(Default)]
pub(super) struct Pictures(pub(super) u64);

impl Sum for Pictures {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let outcome = Outcome::of(rows);
        self.0 += (0..rows.len()).filter(|row| outcome.is_picture(*row)).count() as u64;
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// Rows by their outcome.
#[derive(Default)]
pub(super) struct Outcomes {
    rows: u64,
    pub(super) pictures: u64,
    reasons: Counts,
    rules: Counts,
    hosts: HashMap<Box<str>, OfHost>,
}

#[derive(Default)]
struct OfHost {
    rows: u64,
    pictures: u64,
    /// A few, so that a list is quicker than a table.
    reasons: Vec<(Box<str>, u64)>,
}

impl OfHost {
    fn failed(&mut self, reason: &str, rows: u64) {
        match self.reasons.iter_mut().find(|(known, _)| **known == *reason) {
            Some((_, count)) => *count += rows,
            None => self.reasons.push((reason.into(), rows)),
        }
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.pictures += other.pictures;
        other.reasons.iter().for_each(|(reason, rows)| self.failed(reason, *rows));
    }
}

impl Sum for Outcomes {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let outcome = Outcome::of(rows);
        let (urls, rules) = (rows.text(&["url"]), rows.text(&["rule"]));
        self.rows += rows.len() as u64;
        for row in 0..rows.len() {
            let picture = outcome.is_picture(row);
            let code = outcome.code(row);
            if !picture {
                self.reasons.add(code);
                self.rules.add(cell(rules.as_ref(), row).unwrap_or_default());
            }
            self.pictures += u64::from(picture);
            let Some(host) = cell(urls.as_ref(), row).and_then(host) else { continue };
            let host = self.hosts.entry(host.into()).or_default();
            host.rows += 1;
            host.pictures += u64::from(picture);
            if !picture {
                host.failed(code, 1);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.pictures += other.pictures;
        self.reasons.merge(other.reasons);
        self.rules.merge(other.rules);
        for (host, of) in other.hosts {
            self.hosts.entry(host).or_default().merge(of);
        }
    }
}

impl Outcomes {
    /// Those of a crawl that wrote nothing but counts.
    pub(super) fn of_counts(counts: &BTreeMap<&str, u64>) -> Self {
        let mut outcomes = Self { rows: counts.values().sum(), ..Self::default() };
        for (code, rows) in counts {
            match *code == Reason::Ok.code() {
                true => outcomes.pictures = *rows,
                false => outcomes.reasons.count(code, *rows),
            }
        }
        outcomes
    }

    /// The figures, with the `most` hosts and rules; `None` where every row has a picture.
    pub(super) fn close(self, folder: &str, most: usize) -> Option<Failures> {
        if self.pictures == self.rows {
            return None;
        }
        let reasons = self.reasons.close(usize::MAX).top;
        let opt_outs = OPT_OUTS.map(Reason::code);
        let opted = reasons.iter().filter(|count| opt_outs.contains(&count.value.as_str()));
        let opt_outs: BTreeMap<String, u64> = opted.map(|count| (count.value.clone(), count.rows)).collect();
        let reason = |code: String, rows| {
            let text = code.parse().ok().map(Reason::text);
            FailureReason { code, text, rows }
        };
        Some(Failures {
            folder: folder.to_owned(),
            rows: self.rows,
            pictures: self.pictures,
            reasons: reasons.into_iter().map(|count| reason(count.value, count.rows)).collect(),
            hosts: self.hosts.len() as u64,
            worst: worst(self.hosts, most),
            opt_outs,
            rules: self.rules.close(most),
        })
    }
}

/// The hosts with the most failures; those of as many in the order of their letters.
fn worst(hosts: HashMap<Box<str>, OfHost>, most: usize) -> Vec<Host> {
    let failed = hosts.into_iter().filter(|(_, of)| of.pictures < of.rows);
    let mut hosts: Vec<Host> = failed
        .map(|(host, mut of)| {
            of.reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let reason = of.reasons.first().map(|(reason, _)| reason.to_string()).unwrap_or_default();
            Host { host: host.into(), rows: of.rows, pictures: of.pictures, reason }
        })
        .collect();
    let failures = |host: &Host| host.rows - host.pictures;
    hosts.sort_by(|a, b| failures(b).cmp(&failures(a)).then_with(|| a.host.cmp(&b.host)));
    hosts.truncate(most);
    hosts
}
