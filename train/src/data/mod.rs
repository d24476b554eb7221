//! Token shards in memory, checked against what the model expects, and batches as a pure function of (seed, step, rank).
//!
//! `filter` chooses rows, `expected` refuses shards that do not fit, `template` makes texts of columns, `loader` gathers
//! all of it into [`Tokens`]; `split` holds some of them out, `order` says which row comes when, `baseline` what guessing
//! by frequency costs. Where shards do not fit into memory, `catalog` knows them by their footers and `stream` reads a
//! window of them at a time.

mod baseline;
mod catalog;
mod expected;
mod filter;
mod loader;
mod order;
mod split;
mod stream;
mod template;
mod tokens;

pub use baseline::code_frequency_loss;
pub use catalog::{Block, Catalog, Reading};
pub use expected::Expected;
pub(crate) use expected::check;
pub use filter::{Values, Where};
pub use loader::Texts;
pub(crate) use loader::columns_exist;
pub use order::Order;
pub(crate) use split::split;
pub use stream::{Choose, Stream, Taken, Window};
pub use template::Template;
pub use tokens::Tokens;
#[cfg(test)]
pub(crate) use tokens::tests::tokens_of;
