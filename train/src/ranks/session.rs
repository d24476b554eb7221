//! Whether this process was started alone or as one of several, and how it takes its leave of the others.

use super::Ranks;
use crate::Result;

/// Being one of the processes that `mpirun` started. Dropped without [`Session::leave`], say by a panic, it leaves the
/// others to `mpirun`, which ends them.
#[derive(Debug)]
pub struct Session {
    #[cfg(feature = "mpi")]
    _mpi: Option<super::mpi::Mpi>,
}

/// Joins the processes that were started together with this one, if any.
///
/// # Errors
/// There are some, and this build cannot reach them.
#[cfg(feature = "mpi")]
pub fn join() -> Result<(Ranks, Session)> {
    use std::sync::Arc;
    if !started_together() {
        return Ok((Ranks::alone(), Session { _mpi: None }));
    }
    let (mpi, world) = super::mpi::Mpi::join()?;
    let ranks = if super::Wire::world(&world) > 1 { Ranks(Some(Arc::new(world))) } else { Ranks::alone() };
    Ok((ranks, Session { _mpi: Some(mpi) }))
}

/// Joins the processes that were started together with this one, if any.
///
/// # Errors
/// There are some, and this build cannot reach them.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<(Ranks, Session)> {
    if several(|name| std::env::var(name).ok()) {
        return Err(crate::Error::config("started as one of several processes, but this build has no MPI")
            .with_hint("build it with `--features mpi`, or start it without `mpirun`"));
    }
    Ok((Ranks::alone(), Session {}))
}

impl Session {
    /// Ends the session; comes back when all have come here.
    pub fn leave(self) {
        #[cfg(feature = "mpi")]
        if let Some(mpi) = self._mpi {
            mpi.leave();
        }
    }
}

/// Whether a launcher of MPI started this process: without one MPI is not touched at all.
#[cfg(feature = "mpi")]
fn started_together() -> bool {
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Whether a launcher says that there are more processes.
#[cfg(not(feature = "mpi"))]
fn several(variable: impl Fn(&str) -> Option<String>) -> bool {
    let more =
        |name: &&str| variable(name).and_then(|size| size.parse::<usize>().ok()).is_some_and(|size| size > 1);
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].iter().any(more)
}

#[cfg(all(test, not(feature = "mpi")))]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_process_is_noticed() {
        let size = |size: &'static str| several(|name| (name == "PMI_SIZE").then(|| size.to_owned()));
        assert!(size("4") && !size("1") && !size("many"));
        assert!(!several(|_| None));
    }
}
