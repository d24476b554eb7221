//! What a run says while it works: pairs done, the share with a picture, the most frequent reasons without.

use std::cell::RefCell;
use std::collections::BTreeMap;

use pipeline::progress::Progress;
use pipeline::reason::Reason;

/// Reasons named in the line.
const SHOWN: usize = 3;

/// The progress line of a run and the outcomes so far.
pub(super) struct Talk<'a> {
    progress: &'a Progress,
    verbose: bool,
    counts: RefCell<BTreeMap<&'static str, u64>>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(progress: &'a Progress, verbose: bool) -> Self {
        Self { progress, verbose, counts: RefCell::default() }
    }

    /// Notes the outcome of a pair.
    pub(super) fn outcome(&self, key: &str, code: &'static str) {
        *self.counts.borrow_mut().entry(code).or_insert(0) += 1;
        if self.verbose && code != Reason::Ok.code() {
            self.progress.note(&format!("{key}: {code}"));
        }
    }

    /// `pairs` more are done.
    pub(super) fn done(&self, pairs: u64) {
        self.progress.add(pairs);
        self.progress.message(message(&self.counts.borrow()));
    }
}

fn message(counts: &BTreeMap<&'static str, u64>) -> String {
    let ok = counts.get(Reason::Ok.code()).copied().unwrap_or(0);
    let total: u64 = counts.values().sum();
    let mut reasons: Vec<_> = counts.iter().filter(|(code, _)| **code != Reason::Ok.code()).collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let share = 100.0 * ok as f64 / total.max(1) as f64;
    reasons
        .iter()
        .take(SHOWN)
        .fold(format!("ok {share:.1} %"), |text, (code, n)| format!("{text} · {code} {n}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_reasons_are_named_first() {
        let counts = [("ok", 95), ("dns", 1), ("decode", 3), ("empty", 1), ("too_small", 0)].into();
        assert_eq!(message(&counts), "ok 95.0 % · decode 3 · dns 1 · empty 1");
        assert_eq!(message(&BTreeMap::new()), "ok 0.0 %");
    }
}
