//! Training RuDOLPH from token shards: `train rudolph.toml`.
//!
//! `config` is the file, `learner` makes the steps, `scores` adds held-out losses up, `cut` counts captions that are
//! too long.

mod config;
mod cut;
mod learner;
mod scores;

pub use config::{DataConfig, RudolphTask, SampleConfig, TaskShares};
pub use learner::RudolphLearner;
