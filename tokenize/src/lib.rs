//! Pairs → tokens: image codecs, BPE, token shards, and the tools that look at them.
//!
//! Modules in the order in which data passes them: [`corpus`] and [`bpe`] make text into ids, [`codec`] (on [`vqgan`]
//! and [`pixels`]) makes pictures into codes, [`shards`] runs both over pair shards, [`tokens`] is the file format,
//! [`show`] and [`verify`] read it back, [`parity`] compares models with stored outputs, [`cli`] is the command.

pub mod bpe;
pub mod checkpoint;
pub mod cli;
pub mod codec;
pub mod corpus;
pub mod device;
mod error;
mod fused;
pub mod json_lines;
pub mod metrics;
pub mod parity;
pub mod pixels;
pub mod shard_list;
pub mod shards;
pub mod show;
pub mod simd;
pub mod tokens;
pub mod verify;
pub mod vqgan;

pub use error::{Error, Result};
