//! Plan, unit, commit, finish: exactly-once output over work that may be killed, rerun or run twice.
//!
//! 1. A [`Plan`] cuts the input into [`Unit`]s (a file and a row range); its id is the hash of all that decides the
//!    output. `plan.json` is written by put-if-absent, another plan in the same folder is refused.
//! 2. A unit's data goes to a name that only this attempt uses ([`Attempt::shard`]).
//! 3. A small [`Commit`] under `_commits/` is created by put-if-absent. The first attempt wins, a loser deletes its
//!    file. Readers trust commits alone ([`committed`]), so a kill at any instant loses nothing and doubles nothing.
//! 4. [`finish`] merges the commits into `manifest.json` and sweeps up what killed attempts left. Files of attempts that
//!    are still running go too once every unit is committed: those attempts have lost.
//!
//! The same code serves a laptop (all units in one process) and a cluster (`--unit N` on each machine).

mod commit;
mod plan;
mod run;

pub use commit::{Commit, Manifest, committed, finish, record, start_over};
pub use plan::{InputFile, Plan, Selection, Unit, digest_file, digest_of};
pub use run::{Attempt, Outcome, Produced, ShardWriter, Todo, pending, run_units, run_units_overlapped};

/// `00017`: how units are numbered in file names.
pub fn label(unit: usize) -> String {
    format!("{unit:05}")
}

/// Lower-case hex of a hash.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
