//! The curves of a run: out of its `metrics.jsonl` into a terminal, and onto pages that need nothing else.
//!
//! Which metrics there are the file says: no name is known here but `loss`, which is drawn large, and the speeds. A run
//! of a month has a hundred thousand lines, so a curve is drawn as the lowest, the highest and the mean value of each
//! column that there is room for: a spike of one line stays visible.

mod columns;
mod comparison;
mod live;
mod page;
mod read;
mod report;
mod scale;
mod svg;
mod text;

pub use comparison::Comparison;
pub use live::Live;
pub use read::{Curves, HELD_OUT, Points, Series, TRAIN};
pub use report::Report;
pub use scale::number;
pub(crate) use svg::{Chart, Line, STYLE};
pub use text::curves_of;
