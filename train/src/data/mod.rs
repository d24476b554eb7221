//! Token shards in memory, checked against what the model expects, and batches as a pure function of (seed, step, rank).
//!
//! `filter` chooses rows, `expected` refuses shards that do not fit, `template` makes texts of columns, `loader` gathers
//! all of it into [`Tokens`]; `split` holds some of them out, `order` says which row comes when, `baseline` what guessing
//! by frequency costs.

mod baseline;
mod expected;
mod filter;
mod loader;
mod order;
mod split;
mod template;
mod tokens;

pub use baseline::code_frequency_loss;
pub use expected::Expected;
pub(crate) use expected::check;
pub use filter::{Values, Where};
pub use loader::Texts;
pub(crate) use loader::columns_exist;
pub use order::Order;
pub(crate) use split::split;
pub use template::Template;
pub use tokens::Tokens;
#[cfg(test)]
pub(crate) use tokens::tests::tokens_of;
