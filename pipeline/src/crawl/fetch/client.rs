//! The HTTP clients: one per kind of access, shared by all downloads, so that connections stay open between them.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, redirect};

use super::connect::Measured;
use super::failure::tell;
use crate::crawl::address::Resolver;
use crate::crawl::config::NetConfig;
use crate::{Error, Result};

/// How long an idle connection is kept: pages name a host's pictures one after the other.
const IDLE: Duration = Duration::from_secs(15);
/// The same where few files may be open, as a crawl meets hundreds of hosts a second.
const IDLE_SHORT: Duration = Duration::from_secs(3);
/// Fewer files than this are few.
const FEW_FILES: u64 = 8192;

/// `files` is how many this process may have open, where that is limited.
pub(super) fn client(net: &NetConfig, resolver: Resolver, files: Option<u64>) -> Result<Client> {
    // A machine without root certificates can still fetch http; https then fails row by row, as `tls`.
    let built = builder(net, resolver.clone(), files)
        .build()
        .or_else(|_| builder(net, resolver, files).tls_certs_only([]).build());
    built.map_err(|e| Error::Network { message: tell(&e) })
}

fn builder(net: &NetConfig, resolver: Resolver, files: Option<u64>) -> ClientBuilder {
    let idle = if files.is_some_and(|files| files < FEW_FILES) { IDLE_SHORT } else { IDLE };
    let mut headers = HeaderMap::new();
    // Pictures are packed already.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Client::builder()
        .user_agent(&net.user_agent)
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
