//! Training RuDOLPH from token shards: `train rudolph.toml`.
//!
//! `config` is the file, `learner` makes the steps, `scores` adds held-out losses up, `cut` counts captions that are
//! too long, `distraction` keeps images from giving themselves away,
//! `part` computes a step in parts side by side.

mod config;
mod cut;
mod distraction;
mod learner;
mod part;
mod scores;

pub use config::{DataConfig, RudolphTask, SampleConfig, TaskShares};
pub use distraction::Distraction;
pub use learner::RudolphLearner;
