//! Which addresses may be asked: http(s) on the public internet, and what the config names.
//!
//! Host names are checked after resolving ([`Resolver`] hands out public addresses alone), so that neither a literal
//! address, nor DNS, nor a redirect leads into a private network or to a cloud's metadata service.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::config::NetConfig;
use super::dns::{Dns, NoAddress};
use crate::reason::Reason;
use crate::{Error, Result};

/// What the config says about addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    /// Host and port that may be private.
    allow: HashSet<(String, u16)>,
    /// Hosts whose address is given.
    fixed: Arc<HashMap<String, SocketAddr>>,
}

/// How a URL is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Through the resolver that hands out public addresses alone.
    Guarded,
    /// The config names the host.
    Trusted,
}

impl Policy {
    pub(super) fn new(net: &NetConfig) -> Result<Self> {
        let (mut allow, mut fixed) = (HashSet::new(), HashMap::new());
        for entry in &net.allow {
            let named = host_and_port(entry)
                .ok_or_else(|| Error::config("net.allow", format!("`{entry}` is not HOST:PORT")))?;
            allow.insert(named);
        }
        for entry in &net.resolve {
            let wrong = || Error::config("net.resolve", format!("`{entry}` is not HOST=ADDRESS:PORT"));
            let (host, address) = entry.split_once('=').ok_or_else(wrong)?;
            fixed.insert(host.to_lowercase(), address.parse().map_err(|_| wrong())?);
        }
        Ok(Self { allow, fixed: Arc::new(fixed) })
    }

    /// Whether the URL may be fetched, and how; a host name still has to pass the resolver.
    pub(super) fn check(&self, url: &Url) -> Result<Access, Reason> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Reason::UrlScheme);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Reason::UrlInvalid);
        };
        if self.is_named(&host, port) {
            return Ok(Access::Trusted);
        }
        match host {
            Host::Ipv4(ip) if !is_public_v4(ip) => Err(Reason::AddressRefused),
            Host::Ipv6(ip) if !is_public_v6(ip) => Err(Reason::AddressRefused),
            _ => Ok(Access::Guarded),
        }
    }

    /// Whether the config names the host. Most configs name none, and most URLs need no copy of their host.
    fn is_named(&self, host: &Host<&str>, port: u16) -> bool {
        if self.fixed.is_empty() && self.allow.is_empty() {
            return false;
        }
        let name = host.to_string();
        self.fixed.contains_key(&name) || self.allow.contains(&(name, port))
    }

    /// Whether the config gives the address of a host, so that DNS need not be asked.
    pub(super) fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains_key(name)
    }

    /// The resolver that belongs to an access.
    pub(super) fn resolver(&self, access: Access, dns: &Dns) -> Resolver {
        Resolver { access, fixed: Arc::clone(&self.fixed), dns: dns.clone() }
    }
}

/// Through the URL parser, so that `[::1]:80`, `0x7f.1:80` and `LOCALHOST:80` are spelt as URLs will spell them.
fn host_and_port(entry: &str) -> Option<(String, u16)> {
    let (_, port) = entry.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let url = Url::parse(&format!("http://{entry}/")).ok()?;
    (url.path() == "/" && url.username().is_empty()).then_some((url.host()?.to_string(), port))
}

/// Whether an address lies on the public internet.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// By the IANA registry of special-purpose addresses.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || matches!(
            ip.octets(),
            [0 | 240..=255, ..]
                | [100, 64..=127, ..]
                | [192, 0, 0, _]
                | [192, 88, 99, _]
                | [198, 18 | 19, ..]
        );
    !special
}

/// Likewise; an address that carries an IPv4 address inside is judged by that one.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, .., g, h] = ip.segments();
    let inner =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match (a, b) {
        (0x64, 0xff9b) if ip.segments()[2..6] == [0; 4] => inner(g, h),
        (0x2002, _) => inner(b, ip.segments()[2]),
        (0x2001, 0x0db8) => false,
        (0x2001, b) if b < 0x200 => false,
        // All that is global unicast begins with 001.
        _ => a >> 13 == 1,
    }
}

/// DNS with its answers filtered, each time a connection is opened: an answer from the cache is checked like a new one.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    access: Access,
    fixed: Arc<HashMap<String, SocketAddr>>,
    dns: Dns,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move { resolver.addresses(name.as_str()).await.map_err(Into::into) })
    }
}

impl Resolver {
    async fn addresses(&self, name: &str) -> Result<Addrs, NoAddress> {
        if let Some(address) = self.fixed.get(name) {
            return Ok(Box::new(std::iter::once(*address)));
        }
        let all = self.dns.lookup(name).await?;
        let open = |ip: &IpAddr| self.access == Access::Trusted || is_public(*ip);
        // The port is that of the URL.
        let open: Vec<SocketAddr> =
            all.iter().filter(|ip| open(ip)).map(|ip| SocketAddr::new(*ip, 0)).collect();
        match open.is_empty() {
            true => Err(NoAddress::Refused),
            false => Ok(Box::new(open.into_iter())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crawl::dns::DnsChoice;

    fn policy(allow: &[&str]) -> Policy {
        let allow = allow.iter().map(|s| (*s).to_owned()).collect();
        Policy::new(&NetConfig { allow, ..NetConfig::default() }).unwrap()
    }

    fn check(policy: &Policy, url: &str) -> Result<Access, Reason> {
        policy.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn special_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in
            ["1.1.1.1", "93.184.216.34", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2002:0101:0101::"]
        {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn every_spelling_of_a_local_address_is_refused() {
        let none = policy(&[]);
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::1]/",
            "https://[::ffff:7f00:1]/",
        ] {
            assert_eq!(check(&none, url), Err(Reason::AddressRefused), "{url}");
        }
        assert_eq!(check(&none, "ftp://host/a.jpg"), Err(Reason::UrlScheme));
        assert_eq!(check(&none, "data:image/png;base64,AA=="), Err(Reason::UrlScheme));
        assert_eq!(check(&none, "https://example.org/a.jpg"), Ok(Access::Guarded));
    }

    #[test]
    fn a_named_host_is_allowed_on_its_port_alone() {
        let named = policy(&["127.0.0.1:8080", "[::1]:80", "Intranet:443"]);
        assert_eq!(check(&named, "http://127.0.0.1:8080/a"), Ok(Access::Trusted));
        assert_eq!(check(&named, "http://127.0.0.1:8081/a"), Err(Reason::AddressRefused));
        assert_eq!(check(&named, "http://[::1]/a"), Ok(Access::Trusted));
        assert_eq!(check(&named, "https://intranet/a"), Ok(Access::Trusted));
        assert_eq!(check(&named, "http://intranet/a"), Ok(Access::Guarded));
    }

    #[tokio::test]
    async fn the_resolver_hands_out_public_addresses_alone() {
        let dns = Dns::new(&DnsChoice::System).unwrap();
        let resolver = policy(&[]).resolver(Access::Guarded, &dns);
        assert_eq!(resolver.addresses("localhost").await.err(), Some(NoAddress::Refused));
        let resolver = policy(&[]).resolver(Access::Trusted, &dns);
        assert!(resolver.addresses("localhost").await.unwrap().all(|a| a.ip().is_loopback()));
    }

    #[tokio::test]
    async fn a_given_address_needs_no_dns() {
        let resolve = vec!["pictures.test=127.0.0.1:4000".to_owned()];
        let policy = Policy::new(&NetConfig { resolve, ..NetConfig::default() }).unwrap();
        assert_eq!(check(&policy, "http://pictures.test/a.png"), Ok(Access::Trusted));
        let resolver = policy.resolver(Access::Trusted, &Dns::new(&DnsChoice::System).unwrap());
        let mut found = resolver.addresses("pictures.test").await.unwrap();
        assert_eq!(found.next(), Some("127.0.0.1:4000".parse().unwrap()));
    }
}
