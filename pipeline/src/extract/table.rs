//! Link tables: Parquet, one row per link.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use sha2::{Digest, Sha256};

use super::compat::cc2dataset;
use super::config::{CaptionSource, Compat, ExtractConfig};
use super::counts::ExtractCounts;
use super::link::Page;
use crate::pairs::TableWriter;
use crate::{Error, Result};

/// Value of the metadata key `troika.format`.
pub const FORMAT: &str = "links/1";
/// Rows, and bytes of text, after which rows are handed to the Parquet writer.
const BATCH: (usize, usize) = (8192, 8 << 20);

/// The columns of a link table, all of them text; `url` is never null.
pub const COLUMNS: [&str; 12] = [
    "url",
    "caption",
    "alt",
    "title",
    "figcaption",
    "heading",
    "src",
    "srcset_url",
    "lazy_url",
    "page_url",
    "page_language",
    "licence",
];

/// What a page gave.
#[derive(Debug)]
pub(super) enum Found {
    /// Its links.
    Page(Page),
    /// What cc2dataset takes from it.
    Cc2dataset(cc2dataset::Page),
}

/// Writes the rows of one unit, in order.
pub(super) struct LinkTable<W: Write + Send> {
    writer: TableWriter<W>,
    columns: Vec<StringBuilder>,
    rows: usize,
    bytes: usize,
    captions: Vec<CaptionSource>,
    captioned_only: bool,
    /// Hashes of the links so far, where none may come twice.
    seen: Option<HashSet<[u8; 16]>>,
}

impl<W: Write + Send> LinkTable<W> {
    /// Starts a table in `target`; `plan_id` goes into its metadata, `name` is for messages.
    pub(super) fn new(target: W, config: &ExtractConfig, plan_id: &str, name: &str) -> Result<Self> {
        let schema = schema(config.output.compat);
        let columns = schema.fields().iter().map(|_| StringBuilder::new()).collect();
        let metadata = [("troika.plan".to_owned(), plan_id.to_owned())];
        Ok(Self {
            writer: TableWriter::new(target, schema, FORMAT, &metadata, name)?,
            columns,
            rows: 0,
            bytes: 0,
            captions: config.page.captions.clone(),
            captioned_only: config.output.captioned_only,
            seen: config.output.dedup.then(HashSet::new),
        })
    }

    /// Appends the links of a page, and counts them.
    pub(super) fn push(&mut self, found: &Found, counts: &mut ExtractCounts) -> Result<()> {
        match found {
            Found::Page(page) => self.page(page, counts),
            Found::Cc2dataset(page) => {
                for row in &page.rows {
                    if self.is_new(&row.url, &row.alt, counts) {
                        let cells = [&row.uid, &row.url, &row.alt, &page.cc_filename, &page.page_url];
                        self.row(&cells.map(|cell| Some(cell.as_str())));
                        counts.links += 1;
                    }
                }
            }
        }
        match self.rows >= BATCH.0 || self.bytes >= BATCH.1 {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn page(&mut self, page: &Page, counts: &mut ExtractCounts) {
        counts.not_links += page.not_links;
        counts.over_limit += page.over_limit;
        for link in &page.links {
            let Some(url) = link.url() else {
                counts.not_links += 1;
                continue;
            };
            let caption = link.caption(&self.captions);
            if caption.is_none() && self.captioned_only {
                counts.uncaptioned += 1;
                continue;
            }
            if !self.is_new(url, caption.unwrap_or(""), counts) {
                continue;
            }
            counts.links += 1;
            counts.without_caption += u64::from(caption.is_none());
            let cells = [
                Some(url),
                caption,
                link.alt.as_deref(),
                link.title.as_deref(),
                link.figcaption.as_deref(),
                link.heading.as_deref(),
                link.src.as_deref(),
                link.srcset_url.as_deref(),
                link.lazy_url.as_deref(),
                page.url.as_deref(),
                page.language.as_deref(),
                link.licence.as_deref(),
            ];
            self.row(&cells);
        }
    }

    /// Whether a link is to be written; one that was there is counted.
    fn is_new(&mut self, url: &str, caption: &str, counts: &mut ExtractCounts) -> bool {
        let Some(seen) = &mut self.seen else { return true };
        let hash = Sha256::new().chain_update(url).chain_update([0]).chain_update(caption).finalize();
        let new = seen.insert(std::array::from_fn(|i| hash[i]));
        counts.duplicates += u64::from(!new);
        new
    }

    fn row(&mut self, cells: &[Option<&str>]) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.append_option(*cell);
        }
        self.rows += 1;
        self.bytes += cells.iter().flatten().map(|cell| cell.len()).sum::<usize>();
    }

    fn flush(&mut self) -> Result<()> {
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let batch = RecordBatch::try_new(Arc::clone(self.writer.schema()), columns)
            .map_err(|e| Error::Write { path: "link table".into(), message: e.to_string() })?;
        self.writer.write(&batch)
    }

    /// Ends the table and gives its target back, with the number of rows.
    pub(super) fn close(mut self) -> Result<(W, u64)> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.close()
    }
}

fn schema(compat: Compat) -> SchemaRef {
    let names: &[&str] = match compat {
        Compat::None => &COLUMNS,
        Compat::Cc2dataset => &cc2dataset::COLUMNS,
    };
    let field = |name: &&str| Field::new(*name, DataType::Utf8, *name != "url");
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::super::link::Link;
    use super::*;

    fn config(sets: &[&str]) -> ExtractConfig {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        crate::settings::load(None, &sets).unwrap()
    }

    fn link(url: &str, alt: Option<&str>) -> Link {
        Link { src: Some(url.to_owned()), alt: alt.map(str::to_owned), ..Link::default() }
    }

    fn written(config: &ExtractConfig, links: Vec<Link>) -> (ExtractCounts, u64) {
        let mut table = LinkTable::new(Vec::new(), config, "plan", "x").unwrap();
        let mut counts = ExtractCounts::default();
        let page = Page { links, not_links: 2, ..Page::default() };
        table.push(&Found::Page(page), &mut counts).unwrap();
        let (_, rows) = table.close().unwrap();
        (counts, rows)
    }

    #[test]
    fn links_are_counted_as_they_are_written() {
        let links = || {
            let (a, b) = ("http://h/a", "http://h/b");
            vec![link(a, Some("x")), link(b, Some("")), Link::default(), link(a, Some("x")), link(a, None)]
        };
        let (counts, rows) = written(&config(&[]), links());
        assert_eq!((rows, counts.links, counts.without_caption, counts.not_links), (4, 4, 2, 3));
        let (counts, rows) = written(&config(&["output.dedup=true"]), links());
        assert_eq!((rows, counts.links, counts.duplicates), (3, 3, 1));
        let (counts, rows) = written(&config(&["output.captioned_only=true"]), links());
        assert_eq!((rows, counts.links, counts.without_caption, counts.uncaptioned), (2, 2, 0, 2));
    }

    #[test]
    fn an_empty_table_has_its_columns() {
        let table = LinkTable::new(Vec::new(), &config(&[]), "plan", "x").unwrap();
        let names: Vec<_> = table.writer.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, COLUMNS);
        assert_eq!(table.close().unwrap().1, 0);
    }
}
