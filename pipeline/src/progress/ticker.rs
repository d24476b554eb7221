//! A thread that does something every few seconds until it is told to end.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::lock;

/// Ends its thread when dropped.
pub(crate) struct Ticker {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Ticker {
    /// Calls `tick` after every `pause`.
    pub(crate) fn start(name: &str, pause: Duration, mut tick: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let signal = Arc::clone(&stop);
        let run = move || {
            let mut stopped = lock(&signal.0);
            loop {
                let waited = signal.1.wait_timeout_while(stopped, pause, |stop| !*stop);
                stopped = waited.unwrap_or_else(PoisonError::into_inner).0;
                if *stopped {
                    return;
                }
                tick();
            }
        };
        // A system without another thread to give leaves a program without news, not without work.
        let thread = Builder::new().name(name.to_owned()).spawn(run).ok();
        Self { stop, thread: Mutex::new(thread) }
    }

    /// One that never ticks.
    pub(crate) fn idle() -> Self {
        Self { stop: Arc::default(), thread: Mutex::new(None) }
    }

    /// Ends the thread; the last tick is over when this returns.
    pub(crate) fn end(&self) {
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            drop(thread.join());
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.end();
    }
}
