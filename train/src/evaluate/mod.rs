//! How good a model is: its losses on token shards, and what its drawings are worth to CLIP and Inception.
//!
//! | module | what it measures |
//! |---|---|
//! | [`rows`], [`batches`] | rows of shards, and how many of them fit into memory together |
//! | [`tokens`], [`summary`] | losses, perplexities, bits per dimension, code accuracy |
//! | [`zero_shot`] | accuracy of classes by their texts' perplexities |
//! | [`pictures`] | pictures of a folder, and which of them |
//! | [`frechet`], [`statistics`], [`fid`] | the Fréchet Inception Distance |
//! | [`clip_score`] | how well pictures go with their captions |
//! | [`table`] | a score per row as Parquet |

pub mod batches;
pub mod clip_score;
pub mod fid;
pub mod frechet;
pub mod pictures;
pub mod rows;
pub mod statistics;
pub mod summary;
pub mod table;
pub mod tokens;
pub mod zero_shot;
