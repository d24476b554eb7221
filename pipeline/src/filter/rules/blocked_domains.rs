//! `blocked-domains`: hosts whose pictures are not wanted.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::list::entries;
use super::{Site, Trouble, bad_texts};
use crate::crawl::registrable;
use crate::filter::judge::Catcher;

/// When a host is one of those on the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainMatch {
    /// It is on the list or lies below a name on it: `example.org` blocks `img.example.org`.
    #[default]
    Suffix,
    /// Someone registered both as one domain, by the public suffix list: `www.example.org` blocks `img.example.org`.
    Domain,
}

/// Removes rows whose address lies on a host of the list; an address without a host stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlockedDomains {
    /// Hosts or addresses on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// A file with more of them, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// When a host is one of them.
    pub by: DomainMatch,
    /// Column of the address; by default that of the pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl BlockedDomains {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let by = self.by;
        let mut blocked = HashSet::new();
        for entry in entries(&self.domains, self.file.as_deref())? {
            let name = entry.trim_start_matches("*.").trim_start_matches('.');
            let host = match name.contains("://") {
                true => host(name).map(Cow::into_owned),
                false => host(&format!("http://{name}")).map(Cow::into_owned),
            };
            let host = host.ok_or_else(|| Trouble::Wrong(format!("`{entry}` is no host")))?;
            blocked.insert(match by {
                DomainMatch::Suffix => host,
                DomainMatch::Domain => registrable(&host).to_owned(),
            });
        }
        let column = site.columns.text(self.column.as_deref().unwrap_or(site.url))?;
        Ok(bad_texts(column, move |address| {
            host(address).is_some_and(|host| match by {
                DomainMatch::Suffix => suffixes(&host).any(|name| blocked.contains(name)),
                DomainMatch::Domain => blocked.contains(registrable(&host)),
            })
        }))
    }
}

/// A name, and the names that it lies below.
fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, above)| above))
}

/// The host of an address in lower case, without a trailing dot; only what is not plain ASCII is parsed in full.
fn host(address: &str) -> Option<Cow<'_, str>> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    if !authority.is_ascii() || authority.contains(['%', '[']) {
        let url = Url::parse(address).ok()?;
        return url.host_str().map(|host| Cow::Owned(host.trim_end_matches('.').to_owned()));
    }
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.trim_end_matches('.');
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        _ if host.is_empty() => None,
        true => Some(Cow::Owned(host.to_ascii_lowercase())),
        false => Some(Cow::Borrowed(host)),
    }
}

#[cfg(test)]
mod tests {
    use super::host;
    use crate::filter::rules::testing::{caught, refused, texts};

    #[test]
    fn hosts_below_a_name_are_blocked_and_names_that_only_look_alike_are_not() {
        let urls = [
            "https://i.Pinimg.com/1.jpg",
            "http://user@pinimg.com:8080/2.jpg",
            "http://notpinimg.com/3.jpg",
            "http://h.example/?u=http://pinimg.com/4.jpg",
            "http://pinimg.com./5.jpg",
            "no address",
            "http://xn--e1afmkfd.xn--p1ai/6.jpg",
            "http://Пример.рф/7.jpg",
        ];
        let table = texts(&[("url", &urls.map(Some))]);
        let rule = "kind = \"blocked-domains\"\ndomains = [\"*.pinimg.com\", \"http://пример.рф/x\"]";
        assert_eq!(caught(rule, &table), [0, 1, 4, 6, 7]);
    }

    #[test]
    fn one_registered_domain_is_blocked_as_a_whole() {
        let urls = ["http://a.b.example.co.uk/1", "http://example.co.uk/2", "http://other.co.uk/3"];
        let table = texts(&[("url", &urls.map(Some))]);
        let rule = |by: &str| {
            format!("kind = \"blocked-domains\"\ndomains = [\"www.example.co.uk\"]\nby = \"{by}\"")
        };
        assert_eq!(caught(&rule("domain"), &table), [0, 1]);
        assert_eq!(caught(&rule("suffix"), &table), [0; 0]);
    }

    #[test]
    fn what_is_no_host_and_an_empty_list_are_refused() {
        let table = texts(&[("url", &[None])]);
        assert!(
            refused("kind = \"blocked-domains\"\ndomains = [\"/etc\"]", &table).contains("`/etc` is no host")
        );
        assert!(refused("kind = \"blocked-domains\"", &table).contains("the list is empty"));
    }

    #[test]
    fn the_short_way_agrees_with_the_parser() {
        for address in
            ["http://A.b:1/x", "https://u:p@a.b.?q", "http://a.b\\c", "ftp://a.b#f", "http://[::1]/"]
        {
            let parsed = url::Url::parse(address).unwrap();
            assert_eq!(host(address).unwrap(), parsed.host_str().unwrap().trim_end_matches('.'), "{address}");
        }
        assert_eq!((host("http:///x"), host("a.b/c")), (None, None));
    }
}
