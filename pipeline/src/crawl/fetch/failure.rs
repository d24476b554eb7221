//! Why nothing arrived: the reason of the row, and what img2dataset would write beside it.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use rustls::CertificateError;

use crate::crawl::dns::NoAddress;
use crate::reason::Reason;

/// The longest wait that a server can ask for.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);

/// Why nothing arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::crawl) struct Failure {
    pub(in crate::crawl) reason: Reason,
    /// What img2dataset would say, where that is more than the reason does.
    pub(in crate::crawl) message: Option<String>,
    /// Which rule of the site decided.
    pub(in crate::crawl) rule: Option<String>,
    /// How long the server asks to be left alone, an hour at most.
    pub(in crate::crawl) retry_after: Option<Duration>,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, message: None, rule: None, retry_after: None }
    }
}

impl Failure {
    fn told(reason: Reason, message: String) -> Self {
        Self { message: Some(message), ..reason.into() }
    }

    /// An answer that brings no image.
    pub(super) fn of_answer(response: &Response) -> Self {
        let asks = matches!(response.status().as_u16(), 429 | 503);
        let retry_after = asks.then(|| retry_after(response.headers(), SystemTime::now())).flatten();
        Self { retry_after, ..of_status(response.status()) }
    }

    /// Another redirect after so many.
    pub(super) fn of_redirects(last: StatusCode) -> Self {
        let phrase = last.canonical_reason().unwrap_or("Found");
        let told = format!(
            "HTTP Error {}: The HTTP server returned a redirect error that would lead to an infinite loop.\n\
             The last 30x error message was:\n{phrase}",
            last.as_u16()
        );
        Self::told(Reason::Redirects, told)
    }

    /// A body that ended after `received` of `length` bytes.
    pub(super) fn of_body(error: &reqwest::Error, received: usize, length: Option<u64>) -> Self {
        let told = match (errno(error), length) {
            (Some(code), _) => strerror(code),
            (None, Some(length)) => {
                let missing = length.saturating_sub(received as u64);
                format!("IncompleteRead({received} bytes read, {missing} more expected)")
            }
            (None, None) => format!("IncompleteRead({received} bytes read)"),
        };
        Self::told(Reason::ConnectionLost, told)
    }
}

/// Worded as Python's urllib does, so that tables of img2dataset's messages fit.
pub(super) fn of_status(status: StatusCode) -> Failure {
    let phrase = status.canonical_reason().unwrap_or("Unknown");
    let told = format!("HTTP Error {}: {phrase}", status.as_u16());
    Failure::told(Reason::of_http_status(status.as_u16()), told)
}

/// `Retry-After` in either form (RFC 9110 §10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MOST))
}

impl From<&reqwest::Error> for Failure {
    /// A request without an answer.
    fn from(error: &reqwest::Error) -> Self {
        if let Some(none) = causes(error).find_map(|cause| cause.downcast_ref::<NoAddress>()) {
            return (*none).into();
        }
        if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref()) {
            return Self::told(Reason::Tls, certificate(tls));
        }
        let reason = match () {
            () if error.is_timeout() => return Reason::TimeoutConnect.into(),
            () if error.is_connect() => Reason::Connect,
            () if error.is_builder() => return Reason::UrlInvalid.into(),
            () => Reason::ConnectionLost,
        };
        match errno(error) {
            Some(code) => Self::told(reason, format!("<urlopen error {}>", strerror(code))),
            None => reason.into(),
        }
    }
}

impl From<NoAddress> for Failure {
    fn from(none: NoAddress) -> Self {
        none.reason().into()
    }
}

/// The error and its causes in one line.
pub(super) fn tell(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error and what is behind it. An `io::Error` hides the error that it wraps from `source()`.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as _).or_else(|| (*error).source())
    })
}

/// As OpenSSL words it, for the cases that people meet.
fn certificate(error: &rustls::Error) -> String {
    let why = match error {
        rustls::Error::InvalidCertificate(why) => why,
        other => return format!("<urlopen error [SSL] {other}>"),
    };
    let text = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired".to_owned()
        }
        CertificateError::UnknownIssuer => "unable to get local issuer certificate".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "Hostname mismatch, certificate is not valid for the host".to_owned()
        }
        other => format!("{other:?}"),
    };
    format!("<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {text}>")
}

fn errno(error: &(dyn StdError + 'static)) -> Option<i32> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error())
}

/// `[Errno 104] Connection reset by peer`, as Python prints it.
fn strerror(code: i32) -> String {
    let text = io::Error::from_raw_os_error(code).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("[Errno {code}] {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_failures_are_worded_as_in_python() {
        let failure = of_status(StatusCode::NOT_FOUND);
        assert_eq!(failure.message.unwrap(), "HTTP Error 404: Not Found");
        assert_eq!(failure.reason, Reason::HttpNotFound);
        let loop_of = Failure::of_redirects(StatusCode::FOUND).message.unwrap();
        assert!(
            loop_of.starts_with("HTTP Error 302: The HTTP server returned a redirect error"),
            "{loop_of}"
        );
        assert!(loop_of.ends_with("infinite loop.\nThe last 30x error message was:\nFound"), "{loop_of}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn system_errors_are_worded_as_in_python() {
        assert_eq!(strerror(111), "[Errno 111] Connection refused");
        assert_eq!(strerror(104), "[Errno 104] Connection reset by peer");
    }

    #[test]
    fn a_wait_is_read_in_both_forms_and_capped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("999999999"), Some(3600));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0), "in the past");
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
