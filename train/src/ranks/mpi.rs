//! Ranks over MPI: `mpirun -n 4 train CONFIG.toml`.
//!
//! MPI's own error handling stands: when a process or the network fails, it ends all processes, and the same command
//! continues from the last checkpoint.

use std::fmt;
use std::mem::ManuallyDrop;

use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::Wire;
use crate::{Error, Result};

/// MPI as long as it runs. Not left by dropping: that would wait for processes which may wait for this one.
pub(super) struct Mpi(ManuallyDrop<Universe>);

/// All processes that `mpirun` started.
#[derive(Debug)]
pub(super) struct World {
    rank: usize,
    world: usize,
    local: usize,
}

impl Mpi {
    /// Starts MPI; possible once in a process.
    pub(super) fn join() -> Result<(Self, World)> {
        // Only the thread that trains sends anything; the others compute.
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or_else(|| Error::config("MPI was started before in this process"))?;
        let all = universe.world();
        let number = |x: i32| usize::try_from(x).unwrap_or(0);
        let local = number(all.split_shared(all.rank()).rank());
        let world = World { rank: number(all.rank()), world: number(all.size()), local };
        Ok((Self(ManuallyDrop::new(universe)), world))
    }

    /// Ends MPI; comes back when all processes have come here.
    pub(super) fn leave(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mpi")
    }
}

impl Wire for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.world
    }

    fn local(&self) -> usize {
        self.local
    }

    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        let all = SimpleCommunicator::world();
        // A message is a few lines.
        let mut counts = vec![0i32; self.world];
        all.all_gather_into(&i32::try_from(mine.len()).unwrap_or(i32::MAX), &mut counts[..]);
        let mut end = 0;
        let mut begin = |count: &i32| {
            end += count;
            end - count
        };
        let starts: Vec<i32> = counts.iter().map(&mut begin).collect();
        let mut bytes = vec![0u8; usize::try_from(end).unwrap_or(0)];
        all.all_gather_varcount_into(mine, &mut PartitionMut::new(&mut bytes[..], &counts[..], &starts[..]));
        let mut bytes = bytes.as_slice();
        let mut take = |count: &i32| {
            let (now, rest) = bytes.split_at(usize::try_from(*count).unwrap_or(0));
            bytes = rest;
            now.to_vec()
        };
        counts.iter().map(&mut take).collect()
    }

    fn exchange(&self, send: &[f32], receive: &mut [f32]) {
        SimpleCommunicator::world().all_to_all_into(send, receive);
    }

    fn collect(&self, mine: &[f32], all: &mut [f32]) {
        SimpleCommunicator::world().all_gather_into(mine, all);
    }
}
