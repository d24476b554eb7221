//! `[net]`: the network.

use serde::{Deserialize, Serialize};

use crate::crawl::address::Policy;
use crate::crawl::dns::DnsChoice;
use crate::crawl::size::ByteSize;
use crate::{Error, Result};

/// `[net]`: the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetConfig {
    /// Downloads at a time.
    pub concurrency: usize,
    /// Seconds for a whole download: connection, redirects, head and body.
    pub timeout: f64,
    /// Seconds for a connection.
    pub connect_timeout: f64,
    /// Seconds from a request to the head of its answer, connection included.
    pub first_byte_timeout: f64,
    /// Bytes per second that a body must bring once it has run for 5 s; 0 asks for none.
    pub min_bytes_per_second: ByteSize,
    /// Largest body.
    pub max_bytes: ByteSize,
    /// Most redirects in a row; every target is checked like a URL of the list.
    pub max_redirects: u32,
    /// How the crawler introduces itself; `manners.contact` comes after it.
    pub user_agent: String,
    /// `HOST:PORT` that may lie on a private, local or reserved address.
    pub allow: Vec<String>,
    /// `HOST=ADDRESS:PORT`: where a host is found without asking DNS (the port counts where a URL has none).
    pub resolve: Vec<String>,
    /// Who is asked for the addresses of hosts: `"built-in"`, `"system"`, or a list of name servers.
    pub dns: DnsChoice,
    /// Fetch from https servers whose certificate is not valid, too: anybody in between can then change the images.
    pub ignore_ssl_certificate: bool,
    /// Downloads at a time from one registrable domain; 0: no limit. Unset: 4, and 16 for hosts that `allow` or `resolve`
    /// name, which are the user's own. Set, it holds for those too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_host: Option<usize>,
    /// Requests per second to one registrable domain; 0: no limit.
    pub per_host_rate: f64,
    /// Longest pause in seconds that a site may ask for by robots.txt's crawl-delay or by Retry-After; what asks for a
    /// longer one is left alone.
    pub max_site_delay: f64,
    /// Further attempts at a row whose failure may pass, at the end of its unit.
    pub retries: u32,
    /// Seconds before the second attempt; doubled before each further one.
    pub retry_backoff: f64,
    /// Failures or opt-outs of a domain in a row after which its rows of the unit are answered `host_stopped`, save for
    /// probes; 0: never. Unset: 10, and never for hosts that `allow` or `resolve` name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<u32>,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            timeout: 10.0,
            connect_timeout: 5.0,
            first_byte_timeout: 8.0,
            min_bytes_per_second: ByteSize(1024),
            max_bytes: ByteSize::mib(32),
            max_redirects: 10,
            user_agent: concat!(
                "troika-pipeline/",
                env!("CARGO_PKG_VERSION"),
                " (image-text dataset crawler)"
            )
            .into(),
            allow: Vec::new(),
            resolve: Vec::new(),
            dns: DnsChoice::default(),
            ignore_ssl_certificate: false,
            per_host: None,
            per_host_rate: 0.0,
            max_site_delay: 30.0,
            retries: 1,
            retry_backoff: 1.0,
            breaker: None,
        }
    }
}

impl NetConfig {
    /// Refuses what cannot work, naming the key.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        let seconds = |value: f64| value > 0.0 && value < 1e6;
        let rate = self.per_host_rate;
        match self {
            _ if self.concurrency == 0 => wrong("net.concurrency", "must be at least 1"),
            _ if !seconds(self.timeout) => wrong("net.timeout", "is a positive number of seconds"),
            _ if !seconds(self.connect_timeout) => {
                wrong("net.connect_timeout", "is a positive number of seconds")
            }
            _ if !seconds(self.first_byte_timeout) => {
                wrong("net.first_byte_timeout", "is a positive number of seconds")
            }
            _ if rate != 0.0 && !(1e-4..=1e6).contains(&rate) => {
                wrong("net.per_host_rate", "is 0 or lies between 0.0001 and 1000000")
            }
            _ if !(0.0..=86_400.0).contains(&self.max_site_delay) => {
                wrong("net.max_site_delay", "lies between 0 and 86400 seconds")
            }
            _ if self.retries > 100 => wrong("net.retries", "is at most 100"),
            _ if !(0.0..=3600.0).contains(&self.retry_backoff) => {
                wrong("net.retry_backoff", "lies between 0 and 3600 seconds")
            }
            _ => Policy::new(self).map(|_| ()),
        }
    }
}
