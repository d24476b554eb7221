//! What is known of a host while rows of it wait: downloads under way, and when the next may start.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use url::{Host as UrlHost, Url};

use crate::crawl::address::{Access, Policy};
use crate::crawl::config::NetConfig;

/// Downloads at a time from one host of the internet: half of Scrapy's default, and below the six connections that a
/// browser opens, as a crawler comes back all day.
const PER_HOST: usize = 4;
/// Downloads at a time from one host of the user's own. More than the queue of a small server holds (Python's
/// `http.server`: 5) lose their first packet and come again a second later: at 64 such a server is eight times slower.
const PER_OWN_HOST: usize = 16;
/// Bad rows in a row that stop a host. One that fails every second time gets there once in a thousand.
const BREAKER: u32 = 10;

/// Whose limits a row falls under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::crawl) struct HostName {
    /// The registrable domain; a host that has none stands for itself.
    domain: Box<str>,
    owner: Owner,
}

/// Whose a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    /// Somebody on the internet.
    Public,
    /// The user: named in `net.allow` or `net.resolve`.
    User,
    /// Nobody: nothing is fetched.
    Nobody,
}

impl HostName {
    pub(in crate::crawl) fn of(url: &Url, policy: &Policy) -> Self {
        let domain = match url.host() {
            // The list is in lower case, as URLs are once parsed.
            Some(UrlHost::Domain(name)) => registrable(name),
            Some(_) => url.host_str().unwrap_or(""),
            None => "",
        };
        let owner = match policy.check(url) {
            Ok(Access::Guarded) => Owner::Public,
            _ => Owner::User,
        };
        Self { domain: domain.into(), owner }
    }

    /// The registrable domain, or the host itself.
    pub(in crate::crawl) fn domain(&self) -> &str {
        &self.domain
    }

    /// For what needs no host.
    pub(in crate::crawl) fn here() -> Self {
        Self { domain: "".into(), owner: Owner::Nobody }
    }
}

/// The part of a name that someone registered, by the public suffix list, if its suffix is on that list.
pub(crate) fn registrable(name: &str) -> &str {
    let found = psl::domain(name.as_bytes()).filter(|domain| domain.suffix().is_known());
    found.and_then(|domain| std::str::from_utf8(domain.trim().as_bytes()).ok()).unwrap_or(name)
}

/// What the config allows a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    per_host: Option<usize>,
    breaker: Option<u32>,
    interval: Duration,
    /// The longest wait that a site may ask for.
    pub(super) longest: Duration,
}

impl Limits {
    pub(super) fn new(net: &NetConfig) -> Self {
        let interval = match net.per_host_rate {
            rate if rate > 0.0 => Duration::from_secs_f64(1.0 / rate),
            _ => Duration::ZERO,
        };
        Self {
            per_host: net.per_host,
            breaker: net.breaker,
            interval,
            longest: Duration::from_secs_f64(net.max_site_delay),
        }
    }

    /// Downloads at a time.
    fn at_once(&self, name: &HostName) -> usize {
        match (self.per_host, name.owner) {
            (Some(0), _) | (_, Owner::Nobody) => usize::MAX,
            (Some(limit), _) => limit,
            (None, Owner::Public) => PER_HOST,
            (None, Owner::User) => PER_OWN_HOST,
        }
    }

    /// Bad rows in a row that stop the host; 0: never.
    pub(super) fn breaker(&self, name: &HostName) -> u32 {
        self.breaker.unwrap_or(if name.owner == Owner::Public { BREAKER } else { 0 })
    }
}

/// Number of a host while somebody uses it.
pub(in crate::crawl) type HostId = u32;

/// Whether a download of a host may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// When one of those under way has ended.
    Busy,
    At(Instant),
    /// The site asked for a longer wait than `net.max_site_delay`.
    TooLong(String),
}

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: HostName,
    at_once: usize,
    running: usize,
    /// Units that have rows of it.
    units: usize,
    /// No download before this.
    next: Instant,
    /// The site asked for a pause until then, and in which words.
    paused: Option<(Instant, String)>,
}

impl Host {
    pub(super) fn turn(&self, now: Instant, longest: Duration) -> Turn {
        match &self.paused {
            Some((until, rule)) if *until > now + longest => return Turn::TooLong(rule.clone()),
            Some((until, _)) if *until > now => return Turn::At(self.next.max(*until)),
            _ => {}
        }
        match self.running < self.at_once {
            true if self.next > now => Turn::At(self.next),
            true => Turn::Now,
            false => Turn::Busy,
        }
    }

    fn idle(&self, now: Instant) -> bool {
        let paused = self.paused.as_ref().is_some_and(|(until, _)| *until > now);
        self.units == 0 && self.running == 0 && self.next <= now && !paused
    }
}

/// The hosts in use, shared by the units.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) limits: Limits,
    ids: HashMap<HostName, HostId>,
    table: Vec<Option<Host>>,
    free: Vec<HostId>,
}

impl Hosts {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ids: HashMap::new(), table: Vec::new(), free: Vec::new() }
    }

    /// The number of a host.
    pub(super) fn id(&mut self, name: HostName, now: Instant) -> HostId {
        if let Some(id) = self.ids.get(&name) {
            return *id;
        }
        let at_once = self.limits.at_once(&name);
        let host = Host { name: name.clone(), at_once, running: 0, units: 0, next: now, paused: None };
        let id = match self.free.pop() {
            Some(id) => {
                self.table[id as usize] = Some(host);
                id
            }
            None => {
                self.table.push(Some(host));
                (self.table.len() - 1) as HostId
            }
        };
        self.ids.insert(name, id);
        id
    }

    pub(super) fn get(&self, id: HostId) -> Option<&Host> {
        self.table.get(id as usize)?.as_ref()
    }

    fn change(&mut self, id: HostId, change: impl FnOnce(&mut Host)) {
        if let Some(Some(host)) = self.table.get_mut(id as usize) {
            change(host);
        }
    }

    /// One more unit has rows of it.
    pub(super) fn join(&mut self, id: HostId) {
        self.change(id, |host| host.units += 1);
    }

    /// A download starts; the next comes at the configured rate at the earliest.
    pub(super) fn start(&mut self, id: HostId, now: Instant) {
        let interval = self.limits.interval;
        self.change(id, |host| {
            host.running += 1;
            host.next = host.next.max(now + interval);
        });
    }

    /// A download has ended, and the site's robots.txt asks for `crawl_delay` between two.
    pub(super) fn ended(&mut self, id: HostId, started: Instant, crawl_delay: Option<Duration>) {
        self.change(id, |host| host.running = host.running.saturating_sub(1));
        match crawl_delay {
            Some(delay) if delay > self.limits.longest => self.pause(id, started, delay, "Crawl-delay"),
            Some(delay) => self.change(id, |host| host.next = host.next.max(started + delay)),
            None => {}
        }
    }

    /// The site asks, by the field `name`, not to be asked for `asked`.
    pub(super) fn pause(&mut self, id: HostId, now: Instant, asked: Duration, name: &str) {
        let until = now + asked.min(Duration::from_secs(366 * 86_400));
        self.change(id, |host| {
            if host.paused.as_ref().is_none_or(|(earlier, _)| *earlier < until) {
                host.paused = Some((until, format!("{name}: {}", asked.as_secs())));
            }
        });
    }

    /// A unit is done with these hosts; those that nobody waits for any more are forgotten.
    pub(super) fn leave(&mut self, ids: impl Iterator<Item = HostId>, now: Instant) {
        for id in ids {
            self.change(id, |host| host.units = host.units.saturating_sub(1));
        }
        for (id, place) in self.table.iter_mut().enumerate() {
            if let Some(host) = place.take_if(|host| host.idle(now)) {
                self.ids.remove(&host.name);
                self.free.push(id as HostId);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(sets: &[&str]) -> NetConfig {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        crate::settings::load::<crate::crawl::CrawlConfig>(None, &sets).unwrap().net
    }

    fn name(url: &str, net: &NetConfig) -> HostName {
        HostName::of(&Url::parse(url).unwrap(), &Policy::new(net).unwrap())
    }

    #[test]
    fn limits_go_by_the_registrable_domain() {
        let net = NetConfig::default();
        let domain = |url: &str| name(url, &net).domain.into_string();
        assert_eq!(domain("http://a.b.Example.co.uk/1"), "example.co.uk");
        assert_eq!(domain("https://images.example.com:8443/1"), "example.com");
        assert_eq!(domain("http://me.github.io/1"), "me.github.io");
        assert_eq!(domain("http://a.pictures.test/1"), "a.pictures.test", "no known suffix: by host");
        assert_eq!(domain("http://1.2.3.4/1"), "1.2.3.4");
        assert_eq!(domain("http://[2606:4700::1111]/1"), "[2606:4700::1111]");
        assert_eq!(domain("http://co.uk/1"), "co.uk");
    }

    #[test]
    fn hosts_that_the_config_names_are_the_users_own() {
        let net = net(&["net.allow=[\"10.0.0.5:80\"]", "net.resolve=[\"a.example.com=127.0.0.1:80\"]"]);
        let owner = |url| name(url, &net).owner;
        assert_eq!((owner("http://10.0.0.5/1"), owner("http://a.example.com/1")), (Owner::User, Owner::User));
        assert_eq!(owner("http://b.example.com/1"), Owner::Public);
    }

    #[test]
    fn hosts_of_the_user_have_limits_of_their_own_unless_some_are_set() {
        let own = |sets: &[&str]| {
            let net = net(sets);
            let limits = Limits::new(&net);
            assert_eq!(limits.at_once(&HostName::here()), usize::MAX);
            [Owner::User, Owner::Public].map(|owner| {
                let name = HostName { domain: "h".into(), owner };
                (limits.at_once(&name), limits.breaker(&name))
            })
        };
        assert_eq!(own(&[]), [(PER_OWN_HOST, 0), (PER_HOST, BREAKER)]);
        assert_eq!(own(&["net.per_host=2", "net.breaker=5"]), [(2, 5), (2, 5)]);
        assert_eq!(own(&["net.per_host=0", "net.breaker=0"]), [(usize::MAX, 0); 2]);
    }

    #[test]
    fn a_host_is_free_busy_or_due() {
        let net = net(&["net.per_host=2", "net.per_host_rate=10", "net.max_site_delay=30"]);
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut hosts = Hosts::new(Limits::new(&net));
        let id = hosts.id(name("http://h.example.com/", &net), now);
        let turn = |hosts: &Hosts, at| hosts.get(id).unwrap().turn(at, hosts.limits.longest);
        assert_eq!(turn(&hosts, now), Turn::Now);
        hosts.start(id, now);
        assert_eq!(turn(&hosts, now), Turn::At(now + second / 10));
        hosts.start(id, now + second / 10);
        assert_eq!(turn(&hosts, now + second), Turn::Busy);
        hosts.ended(id, now, Some(5 * second));
        assert_eq!(turn(&hosts, now + second), Turn::At(now + 5 * second), "crawl-delay");
        hosts.pause(id, now, 20 * second, "Retry-After");
        hosts.pause(id, now, second, "Retry-After");
        assert_eq!(turn(&hosts, now + second), Turn::At(now + 20 * second), "the longest pause counts");
        hosts.ended(id, now, Some(86_400 * second));
        assert_eq!(turn(&hosts, now), Turn::TooLong("Crawl-delay: 86400".to_owned()));
        hosts.pause(id, now, Duration::MAX, "Retry-After");
        assert!(matches!(turn(&hosts, now), Turn::TooLong(rule) if rule.starts_with("Retry-After: ")));
    }

    #[test]
    fn a_host_that_nobody_waits_for_is_forgotten() {
        let net = net(&["net.per_host_rate=1"]);
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut hosts = Hosts::new(Limits::new(&net));
        for n in 0..100 {
            let id = hosts.id(name(&format!("http://h{n}.com/"), &net), now);
            hosts.join(id);
            hosts.start(id, now);
            hosts.ended(id, now, None);
            hosts.leave([id].into_iter(), now);
            assert!(hosts.get(id).is_some(), "its rate still counts");
            hosts.leave([].into_iter(), now + 2 * second);
            assert!(hosts.get(id).is_none());
        }
        assert_eq!((hosts.table.len(), hosts.ids.len()), (1, 0));
    }
}
