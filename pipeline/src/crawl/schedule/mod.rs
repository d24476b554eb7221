//! Which download starts when.
//!
//! Rows of a unit wait in one queue per host ([`queue`]); hosts take turns, so a slow or limited one holds up nobody
//! else. Limits count per registrable domain over all units ([`host`]). Failures that may pass are tried again once all
//! rows of their host were tried ([`retry`]); a host that keeps failing is left alone ([`breaker`]). The units in
//! progress are served in their order: a later one gets the slots that earlier ones have no use for.
//!
//! # What decides the bytes
//! The breaker decides by row order alone, limits and backoff only when a request is sent. So the same answers give
//! the same shards. Two things depend on the clock and thereby on what a server does at which time: a host that asks
//! for a longer pause than `net.max_site_delay` is left alone from then on, and a host that opens the breaker between
//! a failure and its retry keeps the row from being retried, unless memory ran short and the retry came first.
//!
//! # Why nothing waits for ever
//! Rows are written in input order, a block at a time, so pictures wait in memory for rows before them. Three things
//! are bounded: the rows read beyond the front (the first row that is not written) by the unit's [`Window`], the
//! pictures that wait by `budget::Waiting`, bodies and pixels by `budget::Bodies` and `budget::Pixels`.
//!
//! * Bodies and pixels are held only by downloads and decoders that run. These end by their deadlines and never wait
//!   for this schedule, for `Waiting` or for a window: what holds a budget lets go of it by itself.
//! * When pictures that wait pass half of their bound, or half of a window is in use, rows of the front block start
//!   before all others, retries among them; past the whole bound, only they start. The block at the front of a unit is
//!   always read, as a window holds more than one.
//! * A row of the front block waits for a slot, for its host, for the breaker, or for the time of its retry. The first
//!   two are held by downloads, which end; the breaker waits for rows of the same host before this one, which are in
//!   this block or written, so by induction on the row they end; times pass, pauses being at most `net.max_site_delay`.
//!
//! So the front always moves, which frees the window and the pictures, and every unit ends.

mod breaker;
mod host;
mod queue;
mod retry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Level;
use super::config::NetConfig;
use super::fetch::Failure;
use breaker::Sign;
pub(super) use host::HostName;
pub(crate) use host::registrable;
use host::{HostId, Hosts, Limits};
pub(super) use queue::Window;
use queue::{Context, Retry, UnitQueue};
use retry::Retries;

/// A row to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) unit: usize,
    /// Row of the unit.
    pub(super) index: usize,
    pub(super) url: String,
    host: HostId,
    /// Its number for the breaker.
    number: u64,
    /// This attempt included.
    attempts: u32,
    /// When the first attempt started, and this one.
    first: Instant,
    started: Instant,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch a row.
    Fetch(Job),
    /// The row is done without a request, or without a further one.
    Answer {
        /// The unit.
        unit: usize,
        /// Row of the unit.
        index: usize,
        /// What becomes of it.
        failure: Failure,
    },
}

/// A row of the list that has a URL.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) index: usize,
    pub(super) url: String,
    pub(super) host: HostName,
}

/// The rows that wait, the hosts they wait for, and the downloads under way. Knows no clock and starts nothing itself.
#[derive(Debug)]
pub(super) struct Schedule {
    concurrency: usize,
    running: usize,
    retries: Retries,
    hosts: Hosts,
    /// By their number: the earliest comes first.
    units: BTreeMap<usize, UnitQueue>,
    /// When hosts are due that a queue waits for.
    timers: BTreeSet<(Instant, HostId)>,
}

impl Schedule {
    pub(super) fn new(net: &NetConfig) -> Self {
        Self {
            concurrency: net.concurrency,
            running: 0,
            retries: Retries {
                most: net.retries,
                base: Duration::from_secs_f64(net.retry_backoff),
                timeout: Duration::from_secs_f64(net.timeout),
            },
            hosts: Hosts::new(Limits::new(net)),
            units: BTreeMap::new(),
            timers: BTreeSet::new(),
        }
    }

    /// A unit begins; `front` is its first row that is not written.
    pub(super) fn open(&mut self, unit: usize, front: Arc<AtomicUsize>, window: Arc<Window>) {
        self.units.insert(unit, UnitQueue::new(unit, front, window));
    }

    /// Further rows of a unit, in order.
    pub(super) fn push(&mut self, unit: usize, rows: Vec<Listed>, now: Instant) {
        let Some(queue) = self.units.get_mut(&unit) else { return };
        for Listed { index, url, host } in rows {
            let id = self.hosts.id(host, now);
            queue.push(index, url, id, &mut self.hosts);
        }
    }

    /// All rows of a unit are pushed.
    pub(super) fn read(&mut self, unit: usize) {
        if let Some(queue) = self.units.get_mut(&unit) {
            queue.read = true;
        }
    }

    /// Whether the next unit may begin: this one has nothing to start now.
    pub(super) fn is_drained(&self, unit: usize) -> bool {
        self.units.get(&unit).is_none_or(|queue| queue.read && !queue.is_ready())
    }

    /// Whether every row of a unit is answered or fetched.
    pub(super) fn is_done(&self, unit: usize) -> bool {
        self.units.get(&unit).is_none_or(UnitQueue::is_done)
    }

    /// Forgets a unit, done or given up.
    pub(super) fn close(&mut self, unit: usize, now: Instant) {
        if let Some(queue) = self.units.remove(&unit) {
            self.hosts.leave(queue.hosts(), now);
        }
    }

    /// The next thing to do; `None`: wait for a download to end, or until [`Schedule::wake_at`].
    pub(super) fn next(&mut self, now: Instant, memory: Level) -> Option<Step> {
        while let Some(&(due, host)) = self.timers.first().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, host));
            self.wake(host);
        }
        if self.running >= self.concurrency {
            return None;
        }
        let context = &mut Context { now, hosts: &mut self.hosts, timers: &mut self.timers };
        let step = self.units.values_mut().find_map(|queue| queue.next(context, memory))?;
        if matches!(step, Step::Fetch(_)) {
            self.running += 1;
        }
        Some(step)
    }

    /// When to ask again though no download has ended.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let hosts = self.timers.first().map(|(due, _)| *due);
        self.units.values().filter_map(|queue| queue.next_retry(now)).chain(hosts).min()
    }

    /// A download has ended; what becomes of its row if it is neither a success nor tried again.
    pub(super) fn ended(
        &mut self,
        job: Job,
        failure: Option<Failure>,
        crawl_delay: Option<Duration>,
        now: Instant,
    ) -> Option<Failure> {
        self.running = self.running.saturating_sub(1);
        self.hosts.ended(job.host, job.started, crawl_delay);
        if let Some(asked) = failure.as_ref().and_then(|failure| failure.retry_after) {
            self.hosts.pause(job.host, now, asked, "Retry-After");
        }
        let host = job.host;
        let last = self.settle(job, failure, now);
        self.wake(host);
        last
    }

    /// Puts a row that failed in line again; otherwise that failure is its last.
    fn settle(&mut self, job: Job, failure: Option<Failure>, now: Instant) -> Option<Failure> {
        let queue = self.units.get_mut(&job.unit)?;
        queue.ended(&job, failure.as_ref().map_or(Sign::Alive, |failure| Sign::of(failure.reason)));
        let failure = failure?;
        let seed = ((job.unit as u64) << 32) ^ job.index as u64;
        let due = match failure.reason.is_transient() {
            true => self.retries.due(job.attempts, job.first, now, failure.retry_after, seed),
            false => None,
        };
        let Some(due) = due else { return Some(failure) };
        queue.retry(Retry { job, failure, due });
        None
    }

    /// A host may have become free: the queues that wait for it get in line.
    fn wake(&mut self, host: HostId) {
        for queue in self.units.values_mut() {
            queue.wake(host);
        }
    }

    /// Downloads under way.
    #[cfg(test)]
    fn running(&self) -> usize {
        self.running
    }
}
