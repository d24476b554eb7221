//! Links to image-text pairs: the first of the three crates, and the ground the other two stand on.
//!
//! Modules in the order in which data passes them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`settings`], [`cli`] | a config file merged with `--set`, the flags all programs share |
//! | [`progress`], [`interrupt`] | one progress line; Ctrl-C as a flag |
//! | [`io_failure`] | what a full disk or a missing file means for a program |
//! | [`atomic`], [`store`], [`mod@unit`] | files that appear whole, a folder or bucket, the plan/unit/commit contract |
//! | `crawl` (feature `crawl`) | link list → download → decode → resize → pair shards |
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
mod error;
pub mod interrupt;
pub mod io_failure;
pub mod page;
pub mod pairs;
pub mod picture;
pub mod progress;
mod python_json;
pub mod reason;
pub mod settings;
pub mod store;
#[cfg(feature = "card")]
mod tally;
pub mod unit;

pub use error::{Error, Result};
