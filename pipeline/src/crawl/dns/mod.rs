//! Host names to addresses, without a resolver daemon to install: a cache with the times that the answers carry, one
//! query for all that ask at the same time, negative answers kept as well, and a cap on queries under way.
//!
//! Names are absolute: no search domain of this machine turns a dead link into a local host.

mod cache;
mod choice;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use crate::Result;
use crate::reason::Reason;
use cache::{Cache, Known};
pub use choice::DnsChoice;
use source::{Answer, Source};

/// Names whose answers are kept; 100 to 200 bytes each.
const NAMES: usize = 1 << 16;
/// Look-ups under way at a time, each two queries with a socket of their own.
const UNDER_WAY: usize = 128;
/// No answer is forgotten sooner than this, whatever its time to live…
const SHORTEST: Duration = Duration::from_secs(30);
/// …and none is kept longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a failure is kept (RFC 9520 §3.2 asks for one second to five minutes).
const FAILURE: Duration = Duration::from_secs(10);
/// How long all servers together may take.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What a name stands for.
pub(super) type Lookup = Result<Arc<[IpAddr]>, NoAddress>;

/// Why a name gave no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// The name does not exist, or has no address.
    Unknown,
    /// No name server gave an answer.
    Failed,
    /// All its addresses are refused.
    Refused,
}

impl NoAddress {
    /// The reason of a row that ends here.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Unknown => Reason::Dns,
            Self::Failed => Reason::DnsFailed,
            Self::Refused => Reason::AddressRefused,
        }
    }
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason().text())
    }
}

impl std::error::Error for NoAddress {}

/// The resolver; clones share it.
#[derive(Clone)]
pub(super) struct Dns(Arc<Shared>);

struct Shared {
    source: Source,
    cache: Mutex<Cache>,
    under_way: Semaphore,
    lookups: AtomicU64,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("lookups", &self.lookups()).finish_non_exhaustive()
    }
}

impl Dns {
    pub(super) fn new(choice: &DnsChoice) -> Result<Self> {
        Source::new(choice).map(Self::of)
    }

    fn of(source: Source) -> Self {
        Self(Arc::new(Shared {
            source,
            cache: Mutex::new(Cache::new(NAMES)),
            under_way: Semaphore::new(UNDER_WAY),
            lookups: AtomicU64::new(0),
        }))
    }

    /// Names asked for so far; the queries for IPv4 and for IPv6 count as one.
    pub(super) fn lookups(&self) -> u64 {
        self.0.lookups.load(Ordering::Relaxed)
    }

    /// The answer, if it is in the cache.
    pub(super) fn known(&self, name: &str) -> Option<Lookup> {
        self.0.cache().get(name, Instant::now())
    }

    /// The addresses of a name, from the cache or by a look-up shared with all that wait for it.
    pub(super) async fn lookup(&self, name: &str) -> Lookup {
        let known = self.0.cache().enter(name, Instant::now());
        let mut flight = match known {
            Known::Answer(lookup) => return lookup,
            Known::Asked(flight) => flight,
            Known::Unknown(sender, flight) => {
                // On its own, so that the answer comes to all even if the first to ask gives up.
                tokio::spawn(fly(Arc::clone(&self.0), name.into(), sender));
                flight
            }
        };
        match flight.wait_for(Option::is_some).await {
            Ok(answered) => answered.clone().unwrap_or(Err(NoAddress::Failed)),
            Err(_) => Err(NoAddress::Failed),
        }
    }
}

impl Shared {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Strikes a look-up off the list however it ends.
struct Landing {
    shared: Arc<Shared>,
    name: Box<str>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.shared.cache().land(&self.name);
    }
}

async fn fly(shared: Arc<Shared>, name: Box<str>, sender: watch::Sender<Option<Lookup>>) {
    let landing = Landing { shared: Arc::clone(&shared), name };
    let Ok(_permit) = shared.under_way.acquire().await else { return };
    shared.lookups.fetch_add(1, Ordering::Relaxed);
    let answer = tokio::time::timeout(TIMEOUT, shared.source.ask(&landing.name)).await;
    let (lookup, ttl) = kept(answer.unwrap_or(Answer::Failed));
    shared.cache().insert(&landing.name, lookup.clone(), Instant::now() + ttl);
    drop(landing);
    sender.send_replace(Some(lookup));
}

/// What is remembered of an answer, and for how long.
fn kept(answer: Answer) -> (Lookup, Duration) {
    match answer {
        Answer::Addresses(addresses, ttl) => (Ok(addresses.into()), ttl.clamp(SHORTEST, LONGEST)),
        Answer::Nothing(ttl) => (Err(NoAddress::Unknown), ttl.clamp(SHORTEST, LONGEST)),
        Answer::Failed => (Err(NoAddress::Failed), FAILURE),
    }
}
