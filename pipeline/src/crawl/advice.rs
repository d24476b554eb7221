//! What to do when one class of failure stands out: a tool that says only "61 % success" leaves people guessing.

use crate::reason::Reason;

/// A class of failure above this share of the rows stands out.
const LOUD: f64 = 0.3;
/// Rows before a share means anything.
const ENOUGH: u64 = 100;

/// The advice while a crawl runs; `total` is asked only if `rows` could be enough.
pub(super) fn early(reason: Reason, rows: u64, total: impl FnOnce() -> u64) -> Option<String> {
    if rows as f64 <= LOUD * ENOUGH as f64 {
        return None;
    }
    let total = total();
    if total < ENOUGH { None } else { of(reason, rows, total) }
}

/// The advice about `rows` of `total`, if they stand out.
pub(super) fn of(reason: Reason, rows: u64, total: u64) -> Option<String> {
    let share = rows as f64 / total.max(1) as f64;
    let loud = reason != Reason::Ok && share > LOUD;
    loud.then(|| format!("hint: {:.0} % {reason}: {}", 100.0 * share, many(reason)))
}

/// What it means when so many rows end the same way; for one row it is [`Reason::hint`] that fits.
fn many(reason: Reason) -> &'static str {
    match reason {
        Reason::UrlMissing | Reason::UrlInvalid => "look whether input.url_col names the right column",
        Reason::Dns => {
            "your resolver knows none of these hosts; if they exist, ask others: --dns system, or --dns 1.1.1.1,8.8.8.8"
        }
        Reason::Connect | Reason::TimeoutConnect => {
            "a firewall may stand between, or your line is full: try one URL with curl, then lower net.concurrency"
        }
        Reason::Tls => {
            "this machine's root certificates may be missing (install ca-certificates), or a proxy opens connections"
        }
        Reason::NotImage => {
            "a proxy or login page seems to answer in place of the images: open one of the URLs, and look at what comes"
        }
        Reason::Robots | Reason::RobotsUnreachable => {
            "the sites forbid crawlers: this list is theirs to refuse; see the column `rule`, and ask them"
        }
        Reason::HttpForbidden => {
            "the hosts block this machine or its user agent: give net.user_agent a contact, and see net.concurrency"
        }
        Reason::HttpNotFound => "the list is old: that many dead links are usual after a few years",
        _ => reason.hint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_percent_of_a_hundred_rows_stand_out() {
        let early = |rows, total| early(Reason::Dns, rows, || total);
        assert_eq!(early(30, 100), None);
        assert_eq!(early(90, 99), None, "too few to tell");
        assert!(early(31, 100).unwrap().starts_with("hint: 31 % dns: your resolver"));
        assert_eq!(of(Reason::Ok, 100, 100), None);
        assert!(of(Reason::Timeout, 1, 1).unwrap().contains(Reason::Timeout.hint()));
    }
}
