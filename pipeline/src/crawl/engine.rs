//! One unit from its rows to its shard: downloads run on the I/O threads, decoding on threads of its own, and the
//! thread that called writes the rows in input order.
//!
//! ```text
//! list reader ─blocks→ feeder ─rows→ dispatcher ─┬─ download ─bytes→ decode pool ─┐
//!                                                ├─ download ───────────────────── ┼─rows→ collector → shard
//!                                                └─ …                              ┘
//! ```
//! Units overlap: when nothing of one can be started, the next one's begins, so that slow or limited servers at the
//! end of a unit idle nobody. What starts when is the business of [`schedule`](super::schedule).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Mutex, mpsc};

use super::address::Policy;
use super::asks::AskColumns;
use super::budget::{Bodies, Pixels, Waiting};
use super::collect::{Collector, Finished};
use super::config::CrawlConfig;
use super::dispatch::{Message, dispatch};
use super::dns::Dns;
use super::feed::{Feeder, Sink, Source};
use super::fetch::Fetcher;
use super::list::{Block, Columns, ListFile};
use super::schedule::Window;
use super::tally::Tally;
use super::timings::Timings;
use crate::pairs::Layout;
use crate::progress::Progress;
use crate::reason::Reason;
use crate::unit::{Attempt, Produced};
use crate::{Error, Result};

/// Time between two looks whether to go on.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Everything that the units share.
pub(super) struct Engine {
    shared: Arc<Shared>,
    network: Network,
    columns: Arc<Columns>,
    lists: BTreeMap<String, ListFile>,
    layout: Layout,
    progress: Progress,
    verbose: bool,
}

/// What downloads and decoders hold on to.
pub(super) struct Shared {
    pub(super) config: CrawlConfig,
    pub(super) fetcher: Fetcher,
    pub(super) policy: Policy,
    pub(super) pool: ThreadPool,
    pub(super) bodies: Bodies,
    pub(super) pixels: Pixels,
    pub(super) waiting: Waiting,
    pub(super) tally: Arc<Tally>,
    pub(super) asks: AskColumns,
    /// Held by the one unit that reads its rows.
    pub(super) turn: Mutex<()>,
    /// To the dispatcher.
    pub(super) post: mpsc::UnboundedSender<Message>,
}

/// What reaches the collector of a unit.
pub(super) enum Event {
    /// The next rows of the list, and what they take of the window.
    Block(Block, usize),
    /// Row `0..` of the unit is done.
    Row(usize, Finished),
    /// The list could not be read.
    Broken(Error),
}

/// What an engine is made of besides the config.
pub(super) struct Parts {
    pub(super) lists: Vec<ListFile>,
    pub(super) asks: AskColumns,
    pub(super) columns: Columns,
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
        let (post, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            fetcher: Fetcher::new(&config.net, &config.manners, bodies.clone())?,
            policy: Policy::new(&config.net)?,
            pool,
            bodies,
            pixels: Pixels::new(4 * eighth),
            waiting: Waiting::new(eighth),
            tally: Arc::new(Tally::new()),
            asks: parts.asks,
            turn: Mutex::new(()),
            post,
            config: config.clone(),
        });
        let network = Network::start()?;
        network.handle.spawn(dispatch(Arc::clone(&shared), inbox));
        Ok(Self {
            shared,
            network,
            columns: Arc::new(parts.columns),
            lists: parts.lists.into_iter().map(|list| (list.name.clone(), list)).collect(),
            layout: parts.layout,
            progress: parts.progress,
            verbose: parts.verbose,
        })
    }

    pub(super) fn tally(&self) -> &Arc<Tally> {
        &self.shared.tally
    }

    pub(super) fn dns(&self) -> &Dns {
        self.shared.fetcher.dns()
    }

    /// Works on one unit; the caller's thread writes.
    pub(super) fn unit(&self, attempt: &Attempt<'_>) -> Result<Produced> {
        let unknown = || Error::input(&attempt.unit.file, "the plan names a list that the config does not");
        let list = self.lists.get(&attempt.unit.file).ok_or_else(unknown)?.clone();
        let (events, inbox) = channel();
        let timings = Arc::new(Timings::part(&self.shared.tally.timings));
        let mut collector =
            Collector::start(attempt, &self.layout, &self.shared.config.output, Arc::clone(&timings))?;
        let (front, window) = (collector.front(), Arc::new(Window::new()));
        let mut read = ReadAhead::new(Arc::clone(&front), Arc::clone(&window));
        let source = Source { list, columns: Arc::clone(&self.columns), unit: attempt.unit.clone() };
        let sink = Sink { front, window, events, timings };
        let _feeder = Feeder::spawn(&self.network.handle, &self.shared, source, sink);
        self.collect(attempt, &inbox, &mut collector, &mut read)?;
        collector.finish()
    }

    fn collect(
        &self,
        attempt: &Attempt<'_>,
        inbox: &Receiver<Event>,
        to: &mut Collector,
        read: &mut ReadAhead,
    ) -> Result<()> {
        let mut checked = Instant::now();
        loop {
            match inbox.recv_timeout(CHECK_EVERY) {
                Ok(Event::Block(block, weight)) => {
                    read.open(block.links.len(), weight);
                    to.block(block);
                }
                Ok(Event::Broken(error)) => return Err(error),
                Ok(Event::Row(index, done)) => {
                    self.row(index, done, to)?;
                    if read.advance() {
                        drop(self.shared.post.send(Message::Written));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.advise();
                    return Ok(());
                }
            }
            // Not for every row: they cost more than the row's own bookkeeping.
            if checked.elapsed() >= CHECK_EVERY {
                attempt.check()?;
                self.advise();
                checked = Instant::now();
            }
        }
    }

    fn advise(&self) {
        for advice in self.shared.tally.remarks() {
            self.progress.note(&advice);
        }
    }

    fn row(&self, index: usize, done: Finished, to: &mut Collector) -> Result<()> {
        let reason = done.reason();
        if self.verbose && reason != Reason::Ok {
            self.progress.note(&format!("{}: {reason}: {}", to.key(index), to.url(index)));
        }
        self.shared.tally.row(reason);
        to.row(index, done, &self.shared.waiting)?;
        self.progress.add(1);
        Ok(())
    }
}

/// The blocks between the reader of a unit and its writer.
struct ReadAhead {
    /// The first row that is not written.
    front: Arc<AtomicUsize>,
    window: Arc<Window>,
    /// Rows and weight of each.
    open: VecDeque<(usize, usize)>,
    /// Where `open` begins.
    first: usize,
}

impl ReadAhead {
    fn new(front: Arc<AtomicUsize>, window: Arc<Window>) -> Self {
        Self { front, window, open: VecDeque::new(), first: 0 }
    }

    fn open(&mut self, rows: usize, weight: usize) {
        self.open.push_back((rows, weight));
    }

    /// Gives back the room of what was written; whether there was any.
    fn advance(&mut self) -> bool {
        let (front, before) = (self.front.load(Ordering::Relaxed), self.first);
        while let Some(&(rows, weight)) = self.open.front()
            && self.first + rows <= front
        {
            self.window.give_back(weight);
            self.first += rows;
            self.open.pop_front();
        }
        self.first > before
    }
}

/// The I/O threads.
struct Network {
    handle: Handle,
    /// `None` once it is being dropped.
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
