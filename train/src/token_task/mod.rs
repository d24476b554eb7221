//! Training of models of texts and images from token shards: `train rudolph.toml`, `train dalle.toml`.
//!
//! `config` is the file, `model_table` its part that a published model may fill in, `data` its part about shards. `mix` is
//! the table of tasks, `weighting` its part about losses; `exercise` is a task with its rows, `cut` counts texts that are
//! too long, `distraction` keeps images from giving themselves away. `learner` makes the steps: `part` computes one in
//! parts side by side, `scores` adds held-out losses up. `rudolph` and `dalle` are what the two models add to
//! `text_image`, what all have.

mod config;
mod cut;
mod dalle;
mod data;
mod distraction;
mod exercise;
mod facts;
#[cfg(test)]
mod golden;
mod learner;
mod mix;
mod model_table;
mod part;
mod rudolph;
mod scores;
mod shares;
mod shown;
mod text_image;
#[cfg(test)]
mod tuning;
mod weighting;

pub use config::{SampleConfig, TokenTask};
pub use data::{DataConfig, SetConfig};
pub use distraction::Distraction;
pub use learner::TokenLearner;
pub use mix::{Practice, Rows, TaskKind, TaskMix};
pub use model_table::ModelTable;
pub use text_image::{TextImage, TextImageConfig};
pub use weighting::LossTracks;

/// The whole of `rudolph.toml`.
pub type RudolphTask = TokenTask<crate::rudolph::RudolphConfig>;

/// The whole of `dalle.toml`.
pub type DalleTask = TokenTask<crate::dalle::DalleConfig>;
