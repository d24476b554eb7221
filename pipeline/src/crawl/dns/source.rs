//! Where answers come from: name servers asked by ourselves, or the system.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, Resolver, TokioResolver, system_conf};

use super::choice::DnsChoice;
use crate::{Error, Result};

/// How long a name server may take for one query; each is sent twice.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer without a time of its own lasts.
pub(super) const DEFAULT_TTL: Duration = Duration::from_secs(60);

/// Who is asked.
pub(super) enum Source {
    /// `getaddrinfo`.
    System,
    /// Name servers.
    Servers(Box<Servers>),
}

/// Name servers and what precedes them.
pub(super) struct Servers {
    resolver: TokioResolver,
    /// `/etc/hosts`.
    hosts: Hosts,
    /// Whether IPv6 addresses are of any use here.
    ipv6: bool,
}

/// What a source says.
pub(super) enum Answer {
    /// IPv4 before IPv6, and how long that holds.
    Addresses(Vec<IpAddr>, Duration),
    /// The name does not exist or has no address, and how long that holds.
    Nothing(Duration),
    /// No name server answered, or none could.
    Failed,
}

impl Source {
    pub(super) fn new(choice: &DnsChoice) -> Result<Self> {
        let servers: Vec<NameServerConfig> = match choice {
            DnsChoice::System => return Ok(Self::System),
            DnsChoice::BuiltIn => match system_conf::read_system_conf() {
                Ok((config, _)) if !config.name_servers().is_empty() => config.name_servers().to_vec(),
                // No resolv.conf, or none that names a server: the system may know another way.
                _ => return Ok(Self::System),
            },
            DnsChoice::Servers(servers) => servers.iter().map(|address| at(*address)).collect(),
        };
        Self::servers(servers, has_ipv6())
    }

    pub(super) fn servers(servers: Vec<NameServerConfig>, ipv6: bool) -> Result<Self> {
        let config = ResolverConfig::from_name_servers(servers);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = QUERY_TIMEOUT;
        options.attempts = 2;
        // Caching, /etc/hosts and the order of servers are seen to here.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.num_concurrent_reqs = 1;
        let resolver = builder.build().map_err(|e| Error::Network { message: format!("DNS: {e}") })?;
        let hosts = Hosts::from_system().unwrap_or_default();
        Ok(Self::Servers(Box::new(Servers { resolver, hosts, ipv6 })))
    }

    /// The addresses of a name, which is taken as absolute.
    pub(super) async fn ask(&self, name: &str) -> Answer {
        match self {
            Self::System => system(name).await,
            Self::Servers(servers) => servers.ask(name).await,
        }
    }
}

/// A name server at an address, asked by UDP, and by TCP where an answer is too long for that.
pub(super) fn at(address: SocketAddr) -> NameServerConfig {
    let connection = |mut config: ConnectionConfig| {
        config.port = address.port();
        config
    };
    let connections = vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// Whether there is a route to IPv6 addresses; to connect a UDP socket sends nothing.
fn has_ipv6() -> bool {
    UdpSocket::bind("[::]:0").and_then(|socket| socket.connect("[2001:db8::1]:53")).is_ok()
}

async fn system(name: &str) -> Answer {
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            addresses.dedup();
            Answer::Addresses(addresses, DEFAULT_TTL)
        }
        // Of EAI_AGAIN only its text gets through.
        Err(error) if error.to_string().contains("Temporary failure") => Answer::Failed,
        Err(_) => Answer::Nothing(DEFAULT_TTL),
    }
}

impl Servers {
    async fn ask(&self, name: &str) -> Answer {
        let Ok(mut name) = Name::from_ascii(name) else { return Answer::Nothing(DEFAULT_TTL) };
        name.set_fqdn(true);
        if let Some(addresses) = self.local(&name) {
            return Answer::Addresses(addresses, DEFAULT_TTL);
        }
        let v4 = self.resolver.lookup(name.clone(), RecordType::A);
        if !self.ipv6 {
            return part(v4.await);
        }
        let (v4, v6) = tokio::join!(v4, self.resolver.lookup(name, RecordType::AAAA));
        both(part(v4), part(v6))
    }

    /// What `/etc/hosts` says, and `localhost` (RFC 6761 §6.3), for which no server is asked.
    fn local(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let found = self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
            addresses.extend(found.iter().flat_map(ips));
        }
        if addresses.is_empty() && name.is_localhost() {
            addresses = vec![IpAddr::from([127, 0, 0, 1])];
        }
        (!addresses.is_empty()).then_some(addresses)
    }
}

fn ips(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

fn part(answer: Result<Lookup, NetError>) -> Answer {
    match answer {
        Ok(lookup) => {
            let addresses: Vec<IpAddr> = ips(&lookup).collect();
            let ttl = lookup.answers().iter().map(|record| record.ttl).min();
            let ttl = ttl.map_or(DEFAULT_TTL, |seconds| Duration::from_secs(seconds.into()));
            if addresses.is_empty() { Answer::Nothing(ttl) } else { Answer::Addresses(addresses, ttl) }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            // RFC 2308 §5: as long as the zone's SOA says.
            let ttl = none.negative_ttl.map_or(DEFAULT_TTL, |seconds| Duration::from_secs(seconds.into()));
            Answer::Nothing(ttl)
        }
        Err(_) => Answer::Failed,
    }
}

/// The answer about IPv4 and that about IPv6 as one: an address beats a failure, a failure beats "there is none".
fn both(v4: Answer, v6: Answer) -> Answer {
    match (v4, v6) {
        (Answer::Addresses(mut v4, a), Answer::Addresses(v6, b)) => {
            v4.extend(v6);
            Answer::Addresses(v4, a.min(b))
        }
        (found @ Answer::Addresses(..), _) | (_, found @ Answer::Addresses(..)) => found,
        (Answer::Failed, _) | (_, Answer::Failed) => Answer::Failed,
        (Answer::Nothing(a), Answer::Nothing(b)) => Answer::Nothing(a.min(b)),
    }
}
