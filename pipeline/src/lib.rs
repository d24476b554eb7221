//! Links to image-text pairs: the first of the three crates, and the ground the other two stand on.
//!
//! Modules in the order in which data passes them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`settings`], [`cli`] | a config file merged with `--set`, the flags all programs share |
//! | [`progress`], [`terminal`], [`interrupt`] | one progress line; the room it has; Ctrl-C as a flag |
//! | [`io_failure`] | what a full disk or a missing file means for a program |
//! | [`atomic`], [`store`], [`mod@unit`] | files that appear whole, a folder or bucket, the plan/unit/commit contract |
//! | `crawl` (feature `crawl`) | link list → download → decode → resize → pair shards |
//! | `filter` (feature `crawl`) | shards or links → those that the rules keep |
//! | `dedup` (feature `crawl`) | pair shards or link tables → the same without duplicates |
//! | `reshard` (feature `crawl`) | shards cut anew: merged, subset, split, shuffled, sorted |
//! | `score` (feature `score`) | columns from ONNX models |
//! | `extract` (feature `crawl`) | web archives, pages, sitemaps → link tables |
//! | `card` (feature `card`) | folders of shards → a page that shows what is in them |
//! | [`page`] | the look that the programs' pages share |
//! | [`picture`], [`reason`] | pixels, and why a row has none |
//! | [`pairs`] | the pair shards, written and read |

pub mod atomic;
#[cfg(feature = "card")]
pub mod card;
pub mod cli;
#[cfg(feature = "crawl")]
pub mod crawl;
#[cfg(feature = "crawl")]
pub mod dedup;
mod error;
#[cfg(feature = "crawl")]
pub mod extract;
#[cfg(feature = "crawl")]
pub mod filter;
pub mod interrupt;
pub mod io_failure;
pub mod page;
pub mod pairs;
pub mod picture;
pub mod progress;
mod python_json;
pub mod reason;
#[cfg(feature = "crawl")]
pub mod reshard;
#[cfg(feature = "score")]
pub mod score;
pub mod settings;
pub mod store;
#[cfg(feature = "crawl")]
mod tally;
pub mod terminal;
pub mod unit;

pub use error::{Error, Result};
