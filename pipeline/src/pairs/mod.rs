//! Pair shards: one Parquet row per input row, failures included, in input order.
//!
//! Names, types and order of the columns are those of img2dataset's parquet output, own columns follow them, and the
//! image bytes come last under the name of their format: `[additional columns…], caption, url, key, status,
//! error_message, width, height, original_width, original_height, exif, md5|sha256|sha512, reason, rule, jpg|png|webp`.
//! `exif` and the hash are there on request; a hash that was verified stands before `url`, as in img2dataset.
//! Either tool reads the other's shards. Pictures may also lie beside a table without that last column, in a tar of
//! webdataset or in a folder ([`sample`] has their files); [`PairReader`] finds them there.

mod beside;
mod hash;
#[cfg(feature = "crawl")]
mod key;
mod reader;
mod row;
pub mod sample;
pub mod sift;
mod table;
pub mod tar;
mod writer;

pub use hash::HashKind;
#[cfg(feature = "crawl")]
pub(crate) use key::Keys;
#[cfg(feature = "card")]
pub(crate) use reader::selection;
pub use reader::{PairReader, PairShard, RowRange, image_column, open, shards};
#[cfg(feature = "crawl")]
pub(crate) use row::is_reserved;
pub use row::{Columns, Layout, Pair, Row, schema};
#[cfg(feature = "crawl")]
pub(crate) use table::difference;
pub use table::{Scan, Table, TableWriter};
pub use writer::PairWriter;

/// Value of the metadata key `troika.format`.
pub const FORMAT: &str = "pairs/1";
/// The same for a table of links.
pub const LINKS: &str = "links/1";
