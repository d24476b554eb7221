//! The one task that owns the [`Schedule`]: it is told what is listed, what has ended and what was written, and starts
//! downloads. One owner for all units needs no lock, and one message per download and per block keeps it cheap.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::asks::Asks;
use super::collect::Finished;
use super::engine::{Event, Shared};
use super::fetch::{Body, Failure, Fetcher};
use super::local::Stored;
use super::process::process;
use super::schedule::{Job, Listed, Schedule, Step, Window};
use super::timings::{Phase, Timings};

/// Messages taken at a time.
const BATCH: usize = 256;
/// Without anything to wait for.
const LONG: Duration = Duration::from_secs(3600);

/// What the dispatcher is told.
pub(super) enum Message {
    /// A unit begins.
    Open(Opened),
    /// Further rows of a unit, in order.
    Rows(usize, Vec<Listed>, Riders),
    /// All rows of a unit are told.
    Read(usize),
    /// A download has ended, with a failure or with a body that is being decoded.
    Ended(Job, Option<Failure>),
    /// A block was written: there may be room.
    Written,
    /// A unit is done or given up.
    Close(usize),
}

/// What goes with some of the rows, by their index, until their turn.
#[derive(Default)]
pub(super) struct Riders {
    /// Images that are there already.
    pub(super) stored: HashMap<usize, Stored>,
    /// What rows ask of their pictures.
    pub(super) asks: HashMap<usize, Asks>,
}

/// A unit that begins.
pub(super) struct Opened {
    pub(super) unit: usize,
    /// Its first row that is not written.
    pub(super) front: Arc<AtomicUsize>,
    pub(super) window: Arc<Window>,
    pub(super) events: Sender<Event>,
    pub(super) timings: Arc<Timings>,
    /// Told when nothing of it can be started, so that the next unit may begin.
    pub(super) drained: oneshot::Sender<()>,
}

/// Where the results of a unit go.
struct Outlet {
    events: Sender<Event>,
    timings: Arc<Timings>,
    riders: Riders,
    drained: Option<oneshot::Sender<()>>,
}

/// Runs until the runtime ends.
pub(super) async fn dispatch(shared: Arc<Shared>, mut inbox: mpsc::UnboundedReceiver<Message>) {
    let mut schedule = Schedule::new(&shared.config.net);
    let mut outlets = HashMap::new();
    let mut messages = Vec::with_capacity(BATCH);
    loop {
        while let Some(step) = schedule.next(Instant::now(), shared.waiting.level()) {
            carry_out(step, &shared, &mut outlets);
        }
        let now = Instant::now();
        outlets.retain(|unit, outlet: &mut Outlet| {
            if let Some(drained) = outlet.drained.take_if(|_| schedule.is_drained(*unit)) {
                // Nobody waits once the unit is given up.
                drained.send(()).ok();
            }
            let done = schedule.is_done(*unit);
            if done {
                schedule.close(*unit, now);
            }
            !done
        });
        tokio::select! {
            count = inbox.recv_many(&mut messages, BATCH) => if count == 0 { return },
            () = sleep_until(schedule.wake_at(now).unwrap_or(now + LONG)) => {}
        }
        for message in messages.drain(..) {
            take(message, &mut schedule, &mut outlets, &shared.fetcher);
        }
    }
}

fn take(message: Message, schedule: &mut Schedule, outlets: &mut HashMap<usize, Outlet>, fetcher: &Fetcher) {
    let now = Instant::now();
    match message {
        Message::Open(Opened { unit, front, window, events, timings, drained }) => {
            schedule.open(unit, front, window);
            let (riders, drained) = (Riders::default(), Some(drained));
            outlets.insert(unit, Outlet { events, timings, riders, drained });
        }
        Message::Rows(unit, rows, riders) => {
            if let Some(outlet) = outlets.get_mut(&unit) {
                outlet.riders.stored.extend(riders.stored);
                outlet.riders.asks.extend(riders.asks);
            }
            schedule.push(unit, rows, now);
        }
        Message::Read(unit) => schedule.read(unit),
        Message::Ended(job, failure) => {
            let (unit, index) = (job.unit, job.index);
            let delay = fetcher.site_delay(&job.url);
            if let Some(failure) = schedule.ended(job, failure, delay, now) {
                answer(outlets, unit, index, failure);
            }
        }
        Message::Written => {}
        Message::Close(unit) => {
            schedule.close(unit, now);
            outlets.remove(&unit);
        }
    }
}

fn carry_out(step: Step, shared: &Arc<Shared>, outlets: &mut HashMap<usize, Outlet>) {
    match step {
        Step::Answer { unit, index, failure } => answer(outlets, unit, index, failure),
        Step::Fetch(job) => {
            if let Some(outlet) = outlets.get_mut(&job.unit) {
                let stored = outlet.riders.stored.remove(&job.index);
                // A row may be tried again, and asks the same then.
                let asks = outlet.riders.asks.get(&job.index).cloned().unwrap_or_default();
                let to =
                    Recipient { events: outlet.events.clone(), timings: Arc::clone(&outlet.timings), asks };
                tokio::spawn(download(Arc::clone(shared), job, stored, to));
            }
        }
    }
}

fn answer(outlets: &HashMap<usize, Outlet>, unit: usize, index: usize, failure: Failure) {
    if let Some(outlet) = outlets.get(&unit) {
        // A closed channel means that the unit was given up.
        drop(outlet.events.send(Event::Row(index, Finished::failed(failure))));
    }
}

/// Gives the unit up if a download goes without a word, so that its collector does not wait for ever.
struct Report<'a> {
    shared: &'a Shared,
    job: Option<Job>,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            drop(self.shared.post.send(Message::Close(job.unit)));
        }
    }
}

/// Who waits for a row, and what for.
struct Recipient {
    events: Sender<Event>,
    timings: Arc<Timings>,
    asks: Asks,
}

async fn download(shared: Arc<Shared>, job: Job, stored: Option<Stored>, to: Recipient) {
    let mut report = Report { shared: &shared, job: Some(job) };
    let Some(job) = &report.job else { return };
    let Some(held) = shared.bodies.start().await else { return };
    let flight = shared.tally.begin();
    let fetched = match stored {
        Some(stored) => stored.read(&shared.bodies, held, shared.config.net.max_bytes.0).await,
        None => shared.fetcher.fetch(&job.url, held, &to.timings).await,
    };
    drop(flight);
    let failure = match fetched {
        Err(failure) => Some(failure),
        Ok(body) => {
            shared.tally.downloaded(body.bytes.len() as u64);
            decode(&shared, body, job.index, to);
            None
        }
    };
    if let Some(job) = report.job.take() {
        drop(shared.post.send(Message::Ended(job, failure)));
    }
}

/// Hands a body to the decoding threads; the picture goes to the collector.
fn decode(shared: &Arc<Shared>, body: Body, index: usize, to: Recipient) {
    let worker = Arc::clone(shared);
    shared.pool.spawn(move || {
        let Body { bytes, held } = body;
        let started = std::time::Instant::now();
        let image = process(&bytes, &worker.config.image, &to.asks, &worker.pixels);
        to.timings.record(Phase::Decode, started.elapsed());
        drop((bytes, held));
        let done = image.map_or_else(|reason| Finished::failed(Failure::from(reason)), Finished::Image);
        worker.waiting.add(done.bytes());
        if let Err(unsent) = to.events.send(Event::Row(index, done))
            && let Event::Row(_, done) = unsent.0
        {
            worker.waiting.written(done.bytes());
        }
    });
}
