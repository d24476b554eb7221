//! One URL to its bytes: a total deadline, a byte cap, redirects followed by hand so that every hop is checked: its
//! address by the policy, its path by the site's own rules.

mod body;
mod client;
mod connect;
mod failure;
mod limits;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{self, HeaderMap};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub(crate) use self::body::Packing;
use self::body::read;
pub(super) use self::client::Clients;
use self::connect::Meter;
pub(super) use self::failure::Failure;
use self::limits::Limits;
use super::budget::{Bodies, Held};
use super::config::NetConfig;
use super::dns::Dns;
use super::manners::{Agent, Manners, MannersConfig};
use super::timings::{Phase, Timings};
use crate::Result;
use crate::reason::Reason;

/// What all downloads share.
#[derive(Debug)]
pub(super) struct Fetcher {
    clients: Clients,
    manners: Manners,
    limits: Limits,
    bodies: Bodies,
}

/// What arrived, with the memory it holds.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Given back when the picture is encoded.
    pub(super) held: Held,
}

/// What arrived, with the head of the answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Where it came from at last.
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Fetcher {
    pub(super) fn new(net: &NetConfig, manners: &MannersConfig, bodies: Bodies) -> Result<Self> {
        let agent = Agent::new(manners, &net.user_agent);
        let clients = Clients::new(net, &agent.header)?;
        let limits = Limits::new(net);
        Ok(Self {
            manners: Manners::new(manners, &agent, clients.clone(), limits.timeout),
            clients,
            limits,
            bodies,
        })
    }

    pub(super) fn dns(&self) -> &Dns {
        self.clients.dns()
    }

    /// The pause between two requests that the site of `url` asks for, once its robots.txt is known.
    pub(super) fn site_delay(&self, url: &str) -> Option<Duration> {
        self.manners.crawl_delay(&Url::parse(url).ok()?)
    }

    /// Fetches `url`; time spent waiting for memory, or for what a site says about crawling, does not count against
    /// the deadline.
    pub(super) async fn fetch(&self, url: &str, held: Held, timings: &Arc<Timings>) -> Result<Body, Failure> {
        Ok(self.answer(url, held, timings).await?.body)
    }

    /// The same with the head of the answer.
    pub(super) async fn answer(
        &self,
        url: &str,
        mut held: Held,
        timings: &Arc<Timings>,
    ) -> Result<Answer, Failure> {
        let mut deadline = Instant::now() + self.limits.timeout;
        let mut response = self.respond(url, &mut deadline, timings).await?;
        self.manners.accept(response.headers())?;
        let (packing, length) = (Packing::of(&response), response.content_length());
        if length.is_some_and(|length| length > self.limits.max_bytes) {
            return Err(Reason::TooLarge.into());
        }
        let (url, headers) = (response.url().clone(), std::mem::take(response.headers_mut()));
        let before = Instant::now();
        let most = length.filter(|_| packing == Packing::None).unwrap_or(self.limits.max_bytes);
        self.bodies.grow(&mut held, most).await.ok_or(Reason::ConnectionLost)?;
        let started = Instant::now();
        let bytes = read(response, &self.limits, deadline + (started - before)).await?;
        timings.record(Phase::Body, started.elapsed());
        let bytes = packing.unpack(bytes, self.limits.max_bytes)?;
        held.shrink(bytes.len() as u64);
        Ok(Answer { url, headers, body: Body { bytes, held } })
    }

    /// The head of the answer that is no redirect. Moves the deadline by the waits for what sites say about crawling,
    /// which are not the download's own, but not without an end: a chain of redirects may lead to ever new sites.
    async fn respond(
        &self,
        url: &str,
        deadline: &mut Instant,
        timings: &Arc<Timings>,
    ) -> Result<Response, Failure> {
        let mut url = Url::parse(url.trim()).map_err(|_| Reason::UrlInvalid)?;
        let meter = Meter::new(timings);
        let latest = *deadline + 2 * self.limits.timeout;
        let mut hops = 0;
        loop {
            self.clients.check(&url)?;
            self.resolve(&url, *deadline, timings).await?;
            let before = Instant::now();
            let admitted = timeout_at(latest, meter.watch(self.manners.admit(&url))).await;
            admitted.map_err(|_| Reason::Timeout)??;
            // Connections for what a site says are no part of the wait for the picture.
            meter.take();
            *deadline = latest.min(*deadline + before.elapsed());
            let response = self.ask(&url, *deadline, &meter, timings).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Err(Failure::of_answer(&response));
            }
            if hops == self.limits.max_redirects {
                return Err(Failure::of_redirects(status));
            }
            hops += 1;
            url = target(&url, &response).ok_or(Reason::RedirectInvalid)?;
        }
    }

    /// The head of the answer to one request.
    async fn ask(
        &self,
        url: &Url,
        deadline: Instant,
        meter: &Arc<Meter>,
        timings: &Timings,
    ) -> Result<Response, Failure> {
        let request = self.clients.check(url)?.get(url.clone());
        let started = Instant::now();
        let answer = self.limits.head(deadline, meter.watch(request.send())).await?;
        let response = answer.map_err(|e| Failure::from(&e))?;
        timings.record(Phase::FirstByte, started.elapsed().saturating_sub(meter.take()));
        Ok(response)
    }

    /// Sees to it that the host's addresses are in the cache, so that DNS has its own time and its own failures. Which
    /// of them may be asked is decided when the client connects.
    async fn resolve(&self, url: &Url, deadline: Instant, timings: &Timings) -> Result<(), Failure> {
        let Some(name) = self.clients.name(url) else { return Ok(()) };
        if let Some(known) = self.dns().known(name) {
            return Ok(known.map(drop)?);
        }
        let started = Instant::now();
        let lookup = timeout_at(deadline, self.dns().lookup(name)).await;
        timings.record(Phase::Dns, started.elapsed());
        Ok(lookup.map_err(|_| Reason::DnsFailed)?.map(drop)?)
    }
}

/// Where a redirect leads.
pub(super) fn target(url: &Url, response: &Response) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?;
    url.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()
}
