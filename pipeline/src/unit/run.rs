//! Running the units that are not done: one after the other, or overlapped so that the tail of one hides behind the next.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::attempt::{Attempt, Produced};
use super::commit::{Commit, committed};
use super::finish::{Manifest, finish};
use super::{Plan, Selection, Unit};
use crate::interrupt::Interrupt;
use crate::store::Store;
use crate::{Error, Result};

/// What a process has before it: the units to run and what was found done.
#[derive(Clone, Debug, PartialEq)]
pub struct Todo {
    /// Units to run.
    pub units: Vec<Unit>,
    /// Units of the selection.
    pub selected: usize,
    /// Rows of the selection.
    pub rows: u64,
    /// Rows of the selection that are already done.
    pub rows_done: u64,
    selection: Selection,
}

impl Todo {
    /// Units found done.
    pub fn done(&self) -> usize {
        self.selected - self.units.len()
    }

    /// What was asked for.
    pub fn selection(&self) -> Selection {
        self.selection
    }
}

/// The units of the selection that have no commit.
///
/// # Errors
/// [`Error::Unit`] when the plan has no such unit.
pub fn pending(store: &Store, plan: &Plan, selection: Selection) -> Result<Todo> {
    let selected: Vec<Unit> = match selection {
        Selection::All => plan.units.clone(),
        Selection::One(index) => match plan.units.get(index) {
            Some(unit) => vec![unit.clone()],
            None => {
                let last = plan.units.len() - 1;
                return Err(Error::Unit {
                    message: format!("no unit {index}: the plan has units 0 to {last}"),
                });
            }
        },
    };
    let done: BTreeSet<usize> = committed(store)?.iter().map(|commit| commit.unit).collect();
    let (count, rows) = (selected.len(), selected.iter().map(|unit| unit.rows).sum());
    let units: Vec<Unit> = selected.into_iter().filter(|unit| !done.contains(&unit.index)).collect();
    let rows_done = rows - units.iter().map(|unit| unit.rows).sum::<u64>();
    Ok(Todo { units, selected: count, rows, rows_done, selection })
}

/// What became of a [`Todo`].
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Units committed by this process.
    pub done: usize,
    /// Units that another process committed first.
    pub lost: usize,
    /// Written at the end of a run over all units.
    pub manifest: Option<Manifest>,
}

/// Runs the units one after the other and, after a run over all of them, writes the manifest.
///
/// The first error ends the run; committed units stay.
pub fn run_units(
    store: &Store,
    plan: &Plan,
    todo: &Todo,
    interrupt: &Interrupt,
    mut work: impl FnMut(&Attempt<'_>) -> Result<Produced>,
) -> Result<Outcome> {
    let abandoned = AtomicBool::new(false);
    let mut outcome = Outcome { done: 0, lost: 0, manifest: None };
    for unit in &todo.units {
        interrupt.check()?;
        let attempt = Attempt::new(plan, unit, store, interrupt, &abandoned);
        outcome.count(attempt.carry_out(plan, &mut work)?.is_some());
    }
    outcome.close(store, todo)
}

/// Like [`run_units`] with up to `lanes` units in progress at a time; `committed` is told of each unit that is done.
pub fn run_units_overlapped(
    store: &Store,
    plan: &Plan,
    todo: &Todo,
    interrupt: &Interrupt,
    lanes: usize,
    work: impl Fn(&Attempt<'_>) -> Result<Produced> + Sync,
    committed: impl Fn(&Commit) + Sync,
) -> Result<Outcome> {
    let (abandoned, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let outcome = Mutex::new(Ok(Outcome { done: 0, lost: 0, manifest: None }));
    let lane = || {
        while let Some(unit) = todo.units.get(next.fetch_add(1, Ordering::Relaxed)) {
            let attempt = Attempt::new(plan, unit, store, interrupt, &abandoned);
            let done = attempt.check().and_then(|()| attempt.carry_out(plan, &work));
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match (outcome.as_mut(), done) {
                (Ok(outcome), Ok(commit)) => {
                    commit.iter().for_each(&committed);
                    outcome.count(commit.is_some());
                }
                (Ok(_), Err(error)) => {
                    *outcome = Err(error);
                    abandoned.store(true, Ordering::Relaxed);
                    return;
                }
                (Err(_), _) => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..lanes.min(todo.units.len()) {
            scope.spawn(lane);
        }
        lane();
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)?.close(store, todo)
}

/// Runs a unit whose work gives the files of several stores at once, each with a plan of its own over the same input.
/// Every store gets its own commit, so a kill between two of them leaves a unit that is done in the first alone.
///
/// `work` gets an attempt per store and gives what each has made, in that order.
///
/// # Errors
/// That of `work`, and a store that fails.
pub fn run_together(
    targets: &[(&Store, &Plan)],
    unit: usize,
    interrupt: &Interrupt,
    work: impl FnOnce(&[Attempt<'_>]) -> Result<Vec<Produced>>,
) -> Result<()> {
    let abandoned = AtomicBool::new(false);
    let units = targets.iter().map(|(store, plan)| Some((*store, *plan, plan.units.get(unit)?)));
    let units = units.collect::<Option<Vec<_>>>();
    let units = units.ok_or_else(|| Error::Unit { message: format!("no unit {unit} in every plan") })?;
    let begin = |(store, plan, unit)| Attempt::new(plan, unit, store, interrupt, &abandoned);
    let attempts: Vec<Attempt<'_>> = units.iter().copied().map(begin).collect();
    let mut produced = match work(&attempts) {
        Ok(produced) => produced.into_iter(),
        Err(error) => {
            attempts.iter().for_each(Attempt::clear);
            return if error.is_not_found() && Attempt::all_lost(&attempts) { Ok(()) } else { Err(error) };
        }
    };
    for ((_, plan, _), attempt) in units.iter().zip(&attempts) {
        let own = |_: &Attempt<'_>| produced.next().ok_or(Error::Lost { what: "a store's part of a unit" });
        attempt.carry_out(plan, own)?;
    }
    Ok(())
}

impl Outcome {
    fn count(&mut self, won: bool) {
        if won {
            self.done += 1;
        } else {
            self.lost += 1;
        }
    }

    fn close(mut self, store: &Store, todo: &Todo) -> Result<Self> {
        if todo.selection == Selection::All {
            self.manifest = Some(finish(store)?);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{self, Write};

    use sha2::{Digest, Sha256};

    use super::super::{InputFile, hex};
    use super::*;

    fn plan(rows: u64) -> Plan {
        let input =
            InputFile { path: "in".into(), rows, bytes: rows, digest: String::new(), offsets: Vec::new() };
        Plan::new("test/1", &(), vec![input], 2).unwrap()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        (folder, store)
    }

    fn write(attempt: &Attempt<'_>) -> Result<Produced> {
        let mut shard = attempt.shard("txt")?;
        write!(shard, "unit {}", attempt.unit.index).unwrap();
        shard.finish(
            attempt.unit.rows,
            [("ok".to_owned(), attempt.unit.rows)].into(),
            serde_json::json!({"count": 1}),
        )
    }

    fn run_all(store: &Store, plan: &Plan) -> Outcome {
        let todo = pending(store, plan, Selection::All).unwrap();
        run_units(store, plan, &todo, &Interrupt::never(), write).unwrap()
    }

    fn files(store: &Store) -> Vec<String> {
        store
            .list("")
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .filter(|name| name.ends_with(".txt"))
            .collect()
    }

    #[test]
    fn a_run_commits_every_unit_and_a_second_run_has_nothing_to_do() {
        let (_folder, store) = store();
        let plan = plan(5);
        plan.settle(&store).unwrap();
        let outcome = run_all(&store, &plan);
        assert_eq!((outcome.done, outcome.lost), (3, 0));
        let manifest = outcome.manifest.unwrap();
        assert_eq!((manifest.rows, manifest.missing.len(), manifest.counts["ok"]), (5, 0, 5));
        let shard = &manifest.shards[2].files[0];
        assert_eq!((shard.name.as_str(), &shard.sha256), ("00002.txt", &hex(&Sha256::digest(b"unit 2"))));
        assert_eq!(files(&store), ["00000.txt", "00001.txt", "00002.txt"]);
        assert!(store.get("00002_stats.json").unwrap().is_some());
        let todo = pending(&store, &plan, Selection::All).unwrap();
        assert_eq!((todo.units.len(), todo.done(), todo.rows_done), (0, 3, 5));
    }

    #[test]
    fn a_unit_of_two_stores_is_committed_in_each() {
        let ((_a, first), (_b, second)) = (store(), store());
        let plan = plan(4);
        for store in [&first, &second] {
            plan.settle(store).unwrap();
        }
        let both = [(&first, &plan), (&second, &plan)];
        let work = |attempts: &[Attempt<'_>]| attempts.iter().map(write).collect();
        run_together(&both, 0, &Interrupt::never(), work).unwrap();
        // A kill between the two commits leaves the second store without one.
        run_together(&both[..1], 1, &Interrupt::never(), work).unwrap();
        let left = |store| pending(store, &plan, Selection::All).unwrap().units.len();
        assert_eq!((left(&first), left(&second)), (0, 1));
        run_together(&both, 1, &Interrupt::never(), work).unwrap();
        assert_eq!((files(&first), left(&second)), (files(&second), 0));
        assert!(run_together(&both, 2, &Interrupt::never(), work).is_err());
    }

    #[test]
    fn the_second_of_two_attempts_deletes_its_file() {
        let (_folder, store) = store();
        let plan = plan(2);
        plan.settle(&store).unwrap();
        let todo = pending(&store, &plan, Selection::One(0)).unwrap();
        let run = || run_units(&store, &plan, &todo, &Interrupt::never(), write).unwrap();
        assert_eq!((run().done, run().lost), (1, 1));
        assert_eq!(files(&store), ["00000.txt"]);
    }

    /// Begins its file, is overtaken by a run over all units, which sweeps that file away, and goes on.
    fn overtaken(attempt: &Attempt<'_>, store: &Store, plan: &Plan) -> Result<Produced> {
        let mut shard = attempt.shard("txt")?;
        write!(shard, "unit {}", attempt.unit.index).unwrap();
        run_all(store, plan);
        shard.finish(attempt.unit.rows, BTreeMap::new(), serde_json::Value::Null)
    }

    #[test]
    fn an_attempt_whose_file_was_swept_by_the_winner_has_lost() {
        let plan = plan(2);
        for lanes in [1, 2] {
            let (_folder, store) = store();
            plan.settle(&store).unwrap();
            let todo = pending(&store, &plan, Selection::All).unwrap();
            let never = Interrupt::never();
            let slow = |attempt: &Attempt<'_>| overtaken(attempt, &store, &plan);
            let outcome = match lanes {
                1 => run_units(&store, &plan, &todo, &never, slow),
                _ => run_units_overlapped(&store, &plan, &todo, &never, lanes, slow, |_| ()),
            };
            let outcome = outcome.unwrap();
            assert_eq!((outcome.done, outcome.lost), (0, 1));
            assert!(outcome.manifest.is_some_and(|manifest| manifest.missing.is_empty()));
            assert_eq!(files(&store), ["00000.txt"]);
        }
    }

    #[test]
    fn a_file_that_is_gone_without_a_winner_is_an_error() {
        let (_folder, store) = store();
        let plan = plan(2);
        plan.settle(&store).unwrap();
        let todo = pending(&store, &plan, Selection::All).unwrap();
        let gone = |_: &Attempt<'_>| Err(Error::io("links.csv", io::ErrorKind::NotFound.into()));
        let error = run_units(&store, &plan, &todo, &Interrupt::never(), gone).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn eight_racing_attempts_leave_one_shard() {
        let (_folder, store) = store();
        let plan = plan(2);
        plan.settle(&store).unwrap();
        let todo = pending(&store, &plan, Selection::One(0)).unwrap();
        let wins: usize = std::thread::scope(|scope| {
            let run = || run_units(&store, &plan, &todo, &Interrupt::never(), write).unwrap().done;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((wins, files(&store).len()), (1, 1));
    }

    #[test]
    fn finish_sweeps_what_killed_attempts_left() {
        let (_folder, store) = store();
        let plan = plan(4);
        plan.settle(&store).unwrap();
        store.put("00001-0123456789abcdef.txt", "written, never committed").unwrap();
        store.put(".00001-0123456789abcdef.txt.1-1.tmp", "half").unwrap();
        for name in ["manifest.json", "00001_stats.json", "decisions.parquet"] {
            store.put(&format!(".{name}.0-18eb4ffb8c5d4c7a-0.tmp"), "half").unwrap();
        }
        store.put("notes.txt", "mine").unwrap();
        run_all(&store, &plan);
        let names = files(&store);
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.contains(&"notes.txt".to_owned()));
    }

    #[test]
    fn an_error_in_one_lane_ends_the_run_and_keeps_what_is_committed() {
        let (_folder, store) = store();
        let plan = plan(20);
        plan.settle(&store).unwrap();
        let todo = pending(&store, &plan, Selection::All).unwrap();
        let work = |attempt: &Attempt<'_>| match attempt.unit.index {
            4 => Err(Error::Lost { what: "unit 4" }),
            _ => write(attempt),
        };
        let error =
            run_units_overlapped(&store, &plan, &todo, &Interrupt::never(), 2, work, |_| ()).unwrap_err();
        assert!(error.to_string().starts_with("unit 4"), "{error}");
        let done = committed(&store).unwrap().len();
        assert!((4..10).contains(&done), "{done}");
        let todo = pending(&store, &plan, Selection::All).unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |commit: &Commit| told.lock().unwrap().push(commit.unit);
        let outcome =
            run_units_overlapped(&store, &plan, &todo, &Interrupt::never(), 2, write, tell).unwrap();
        assert_eq!((outcome.done, told.into_inner().unwrap().len()), (10 - done, 10 - done));
        assert_eq!(outcome.manifest.unwrap().rows, 20);
    }

    #[test]
    fn an_interrupt_stops_before_the_next_unit() {
        let (_folder, store) = store();
        let plan = plan(6);
        plan.settle(&store).unwrap();
        let todo = pending(&store, &plan, Selection::All).unwrap();
        let flag = Interrupt::never();
        let work = |attempt: &Attempt<'_>| {
            flag.set(130);
            write(attempt)
        };
        let error = run_units(&store, &plan, &todo, &flag, work).unwrap_err();
        assert_eq!((error.exit_code(), committed(&store).unwrap().len()), (130, 1));
    }

    #[test]
    fn starting_over_keeps_foreign_files() {
        let (_folder, store) = store();
        let plan = plan(4);
        plan.settle(&store).unwrap();
        store.put("notes.txt", "mine").unwrap();
        run_all(&store, &plan);
        super::super::start_over(&store).unwrap();
        let names: Vec<_> = store.list("").unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["notes.txt"]);
        assert!(committed(&store).unwrap().is_empty());
    }

    #[test]
    fn a_unit_beyond_the_plan_is_refused() {
        let (_folder, store) = store();
        let error = pending(&store, &plan(4), Selection::One(2)).unwrap_err();
        assert_eq!(error.to_string(), "no unit 2: the plan has units 0 to 1");
    }
}
