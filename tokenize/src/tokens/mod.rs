//! Token shards, format `tokens/1`: one Parquet row per caption, with its text ids and its image's codes.
//!
//! `key: string, caption: string?, text_ids: list<u16>?, codes: fixed_size_list<u16, grid²>?`, then string columns
//! passed through from the pairs. Ids are u32 where the vocabulary passes 65,536 entries. Several captions of one image
//! are several rows with one key. What made the ids is in the file's metadata ([`TokenMeta`]).
//!
//! ```
//! use tokenize::tokens::{TokenMeta, TokenReader, TokenRow, TokenWriter};
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("00000.parquet");
//! let meta = TokenMeta { codebook_size: 1024, grid: 2, downsampling: 8, vocab_size: 100, ..TokenMeta::default() };
//! let row = TokenRow { key: "7".into(), codes: Some(vec![5, 1023, 0, 9]), ..TokenRow::default() };
//! let mut writer = TokenWriter::new(pipeline::atomic::AtomicFile::create(&path)?, &path, &meta, &[])?;
//! writer.push(row.clone())?;
//! writer.finish()?.commit()?;
//! assert_eq!(TokenReader::open(&path)?.collect::<Result<Vec<_>, _>>()?, [row]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod meta;
mod reader;
mod schema;
mod writer;

use std::collections::BTreeMap;

pub use meta::{FORMAT, TokenMeta};
pub use reader::TokenReader;
pub use schema::schema;
pub use writer::TokenWriter;

/// One row of a token shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRow {
    /// The pair's key.
    pub key: String,
    /// The caption as it was, not normalised.
    pub caption: Option<String>,
    /// Bare BPE ids of the caption: no BOS, EOS or padding.
    pub text_ids: Option<Vec<u32>>,
    /// The image's codes in raster order, `grid²` of them.
    pub codes: Option<Vec<u16>>,
    /// The columns passed through, by name; null values are absent.
    pub extra: BTreeMap<String, String>,
}
