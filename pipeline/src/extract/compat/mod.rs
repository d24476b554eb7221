//! The habits of other programs.

pub(super) mod cc2dataset;
mod python_url;
