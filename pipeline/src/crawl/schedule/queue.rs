//! The rows of one unit that wait: a queue per host, and a ring of the hosts that may have something to start.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::breaker::{Breaker, Gate, Sign};
use super::host::{HostId, Hosts, Turn};
use super::{Job, Step};
use crate::crawl::budget::Level;
use crate::crawl::fetch::Failure;
use crate::crawl::list::{BLOCK, Block};
use crate::reason::Reason;

/// Rows that are read beyond the first one that is not written.
const WINDOW_ROWS: usize = 1 << 14;
/// Text that counts as one row of a window, so that long captions shorten it.
const ROW_BYTES: usize = 1 << 10;
/// Where a row has no host.
const NOBODY: HostId = HostId::MAX;

/// How far the reader of a unit may be ahead of its writer.
#[derive(Debug)]
pub(in crate::crawl) struct Window {
    free: Semaphore,
    total: usize,
}

impl Window {
    pub(in crate::crawl) fn new() -> Self {
        Self { free: Semaphore::new(WINDOW_ROWS), total: WINDOW_ROWS }
    }

    /// What a block takes of it: its rows, or more if they are long.
    pub(in crate::crawl) fn weight(&self, block: &Block) -> usize {
        let links = block.links.iter().flatten().map(String::len);
        let text: usize = links.chain(block.captions.iter().flatten().map(String::len)).sum();
        // Two blocks always fit.
        block.links.len().max(text / ROW_BYTES).min(self.total / 2)
    }

    /// Waits for room; `false` when the unit is given up.
    pub(in crate::crawl) async fn take(&self, weight: usize) -> bool {
        let permit = self.free.acquire_many(u32::try_from(weight).unwrap_or(u32::MAX)).await;
        permit.map(tokio::sync::SemaphorePermit::forget).is_ok()
    }

    /// A block was written.
    pub(in crate::crawl) fn give_back(&self, weight: usize) {
        self.free.add_permits(weight);
    }

    fn is_tight(&self) -> bool {
        self.free.available_permits() < self.total / 2
    }
}

/// A row that failed and is to be tried again.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) job: Job,
    /// Why, should there be no further attempt.
    pub(super) failure: Failure,
    pub(super) due: Instant,
}

/// What lies outside a unit.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) hosts: &'a mut Hosts,
    pub(super) timers: &'a mut BTreeSet<(Instant, HostId)>,
}

impl Context<'_> {
    /// Whether a host may be asked now; if it is a matter of time, the timer is set.
    fn turn(&mut self, id: HostId) -> Turn {
        let longest = self.hosts.limits.longest;
        let turn = self.hosts.get(id).map_or(Turn::Now, |host| host.turn(self.now, longest));
        if let Turn::At(due) = turn {
            self.timers.insert((due, id));
        }
        turn
    }
}

/// Rows of one host in one unit.
#[derive(Debug)]
struct Queue {
    rows: VecDeque<(usize, String)>,
    breaker: Breaker,
    /// First attempts under way.
    running: usize,
    /// Whether it stands in the ring.
    listed: bool,
}

/// The rows of one unit.
#[derive(Debug)]
pub(super) struct UnitQueue {
    unit: usize,
    /// No more rows come.
    pub(super) read: bool,
    queues: HashMap<HostId, Queue>,
    /// Hosts in turn.
    ring: VecDeque<HostId>,
    /// The host of every row.
    host_of: Vec<HostId>,
    /// By row.
    retries: BTreeMap<usize, Retry>,
    /// Rows in the queues.
    waiting: usize,
    /// Downloads under way, retries too.
    running: usize,
    front: Arc<AtomicUsize>,
    window: Arc<Window>,
}

impl UnitQueue {
    pub(super) fn new(unit: usize, front: Arc<AtomicUsize>, window: Arc<Window>) -> Self {
        Self {
            unit,
            read: false,
            queues: HashMap::new(),
            ring: VecDeque::new(),
            host_of: Vec::new(),
            retries: BTreeMap::new(),
            waiting: 0,
            running: 0,
            front,
            window,
        }
    }

    pub(super) fn push(&mut self, index: usize, url: String, id: HostId, hosts: &mut Hosts) {
        let queue = self.queues.entry(id).or_insert_with(|| {
            hosts.join(id);
            let threshold = hosts.get(id).map_or(0, |host| hosts.limits.breaker(&host.name));
            Queue { rows: VecDeque::new(), breaker: Breaker::new(threshold), running: 0, listed: false }
        });
        queue.rows.push_back((index, url));
        if !queue.listed {
            queue.listed = true;
            self.ring.push_back(id);
        }
        self.host_of.resize(self.host_of.len().max(index + 1), NOBODY);
        self.host_of[index] = id;
        self.waiting += 1;
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.queues.keys().copied()
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ring.is_empty()
    }

    pub(super) fn is_done(&self) -> bool {
        self.read && self.waiting == 0 && self.running == 0 && self.retries.is_empty()
    }

    /// A host that the queue may have waited for is free.
    pub(super) fn wake(&mut self, id: HostId) {
        if let Some(queue) = self.queues.get_mut(&id)
            && !queue.listed
            && !queue.rows.is_empty()
        {
            queue.listed = true;
            self.ring.push_back(id);
        }
    }

    pub(super) fn ended(&mut self, job: &Job, sign: Sign) {
        self.running = self.running.saturating_sub(1);
        if let Some(queue) = self.queues.get_mut(&job.host).filter(|_| job.attempts == 1) {
            queue.running = queue.running.saturating_sub(1);
            queue.breaker.ended(job.number, sign);
        }
    }

    pub(super) fn retry(&mut self, retry: Retry) {
        self.retries.insert(retry.job.index, retry);
    }

    /// When the next retry that is not due yet will be.
    pub(super) fn next_retry(&self, now: Instant) -> Option<Instant> {
        self.retries.values().map(|retry| retry.due).filter(|due| *due > now).min()
    }

    /// What to start, if anything.
    pub(super) fn next(&mut self, context: &mut Context<'_>, memory: Level) -> Option<Step> {
        if (memory != Level::Free || self.window.is_tight())
            && let Some(step) = self.front_row(context)
        {
            return Some(step);
        }
        if memory == Level::Full {
            return None;
        }
        self.first_attempt(context).or_else(|| self.late_retry(context))
    }

    /// A row of the block that is to be written next.
    fn front_row(&mut self, context: &mut Context<'_>) -> Option<Step> {
        let front = self.front.load(Ordering::Relaxed);
        for index in front..(front + BLOCK).min(self.host_of.len()) {
            let id = self.host_of[index];
            let first = self.queues.get(&id).and_then(|queue| queue.rows.front());
            let step = match first {
                Some((first, _)) if *first == index => self.start_first_of(id, context),
                _ => self.start_retry(index, context),
            };
            if step.is_some() {
                return step;
            }
        }
        None
    }

    /// The next row of the next host in turn.
    fn first_attempt(&mut self, context: &mut Context<'_>) -> Option<Step> {
        while let Some(id) = self.ring.pop_front() {
            let step = self.start_first_of(id, context);
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            // A host that is not free now comes back by `wake`.
            queue.listed = step.is_some() && !queue.rows.is_empty();
            if queue.listed {
                self.ring.push_back(id);
            }
            if step.is_some() {
                return step;
            }
        }
        None
    }

    fn start_first_of(&mut self, id: HostId, context: &mut Context<'_>) -> Option<Step> {
        let queue = self.queues.get_mut(&id)?;
        let index = queue.rows.front()?.0;
        let stopped = match queue.breaker.gate() {
            Gate::Wait => return None,
            Gate::Stop(rule) => Some(rule),
            Gate::Pass => match context.turn(id) {
                Turn::Busy | Turn::At(_) => return None,
                Turn::TooLong(rule) => Some(rule),
                Turn::Now => None,
            },
        };
        let (_, url) = queue.rows.pop_front()?;
        self.waiting -= 1;
        if let Some(rule) = stopped {
            let failure = Failure { rule: Some(rule), ..Reason::HostStopped.into() };
            return Some(Step::Answer { unit: self.unit, index, failure });
        }
        queue.running += 1;
        self.running += 1;
        let number = queue.breaker.start();
        let now = context.now;
        context.hosts.start(id, now);
        let job =
            Job { unit: self.unit, index, url, host: id, number, attempts: 1, first: now, started: now };
        Some(Step::Fetch(job))
    }

    /// A retry, once all rows of the list have had their turn and those of its host have ended.
    fn late_retry(&mut self, context: &mut Context<'_>) -> Option<Step> {
        if !self.read || self.retries.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(index) = self.retries.range(from..).map(|(index, _)| *index).find(|i| self.is_late(*i))
        {
            if let Some(step) = self.start_retry(index, context) {
                return Some(step);
            }
            from = index + 1;
        }
        None
    }

    /// Whether all first attempts at rows of the host of a retry are over.
    fn is_late(&self, index: usize) -> bool {
        let host = self.retries.get(&index).map_or(NOBODY, |retry| retry.job.host);
        self.queues.get(&host).is_none_or(|queue| queue.rows.is_empty() && queue.running == 0)
    }

    fn start_retry(&mut self, index: usize, context: &mut Context<'_>) -> Option<Step> {
        let retry = self.retries.get(&index).filter(|retry| retry.due <= context.now)?;
        let id = retry.job.host;
        let stopped = self.queues.get(&id).is_some_and(|queue| queue.breaker.is_open());
        let give_up = match context.turn(id) {
            _ if stopped => true,
            Turn::TooLong(_) => true,
            Turn::Busy | Turn::At(_) => return None,
            Turn::Now => false,
        };
        let Retry { mut job, failure, .. } = self.retries.remove(&index)?;
        if give_up {
            return Some(Step::Answer { unit: self.unit, index, failure });
        }
        self.running += 1;
        context.hosts.start(id, context.now);
        job.attempts += 1;
        job.started = context.now;
        Some(Step::Fetch(job))
    }
}
