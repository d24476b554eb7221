//! Tokens to models: the third of the three crates.
//!
//! Modules in the order in which data passes them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`data`] | token shards in memory, batches as a pure function of the step |
//! | [`gpt`], [`rudolph`], [`dalle`], [`image_gpt`] | the transformer and the models that are configurations of it |
//! | [`model`], [`weights`] | any of them, and published checkpoints |
//! | [`objective`], [`optim`], [`schedule`] | losses, AdamW and Muon, the learning rate |
//! | [`run`] | the loop, the run folder, checkpoints, metrics |
//! | [`rudolph_task`], [`vqgan`] | what can be trained |
//! | [`sampling`], [`draw`], [`caption`], [`bundle`] | what a trained model is for |
//! | [`device`], [`cli`] | where it runs, and the command line |

pub mod bundle;
pub mod caption;
pub mod cli;
pub mod dalle;
pub mod dalle_pytorch;
pub mod data;
#[cfg(feature = "demo")]
pub mod demo;
pub mod device;
pub mod draw;
mod error;
mod fused;
pub mod gpt;
pub mod image_gpt;
pub mod model;
pub mod objective;
pub mod optim;
pub mod parity;
pub mod rudolph;
pub mod rudolph_task;
pub mod run;
pub mod sampling;
pub mod schedule;
pub mod score;
pub mod vqgan;
pub mod weights;

pub use error::{Error, Result};
