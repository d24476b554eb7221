//! Which failures of an earlier crawl are worth another try.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reason::{Reason, Status};
use crate::settings::suggest;

/// A class of failed rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// Every failed row.
    All,
    /// What may come out otherwise: time-outs, lost connections, servers that failed, DNS.
    Transient,
    /// A status of img2dataset.
    Status(Status),
    /// One cause.
    Reason(Reason),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Transient => f.write_str("transient"),
            Self::Status(status) => status.fmt(f),
            Self::Reason(reason) => reason.fmt(f),
        }
    }
}

impl FromStr for Failed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => Ok(Self::All),
            "transient" => Ok(Self::Transient),
            "success" | "ok" => Err("successes are not fetched again".to_owned()),
            other => match (other.parse().map(Self::Status), other.parse().map(Self::Reason)) {
                (Ok(status), _) => Ok(status),
                (_, Ok(reason)) => Ok(reason),
                _ => Err(unknown(other)),
            },
        }
    }
}

fn unknown(text: &str) -> String {
    let known: Vec<&str> = ["all", "transient", "failed_to_download", "failed_to_resize"]
        .into_iter()
        .chain(Reason::ALL.iter().map(|reason| reason.code()))
        .collect();
    match suggest(text, &known) {
        Some(near) => format!("no class of failures is called `{text}`: did you mean `{near}`?"),
        None => format!(
            "no class of failures is called `{text}`: there are all, transient, statuses and codes of `pipeline explain`"
        ),
    }
}

/// `input.retry_failed`: `false`, `true` (transient failures), or classes: `all`, `transient`, statuses, reason codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryFailed(Vec<Failed>);

impl RetryFailed {
    /// Whether the inputs are earlier outputs.
    pub fn is_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a row of an earlier output is to be fetched again; `reason` is `None` where nobody knows the cause.
    pub(super) fn wants(&self, status: Status, reason: Option<Reason>) -> bool {
        let wanted = |class: &Failed| match class {
            Failed::All => true,
            Failed::Transient => reason.map_or(status == Status::FailedToDownload, may_be_back),
            Failed::Status(wanted) => *wanted == status,
            Failed::Reason(wanted) => Some(*wanted) == reason,
        };
        status != Status::Success && self.0.iter().any(wanted)
    }
}

/// What may come out otherwise another day: a name or a server may be back, a cut file whole.
fn may_be_back(reason: Reason) -> bool {
    use Reason::{Dns, FileUnreadable, HostStopped, RobotsUnreachable, Truncated};
    reason.is_transient()
        || matches!(reason, Dns | FileUnreadable | HostStopped | RobotsUnreachable | Truncated)
}

/// The reason behind a message of img2dataset: urllib, OpenCV and its own.
pub(super) fn reason_of(message: &str) -> Option<Reason> {
    if let Some(status) = message.strip_prefix("HTTP Error ") {
        return match message.contains("redirect error") {
            true => Some(Reason::Redirects),
            false => Some(Reason::of_http_status(status.get(..3)?.parse().ok()?)),
        };
    }
    let known = [
        ("urlopen error timed out", Reason::TimeoutConnect),
        ("timed out", Reason::Timeout),
        ("[Errno -", Reason::Dns),
        ("Connection refused", Reason::Connect),
        ("Connection reset", Reason::ConnectionLost),
        ("IncompleteRead", Reason::ConnectionLost),
        ("[SSL", Reason::Tls),
        ("unknown url type", Reason::UrlMissing),
        ("control characters", Reason::UrlInvalid),
        ("Invalid IPv6 URL", Reason::UrlInvalid),
        ("X-Robots-Tag", Reason::OptOut),
        ("hash mismatch", Reason::HashMismatch),
        ("!buf.empty()", Reason::Empty),
        ("Image decoding error", Reason::Decode),
        ("image too small", Reason::TooSmall),
        ("image area too large", Reason::TooLargeArea),
        ("aspect ratio too large", Reason::AspectRatio),
    ];
    known.into_iter().find(|(part, _)| message.contains(part)).map(|(_, reason)| reason)
}

impl Serialize for RetryFailed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for RetryFailed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Switch(bool),
            One(String),
            Many(Vec<String>),
        }
        let names = match Written::deserialize(deserializer)? {
            Written::Switch(false) => Vec::new(),
            Written::Switch(true) => vec!["transient".to_owned()],
            Written::One(names) => names.split(',').map(str::to_owned).collect(),
            Written::Many(names) => names,
        };
        let classes: Result<_, String> = names.iter().map(|name| name.parse()).collect();
        classes.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(json: &str) -> Result<RetryFailed, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn classes_are_read_in_every_spelling_and_misspellings_told() {
        assert!(!retry("false").unwrap().is_on());
        assert_eq!(retry("true"), retry("\"transient\""));
        assert_eq!(retry("\"dns,http_5xx\""), retry("[\"dns\", \"http_5xx\"]"));
        assert_eq!(
            serde_json::to_string(&retry("[\"all\", \"dns\"]").unwrap()).unwrap(),
            "[\"all\",\"dns\"]"
        );
        assert!(retry("\"time_out\"").unwrap_err().contains("did you mean `timeout`?"));
        assert!(retry("\"ok\"").unwrap_err().contains("successes are not"));
    }

    #[test]
    fn only_what_is_asked_for_is_fetched_again() {
        let (down, resize) = (Status::FailedToDownload, Status::FailedToResize);
        let transient = retry("true").unwrap();
        assert!(transient.wants(down, Some(Reason::HttpServer)));
        assert!(transient.wants(down, None), "an unknown failure of a download");
        assert!(!transient.wants(down, Some(Reason::HttpNotFound)));
        assert!(!transient.wants(resize, None));
        assert!(retry("\"failed_to_resize\"").unwrap().wants(resize, Some(Reason::Decode)));
        let gone = retry("[\"http_not_found\"]").unwrap();
        assert!(gone.wants(down, Some(Reason::HttpNotFound)) && !gone.wants(down, Some(Reason::Dns)));
        assert!(!retry("\"all\"").unwrap().wants(Status::Success, Some(Reason::Ok)));
    }

    #[test]
    fn the_messages_of_img2dataset_have_reasons() {
        for (message, reason) in [
            ("HTTP Error 404: Not Found", Some(Reason::HttpNotFound)),
            (
                "HTTP Error 302: The HTTP server returned a redirect error that would lead",
                Some(Reason::Redirects),
            ),
            ("<urlopen error [Errno -2] Name or service not known>", Some(Reason::Dns)),
            ("<urlopen error [Errno 111] Connection refused>", Some(Reason::Connect)),
            ("<urlopen error timed out>", Some(Reason::TimeoutConnect)),
            ("timed out", Some(Reason::Timeout)),
            ("IncompleteRead(34090 bytes read, 100 more expected)", Some(Reason::ConnectionLost)),
            ("HTTP Error", None),
            ("something else", None),
        ] {
            assert_eq!(reason_of(message), reason, "{message}");
        }
    }
}
