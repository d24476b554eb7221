//! One URL to its bytes: a total deadline, a byte cap, redirects followed by hand so that every hop is checked.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::address::{Access, NoAddress, Policy};
use super::budget::{Bodies, Held};
use super::config::NetConfig;
use crate::reason::Reason;
use crate::{Error, Result};

/// The clients, built once and shared by all downloads: connections stay open between them.
#[derive(Debug)]
pub(super) struct Fetcher {
    policy: Policy,
    guarded: Client,
    trusted: Client,
    timeout: Duration,
    max_bytes: u64,
    max_redirects: u32,
    bodies: Bodies,
}

/// What arrived, with the memory it holds.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Given back when the picture is encoded.
    pub(super) held: Held,
}

/// Why nothing arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// What img2dataset would say, where that is more than the reason does.
    pub(super) message: Option<String>,
    /// Which rule of the site decided.
    pub(super) rule: Option<String>,
    /// How long the server asks to be left alone (`Retry-After` of a 429 or 503).
    pub(super) retry_after: Option<Duration>,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, message: None, rule: None, retry_after: None }
    }
}

impl Fetcher {
    pub(super) fn new(net: &NetConfig, bodies: Bodies) -> Result<Self> {
        let policy = Policy::new(net)?;
        // A second call finds the provider installed, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        Ok(Self {
            guarded: client(net, &policy, Access::Guarded)?,
            trusted: client(net, &policy, Access::Trusted)?,
            policy,
            timeout: Duration::from_secs_f64(net.timeout),
            max_bytes: net.max_bytes.0,
            max_redirects: net.max_redirects,
            bodies,
        })
    }

    /// Fetches `url`; time spent waiting for memory does not count against the deadline.
    pub(super) async fn fetch(&self, url: &str, mut held: Held) -> Result<Body, Failure> {
        let deadline = Instant::now() + self.timeout;
        let late = |_| Failure::from(Reason::Timeout);
        let response = timeout_at(deadline, self.respond(url)).await.map_err(late)??;
        let length = response.content_length();
        if length.is_some_and(|length| length > self.max_bytes) {
            return Err(Reason::TooLarge.into());
        }
        let before = Instant::now();
        let most = length.unwrap_or(self.max_bytes);
        self.bodies.grow(&mut held, most).await.ok_or(Reason::ConnectionLost)?;
        let deadline = deadline + before.elapsed();
        let bytes = timeout_at(deadline, self.read(response)).await.map_err(late)??;
        held.shrink(bytes.len() as u64);
        Ok(Body { bytes, held })
    }

    /// The head of the answer that is no redirect.
    async fn respond(&self, url: &str) -> Result<Response, Failure> {
        let mut url = Url::parse(url.trim()).map_err(|_| Reason::UrlInvalid)?;
        for _ in 0..=self.max_redirects {
            let client = match self.policy.check(&url)? {
                Access::Guarded => &self.guarded,
                Access::Trusted => &self.trusted,
            };
            let response = client.get(url.clone()).send().await.map_err(|e| reason_of(&e))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Err(http_failure(status, response.headers()));
            }
            url = target(&url, &response).ok_or(Reason::RedirectInvalid)?;
        }
        Err(Reason::Redirects.into())
    }

    async fn read(&self, mut response: Response) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| reason_of(&e))? {
            if (body.len() + chunk.len()) as u64 > self.max_bytes {
                return Err(Reason::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn client(net: &NetConfig, policy: &Policy, access: Access) -> Result<Client> {
    let builder = || {
        Client::builder()
            .user_agent(&net.user_agent)
            .connect_timeout(Duration::from_secs_f64(net.connect_timeout))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(16)
            .dns_resolver(policy.resolver(access))
    };
    // A machine without root certificates can still fetch http; https then fails row by row, as `tls`.
    let built = builder().build().or_else(|_| builder().tls_certs_only([]).build());
    built.map_err(|e| Error::Network { message: tell(&e) })
}

fn target(url: &Url, response: &Response) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?;
    url.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()
}

/// Worded as Python's urllib does, so that tables of img2dataset's messages fit.
fn http_failure(status: StatusCode, headers: &HeaderMap) -> Failure {
    let phrase = status.canonical_reason().unwrap_or("Unknown");
    let message = Some(format!("HTTP Error {}: {phrase}", status.as_u16()));
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = headers.get(header::RETRY_AFTER).filter(|_| asks).and_then(|value| {
        let value = value.to_str().ok()?;
        retry_after(value, SystemTime::now())
    });
    Failure { reason: Reason::of_http_status(status.as_u16()), message, rule: None, retry_after }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

fn tell(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

fn reason_of(error: &reqwest::Error) -> Reason {
    let no_address = causes(error).find_map(|cause| cause.downcast_ref::<NoAddress>());
    match no_address {
        Some(NoAddress::Refused) => Reason::AddressRefused,
        Some(NoAddress::Unknown) => Reason::Dns,
        None if causes(error).any(is_tls) => Reason::Tls,
        None if error.is_timeout() => Reason::TimeoutConnect,
        None if error.is_connect() => Reason::Connect,
        None if error.is_builder() => Reason::UrlInvalid,
        None => Reason::ConnectionLost,
    }
}

/// An `io::Error` hides what it wraps from `source()`.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => wrapped.is::<rustls::Error>(),
        None => error.is::<rustls::Error>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_client_needs_no_network_to_be_built_and_refuses_before_connecting() {
        let bodies = Bodies::new(1 << 20, 1, 1 << 19);
        let fetcher = Fetcher::new(&NetConfig::default(), bodies.clone()).unwrap();
        for (url, reason) in [
            ("http://169.254.169.254/latest/meta-data/", Reason::AddressRefused),
            ("http://localhost:1/", Reason::AddressRefused),
            ("file:///etc/hostname", Reason::UrlScheme),
            ("not a url", Reason::UrlInvalid),
            ("http://[::1", Reason::UrlInvalid),
        ] {
            let held = bodies.start().await.unwrap();
            assert_eq!(fetcher.fetch(url, held).await.map(|_| ()).unwrap_err().reason, reason, "{url}");
        }
    }

    #[test]
    fn http_failures_are_worded_as_in_python() {
        let failure = http_failure(StatusCode::NOT_FOUND, &HeaderMap::new());
        assert_eq!(failure.message.unwrap(), "HTTP Error 404: Not Found");
        assert_eq!(failure.reason, Reason::HttpNotFound);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let seconds = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "it is over");
        assert_eq!([seconds("soon"), seconds("-1"), seconds("1.5")], [None; 3]);
    }
}
