//! The input: link lists (Parquet, CSV, TSV, JSON, plain text), images that are there already (folders, tars, columns of
//! bytes), and the failures of an earlier output; a block of rows in memory at a time.
//!
//! A list is scanned once for the plan (row count and, for texts that are not packed, the byte at which each unit
//! begins), then read unit by unit. Where there is no such byte, rows are passed until the unit begins; the reader of
//! one unit stays open for the next, so that units in order read a list once.

mod column;
mod delimited;
mod earlier;
mod find;
mod format;
mod json;
mod lines;
mod parked;
mod records;
mod retry;
mod samples;
mod source;
mod table;
mod text;
mod tree;
mod utf16;
mod webdataset;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use self::delimited::{Cells, Dialect};
use self::earlier::Earlier;
use self::json::Values;
use self::lines::Lines;
use self::parked::Parked;
use self::records::{Rows, Sequence, count};
use self::table::Table;
use self::tree::Tree;
use self::webdataset::Samples;
use super::config::{CrawlConfig, InputConfig};
use super::local::Stored;
use crate::reason::Reason;
use crate::settings::suggest;
use crate::unit::Unit;
use crate::{Error, Result};

pub(crate) use self::column::list_column;
pub(crate) use self::find::{files_like, has_wildcard, is_url, objects_like, split};
pub use self::format::ListFormat;
pub use self::retry::RetryFailed;
pub(crate) use self::source::{Source, http_object};
pub(crate) use self::tree::Walk;

/// Rows that are handed on, and later written, together: few, as all their pictures are in memory before they are.
pub(super) const BLOCK: usize = 32;

/// A URL of the list (or, for an image that is there, its place), or why the row has none.
pub(super) type Link = Result<String, Reason>;

/// Consecutive rows of a list.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) links: Vec<Link>,
    pub(super) captions: Vec<Option<String>>,
    /// The additional columns, as long as `links`.
    pub(super) extra: Vec<ArrayRef>,
    /// The images, where they are there already; else empty.
    pub(super) stored: Vec<Stored>,
}

/// Which columns are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    pub(super) url: String,
    pub(super) caption: Option<String>,
    /// Additional columns with the types that they have in the list.
    pub(super) extra: Vec<Field>,
    /// Column of image bytes, in a table that has one.
    pub(super) image: Option<String>,
}

/// One input file, or a folder of images.
#[derive(Clone, Debug)]
pub(super) struct ListFile {
    /// As the plan names it.
    pub(super) name: String,
    content: Content,
    parked: Parked,
}

/// What it is, and where.
#[derive(Clone, Debug)]
enum Content {
    Table(Source),
    Delimited(Source, Dialect),
    Json(Source),
    Jsonl(Source),
    Txt(Source),
    Tar(Source),
    Images(PathBuf),
    Earlier(Arc<Earlier>),
}

impl Content {
    fn of(source: Source, format: ListFormat, quoting: bool) -> Result<Self> {
        Ok(match format {
            ListFormat::Parquet => Self::Table(source),
            ListFormat::Csv => Self::Delimited(source, Dialect { delimiter: b',', quoting }),
            ListFormat::Tsv => Self::Delimited(source, Dialect { delimiter: b'\t', quoting }),
            ListFormat::Json => Self::Json(source),
            ListFormat::Jsonl => Self::Jsonl(source),
            ListFormat::Txt => Self::Txt(source),
            ListFormat::Webdataset => Self::Tar(source),
            ListFormat::Images => {
                return Err(Error::input(source.name(), "input.format is images: not a folder"));
            }
        })
    }
}

impl ListFile {
    /// The input files that the config names, folders and patterns opened up; all must exist.
    pub(super) fn find(config: &CrawlConfig) -> Result<Vec<Self>> {
        find::find(config)
    }

    /// How it is read.
    pub(super) fn format(&self) -> ListFormat {
        match &self.content {
            Content::Table(_) | Content::Earlier(_) => ListFormat::Parquet,
            Content::Delimited(_, dialect) if dialect.delimiter == b',' => ListFormat::Csv,
            Content::Delimited(..) => ListFormat::Tsv,
            Content::Json(_) => ListFormat::Json,
            Content::Jsonl(_) => ListFormat::Jsonl,
            Content::Txt(_) => ListFormat::Txt,
            Content::Tar(_) => ListFormat::Webdataset,
            Content::Images(_) => ListFormat::Images,
        }
    }

    /// Size in bytes and hash of the content; of a large file parts are read, of a folder names and sizes.
    pub(super) fn digest(&self) -> Result<(u64, String)> {
        match &self.content {
            Content::Images(folder) => tree::digest(folder),
            Content::Earlier(earlier) => earlier.digest(),
            Content::Table(source)
            | Content::Delimited(source, _)
            | Content::Json(source)
            | Content::Jsonl(source)
            | Content::Txt(source)
            | Content::Tar(source) => Ok((source.bytes()?, source.digest()?)),
        }
    }

    /// Which columns the config asks for, with their types here.
    ///
    /// # Errors
    /// [`Error::Input`] when one is not there, with those that are.
    pub(super) fn columns(&self, input: &InputConfig) -> Result<Columns> {
        let fields = self.fields(input)?;
        let find = |name: &str, key: &str| self.column(&fields, name, key);
        if let Content::Earlier(earlier) = &self.content {
            input.columns.iter().try_for_each(|name| find(name, "input.columns").map(|_| ()))?;
            return Ok(earlier.columns(input, &fields));
        }
        let image = match &self.content {
            Content::Table(_) => self.image(&fields, input)?,
            _ => None,
        };
        let url = match &self.content {
            Content::Tar(_) | Content::Images(_) => input.url_col.clone(),
            _ if image.is_some() => input.url_col.clone(),
            _ => find(&input.url_col, "input.url_col")?.name().clone(),
        };
        let caption = match &input.caption_col {
            Some(name) => Some(find(name, "input.caption_col")?.name().clone()),
            None => fields.iter().any(|field| field.name() == "caption").then(|| "caption".to_owned()),
        };
        let named = input.columns.iter().map(|name| find(name, "input.columns"));
        let extra = match &self.content {
            Content::Table(source) if input.columns.is_empty() && table::is_links(source)? => {
                table::carried(&fields, &url, caption.as_deref())
            }
            _ => named.collect::<Result<_>>()?,
        };
        Ok(Columns { url, caption, extra, image })
    }

    fn fields(&self, input: &InputConfig) -> Result<Vec<Field>> {
        match &self.content {
            Content::Table(source) => table::fields(source),
            Content::Delimited(source, dialect) => Ok(Cells::open(source, *dialect, None)?.fields()),
            Content::Json(source) => json::fields(source, Values::open(source, None)?, &input.url_col),
            Content::Jsonl(source) => json::fields(source, Lines::open(source, None)?, &input.url_col),
            Content::Txt(_) => Ok(vec![lines::text_field(&input.url_col)]),
            Content::Tar(source) => samples::fields(Samples::open(source, 0)?),
            Content::Images(folder) => samples::fields(Tree::open(folder)?),
            Content::Earlier(earlier) => earlier.fields(),
        }
    }

    fn column(&self, fields: &[Field], name: &str, key: &str) -> Result<Field> {
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        match fields.iter().find(|field| field.name() == name) {
            Some(field) => Ok(field.clone()),
            // A list without a header or a first line has no rows either; the plan says so.
            None if names.is_empty() => Ok(lines::text_field(name)),
            None => {
                let message = format!("no column `{name}`; there are: {}", names.join(", "));
                let cure = match suggest(name, &names) {
                    Some(near) => format!("did you mean {key} = \"{near}\"?"),
                    None => format!("set {key}"),
                };
                Err(Error::input(&self.name, message).with_hint(cure))
            }
        }
    }

    fn image(&self, fields: &[Field], input: &InputConfig) -> Result<Option<String>> {
        let Some(wanted) = input.image_col.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(input.image_col.is_none().then(|| table::image_column(fields, None)).flatten());
        };
        self.column(fields, wanted, "input.image_col")?;
        let found = table::image_column(fields, Some(wanted));
        found.map(Some).ok_or_else(|| Error::input(&self.name, format!("column `{wanted}` holds no bytes")))
    }

    /// Rows, and the bytes at which the units begin (none where reading cannot begin at a byte).
    pub(super) fn scan(&self, rows_per_unit: u64) -> Result<(u64, Vec<u64>)> {
        match &self.content {
            Content::Table(source) => Ok((table::rows(source)?, Vec::new())),
            Content::Delimited(source, dialect) => count(Cells::open(source, *dialect, None)?, rows_per_unit),
            Content::Json(source) => count(Values::open(source, None)?, rows_per_unit),
            Content::Jsonl(source) | Content::Txt(source) => count(Lines::open(source, None)?, rows_per_unit),
            Content::Tar(source) => count(Samples::open(source, 0)?.bare(), rows_per_unit),
            Content::Images(folder) => Ok((Tree::open(folder)?.count()?, Vec::new())),
            Content::Earlier(earlier) => Ok((earlier.count()?, Vec::new())),
        }
    }

    /// Hands the rows of a unit to `each`, block by block, until it says `false`.
    pub(super) fn read(
        &self,
        columns: &Columns,
        unit: &Unit,
        each: &mut dyn FnMut(Block) -> bool,
    ) -> Result<()> {
        let mut rows = match self.parked.take(&self.name, unit, self.goes_anywhere(unit))? {
            Some(rows) => rows,
            None => self.open(columns, unit)?,
        };
        let mut left = unit.rows;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            let Some(block) = rows.block(most)? else {
                return Err(Error::input(&self.name, "the list has become shorter since the plan was made"));
            };
            left -= block.links.len() as u64;
            if !each(block) {
                return Ok(());
            }
        }
        self.parked.put(&self.name, unit, rows);
        Ok(())
    }

    /// Whether reading can begin at the unit without passing what is before it.
    fn goes_anywhere(&self, unit: &Unit) -> bool {
        unit.offset.is_some() || matches!(self.content, Content::Table(_))
    }

    /// Opens the list at the first row of a unit.
    fn open(&self, columns: &Columns, unit: &Unit) -> Result<Box<dyn Rows>> {
        let at = unit.offset;
        let wanted = columns.clone();
        let mut rows: Box<dyn Rows> = match &self.content {
            Content::Table(source) => Box::new(Table::open(source, columns, unit.start)?),
            Content::Delimited(source, dialect) => {
                let make = delimited::maker(&delimited::header(source, *dialect)?, columns);
                Box::new(Sequence { records: Cells::open(source, *dialect, at)?, make })
            }
            Content::Json(source) => Box::new(Sequence {
                records: Values::open(source, at)?,
                make: Box::new(move |rows| json::block(rows, &wanted)),
            }),
            Content::Jsonl(source) => Box::new(Sequence {
                records: Lines::open(source, at)?,
                make: Box::new(move |rows| json::block(rows, &wanted)),
            }),
            Content::Txt(source) => Box::new(Sequence {
                records: Lines::open(source, at)?,
                make: Box::new(move |rows| lines::block_of_urls(rows, &wanted)),
            }),
            Content::Tar(source) => Box::new(Sequence {
                records: Samples::open(source, at.unwrap_or(0))?,
                make: Box::new(move |rows| samples::block(rows, &wanted)),
            }),
            Content::Images(folder) => Box::new(Sequence {
                records: Tree::open(folder)?,
                make: Box::new(move |rows| samples::block(rows, &wanted)),
            }),
            Content::Earlier(earlier) => Box::new(earlier.open(columns)?),
        };
        if !self.goes_anywhere(unit) {
            rows.skip(unit.start)?;
        }
        Ok(rows)
    }
}

/// A URL cell: empty is missing.
fn link(url: Option<&str>) -> Link {
    match url.map(str::trim) {
        None | Some("") => Err(Reason::UrlMissing),
        Some(url) => Ok(url.to_owned()),
    }
}

#[cfg(test)]
mod tests;
