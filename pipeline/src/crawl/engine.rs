//! One unit from its rows to its shard: downloads run on the I/O threads, decoding on threads of its own, and the
//! thread that called writes the rows in input order.
//!
//! ```text
//! list reader ─blocks→ feeder ─┬─ download ─bytes→ decode pool ─┐
//!                              ├─ download ───────────────────── ┼─rows→ collector → shard
//!                              └─ …                              ┘
//! ```
//! Two units overlap: when the feeder of one has started its last download, the next one's begins, so that a few slow
//! servers at the end of a unit idle nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::asks::{AskColumns, Asks};
use super::budget::{Bodies, Held, Pixels, Waiting};
use super::collect::{Collector, Finished};
use super::config::CrawlConfig;
use super::fetch::{Body, Failure, Fetcher};
use super::list::{Block, Columns, ListFile};
use super::process::process;
use super::stats::Tally;
use crate::pairs::Layout;
use crate::progress::Progress;
use crate::reason::Reason;
use crate::unit::{Attempt, Produced, Unit};
use crate::{Error, Result};

/// Everything that the units share.
pub(super) struct Engine {
    shared: Arc<Shared>,
    network: Network,
    columns: Arc<Columns>,
    lists: BTreeMap<String, ListFile>,
    layout: Layout,
    rows_per_unit: u64,
    progress: Progress,
    verbose: bool,
}

/// What downloads and decoders hold on to.
pub(super) struct Shared {
    config: CrawlConfig,
    fetcher: Fetcher,
    pool: ThreadPool,
    /// Downloads at a time.
    slots: Arc<Semaphore>,
    bodies: Bodies,
    pixels: Pixels,
    pub(super) waiting: Waiting,
    pub(super) tally: Tally,
    asks: AskColumns,
    /// Held by the one unit that starts downloads.
    turn: Mutex<()>,
}

/// What reaches the collector of a unit.
enum Event {
    /// The next rows of the list.
    Block(Block),
    /// Row `0..` of the unit is done.
    Row(usize, Finished),
    /// The list could not be read.
    Broken(Error),
}

/// What an engine is made of besides the config.
pub(super) struct Parts {
    pub(super) lists: Vec<ListFile>,
    pub(super) columns: Columns,
    pub(super) asks: AskColumns,
    pub(super) layout: Layout,
    pub(super) progress: Progress,
    pub(super) verbose: bool,
}

impl Engine {
    pub(super) fn new(config: &CrawlConfig, parts: Parts) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.run.threads)
            .thread_name(|i| format!("decode-{i}"))
            .build()
            .map_err(|e| Error::Network { message: e.to_string() })?;
        // Half for pixels, three eighths for bodies, an eighth for pictures that wait for their turn.
        let eighth = config.run.memory_budget.0 / 8;
        let bodies = Bodies::new(3 * eighth, config.net.concurrency, config.net.max_bytes.0);
        let shared = Shared {
            fetcher: Fetcher::new(&config.net, bodies.clone())?,
            pool,
            slots: Arc::new(Semaphore::new(config.net.concurrency)),
            bodies,
            pixels: Pixels::new(4 * eighth),
            waiting: Waiting::new(eighth),
            tally: Tally::new(),
            asks: parts.asks,
            turn: Mutex::new(()),
            config: config.clone(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            network: Network::start()?,
            columns: Arc::new(parts.columns),
            lists: parts.lists.into_iter().map(|list| (list.path.display().to_string(), list)).collect(),
            layout: parts.layout,
            rows_per_unit: config.output.rows_per_unit,
            progress: parts.progress,
            verbose: parts.verbose,
        })
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Works on one unit; the caller's thread writes.
    pub(super) fn unit(&self, attempt: &Attempt<'_>) -> Result<Produced> {
        let unknown = || Error::input(&attempt.unit.file, "the plan names a list that the config does not");
        let list = self.lists.get(&attempt.unit.file).ok_or_else(unknown)?.clone();
        let (events, inbox) = channel();
        let mut collector = Collector::start(attempt, &self.layout, self.rows_per_unit)?;
        let source = Source { list, columns: Arc::clone(&self.columns), unit: attempt.unit.clone() };
        let feeder = feed(Arc::clone(&self.shared), source, collector.front(), events);
        // Aborting the feeder aborts the downloads it started.
        let _feeder = AbortOnDrop(self.network.handle.spawn(feeder));
        self.collect(attempt, &inbox, &mut collector)?;
        collector.finish()
    }

    fn collect(&self, attempt: &Attempt<'_>, inbox: &Receiver<Event>, to: &mut Collector) -> Result<()> {
        loop {
            attempt.check()?;
            match inbox.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Block(block)) => to.block(block),
                Ok(Event::Broken(error)) => return Err(error),
                Ok(Event::Row(index, done)) => {
                    let reason = done.reason();
                    if self.verbose && reason != Reason::Ok {
                        self.progress.note(&format!("{}: {reason}: {}", to.key(index), to.url(index)));
                    }
                    self.shared.tally.row(reason);
                    to.row(index, done, &self.shared.waiting)?;
                    self.progress.add(1);
                    self.progress.message(self.shared.tally.line());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// The I/O threads.
struct Network {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Network {
    fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("network")
            .enable_all()
            .build()
            .map_err(|e| Error::Network { message: e.to_string() })?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Network {
    /// Without waiting for DNS look-ups, which cannot be called off and may take half a minute.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The rows of a unit.
struct Source {
    list: ListFile,
    columns: Arc<Columns>,
    unit: Unit,
}

/// Reads the list and starts downloads as slots and memory allow; `front` is the first row that is not written.
async fn feed(shared: Arc<Shared>, source: Source, front: Arc<AtomicUsize>, events: Sender<Event>) {
    let turn = shared.turn.lock().await;
    let (blocks, mut inbox) = mpsc::channel(16);
    let reader = move || {
        let Source { list, columns, unit } = source;
        let read = list.read(&columns, &unit, &mut |block| blocks.blocking_send(Ok(block)).is_ok());
        if let Err(error) = read {
            // Nobody listens once the unit is given up.
            drop(blocks.blocking_send(Err(error)));
        }
    };
    tokio::task::spawn_blocking(reader);
    let mut downloads = JoinSet::new();
    let mut first = 0;
    while let Some(block) = inbox.recv().await {
        let mut block = match block {
            Ok(block) => block,
            Err(error) => return drop(events.send(Event::Broken(error))),
        };
        let asks = shared.asks.take(&mut block);
        let links = block.links.clone();
        let count = links.len();
        drop(events.send(Event::Block(block)));
        for (index, (link, asks)) in (first..).zip(links.into_iter().zip(asks)) {
            match link {
                Err(reason) => drop(events.send(Event::Row(index, Finished::failed(reason.into())))),
                Ok(url) => {
                    shared.waiting.room(|| front.load(Ordering::Relaxed) >= first).await;
                    let Ok(slot) = Arc::clone(&shared.slots).acquire_owned().await else { return };
                    let Some(held) = shared.bodies.start().await else { return };
                    let row = Row { url, index, asks };
                    downloads.spawn(download(Arc::clone(&shared), row, slot, held, events.clone()));
                }
            }
            while downloads.try_join_next().is_some() {}
        }
        first += count;
    }
    drop(turn);
    drop(events);
    while downloads.join_next().await.is_some() {}
}

/// A row of the unit to be fetched.
struct Row {
    url: String,
    index: usize,
    asks: Asks,
}

async fn download(
    shared: Arc<Shared>,
    row: Row,
    slot: OwnedSemaphorePermit,
    held: Held,
    events: Sender<Event>,
) {
    let Row { url, index, asks } = row;
    let fetched = shared.fetcher.fetch(&url, held).await;
    drop(slot);
    // A closed channel means that the unit was given up.
    match fetched {
        Err(failure) => drop(events.send(Event::Row(index, Finished::failed(failure)))),
        Ok(body) => {
            shared.tally.downloaded(body.bytes.len() as u64);
            let worker = Arc::clone(&shared);
            shared.pool.spawn(move || {
                let Body { bytes, held } = body;
                let image = process(&bytes, &worker.config.image, &asks, &worker.pixels);
                drop((bytes, held));
                let done =
                    image.map_or_else(|reason| Finished::failed(Failure::from(reason)), Finished::Image);
                worker.waiting.add(done.bytes());
                if let Err(unsent) = events.send(Event::Row(index, done))
                    && let Event::Row(_, done) = unsent.0
                {
                    worker.waiting.written(done.bytes());
                }
            });
        }
    }
}
