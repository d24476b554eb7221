//! The rows of a unit, read ahead of the downloads as far as its window reaches.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::Sender;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use url::Url;

use super::address::Policy;
use super::asks::Asks;
use super::collect::Finished;
use super::dispatch::{Message, Opened, Riders};
use super::engine::{Event, Shared};
use super::list::{Block, Columns, Link, ListFile};
use super::schedule::{HostName, Listed, Window};
use super::timings::Timings;
use crate::Error;
use crate::reason::Reason;
use crate::unit::Unit;

/// The rows of a unit.
pub(super) struct Source {
    pub(super) list: ListFile,
    pub(super) columns: Arc<Columns>,
    pub(super) unit: Unit,
}

/// Where they go.
pub(super) struct Sink {
    /// First row that is not written.
    pub(super) front: Arc<AtomicUsize>,
    pub(super) window: Arc<Window>,
    pub(super) events: Sender<Event>,
    pub(super) timings: Arc<Timings>,
}

/// A unit in progress; dropped, no more of it is read or started.
pub(super) struct Feeder {
    task: JoinHandle<()>,
    unit: usize,
    post: mpsc::UnboundedSender<Message>,
}

impl Feeder {
    pub(super) fn spawn(network: &Handle, shared: &Arc<Shared>, source: Source, sink: Sink) -> Self {
        let (unit, post) = (source.unit.index, shared.post.clone());
        Self { task: network.spawn(feed(Arc::clone(shared), source, sink)), unit, post }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.task.abort();
        // At the end of the crawl nobody listens any more.
        drop(self.post.send(Message::Close(self.unit)));
    }
}

/// Reads the list, then waits until the next unit may begin.
async fn feed(shared: Arc<Shared>, source: Source, sink: Sink) {
    let _turn = shared.turn.lock().await;
    let unit = source.unit.index;
    let Sink { front, window, events, timings } = sink;
    let (drained, is_drained) = oneshot::channel();
    let opened =
        Opened { unit, front, window: Arc::clone(&window), events: events.clone(), timings, drained };
    drop(shared.post.send(Message::Open(opened)));
    let mut blocks = read(source);
    let mut first = 0;
    while let Some(block) = blocks.recv().await {
        let mut block = match block {
            Ok(block) => block,
            Err(error) => return drop(events.send(Event::Broken(error))),
        };
        let weight = window.weight(&block);
        if !window.take(weight).await {
            return;
        }
        let asks = (first..).zip(shared.asks.take(&mut block));
        let asks = asks.filter(|(_, asks)| *asks != Asks::default()).collect();
        let links = block.links.clone();
        let count = links.len();
        // Only the downloads hold on to images that are there: a block stays until its last row is written.
        let stored: HashMap<_, _> = (first..).zip(std::mem::take(&mut block.stored)).collect();
        drop(events.send(Event::Block(block, weight)));
        // Images that are there need no host, whatever their URLs are.
        let here = !stored.is_empty();
        let host = |url: &str| if here { Ok(HostName::here()) } else { host_of(url, &shared.policy) };
        let rows = listed(first, links, host, &events);
        drop(shared.post.send(Message::Rows(unit, rows, Riders { stored, asks })));
        first += count;
    }
    drop(shared.post.send(Message::Read(unit)));
    drop(events);
    drop(is_drained.await);
}

/// Starts the thread that reads.
fn read(source: Source) -> mpsc::Receiver<Result<Block, Error>> {
    let (blocks, inbox) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let Source { list, columns, unit } = source;
        let read = list.read(&columns, &unit, &mut |block| blocks.blocking_send(Ok(block)).is_ok());
        if let Err(error) = read {
            // Nobody listens once the unit is given up.
            drop(blocks.blocking_send(Err(error)));
        }
    });
    inbox
}

/// The rows that have something to fetch, with the host whose limits they fall under; the others are answered.
fn listed(
    first: usize,
    links: Vec<Link>,
    host: impl Fn(&str) -> Result<HostName, Reason>,
    events: &Sender<Event>,
) -> Vec<Listed> {
    let mut rows = Vec::with_capacity(links.len());
    for (index, link) in (first..).zip(links) {
        match link.and_then(|url| Ok((host(&url)?, url))) {
            Ok((host, url)) => rows.push(Listed { index, url, host }),
            Err(reason) => drop(events.send(Event::Row(index, Finished::failed(reason.into())))),
        }
    }
    rows
}

fn host_of(url: &str, policy: &Policy) -> Result<HostName, Reason> {
    match Url::parse(url.trim()) {
        Ok(url) => Ok(HostName::of(&url, policy)),
        Err(_) => Err(Reason::UrlInvalid),
    }
}
