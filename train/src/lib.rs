//! Tokens to models: the third of the three crates.
//!
//! Modules in the order in which data passes them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`data`] | token shards in memory, batches as a pure function of the step |
//! | [`gpt`], [`rudolph`], [`dalle`], [`image_gpt`] | the transformer and the models that are configurations of it |
//! | [`model`], [`weights`], [`presets`], [`convert`] | any of them, and published checkpoints in and out |
//! | [`objective`], [`optim`], [`schedule`], [`average`] | losses, four optimizers, the learning rate, the mean of the weights |
//! | [`ranks`] | several processes and devices that make one run together |
//! | [`run`] | the loop, the run folder, checkpoints, metrics |
//! | [`curves`] | how a run went: its metrics in the terminal and on a page |
//! | [`token_task`], [`image_gpt_task`], [`vqgan`] | what can be trained |
//! | [`sampling`], [`draw`], [`words`], [`classify`], [`bundle`] | what a trained model is for |
//! | [`evaluate`], [`probe`], [`clip`], [`inception`] | how good it is, and the networks that judge its drawings |
//! | [`device`], [`machine`], [`cli`] | where it runs, what is there, and the command line |

pub mod average;
pub mod bundle;
pub mod classify;
pub mod cli;
pub mod clip;
pub mod convert;
pub mod curves;
pub mod dalle;
pub mod dalle_pytorch;
pub mod data;
#[cfg(feature = "demo")]
pub mod demo;
pub mod device;
pub mod draw;
mod error;
pub mod evaluate;
mod fused;
pub mod gpt;
pub mod image_gpt;
pub mod image_gpt_task;
pub mod inception;
pub mod machine;
pub mod model;
pub mod objective;
pub mod optim;
pub mod parity;
pub mod presets;
pub mod probe;
pub mod ranks;
pub mod rudolph;
pub mod run;
pub mod sampling;
pub mod schedule;
pub mod score;
pub mod token_task;
pub mod vqgan;
pub mod weights;
pub mod words;

pub use error::{Error, Result};
