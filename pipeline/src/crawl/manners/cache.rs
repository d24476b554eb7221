//! What is known of each site, fetched once: whoever asks while the answer is on its way waits for it.
//!
//! Two generations bound the memory. When the young one is full the old one is forgotten, and what is asked for moves
//! from old to young: roughly the least recently used goes first, at the cost of a look-up.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Answers by site.
#[derive(Debug)]
pub(super) struct Cache<T> {
    generations: Mutex<Generations<T>>,
    /// Sites and bytes of a generation.
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Generations<T> {
    young: HashMap<String, Slot<T>>,
    old: HashMap<String, Slot<T>>,
    /// Of what came since the young generation began.
    bytes: usize,
}

/// Filled by the first who asks; should that one be called off, by the next.
type Slot<T> = Arc<OnceCell<Kept<T>>>;

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    until: Instant,
}

/// An answer to be kept.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    pub(super) value: T,
    /// How long it is used. With zero it serves those alone who wait for it.
    pub(super) lifetime: Duration,
    /// Its memory, roughly.
    pub(super) bytes: usize,
}

impl<T> Cache<T> {
    /// For at most `sites` answers of `bytes` in all, besides those on their way and the last to come.
    pub(super) fn new(sites: usize, bytes: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), bytes: 0 };
        Self { generations: Mutex::new(generations), most: (sites / 2).max(1), most_bytes: bytes / 2 }
    }

    /// The answer for `site`, fetched if there is none or its time is over.
    pub(super) async fn get<F>(&self, site: &str, fetch: impl FnOnce() -> F) -> Arc<T>
    where
        F: Future<Output = Fetched<T>>,
    {
        let slot = self.slot(site);
        let fill = || async {
            let Fetched { value, lifetime, bytes } = fetch().await;
            self.weigh(bytes + site.len());
            Kept { value: Arc::new(value), until: Instant::now() + lifetime }
        };
        Arc::clone(&slot.get_or_init(fill).await.value)
    }

    /// The answer, if it is there.
    pub(super) fn peek(&self, site: &str) -> Option<Arc<T>> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = generations.young.get(site).or_else(|| generations.old.get(site))?;
        Some(Arc::clone(&slot.get()?.value))
    }

    fn slot(&self, site: &str) -> Slot<T> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let usable = |slot: &Slot<T>| slot.get().is_none_or(|kept| kept.until > now);
        if let Some(slot) = generations.young.get(site).filter(|slot| usable(slot)) {
            return Arc::clone(slot);
        }
        let slot = generations.old.remove(site).filter(usable).unwrap_or_default();
        if generations.young.len() >= self.most {
            generations.age();
        }
        generations.young.insert(site.to_owned(), Arc::clone(&slot));
        slot
    }

    fn weigh(&self, bytes: usize) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.bytes += bytes;
        if generations.bytes > self.most_bytes {
            generations.age();
        }
    }
}

impl<T> Generations<T> {
    fn age(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Answers with the number of the fetch.
    async fn ask(cache: &Cache<usize>, fetches: &AtomicUsize, site: &str, lifetime: Duration) -> usize {
        let fetch = || async {
            tokio::task::yield_now().await;
            Fetched { value: fetches.fetch_add(1, Ordering::Relaxed), lifetime, bytes: 100 }
        };
        *cache.get(site, fetch).await
    }

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_fetch() {
        let (cache, fetches) = (Cache::new(10, 10_000), AtomicUsize::new(0));
        let all =
            futures::future::join_all((0..50).map(|_| ask(&cache, &fetches, "a", Duration::ZERO))).await;
        assert_eq!(all, [0; 50]);
        assert_eq!(ask(&cache, &fetches, "a", LONG).await, 1, "its time was over");
        assert_eq!(ask(&cache, &fetches, "a", LONG).await, 1);
        assert_eq!((cache.peek("a").as_deref(), cache.peek("b")), (Some(&1), None));
    }

    #[tokio::test]
    async fn a_fetch_that_is_called_off_is_made_by_the_next() {
        let (cache, fetches) = (Cache::new(10, 10_000), AtomicUsize::new(0));
        let never = cache.get("a", std::future::pending);
        assert!(futures::FutureExt::now_or_never(never).is_none());
        assert_eq!(cache.peek("a"), None);
        assert_eq!(ask(&cache, &fetches, "a", LONG).await, 0);
    }

    #[tokio::test]
    async fn memory_is_bounded_and_what_is_asked_for_stays() {
        let (by_count, by_bytes) = (Cache::new(10, 1 << 30), Cache::new(1 << 30, 1000));
        for cache in [by_count, by_bytes] {
            let fetches = AtomicUsize::new(0);
            let favourite = ask(&cache, &fetches, "favourite", LONG).await;
            for n in 0..100 {
                ask(&cache, &fetches, &format!("{n}"), LONG).await;
                assert_eq!(ask(&cache, &fetches, "favourite", LONG).await, favourite);
                let generations = cache.generations.lock().unwrap();
                assert!(generations.young.len() + generations.old.len() <= 12);
            }
            assert!(cache.peek("99").is_some() && cache.peek("0").is_none());
        }
    }
}
