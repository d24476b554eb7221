//! Token shards, format `tokens/1`: one Parquet row per caption, with its text ids and its image's codes.
//!
//! `key: string, caption: string?, text_ids: list<u16>?, codes: fixed_size_list<u16, grid²>?`, then columns passed
//! through from the pairs with types of their own ([`Column`]). Ids are u32 where the vocabulary passes 65,536 entries.
//! Several captions of one image are several rows with one key. What made the ids is in the file's metadata
//! ([`TokenMeta`]).
//!
//! Two columns after the fourth have a meaning: `reason: string?` says why a row's picture has no codes and is null in
//! all other rows ([`TokenRow::reason`]); `view: string?` says which view of the picture the codes are of, where there
//! are several ([`TokenRow::view`]).
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

mod batch;
mod column;
mod groups;
mod meta;
mod reader;
mod schema;
mod writer;

use std::collections::BTreeMap;

pub use batch::{Ids, TokenBatch};
pub use column::{Column, Value};
pub use groups::{Group, Groups};
pub use meta::{FORMAT, TokenMeta};
pub use reader::{Selection, TokenReader};
pub use schema::schema;
pub use writer::TokenWriter;

/// One row of a token shard.
#[derive(Clone, Debug, Default, PartialEq)]
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
    pub extra: BTreeMap<String, Value>,
}

/// The column that says why a picture has no codes.
pub const REASON: &str = "reason";
/// The column that says which view of a picture the codes are of.
pub const VIEW: &str = "view";

impl TokenRow {
    /// Why the row's picture has no codes (a code of `pipeline explain`); `None` for a good row.
    pub fn reason(&self) -> Option<&str> {
        self.extra.get(REASON)?.as_text()
    }

    /// Which view of the picture the codes are of, where the shard has several: `whole`, `whole-flip`, `crop-0`, …
    pub fn view(&self) -> Option<&str> {
        self.extra.get(VIEW)?.as_text()
    }

    /// The class in the integer column `label`, if there is one.
    pub fn label(&self) -> Option<i64> {
        self.extra.get("label")?.as_int()
    }
}
