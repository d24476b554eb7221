//! Several processes, and several devices in each, that make one run together.
//!
//! Every rank (the number of a process) holds the same weights. A step's parts go round the ranks, their gradients are
//! added in the order of the parts, every rank gets the same sum and makes the same optimizer step: the bits of a run do
//! not depend on how many processes made it. Only rank 0 writes and talks.
//!
//! Whatever can fail on one rank alone goes through [`Ranks::agree`], so that all end together and none waits for ever.

mod flat;
mod letter;
#[cfg(feature = "mpi")]
mod mpi;
mod same;
mod session;
mod sum;
mod team;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod threads;

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use same::Held;
pub use session::{Session, join};
pub use sum::Sum;
pub use team::Team;

use crate::Result;

/// The processes of a run, seen from one of them.
#[derive(Clone, Debug, Default)]
pub struct Ranks(Option<Arc<dyn Wire>>);

/// What carries numbers and words between processes. Every rank makes the same calls in the same order.
trait Wire: Debug + Send + Sync {
    /// This process's number.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn world(&self) -> usize;

    /// This process's number among those on its machine.
    fn local(&self) -> usize;

    /// What every rank says, in the order of the ranks.
    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>>;

    /// `send` holds equal pieces, one for each rank; `receive` becomes the pieces that the ranks have sent here, in order.
    fn exchange(&self, send: &[f32], receive: &mut [f32]);

    /// `all` becomes what every rank holds, equally long pieces in the order of the ranks.
    fn collect(&self, mine: &[f32], all: &mut [f32]);
}

impl Ranks {
    /// One process by itself.
    #[must_use]
    pub fn alone() -> Self {
        Self::default()
    }

    /// This process's number.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |wire| wire.rank())
    }

    /// How many processes there are.
    #[must_use]
    pub fn world(&self) -> usize {
        self.0.as_ref().map_or(1, |wire| wire.world())
    }

    /// This process's number among those on its machine.
    #[must_use]
    pub fn local(&self) -> usize {
        self.0.as_ref().map_or(0, |wire| wire.local())
    }

    /// Whether it is this process that writes and talks.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// What every rank says, in the order of the ranks; comes back when all have said it.
    ///
    /// # Errors
    /// That of the first rank that has one: as it is on rank 0, [`crate::Error::Rank`] on all others.
    pub fn tell<T: Serialize + DeserializeOwned>(&self, mine: Result<T>) -> Result<Vec<T>> {
        match &self.0 {
            None => Ok(vec![mine?]),
            Some(wire) => letter::tell(wire.as_ref(), mine),
        }
    }

    /// Waits for all. What fails on one rank fails on all.
    ///
    /// # Errors
    /// As for [`Ranks::tell`].
    pub fn agree<T>(&self, mine: Result<T>) -> Result<T> {
        let (value, fault) = match mine {
            Ok(value) => (Some(value), Ok(true)),
            Err(error) => (None, Err(error)),
        };
        self.tell(fault)?;
        value.ok_or_else(|| letter::lost(self.rank()))
    }

    /// What rank 0 finds.
    ///
    /// # Errors
    /// As for [`Ranks::tell`].
    pub fn first<T: Serialize + DeserializeOwned + Default>(
        &self,
        find: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let found = self.tell(if self.is_first() { find() } else { Ok(T::default()) })?;
        found.into_iter().next().ok_or_else(|| letter::lost(0))
    }
}
