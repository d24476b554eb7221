//! When another attempt at a row is due.

use std::time::Duration;

use tokio::time::Instant;

/// How much later than by `net.timeout` alone all attempts at a row may end.
const SLACK: Duration = Duration::from_secs(1);

/// When a row is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    /// Attempts after the first.
    pub(super) most: u32,
    /// Wait before the second attempt; each further one waits twice as long.
    pub(super) base: Duration,
    /// What one attempt may take.
    pub(super) timeout: Duration,
}

impl Retries {
    /// When a row is due again whose attempt number `attempts` (from 1) has ended at `now`; `None`: never.
    ///
    /// The backoff doubles, the jitter takes up to half of it off, and no attempt begins later than one second after
    /// the time at which it would if all before it had taken the whole timeout. So attempts that are not held up by
    /// others end within timeout × (retries + 1) and that second. A server that asks for more time than this is not
    /// asked again.
    pub(super) fn due(
        &self,
        attempts: u32,
        first: Instant,
        now: Instant,
        asked: Option<Duration>,
        seed: u64,
    ) -> Option<Instant> {
        if attempts > self.most {
            return None;
        }
        let latest = (first + self.timeout.saturating_mul(attempts) + SLACK).max(now);
        let doubled = self.base.saturating_mul(1 << (attempts - 1).min(20));
        let backoff = doubled.mul_f64(1.0 - 0.5 * unit_interval(seed ^ u64::from(attempts)));
        match asked {
            Some(asked) if now + asked > latest => None,
            Some(asked) => Some((now + backoff.max(asked)).min(latest)),
            None => Some((now + backoff).min(latest)),
        }
    }
}

/// A number from 0 to 1 that looks random: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn unit_interval(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn retries(most: u32) -> Retries {
        Retries { most, base: S, timeout: 10 * S }
    }

    #[test]
    fn the_wait_doubles_and_is_spread() {
        let now = Instant::now();
        let wait = |attempts, seed| retries(9).due(attempts, now, now, None, seed).unwrap() - now;
        for attempts in 1..=4 {
            let whole = S * (1 << (attempts - 1));
            let waits: Vec<Duration> = (0..50).map(|seed| wait(attempts, seed)).collect();
            assert!(waits.iter().all(|w| *w >= whole / 2 && *w <= whole), "{attempts}: {waits:?}");
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*most - *least > whole / 4, "{attempts}: all alike");
        }
    }

    #[test]
    fn all_attempts_end_within_the_timeouts_and_a_second() {
        let first = Instant::now();
        for most in 1..6 {
            let mut now = first;
            for attempts in 1..=most {
                // Each attempt takes the whole timeout.
                now = retries(most).due(attempts, first, now + 10 * S, None, 7).unwrap();
            }
            assert!(now + 10 * S <= first + 10 * S * (most + 1) + S, "{most}");
            assert_eq!(retries(most).due(most + 1, first, now, None, 7), None);
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_or_the_row_given_up() {
        let now = Instant::now();
        assert_eq!(retries(1).due(1, now, now, Some(5 * S), 7), Some(now + 5 * S));
        assert_eq!(retries(1).due(1, now, now, Some(60 * S), 7), None);
    }
}
