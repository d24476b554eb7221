//! When two URLs are the same: written alike once everything is set aside that a server does not see, or does not look at.
//!
//! - Scheme and host in lower case, international names in their ASCII form, default ports and the dot after a host
//!   left out, `.` and `..` in the path resolved: as browsers do it (the `url` crate).
//! - No fragment, no empty query.
//! - Query parameters that only track visitors left out, by name ([`UrlConfig::ignored_parameters`]); the others stay, in
//!   their order.
//! - Percent-encoding in capitals, and of letters, digits and `-._~` undone (RFC 3986, section 6.2.2).
//!
//! `http` and `https`, `www.` and no `www.`, and paths in other case stay different: they may be different files. What
//! cannot be parsed is compared as it is written.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::crawl::registrable;

/// Names of parameters that say where a visitor came from, as the lists of ClearURLs and of browsers have them. They
/// do not choose a file.
const TRACKING: [&str; 29] = [
    "utm_*",
    "mtm_*",
    "pk_*",
    "hsa_*",
    "_hs*",
    "fbclid",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "msclkid",
    "twclid",
    "ttclid",
    "yclid",
    "ysclid",
    "_openstat",
    "igsh",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "oly_anon_id",
    "oly_enc_id",
    "rb_clickid",
    "vero_id",
    "_ga",
    "_gl",
];

/// `[url]`: which URLs are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UrlConfig {
    /// Query parameters that do not count; a `*` at the end stands for any ending.
    pub ignored_parameters: Vec<String>,
}

impl Default for UrlConfig {
    fn default() -> Self {
        Self { ignored_parameters: TRACKING.map(str::to_owned).to_vec() }
    }
}

/// A URL as it is compared, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Equal for equal URLs.
    pub(super) key: String,
    /// The registrable domain, or the host that has none; empty where there is no host.
    pub(super) site: String,
}

impl UrlConfig {
    /// `None` for what is missing.
    pub(super) fn address(&self, url: &str) -> Option<Address> {
        let url = url.trim();
        if url.is_empty() {
            return None;
        }
        let parsed = Url::parse(url).ok().filter(Url::has_host);
        Some(match parsed {
            Some(url) => Address { key: self.key(&url), site: site(&url) },
            None => Address { key: url.to_owned(), site: String::new() },
        })
    }

    fn key(&self, url: &Url) -> String {
        let mut key = format!("{}://", url.scheme());
        if !url.username().is_empty() || url.password().is_some() {
            key += &format!("{}:{}@", url.username(), url.password().unwrap_or(""));
        }
        key += host(url);
        if let Some(port) = url.port() {
            key += &format!(":{port}");
        }
        unescape(url.path(), &mut key);
        let kept = url.query().unwrap_or("").split('&').filter(|part| !self.is_ignored(part));
        for (i, part) in kept.filter(|part| !part.is_empty()).enumerate() {
            key.push(if i == 0 { '?' } else { '&' });
            unescape(part, &mut key);
        }
        key
    }

    fn is_ignored(&self, parameter: &str) -> bool {
        let name = parameter.split('=').next().unwrap_or_default();
        self.ignored_parameters.iter().any(|ignored| match ignored.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == ignored,
        })
    }
}

/// Without the dot that ends an absolute name.
fn host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or("");
    match host.trim_end_matches('.') {
        "" => host,
        name => name,
    }
}

fn site(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(_)) => registrable(host(url)).to_owned(),
        _ => host(url).to_owned(),
    }
}

/// Appends `text` with its percent-encoding in one spelling.
fn unescape(text: &str, key: &mut String) {
    let mut parts = text.split('%');
    key.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some((code, byte)) = code.and_then(|code| Some((code, u8::from_str_radix(code, 16).ok()?)))
        else {
            key.push_str("%25");
            key.push_str(part);
            continue;
        };
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => key.push(byte.into()),
            // Writing to a string cannot fail.
            _ => drop(write!(key, "%{}", code.to_ascii_uppercase())),
        }
        key.push_str(&part[2..]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(url: &str) -> String {
        UrlConfig::default().address(url).unwrap().key
    }

    #[test]
    fn what_no_server_looks_at_is_set_aside() {
        for (url, same) in [
            ("HTTP://Example.COM:80/a.jpg#top", "http://example.com/a.jpg"),
            ("https://example.com.:443/a/./b/../c.jpg", "https://example.com/a/c.jpg"),
            (" http://h/a.jpg?utm_source=x&id=7&fbclid=IwAR0&b= ", "http://h/a.jpg?id=7&b="),
            ("http://h/a.jpg?utm_source=x", "http://h/a.jpg"),
            ("http://h/a.jpg?&", "http://h/a.jpg"),
            ("http://h/%7euser/%e2%82%ac%2fx.jpg", "http://h/~user/%E2%82%AC%2Fx.jpg"),
            ("http://h/€", "http://h/%E2%82%AC"),
            ("http://пример.рф/a b", "http://xn--e1afmkfd.xn--p1ai/a%20b"),
            ("http://h", "http://h/"),
            ("http://h/100%", "http://h/100%25"),
            ("//h/a.jpg", "//h/a.jpg"),
            ("data:image/png;base64,AA", "data:image/png;base64,AA"),
        ] {
            assert_eq!(key(url), same);
        }
    }

    #[test]
    fn what_may_be_another_file_stays_different() {
        for (one, other) in [
            ("http://h/a.jpg", "https://h/a.jpg"),
            ("http://h/a.jpg", "http://www.h/a.jpg"),
            ("http://h/a.jpg", "http://h/A.jpg"),
            ("http://h/a.jpg?a=1&b=2", "http://h/a.jpg?b=2&a=1"),
            ("http://h/a%2Fb", "http://h/a/b"),
            ("http://h:8080/", "http://h/"),
            ("http://h/?ga=1", "http://h/"),
        ] {
            assert_ne!(key(one), key(other));
        }
    }

    #[test]
    fn sites_are_registrables() {
        let site = |url| UrlConfig::default().address(url).unwrap().site;
        assert_eq!(site("http://cdn1.Shop.co.uk./a"), "shop.co.uk");
        assert_eq!(
            (site("http://10.0.0.1/a"), site("http://localhost/"), site("a.jpg")),
            ("10.0.0.1".into(), "localhost".into(), String::new())
        );
        assert_eq!(UrlConfig::default().address("  "), None);
    }

    #[test]
    fn ignored_parameters_are_the_configs() {
        let none = UrlConfig { ignored_parameters: vec!["w".into()] };
        assert_eq!(none.address("http://h/?w=1&utm_x=2&wide=3").unwrap().key, "http://h/?utm_x=2&wide=3");
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(url in "https?://[a-zA-Z.]{1,9}(:[0-9]{1,4})?/[a-zA-Z0-9%/. ~?&=#é]{0,30}") {
            let once = key(&url);
            prop_assert_eq!(key(&once), once);
        }
    }
}
