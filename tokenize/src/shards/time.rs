//! Where the time of a run goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

/// Seconds of a run. Decoding and writing run beside the codec, so the parts may add up to more than the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    /// From the first pair to the last commit.
    pub wall: f64,
    /// In the codec: the rest of the wall time is overhead.
    pub codec: f64,
    /// Decoding and scaling pictures and encoding captions, summed over the threads.
    pub decode: f64,
    /// Making rows and writing Parquet, in a thread of its own.
    pub write: f64,
}

/// Counts nanoseconds from any thread.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    /// Does `work` and counts its time.
    pub(super) fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
        done
    }

    fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// The clocks of a run.
#[derive(Debug)]
pub(super) struct Clocks {
    start: Instant,
    pub(super) codec: Clock,
    pub(super) decode: Clock,
    pub(super) write: Clock,
}

impl Clocks {
    pub(super) fn start() -> Self {
        let [codec, decode, write] = [(); 3].map(|()| Clock::default());
        Self { start: Instant::now(), codec, decode, write }
    }

    pub(super) fn timing(&self) -> Timing {
        Timing {
            wall: self.start.elapsed().as_secs_f64(),
            codec: self.codec.seconds(),
            decode: self.decode.seconds(),
            write: self.write.seconds(),
        }
    }
}
