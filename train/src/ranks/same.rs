//! Whether all ranks hold the same: weights, configuration, data.

use serde::{Deserialize, Serialize};

use super::Ranks;
use crate::{Error, Result};

/// What a rank holds, as hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Steps made.
    pub step: u64,
    /// Of the configuration.
    pub config: String,
    /// Of the data.
    pub data: String,
    /// Of weights and optimizer state.
    pub weights: String,
}

impl Held {
    /// What every rank holds.
    ///
    /// # Errors
    /// Some rank holds something else than rank 0.
    pub fn compare(self, ranks: &Ranks) -> Result<Vec<Self>> {
        let all = ranks.tell(Ok(self))?;
        // Every rank finds the same fault; rank 0 tells it.
        let fault = all.iter().enumerate().skip(1).find_map(|(rank, held)| all[0].fault(rank, held));
        ranks.agree(fault.map_or(Ok(()), Err))?;
        Ok(all)
    }

    fn fault(&self, rank: usize, other: &Self) -> Option<Error> {
        let (what, cure) = if self.config != other.config {
            ("another configuration", "give every process the same file and the same flags")
        } else if self.data != other.data {
            ("other data", "let every process read the same shards")
        } else if self.step != other.step {
            ("another step", "put `run.out` on a file system that all processes share")
        } else if self.weights != other.weights {
            (
                "other weights",
                "start the same build on processors of one kind; the same command again continues from the last checkpoint",
            )
        } else {
            return None;
        };
        Some(
            Error::config(format!("rank {rank} has {what} than rank 0 at step {}", self.step))
                .with_hint(cure),
        )
    }
}
