//! The HTTP clients: one per kind of access, shared by all downloads, so that connections stay open between them.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Response, redirect};
use url::Url;

use super::connect::Measured;
use super::failure::{Failure, tell};
use crate::crawl::address::{Access, Policy, Resolver};
use crate::crawl::config::NetConfig;
use crate::crawl::descriptors;
use crate::crawl::dns::Dns;
use crate::reason::Reason;
use crate::{Error, Result};

/// How long an idle connection is kept: pages name a host's pictures one after the other.
const IDLE: Duration = Duration::from_secs(15);
/// The same where few files may be open, as a crawl meets hundreds of hosts a second.
const IDLE_SHORT: Duration = Duration::from_secs(3);
/// Fewer files than this are few.
const FEW_FILES: u64 = 8192;

/// The clients with what decides which of them may ask for a URL; clones share their connections.
#[derive(Clone, Debug)]
pub(in crate::crawl) struct Clients {
    policy: Policy,
    dns: Dns,
    guarded: Client,
    trusted: Client,
}

impl Clients {
    pub(super) fn new(net: &NetConfig, user_agent: &str) -> Result<Self> {
        let policy = Policy::new(net)?;
        let dns = Dns::new(&net.dns)?;
        let files = descriptors::raise();
        // A second call finds the provider installed, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = |access| client(net, user_agent, policy.resolver(access, &dns), files);
        Ok(Self { guarded: client(Access::Guarded)?, trusted: client(Access::Trusted)?, policy, dns })
    }

    pub(super) fn dns(&self) -> &Dns {
        &self.dns
    }

    /// The client for a URL that the policy lets pass.
    pub(super) fn check(&self, url: &Url) -> Result<&Client, Reason> {
        Ok(match self.policy.check(url)? {
            Access::Guarded => &self.guarded,
            Access::Trusted => &self.trusted,
        })
    }

    /// The host name of a URL, if DNS is to be asked for it.
    pub(super) fn name<'a>(&self, url: &'a Url) -> Option<&'a str> {
        url.domain().filter(|name| !self.policy.is_fixed(name))
    }

    /// The head of the answer, a redirect included.
    pub(in crate::crawl) async fn get(&self, url: &Url) -> Result<Response, Failure> {
        let request = self.check(url)?.get(url.clone());
        request.send().await.map_err(|e| Failure::from(&e))
    }
}

/// `files` is how many this process may have open, where that is limited.
fn client(net: &NetConfig, user_agent: &str, resolver: Resolver, files: Option<u64>) -> Result<Client> {
    // A machine without root certificates can still fetch http; https then fails row by row, as `tls`.
    let built = builder(net, user_agent, resolver.clone(), files)
        .build()
        .or_else(|_| builder(net, user_agent, resolver, files).tls_certs_only([]).build());
    built.map_err(|e| Error::Network { message: tell(&e) })
}

fn builder(net: &NetConfig, user_agent: &str, resolver: Resolver, files: Option<u64>) -> ClientBuilder {
    let idle = if files.is_some_and(|files| files < FEW_FILES) { IDLE_SHORT } else { IDLE };
    let mut headers = HeaderMap::new();
    // Pictures are packed already.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Client::builder()
        .user_agent(user_agent)
        .default_headers(headers)
        .connect_timeout(Duration::from_secs_f64(net.connect_timeout))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .tls_danger_accept_invalid_certs(net.ignore_ssl_certificate)
        // Downloads per host are limited elsewhere: whatever was opened may stay open.
        .pool_max_idle_per_host(net.concurrency)
        .pool_idle_timeout(idle)
        .connector_layer(Measured)
        .dns_resolver(resolver)
}
