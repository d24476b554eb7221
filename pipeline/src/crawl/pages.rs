//! Pages fetched with the crawl's manners: robots.txt, opt-outs, address rules, limits per host, retries.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::address::Policy;
use super::budget::{Bodies, Held, Level};
use super::config::NetConfig;
use super::descriptors;
use super::fetch::{Answer, Failure, Fetcher};
use super::manners::MannersConfig;
use super::schedule::{HostName, Job, Listed, Schedule, Step, Window};
use super::timings::Timings;
use crate::reason::Reason;
use crate::{Error, Result};

/// Memory for the bodies of pages.
const BODIES: u64 = 256 << 20;
/// Time between two looks whether to go on.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// Without anything to wait for.
const LONG: Duration = Duration::from_secs(3600);

/// A page that arrived.
#[derive(Debug)]
pub(crate) struct FetchedPage {
    /// Where it came from at last.
    pub(crate) url: Url,
    /// Its `Content-Type`.
    pub(crate) content_type: Option<String>,
    /// Its `Content-Language`.
    pub(crate) language: Option<String>,
    pub(crate) bytes: Bytes,
    /// The memory that the bytes take.
    _held: Held,
}

/// Fetches pages; what it knows of hosts and sites stays from one call to the next.
pub(crate) struct PageFetcher {
    net: NetConfig,
    policy: Policy,
    fetcher: Arc<Fetcher>,
    bodies: Bodies,
    /// One call at a time, so that the limits per host hold; and the number of the next.
    turn: Mutex<(Schedule, usize)>,
    /// `None` once it is being dropped.
    runtime: Option<Runtime>,
}

/// A page by its index, or why there is none.
type Arrived = (usize, Result<FetchedPage, Reason>);

impl PageFetcher {
    pub(crate) fn new(net: &NetConfig, manners: &MannersConfig) -> Result<Self> {
        descriptors::provide(net.concurrency)?;
        let bodies = Bodies::new(BODIES, net.concurrency, net.max_bytes.0);
        let fetcher = Arc::new(Fetcher::new(net, manners, bodies.clone())?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("network")
            .enable_all()
            .build()
            .map_err(|e| Error::Network { message: e.to_string() })?;
        let (policy, turn) = (Policy::new(net)?, Mutex::new((Schedule::new(net), 0)));
        Ok(Self { net: net.clone(), policy, fetcher, bodies, turn, runtime: Some(runtime) })
    }

    /// Fetches all `urls` and hands each to `each` by its index, in the order in which they arrive. `check` is asked often
    /// whether to go on.
    ///
    /// # Errors
    /// Those of `check` and `each`; a page that does not arrive is no error.
    pub(crate) fn fetch(
        &self,
        urls: Vec<String>,
        check: impl Fn() -> Result<()>,
        mut each: impl FnMut(usize, Result<FetchedPage, Reason>) -> Result<()>,
    ) -> Result<()> {
        let Some(runtime) = &self.runtime else { return Err(Error::Lost { what: "the network" }) };
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (arrived, inbox) = channel();
        let (mut missing, unit) = (urls.len(), turn.1);
        // Should the call end early, the next begins without what was learnt of hosts.
        let mut schedule = std::mem::replace(&mut turn.0, Schedule::new(&self.net));
        turn.1 += 1;
        self.line_up(&mut schedule, unit, urls, &arrived);
        let parts = (Arc::clone(&self.fetcher), self.bodies.clone());
        let mut driver = Abort(runtime.spawn(drive(parts, schedule, unit, arrived)));
        while missing > 0 {
            check()?;
            if let Some((index, page)) = next(&inbox)? {
                missing -= 1;
                each(index, page)?;
            }
        }
        if let Ok(schedule) = runtime.block_on(&mut driver.0) {
            turn.0 = schedule;
        }
        Ok(())
    }

    /// Puts all pages in line; those without a host are answered.
    fn line_up(&self, schedule: &mut Schedule, unit: usize, urls: Vec<String>, arrived: &Sender<Arrived>) {
        schedule.open(unit, Arc::new(AtomicUsize::new(0)), Arc::new(Window::new()));
        let mut rows = Vec::with_capacity(urls.len());
        for (index, url) in urls.into_iter().enumerate() {
            match Url::parse(&url) {
                Ok(parsed) => rows.push(Listed { index, host: HostName::of(&parsed, &self.policy), url }),
                Err(_) => drop(arrived.send((index, Err(Reason::UrlInvalid)))),
            }
        }
        schedule.push(unit, rows, Instant::now());
        schedule.read(unit);
    }
}

impl Drop for PageFetcher {
    /// Without waiting for DNS look-ups, which cannot be called off.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends a task when dropped.
struct Abort(JoinHandle<Schedule>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What has arrived, if something has within a moment.
fn next(inbox: &Receiver<Arrived>) -> Result<Option<Arrived>> {
    match inbox.recv_timeout(CHECK_EVERY) {
        Ok(arrived) => Ok(Some(arrived)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(Error::Lost { what: "the fetching of pages" }),
    }
}

/// Runs until every page is answered, and gives the schedule back.
async fn drive(
    (fetcher, bodies): (Arc<Fetcher>, Bodies),
    mut schedule: Schedule,
    unit: usize,
    arrived: Sender<Arrived>,
) -> Schedule {
    let (ended, mut inbox) = mpsc::unbounded_channel::<(Job, Option<Failure>)>();
    let mut downloads = JoinSet::new();
    loop {
        while let Some(step) = schedule.next(Instant::now(), Level::Free) {
            match step {
                // Nobody listens once the unit is given up.
                Step::Answer { index, failure, .. } => drop(arrived.send((index, Err(failure.reason)))),
                Step::Fetch(job) => {
                    let download = download(Arc::clone(&fetcher), bodies.clone(), job, arrived.clone());
                    let ended = ended.clone();
                    downloads.spawn(async move { drop(ended.send(download.await)) });
                }
            }
        }
        let now = Instant::now();
        if schedule.is_done(unit) {
            schedule.close(unit, now);
            return schedule;
        }
        tokio::select! {
            Some((job, failure)) = inbox.recv() => {
                let (index, delay) = (job.index, fetcher.site_delay(&job.url));
                if let Some(last) = schedule.ended(job, failure, delay, Instant::now()) {
                    drop(arrived.send((index, Err(last.reason))));
                }
            }
            // One that ended without a word would be waited for for ever.
            Some(done) = downloads.join_next() => if done.is_err() { return schedule },
            () = sleep_until(schedule.wake_at(now).unwrap_or(now + LONG)) => {}
        }
    }
}

/// Fetches a page and hands it on; a failure goes to the schedule first, which may try again.
async fn download(
    fetcher: Arc<Fetcher>,
    bodies: Bodies,
    job: Job,
    arrived: Sender<Arrived>,
) -> (Job, Option<Failure>) {
    let timings = Arc::new(Timings::new());
    let Some(held) = bodies.start().await else { return (job, Some(Reason::ConnectionLost.into())) };
    match fetcher.answer(&job.url, held, &timings).await {
        Ok(answer) => {
            drop(arrived.send((job.index, Ok(page(answer)))));
            (job, None)
        }
        Err(failure) => (job, Some(failure)),
    }
}

fn page(answer: Answer) -> FetchedPage {
    let Answer { url, headers, body } = answer;
    let (content_type, language) = (text(&headers, &CONTENT_TYPE), text(&headers, &CONTENT_LANGUAGE));
    FetchedPage { url, content_type, language, bytes: body.bytes, _held: body.held }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
