//! A small file that a site keeps for crawlers: redirects are followed, its size and the time for it are bounded.

use std::time::Duration;

use reqwest::{Response, header};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::super::fetch::{Clients, Failure, target};
use super::robots::MOST_BYTES;
use crate::reason::Reason;

/// Hops from one address to another (RFC 9309 §2.3.1.2).
const MOST_REDIRECTS: usize = 5;
/// RFC 9309 §2.4.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A shorter `max-age` would double the requests to a site. Also the life of a failure.
pub(super) const SHORTEST: Duration = Duration::from_secs(300);

/// What became of the request.
#[derive(Debug)]
pub(super) enum SiteFile {
    /// Its first bytes, one more than [`MOST_BYTES`] at least if there are more; and how long it may be used.
    Found(Vec<u8>, Duration),
    /// There is none: a status other than those below, or redirects that lead nowhere.
    Absent,
    /// The site fails: HTTP 429 and 5xx, a lost connection, too long a wait, a redirect to where nobody answers.
    /// In words.
    Failed(String),
    /// The host cannot be reached, which an image's request would find out as well.
    NoHost(Failure),
}

/// Fetches `url` within `limit`.
pub(super) async fn fetch(clients: &Clients, url: Url, limit: Duration) -> SiteFile {
    let follow = follow(clients, url);
    match timeout_at(Instant::now() + limit, follow).await {
        Ok(file) => file,
        Err(_) => SiteFile::Failed(Reason::Timeout.text().into()),
    }
}

async fn follow(clients: &Clients, mut url: Url) -> SiteFile {
    for hop in 0..=MOST_REDIRECTS {
        let response = match clients.get(&url).await {
            Ok(response) => response,
            Err(failure) if hop == 0 && is_host(failure.reason) => return SiteFile::NoHost(failure),
            Err(failure) => return SiteFile::Failed(failure.reason.text().into()),
        };
        match response.status().as_u16() {
            200..=299 => return read(response).await,
            301 | 302 | 303 | 307 | 308 => match target(&url, &response) {
                Some(next) => url = next,
                None => return SiteFile::Absent,
            },
            // "Too many requests" is no leave to make more of them; Google treats it likewise.
            status @ (429 | 500..) => return SiteFile::Failed(format!("HTTP {status}")),
            _ => return SiteFile::Absent,
        }
    }
    SiteFile::Absent
}

/// Whether the failure is that of the host, whatever one asks it for.
fn is_host(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AddressRefused | Reason::Dns | Reason::Connect | Reason::Tls | Reason::TimeoutConnect
    )
}

async fn read(mut response: Response) -> SiteFile {
    let lifetime = lifetime(&response);
    let mut body = Vec::new();
    while body.len() <= MOST_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return SiteFile::Failed(Reason::ConnectionLost.text().into()),
        }
    }
    SiteFile::Found(body, lifetime)
}

fn lifetime(response: &Response) -> Duration {
    let values = response.headers().get_all(header::CACHE_CONTROL).iter();
    let seconds = values.filter_map(|value| max_age(value.to_str().ok()?)).min();
    seconds.map_or(LONGEST, |seconds| Duration::from_secs(seconds).clamp(SHORTEST, LONGEST))
}

/// The `max-age` of a `Cache-Control` header in seconds (RFC 9111 §5.2.2.1).
fn max_age(header: &str) -> Option<u64> {
    header.split(',').find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok();
        seconds.filter(|_| name.trim().eq_ignore_ascii_case("max-age"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_found_among_other_directives() {
        assert_eq!(max_age("public, Max-Age=600"), Some(600));
        assert_eq!(max_age("max-age=\"60\", s-maxage=5"), Some(60));
        assert_eq!((max_age("no-store"), max_age("max-age=-1"), max_age("s-maxage=5")), (None, None, None));
    }
}
