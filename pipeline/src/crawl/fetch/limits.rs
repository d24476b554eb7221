//! What a download may take: time, bytes, redirects; and which limit it met.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::Failure;
use crate::crawl::config::NetConfig;
use crate::reason::Reason;

/// How long a body may be as slow as it likes: connections start slowly, and small bodies are over by then.
const GRACE: Duration = Duration::from_secs(5);

/// The limits of a download.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The whole of it.
    pub(super) timeout: Duration,
    /// From a request to the head of its answer.
    pub(super) first_byte: Duration,
    /// Bytes per second; 0 asks for none.
    pub(super) least_rate: u64,
    pub(super) max_bytes: u64,
    pub(super) max_redirects: u32,
}

impl Limits {
    pub(super) fn new(net: &NetConfig) -> Self {
        Self {
            timeout: Duration::from_secs_f64(net.timeout),
            first_byte: Duration::from_secs_f64(net.first_byte_timeout),
            least_rate: net.min_bytes_per_second.0,
            max_bytes: net.max_bytes.0,
            max_redirects: net.max_redirects,
        }
    }

    /// Waits for the head of an answer.
    pub(super) async fn head<T>(
        &self,
        deadline: Instant,
        head: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let first_byte = Instant::now() + self.first_byte;
        let reason = if first_byte < deadline { Reason::TimeoutFirstByte } else { Reason::Timeout };
        timeout_at(first_byte.min(deadline), head).await.map_err(|_| reason.into())
    }

    /// Ends when a body that began at `start` and has brought `received` bytes is too late or too slow.
    pub(super) async fn broken(&self, start: Instant, received: usize, deadline: Instant) -> Reason {
        let (when, reason) = self.patience(start, received, deadline);
        sleep_until(when).await;
        reason
    }

    /// Until when more than `received` bytes must be there, and what else it is.
    fn patience(&self, start: Instant, received: usize, deadline: Instant) -> (Instant, Reason) {
        let seconds = (received as u64).checked_div(self.least_rate);
        let slow = seconds.and_then(|s| start.checked_add(GRACE.max(Duration::from_secs(s))));
        match slow {
            Some(slow) if slow < deadline => (slow, Reason::TooSlow),
            _ => (deadline, Reason::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(least_rate: u64, first_byte: Duration) -> Limits {
        Limits {
            timeout: Duration::from_secs(60),
            first_byte,
            least_rate,
            max_bytes: 1 << 20,
            max_redirects: 10,
        }
    }

    #[test]
    fn a_body_is_too_slow_after_the_grace_or_when_its_bytes_are_used_up() {
        let start = Instant::now();
        let patience = |rate, received| {
            let limits = limits(rate, Duration::from_secs(8));
            let (when, reason) = limits.patience(start, received, start + Duration::from_secs(60));
            ((when - start).as_secs(), reason)
        };
        assert_eq!(patience(1024, 0), (5, Reason::TooSlow));
        assert_eq!(patience(1024, 20 << 10), (20, Reason::TooSlow));
        assert_eq!(patience(1024, 100 << 10), (60, Reason::Timeout));
        assert_eq!(patience(0, 0), (60, Reason::Timeout), "no rate is asked for");
    }

    #[tokio::test]
    async fn a_head_meets_the_nearer_of_its_limits() {
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
        let never = || std::future::pending::<()>();
        let late = limits(0, short).head(Instant::now() + long, never()).await.unwrap_err();
        assert_eq!(late.reason, Reason::TimeoutFirstByte);
        let late = limits(0, long).head(Instant::now() + short, never()).await.unwrap_err();
        assert_eq!(late.reason, Reason::Timeout);
    }
}
