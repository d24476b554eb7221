//! Memory as something to be taken before it is used: bodies, pixels, and pictures that wait for their turn.
//!
//! No holder of one budget ever waits for more of the same while others wait for it to let go: a download takes a
//! small share before it starts and the rest once it knows its size, and the small shares of all downloads together
//! always leave room for one largest body. So there is no deadlock, only waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes per permit: a semaphore counts in `u32`.
const GRAIN: u64 = 4096;

/// The budget of downloaded bodies, from the request until the picture is encoded.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    semaphore: Arc<Semaphore>,
    total: u32,
    /// What a download takes before it starts.
    first: u64,
}

/// A held part of [`Bodies`].
#[derive(Debug)]
pub(super) struct Held {
    permit: OwnedSemaphorePermit,
}

impl Bodies {
    /// `bytes` for `downloads` at a time, none of which passes `largest`.
    pub(super) fn new(bytes: u64, downloads: usize, largest: u64) -> Self {
        let downloads = downloads.max(1) as u64;
        let total = grains(bytes.max(2 * largest).max(largest + downloads * GRAIN));
        let spare = (u64::from(total) * GRAIN).saturating_sub(largest);
        // Whole grains, so that rounding up does not eat the room of the largest.
        let first = (spare / downloads / GRAIN * GRAIN).clamp(GRAIN, 256 << 10);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total, first }
    }

    /// The share that a download takes before it starts; `None` when the work is being given up.
    pub(super) async fn start(&self) -> Option<Held> {
        self.take(self.first).await
    }

    /// Makes `held` at least `bytes`.
    pub(super) async fn grow(&self, held: &mut Held, bytes: u64) -> Option<()> {
        let have = held.permit.num_permits() as u64 * GRAIN;
        if bytes > have {
            let more = self.take(bytes - have).await?;
            held.permit.merge(more.permit);
        }
        Some(())
    }

    async fn take(&self, bytes: u64) -> Option<Held> {
        let permits = grains(bytes).min(self.total);
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(permits).await.ok()?;
        Some(Held { permit })
    }
}

impl Held {
    /// Gives back what is more than `bytes`.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let surplus = self.permit.num_permits().saturating_sub(grains(bytes) as usize);
        drop(self.permit.split(surplus));
    }
}

fn grains(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(GRAIN))
        .unwrap_or(u32::MAX)
        .min(Semaphore::MAX_PERMITS.try_into().unwrap_or(u32::MAX))
}

/// The budget of decoded pixels, taken on the decoding threads.
#[derive(Debug)]
pub(super) struct Pixels {
    free: Mutex<u64>,
    total: u64,
    returned: Condvar,
}

impl Pixels {
    pub(super) fn new(bytes: u64) -> Self {
        Self { free: Mutex::new(bytes), total: bytes, returned: Condvar::new() }
    }

    /// Waits until `bytes` are free; a picture larger than the budget waits until it is alone.
    pub(super) fn take(&self, bytes: u64) -> Room<'_> {
        let bytes = bytes.min(self.total);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.returned.wait_while(free, |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Room { pixels: self, bytes }
    }
}

/// A held part of [`Pixels`].
#[derive(Debug)]
pub(super) struct Room<'a> {
    pixels: &'a Pixels,
    bytes: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.pixels.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.pixels.returned.notify_all();
    }
}

/// Encoded pictures whose turn to be written has not come. Downloads under way always end; how many new ones start is up
/// to the schedule, by the level.
#[derive(Debug)]
pub(super) struct Waiting {
    bytes: AtomicU64,
    limit: u64,
}

/// How much room there is for pictures that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Enough.
    Free,
    /// Less than half: what can be written next comes first.
    Tight,
    /// None: only what can be written next.
    Full,
}

impl Waiting {
    pub(super) fn new(limit: u64) -> Self {
        Self { bytes: AtomicU64::new(0), limit }
    }

    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn written(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn level(&self) -> Level {
        match self.bytes.load(Ordering::Relaxed) {
            bytes if bytes > self.limit => Level::Full,
            bytes if bytes > self.limit / 2 => Level::Tight,
            _ => Level::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_download_waits_for_its_size_and_gives_back_what_it_does_not_need() {
        let bodies = Bodies::new(8 << 20, 4, 4 << 20);
        let mut first = bodies.start().await.unwrap();
        bodies.grow(&mut first, 4 << 20).await.unwrap();
        let mut second = bodies.start().await.unwrap();
        let wait = Duration::from_millis(20);
        let both = tokio::time::timeout(wait, bodies.grow(&mut second, 5 << 20)).await;
        assert!(both.is_err(), "9 of 8 MiB");
        first.shrink(100);
        bodies.grow(&mut second, 5 << 20).await.unwrap();
    }

    #[tokio::test]
    async fn all_first_shares_leave_room_for_one_largest_body() {
        for (bytes, downloads, largest) in
            [(1 << 20, 256, 1 << 19), (64 << 20, 256, 32 << 20), (1 << 16, 3, 1 << 20)]
        {
            let bodies = Bodies::new(bytes, downloads, largest);
            let mut held = Vec::new();
            for _ in 0..downloads {
                held.push(bodies.start().await.unwrap());
            }
            let grown =
                tokio::time::timeout(Duration::from_secs(1), bodies.grow(&mut held[0], largest)).await;
            assert!(grown.is_ok(), "{bytes} {downloads} {largest}");
        }
    }

    #[test]
    fn pictures_that_wait_fill_their_room() {
        let waiting = Waiting::new(100);
        let mut levels = Vec::new();
        for _ in 0..3 {
            waiting.add(50);
            levels.push(waiting.level());
        }
        assert_eq!(levels, [Level::Free, Level::Tight, Level::Full]);
        waiting.written(150);
        assert_eq!(waiting.level(), Level::Free);
    }

    #[test]
    fn a_picture_larger_than_the_budget_waits_until_it_is_alone() {
        let pixels = Pixels::new(100);
        let small = pixels.take(10);
        std::thread::scope(|scope| {
            let large = scope.spawn(|| drop(pixels.take(1_000_000)));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!large.is_finished());
            drop(small);
            large.join().unwrap();
        });
        assert_eq!(*pixels.free.lock().unwrap(), 100);
    }
}
