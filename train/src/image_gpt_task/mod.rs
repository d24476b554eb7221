//! Training ImageGPT from token shards: `train imagegpt.toml`.
//!
//! `config` is the file, `learner` makes the steps, `pupil` is the model with its classifier and their losses, `part`
//! computes a step in parts side by side, `mask` hides pixels for BERT's objective, `labels` reads classes from the
//! shards, `baseline` says what counting neighbours reaches, `sheet` draws while training.

mod baseline;
mod config;
mod labels;
mod learner;
mod mask;
mod part;
mod pupil;
mod sheet;

pub use baseline::{Context, baseline};
pub use config::{ClassifyConfig, ImageGptTask, Pace, PictureData, SheetConfig};
pub(crate) use labels::{Classes, labels};
pub use learner::ImageGptLearner;
pub use pupil::Pupil;
