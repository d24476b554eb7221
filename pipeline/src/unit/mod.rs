//! Plan, unit, commit, finish: exactly-once output over work that may be killed, rerun or run twice.
//!
//! 1. A [`Plan`] cuts the input into [`Unit`]s (a file and a row range); its id is the hash of all that decides the
//!    output. `plan.json` is written by put-if-absent, another plan in the same folder is refused.
//! 2. A unit's data goes to names that only this attempt uses: `00017-TAG.parquet` ([`Attempt::shard`]) or a folder
//!    `00017-TAG/` ([`Attempt::folder`]).
//! 3. A small [`Commit`] under `_commits/` is created by put-if-absent. The first attempt wins, a loser deletes its
//!    files. Readers trust commits alone ([`committed`]), so a kill at any instant loses nothing and doubles nothing.
//! 4. The winner's files get their final names, `00017.parquet`. A kill before that leaves them under the attempt's,
//!    where readers find them, and the next run makes up for it. A bucket renames no folder: a unit with one keeps the
//!    names as written there.
//! 5. [`finish`] merges the commits into `manifest.json` and sweeps up what killed attempts left. Files of attempts that
//!    are still running go too once every unit is committed: those attempts have lost.
//!
//! The same code serves a laptop (all units in one process) and a cluster (`--unit N` on each machine).

mod attempt;
mod commit;
mod finish;
mod names;
mod plan;
mod run;
mod stage;

pub use attempt::{Attempt, FolderWriter, Produced, ShardWriter, UnitFile};
pub use commit::{Commit, committed, record};
pub use finish::{Manifest, Shard, finish, refuse_foreign, start_over};
use names::foreign;
pub use names::{DROPPED, final_name, is_dropped};
pub use plan::{InputFile, Plan, Selection, Unit, digest_file, digest_of};
pub use run::{Outcome, Todo, pending, run_together, run_units, run_units_overlapped};
pub use stage::{RunOptions, StageSummary, run_stage};

/// `00017`: how units are numbered in commits, and in file names unless the plan says otherwise.
pub fn label(unit: usize) -> String {
    format!("{unit:05}")
}

/// Lower-case hex of a hash.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
