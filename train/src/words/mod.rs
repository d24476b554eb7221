//! Everything that RuDOLPH says: captions, answers, continued texts.
//!
//! `say` draws ids one by one into a left or a right text, many texts at a time, with a K/V cache that is filled once
//! for all texts behind one image. [`caption()`], [`answer()`] and [`write()`] frame what is asked for as the published code
//! does; [`mod@candidates`] counts what came out and ranks it.
//!
//! Source: `rudolph/api.py` (`generate_captions`, `generate_texts`, `self_reranking_by_image`) and, for questions, the
//! fine-tuning notebook of the 2.7B model.

pub mod answer;
pub mod candidates;
pub mod caption;
pub(crate) mod say;
pub mod task;
pub mod write;

pub use answer::{Question, answer};
pub use candidates::{Counted, Ranking, count, rank_by_image};
pub use caption::{Captioning, Templates, candidates, caption};
pub use task::TokenPair;
pub use write::{left_perplexities, write};
