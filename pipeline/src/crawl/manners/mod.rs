//! Manners: what a site says about crawling is asked for once, and obeyed for every file.
//!
//! - [`robots`]: robots.txt (RFC 9309), before a request.
//! - [`tdm`]: TDMRep, from the site's file before a request, from the headers before the body.
//! - [`opt_out`]: X-Robots-Tag, before the body.
//!
//! Both files of a site are fetched when the first of its URLs comes up, and kept for up to 24 hours ([`cache`]).
//!
//! | robots.txt answers | files of the site |
//! |---|---|
//! | 2xx | by its rules |
//! | 4xx, redirects that lead nowhere | allowed |
//! | 429, 5xx, breaks off, too slow | not now: [`Reason::RobotsUnreachable`] for five minutes |
//! | not at all: DNS, connection, TLS | fail for the reason for which their own requests would |
//!
//! A tdmrep.json that is not there, or not as it should be, reserves nothing.

mod agent;
mod cache;
mod config;
mod date;
mod opt_out;
mod page;
mod pattern;
mod robots;
mod site_file;
mod tdm;

use std::time::Duration;

use reqwest::header::HeaderMap;
use url::Url;

use super::fetch::{Clients, Failure};
use crate::reason::Reason;
pub(super) use agent::Agent;
use cache::{Cache, Fetched};
pub(crate) use config::Decides;
pub use config::MannersConfig;
use opt_out::OptOut;
pub(crate) use page::PageRules;
use robots::{Robots, Verdict};
use site_file::{SHORTEST, SiteFile};
use tdm::Reservations;

/// What a crawl without `manners.contact` is told.
pub(crate) const NO_CONTACT: &str =
    "note: sites cannot reach you: add --contact mailto:you@example.org, it goes into the User-Agent";

/// Sites that are remembered.
const SITES: usize = 1 << 17;
/// Memory for the rules of one kind of file; a usual robots.txt has one or two KiB of rules for one crawler.
const BYTES: usize = 64 << 20;

/// Knows the wishes of all sites; shared by all downloads.
#[derive(Debug)]
pub(super) struct Manners {
    clients: Clients,
    /// For a site's file, redirects and all.
    limit: Duration,
    token: String,
    robots: Option<Cache<Permission>>,
    tdm: Option<Cache<Reservations>>,
    opt_out: OptOut,
}

/// What robots.txt means for the files of a site.
#[derive(Debug)]
enum Permission {
    By(Robots),
    Denied(Failure),
}

impl Manners {
    /// `limit` is the time for a site's file.
    pub(super) fn new(config: &MannersConfig, agent: &Agent, clients: Clients, limit: Duration) -> Self {
        Self {
            clients,
            limit,
            token: agent.token.clone(),
            robots: config.robots.then(|| Cache::new(SITES, BYTES)),
            tdm: config.tdm.then(|| Cache::new(SITES, BYTES)),
            opt_out: OptOut::new(config, &agent.token),
        }
    }

    /// Whether `url`, which the address policy has let pass, may be requested. Fetches the files of a site that is
    /// new, so this may take twice the limit.
    pub(super) async fn admit(&self, url: &Url) -> Result<(), Failure> {
        let path = pattern::path_of(url);
        self.ask_robots(url, &path).await?;
        match &self.tdm {
            None => Ok(()),
            Some(tdm) => {
                let file = tdm.get(&site(url), || self.fetch_tdm(url)).await;
                file.rule(&path).map_or(Ok(()), |rule| Err(failure(Reason::TdmReserved, rule)))
            }
        }
    }

    /// Whether the head of an answer lets its body be taken.
    pub(super) fn accept(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if let Some(rule) = self.opt_out.rule(headers) {
            return Err(failure(Reason::OptOut, &rule));
        }
        match self.tdm.as_ref().and_then(|_| tdm::header_rule(headers)) {
            Some(rule) => Err(failure(Reason::TdmReserved, &rule)),
            None => Ok(()),
        }
    }

    /// The pause between two requests that the site of `url` asks for, once it is known.
    pub(super) fn crawl_delay(&self, url: &Url) -> Option<Duration> {
        match self.robots.as_ref()?.peek(&site(url))?.as_ref() {
            Permission::By(robots) => robots.crawl_delay(),
            Permission::Denied(_) => None,
        }
    }

    async fn ask_robots(&self, url: &Url, path: &str) -> Result<(), Failure> {
        let Some(robots) = &self.robots else { return Ok(()) };
        match robots.get(&site(url), || self.fetch_robots(url)).await.as_ref() {
            Permission::Denied(failure) => Err(failure.clone()),
            Permission::By(robots) => match robots.verdict(path) {
                Verdict::Allowed => Ok(()),
                Verdict::Disallowed(line) => {
                    let rule = format!("robots.txt line {}: {}", line.number, line.text);
                    Err(failure(Reason::Robots, &rule))
                }
            },
        }
    }

    async fn fetch_robots(&self, url: &Url) -> Fetched<Permission> {
        let allowed = |robots: Robots, lifetime| {
            let bytes = robots.bytes();
            Fetched { value: Permission::By(robots), lifetime, bytes }
        };
        let denied = |failure, lifetime| Fetched { value: Permission::Denied(failure), lifetime, bytes: 0 };
        match site_file::fetch(&self.clients, on_site(url, "/robots.txt"), self.limit).await {
            SiteFile::Found(body, lifetime) => allowed(Robots::parse(&body, &self.token), lifetime),
            SiteFile::Absent => allowed(Robots::default(), site_file::LONGEST),
            SiteFile::Failed(why) => {
                denied(failure(Reason::RobotsUnreachable, &format!("robots.txt: {why}")), SHORTEST)
            }
            // Those who wait share it; a later try finds out for itself.
            SiteFile::NoHost(failure) => denied(failure, Duration::ZERO),
        }
    }

    /// The file is a file like others: where robots.txt disallows it, it is not asked for.
    async fn fetch_tdm(&self, url: &Url) -> Fetched<Reservations> {
        let url = on_site(url, tdm::WELL_KNOWN);
        let file = match self.ask_robots(&url, tdm::WELL_KNOWN).await {
            Ok(()) => site_file::fetch(&self.clients, url, self.limit).await,
            Err(_) => SiteFile::Absent,
        };
        let (value, lifetime) = match file {
            SiteFile::Found(body, lifetime) => (Reservations::parse(&body), lifetime),
            SiteFile::Absent => (Reservations::default(), site_file::LONGEST),
            SiteFile::Failed(_) | SiteFile::NoHost(_) => (Reservations::default(), SHORTEST),
        };
        Fetched { bytes: value.bytes(), value, lifetime }
    }
}

fn failure(reason: Reason, rule: &str) -> Failure {
    Failure { rule: Some(rule.to_owned()), ..Failure::from(reason) }
}

/// Scheme, host and port, to which a robots.txt applies (RFC 9309 §2.3).
fn site(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn on_site(url: &Url, path: &str) -> Url {
    let mut file = url.clone();
    file.set_path(path);
    file.set_query(None);
    file.set_fragment(None);
    // Fails for URLs without a host alone, which never come here. A password for a picture is none for the site.
    let _ = (file.set_username(""), file.set_password(None));
    file
}
