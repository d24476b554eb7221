//! The schedule against a world without a network: downloads end when the test says so.

use std::sync::atomic::Ordering;

use proptest::prelude::*;
use url::Url;

use super::*;
use crate::crawl::address::Policy;
use crate::crawl::list::BLOCK;
use crate::reason::Reason;

const S: Duration = Duration::from_secs(1);

fn net(sets: &[&str]) -> NetConfig {
    let sets: Vec<String> = sets.iter().map(|set| format!("net.{set}")).collect();
    crate::settings::load::<crate::crawl::CrawlConfig>(None, &sets).unwrap().net
}

/// One unit, its rows, and what became of them.
struct Unit {
    number: usize,
    front: Arc<AtomicUsize>,
    done: Vec<Option<Reason>>,
}

/// A schedule and what is under way.
struct World {
    schedule: Schedule,
    policy: Policy,
    now: Instant,
    memory: Level,
    running: Vec<Job>,
    units: Vec<Unit>,
}

impl World {
    fn new(sets: &[&str]) -> Self {
        let net = net(sets);
        Self {
            schedule: Schedule::new(&net),
            policy: Policy::new(&net).unwrap(),
            now: Instant::now(),
            memory: Level::Free,
            running: Vec::new(),
            units: Vec::new(),
        }
    }

    /// A unit with a row per letter, each letter a host.
    fn unit(&mut self, hosts: &str) {
        let number = self.units.len();
        let front = Arc::new(AtomicUsize::new(0));
        self.schedule.open(number, Arc::clone(&front), Arc::new(Window::new()));
        let rows = hosts.chars().enumerate().map(|(index, host)| {
            let url = format!("http://{host}.com/{index}");
            let host = HostName::of(&Url::parse(&url).unwrap(), &self.policy);
            Listed { index, url, host }
        });
        self.schedule.push(number, rows.collect(), self.now);
        self.schedule.read(number);
        self.units.push(Unit { number, front, done: vec![None; hosts.len()] });
    }

    /// Starts and answers what can be; the rows that were started.
    fn start(&mut self) -> Vec<usize> {
        let mut started = Vec::new();
        while let Some(step) = self.schedule.next(self.now, self.memory) {
            match step {
                Step::Fetch(job) => {
                    started.push(job.index);
                    self.running.push(job);
                }
                Step::Answer { unit, index, failure } => self.answer(unit, index, failure.reason),
            }
        }
        started
    }

    fn answer(&mut self, unit: usize, index: usize, reason: Reason) {
        let before = self.units[unit].done[index].replace(reason);
        assert_eq!(before, None, "row {index} is answered twice");
    }

    /// Ends the download of a row.
    fn end(&mut self, index: usize, failure: impl Into<Failure>) {
        let at = self.running.iter().position(|job| job.index == index).unwrap();
        self.end_at(at, failure.into());
    }

    fn end_at(&mut self, at: usize, failure: Failure) {
        let job = self.running.swap_remove(at);
        let (unit, index) = (job.unit, job.index);
        let failure = (failure.reason != Reason::Ok).then_some(failure);
        let success = failure.is_none();
        match self.schedule.ended(job, failure, None, self.now) {
            Some(failure) => self.answer(unit, index, failure.reason),
            None if success => self.answer(unit, index, Reason::Ok),
            None => {}
        }
    }

    /// Writes the blocks that are whole.
    fn write(&mut self) {
        for unit in &mut self.units {
            let mut front = unit.front.load(Ordering::Relaxed);
            while front < unit.done.len() {
                let end = (front + BLOCK).min(unit.done.len());
                if unit.done[front..end].iter().any(Option::is_none) {
                    break;
                }
                front = end;
            }
            unit.front.store(front, Ordering::Relaxed);
        }
    }

    /// Bytes of pictures that wait, a byte each.
    fn waiting(&self) -> usize {
        let beyond = |unit: &Unit| {
            let rows = &unit.done[unit.front.load(Ordering::Relaxed)..];
            rows.iter().filter(|row| **row == Some(Reason::Ok)).count()
        };
        self.units.iter().map(beyond).sum()
    }

    fn reasons(&self, unit: usize) -> Vec<Reason> {
        self.units[unit].done.iter().map(|row| row.unwrap()).collect()
    }
}

fn asks_for(reason: Reason, wait: Duration) -> Failure {
    Failure { retry_after: Some(wait), ..reason.into() }
}

#[test]
fn hosts_take_turns() {
    let mut world = World::new(&["concurrency=3"]);
    world.unit("aaaabbbbcccc");
    assert_eq!(world.start(), [0, 4, 8]);
    world.end(8, Reason::Ok);
    assert_eq!(world.start(), [1]);
    world.end(0, Reason::Ok);
    assert_eq!(world.start(), [5]);
}

#[test]
fn a_host_at_its_limit_holds_up_no_other() {
    let mut world = World::new(&["per_host=2"]);
    world.unit("aaaaaaaaaabbbcc");
    let mut started = world.start();
    started.sort_unstable();
    assert_eq!(started, [0, 1, 10, 11, 13, 14]);
    // `a` answers nothing until all others are done.
    for index in [10, 11, 13, 14] {
        world.end(index, Reason::Ok);
    }
    assert_eq!(world.start(), [12]);
    world.end(12, Reason::Ok);
    assert_eq!(world.start(), [0; 0]);
    assert!(world.schedule.is_drained(0), "the next unit may begin");
    world.end(1, Reason::Ok);
    assert_eq!(world.start(), [2]);
}

#[test]
fn a_host_counts_over_all_units() {
    let mut world = World::new(&["per_host=2"]);
    world.unit("aaa");
    world.unit("aab");
    assert_eq!(world.start(), [0, 1, 2], "the third is b's of the second unit");
    assert_eq!(world.running[2].unit, 1);
    world.end(0, Reason::Ok);
    assert_eq!((world.start(), world.running.last().unwrap().unit), (vec![2], 0), "the earlier unit first");
}

#[test]
fn retries_come_last_and_only_for_what_may_pass() {
    let mut world = World::new(&["concurrency=1", "retries=2", "breaker=0"]);
    world.unit("aabb");
    let mut order = Vec::new();
    for _ in 0..20 {
        order.extend(world.start());
        match world.running.first().map(|job| job.index) {
            Some(0) => world.end(0, Reason::Timeout),
            Some(2) => world.end(2, Reason::HttpNotFound),
            Some(index) => world.end(index, Reason::Ok),
            None => match world.schedule.wake_at(world.now) {
                Some(due) => world.now = due,
                None => break,
            },
        }
    }
    assert_eq!(order, [0, 2, 1, 3, 0, 0]);
    assert_eq!(world.reasons(0), [Reason::Timeout, Reason::Ok, Reason::HttpNotFound, Reason::Ok]);
    assert!(world.schedule.is_done(0));
}

#[test]
fn the_last_attempt_gives_the_reason() {
    let mut world = World::new(&["retries=1"]);
    world.unit("a");
    world.start();
    world.end(0, Reason::Timeout);
    world.now += 5 * S;
    assert_eq!(world.start(), [0]);
    world.end(0, Reason::Connect);
    assert_eq!(world.reasons(0), [Reason::Connect]);
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let mut world = World::new(&["per_host=1", "retries=1", "timeout=20"]);
    world.unit("aab");
    assert_eq!(world.start(), [0, 2]);
    world.end(0, asks_for(Reason::HttpTooMany, 5 * S));
    world.end(2, Reason::Ok);
    assert_eq!(world.start(), [0; 0]);
    assert_eq!(world.schedule.wake_at(world.now), Some(world.now + 5 * S));
    world.now += 5 * S;
    assert_eq!(world.start(), [1]);
    world.end(1, Reason::Ok);
    assert_eq!(world.start(), [0], "the retry");
}

#[test]
fn a_server_that_asks_for_too_much_is_left_alone() {
    let mut world = World::new(&["per_host=1", "max_site_delay=30"]);
    world.unit("aaa");
    world.start();
    world.end(0, asks_for(Reason::HttpServer, 3600 * S));
    assert_eq!(world.start(), [0; 0]);
    assert_eq!(world.reasons(0), [Reason::HttpServer, Reason::HostStopped, Reason::HostStopped]);
    world.unit("ab");
    assert_eq!(world.start(), [1], "in the next unit as well");
}

#[test]
fn a_rate_spreads_the_requests() {
    let mut world = World::new(&["per_host_rate=2", "per_host=0"]);
    world.unit("aaa");
    let mut times = Vec::new();
    while !world.schedule.is_done(0) {
        for index in world.start() {
            times.push(world.now);
            world.end(index, Reason::Ok);
        }
        world.now = world.schedule.wake_at(world.now).unwrap_or(world.now);
    }
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [S / 2; 2]);
}

#[test]
fn a_dead_host_is_stopped_and_not_tried_again() {
    let mut world = World::new(&["breaker=3", "per_host=2", "retries=3"]);
    world.unit("aaaaaaab");
    let mut requests = Vec::new();
    loop {
        requests.extend(world.start());
        match world.running.pop() {
            Some(job) => {
                world.running.push(job);
                let at = world.running.len() - 1;
                let reason = if world.running[at].index == 7 { Reason::Ok } else { Reason::Connect };
                world.end_at(at, reason.into());
            }
            None if world.schedule.is_done(0) => break,
            None => world.now = world.schedule.wake_at(world.now).unwrap(),
        }
    }
    requests.sort_unstable();
    assert_eq!(requests, [0, 1, 2, 6, 7], "three, then a probe, and no retry");
    assert_eq!(world.reasons(0)[3..6], [Reason::HostStopped; 3]);
}

#[test]
fn when_memory_is_short_what_can_be_written_next_comes_first() {
    let mut world = World::new(&["per_host=1", "concurrency=8", "retries=1"]);
    world.unit(&("a".to_owned() + &"b".repeat(BLOCK) + "cd"));
    world.memory = Level::Full;
    assert_eq!(world.start(), [0, 1], "rows of the first block alone");
    world.end(0, Reason::Timeout);
    assert_eq!(world.start(), [0; 0]);
    world.now += 2 * S;
    assert_eq!(world.start(), [0], "its retry, though b's rows have not all been tried");
    world.memory = Level::Free;
    assert_eq!(world.start(), [BLOCK + 1, BLOCK + 2]);
}

#[test]
fn a_unit_given_up_is_forgotten() {
    let mut world = World::new(&["per_host=1"]);
    world.unit("aa");
    world.unit("a");
    world.start();
    world.schedule.close(0, world.now);
    assert_eq!(world.start(), [0; 0]);
    world.end(0, Reason::Timeout);
    assert_eq!((world.start(), world.running[0].unit), (vec![0], 1));
    assert_eq!(world.schedule.running(), 1);
}

/// A host, and how each attempt at the row ends.
fn row() -> impl Strategy<Value = (char, Vec<Reason>)> {
    let reason = prop_oneof![
        4 => Just(Reason::Ok),
        2 => Just(Reason::Timeout),
        1 => Just(Reason::HttpNotFound),
        1 => Just(Reason::HttpTooMany),
    ];
    (proptest::char::range('a', 'e'), proptest::collection::vec(reason, 3))
}

/// Runs the units to their end, with room for `room` pictures; `picks` say which download ends next.
fn run(sets: &[&str], units: &[Vec<(char, Vec<Reason>)>], room: usize, picks: &[usize]) -> Vec<Vec<Reason>> {
    let mut world = World::new(sets);
    for rows in units {
        world.unit(&rows.iter().map(|(host, _)| *host).collect::<String>());
    }
    let mut picks = picks.iter().cycle();
    let mut attempts = vec![[0; 200]; units.len()];
    while !world.units.iter().all(|unit| world.schedule.is_done(unit.number)) {
        world.memory = match world.waiting() {
            waiting if waiting > room => Level::Full,
            waiting if waiting > room / 2 => Level::Tight,
            _ => Level::Free,
        };
        world.start();
        if world.running.is_empty() {
            world.write();
            if world.units.iter().all(|unit| world.schedule.is_done(unit.number)) {
                break;
            }
            let due = world.schedule.wake_at(world.now);
            assert!(due.is_some() || world.memory != Level::Free, "stuck");
            match due {
                Some(due) => world.now = due,
                None => assert!(world.waiting() <= room, "stuck: nothing can be written or started"),
            }
            continue;
        }
        let at = picks.next().unwrap() % world.running.len();
        let (unit, index) = (world.running[at].unit, world.running[at].index);
        let attempt = attempts[unit][index];
        attempts[unit][index] += 1;
        let reason = units[unit][index].1[attempt.min(2)];
        world.now += S / 100;
        world.end_at(at, reason.into());
        world.write();
    }
    (0..units.len()).map(|unit| world.reasons(unit)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails, whatever is limited, however little room there is: every row is answered.
    #[test]
    fn every_unit_ends(
        units in proptest::collection::vec(proptest::collection::vec(row(), 1..100), 1..4),
        room in 0_usize..60,
        concurrency in 1_usize..20,
        per_host in 0_usize..4,
        breaker in 0_u32..5,
        retries in 0_u32..3,
        rate in prop_oneof![Just(0.0), Just(5.0)],
        picks in proptest::collection::vec(0_usize..50, 100),
    ) {
        let sets = [
            format!("concurrency={concurrency}"), format!("per_host={per_host}"), format!("breaker={breaker}"),
            format!("retries={retries}"), format!("per_host_rate={rate:?}"),
        ];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let reasons = run(&sets, &units, room, &picks);
        prop_assert_eq!(reasons.iter().map(Vec::len).sum::<usize>(), units.iter().map(Vec::len).sum::<usize>());
    }

    /// A row whose answers are always the same gets the same reason whatever the order, the limits and the room.
    #[test]
    fn the_same_answers_give_the_same_rows(
        rows in proptest::collection::vec(row(), 1..100),
        room in 0_usize..60, concurrency in 1_usize..20, per_host in 0_usize..4, retries in 0_u32..3,
        picks in proptest::collection::vec(0_usize..50, 100),
    ) {
        let same = |(host, reasons): (char, Vec<Reason>)| (host, vec![reasons[0]; 3]);
        let units = [rows.into_iter().map(same).collect::<Vec<_>>()];
        let sets = [
            format!("concurrency={concurrency}"), format!("per_host={per_host}"), format!("retries={retries}"),
            "breaker=3".to_owned(),
        ];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let plain = run(&["concurrency=1", "retries=0", "breaker=3"], &units, 1000, &[0]);
        prop_assert_eq!(run(&sets, &units, room, &picks), plain);
    }
}
