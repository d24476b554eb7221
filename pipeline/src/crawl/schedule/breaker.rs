//! The circuit breaker: a host that failed or opted out so often in a row is left alone, save for a probe now and then.
//!
//! It decides by the order of the list and never by the clock: a row is let through only once it is certain that the
//! breaker is closed before it, whatever the rows still under way bring. So a host that is gone gets exactly
//! `threshold` requests and then its probes, and the same answers give the same rows in every run. The breaker is
//! closed anew for every unit, as units run in any order, on any machine.

use std::collections::BTreeSet;

use crate::reason::Reason;

/// Whether the next row of a host may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Yes.
    Pass,
    /// Not before a row under way has ended.
    Wait,
    /// No: it is answered without a request, for this reason.
    Stop(String),
}

/// What a first attempt says about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The host answers, be it with a 404.
    Alive,
    /// It failed, or wants none of its files used.
    Bad(Reason),
}

impl Sign {
    /// Rows that robots.txt forbids cost no request, and their reason says more than that the host was stopped.
    pub(super) fn of(reason: Reason) -> Self {
        use Reason::{Connect, ConnectionLost, Dns, DnsFailed, HttpServer, HttpTooMany, OptOut, TdmReserved};
        use Reason::{Timeout, TimeoutConnect, TimeoutFirstByte, Tls, TooSlow};
        match reason {
            Dns | DnsFailed | Connect | Tls | TimeoutConnect | TimeoutFirstByte | TooSlow | Timeout
            | ConnectionLost | HttpServer | HttpTooMany | OptOut | TdmReserved => Self::Bad(reason),
            _ => Self::Alive,
        }
    }
}

/// The breaker of one host in one unit. Rows let through are numbered from 1.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Bad rows in a row that open it; 0: never.
    threshold: u64,
    /// The last row that was let through.
    last: u64,
    /// The last row that showed the host alive.
    alive: u64,
    /// Rows that have not ended.
    running: BTreeSet<u64>,
    /// The last bad row and its reason.
    bad: (u64, Reason),
    open: Option<Open>,
}

/// Rows are stopped until it is time for a probe.
#[derive(Debug)]
struct Open {
    /// Rows to stop before the next probe.
    left: u64,
    /// Rows that were stopped before it: twice as many the next time.
    span: u64,
}

impl Breaker {
    pub(super) fn new(threshold: u32) -> Self {
        Self {
            threshold: threshold.into(),
            last: 0,
            alive: 0,
            running: BTreeSet::new(),
            bad: (0, Reason::Ok),
            open: None,
        }
    }

    /// What becomes of the next row; a row that passes must be [started](Self::start).
    pub(super) fn gate(&mut self) -> Gate {
        if self.threshold == 0 {
            return Gate::Pass;
        }
        if self.open.is_none() && self.last - self.alive >= self.threshold {
            // Any of these may still show the host alive.
            if self.running.range(self.alive + 1..).next().is_some() {
                return Gate::Wait;
            }
            self.open = Some(Open { left: self.threshold, span: self.threshold });
        }
        match &mut self.open {
            None => Gate::Pass,
            Some(open) if open.left > 0 => {
                open.left -= 1;
                Gate::Stop(format!("net.breaker: {} in a row, the last: {}", self.threshold, self.bad.1))
            }
            Some(_) if self.running.range(self.alive + 1..).next().is_some() => Gate::Wait,
            Some(_) => Gate::Pass,
        }
    }

    /// A row was let through; its number.
    pub(super) fn start(&mut self) -> u64 {
        self.last += 1;
        if self.threshold > 0 {
            self.running.insert(self.last);
        }
        self.last
    }

    /// The first attempt at a row has ended.
    pub(super) fn ended(&mut self, row: u64, sign: Sign) {
        if self.threshold == 0 {
            return;
        }
        self.running.remove(&row);
        // An open breaker listens to its probe, which is the last row that was let through.
        let probe = self.open.is_some() && row == self.last;
        match (sign, &mut self.open) {
            (Sign::Bad(reason), open) => {
                self.bad = self.bad.max((row, reason));
                if let Some(open) = open.as_mut().filter(|_| probe) {
                    open.span = open.span.saturating_mul(2);
                    open.left = open.span;
                }
            }
            (Sign::Alive, Some(_)) if !probe => {}
            (Sign::Alive, _) => {
                self.alive = self.alive.max(row);
                self.open = None;
            }
        }
    }

    /// Whether the host is being left alone.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BAD: Sign = Sign::Bad(Reason::Timeout);

    /// What becomes of rows whose requests would end with `signs`, up to `at_once` under way, the `pick`-th of which
    /// ends next: `true` is a request.
    fn requests(
        threshold: u32,
        signs: &[Sign],
        at_once: usize,
        mut pick: impl FnMut() -> usize,
    ) -> Vec<bool> {
        let mut breaker = Breaker::new(threshold);
        let mut running: Vec<(u64, Sign)> = Vec::new();
        let mut asked = Vec::new();
        while asked.len() < signs.len() {
            let gate = if running.len() < at_once { breaker.gate() } else { Gate::Wait };
            match gate {
                Gate::Pass => {
                    running.push((breaker.start(), signs[asked.len()]));
                    asked.push(true);
                }
                Gate::Stop(_) => asked.push(false),
                Gate::Wait => {
                    assert!(!running.is_empty(), "nothing to wait for");
                    let (row, sign) = running.remove(pick() % running.len());
                    breaker.ended(row, sign);
                }
            }
        }
        asked
    }

    #[test]
    fn a_host_that_is_gone_gets_its_threshold_and_then_probes_further_and_further_apart() {
        let asked = requests(3, &[BAD; 30], 4, || 0);
        let rows: Vec<usize> = (0..30).filter(|i| asked[*i]).collect();
        assert_eq!(rows, [0, 1, 2, 6, 13, 26]);
    }

    #[test]
    fn a_probe_that_is_answered_closes_it() {
        let mut signs = [BAD; 20];
        signs[6..].fill(Sign::Alive);
        let asked = requests(3, &signs, 4, || 0);
        assert_eq!(asked.iter().filter(|asked| !**asked).count(), 3);
    }

    #[test]
    fn the_rule_names_the_last_cause_in_the_order_of_the_list() {
        let mut breaker = Breaker::new(2);
        let (one, two) = (breaker.start(), breaker.start());
        assert_eq!(breaker.gate(), Gate::Wait);
        breaker.ended(two, Sign::Bad(Reason::Connect));
        assert_eq!(breaker.gate(), Gate::Wait);
        breaker.ended(one, Sign::Bad(Reason::Dns));
        assert_eq!(breaker.gate(), Gate::Stop("net.breaker: 2 in a row, the last: connect".to_owned()));
        assert!(breaker.is_open());
    }

    #[test]
    fn a_row_that_hangs_does_not_hold_up_a_host_that_answers() {
        let mut breaker = Breaker::new(2);
        let _hanging = breaker.start();
        for _ in 0..100 {
            assert_eq!(breaker.gate(), Gate::Pass);
            let row = breaker.start();
            breaker.ended(row, Sign::Alive);
        }
    }

    #[test]
    fn without_a_threshold_nothing_is_stopped() {
        assert!(requests(0, &[BAD; 100], 4, || 0).iter().all(|asked| *asked));
    }

    #[test]
    fn a_missing_picture_is_a_sign_of_life_and_an_opt_out_is_not() {
        assert_eq!(Sign::of(Reason::HttpNotFound), Sign::Alive);
        assert_eq!(Sign::of(Reason::Robots), Sign::Alive);
        assert_eq!(Sign::of(Reason::OptOut), Sign::Bad(Reason::OptOut));
    }

    proptest! {
        /// The order in which downloads end decides nothing.
        #[test]
        fn the_same_answers_stop_the_same_rows(
            bad in proptest::collection::vec(proptest::bool::weighted(0.8), 1..80),
            threshold in 1_u32..6, at_once in 1_usize..9, picks in proptest::collection::vec(0_usize..9, 400),
        ) {
            let signs: Vec<Sign> = bad.iter().map(|bad| if *bad { BAD } else { Sign::Alive }).collect();
            let mut picks = picks.into_iter().cycle();
            let any = requests(threshold, &signs, at_once, || picks.next().unwrap_or(0));
            prop_assert_eq!(any, requests(threshold, &signs, 1, || 0));
        }
    }
}
