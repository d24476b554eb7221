//! `tokenize show`: what token shards hold, in figures.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use pipeline::progress::{Progress, ProgressStyle};
use serde::Serialize;

use crate::metrics::{CodeUsage, CodeUsageSummary};
use crate::tokens::{TokenMeta, TokenReader, TokenRow};
use crate::{Error, Result, shard_list};

/// Smallest, middle and largest of a set of lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: usize,
    /// The arithmetic mean.
    pub mean: f64,
    /// Half are not longer.
    pub median: usize,
    /// 99 % are not longer: what a text segment should hold.
    pub p99: usize,
    /// The longest.
    pub max: usize,
}

impl Lengths {
    /// Figures of `lengths`, in any order; all zero where there are none.
    pub fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let (Some(&min), Some(&max)) = (lengths.first(), lengths.last()) else { return Self::default() };
        let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share).ceil() as usize];
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        Self { min, mean, median: at(0.5), p99: at(0.99), max }
    }
}

/// What a set of token shards holds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Number of files.
    pub shards: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of different keys.
    pub keys: usize,
    /// Rows with text ids.
    pub with_text: usize,
    /// Rows with codes.
    pub with_codes: usize,
    /// Columns in order with their types.
    pub columns: Vec<(String, String)>,
    /// What made the ids.
    pub meta: TokenMeta,
    /// Characters per caption.
    pub caption_characters: Lengths,
    /// Ids per text.
    pub text_ids: Lengths,
    /// Use of the codebook.
    pub codes: CodeUsageSummary,
}

/// Reads every row of the shards at `path` (a shard, or the folder of `tokenize shards`).
///
/// # Errors
/// No shards, damaged shards, or shards made by different codecs or text tokenizers.
pub fn summarise(path: &Path, style: ProgressStyle) -> Result<Summary> {
    let progress = Progress::start(style, "rows", None, 0);
    let paths = shard_list::list(path)?;
    let meta = common_meta(&paths)?;
    let mut counts = Counts::new(meta.codebook_size);
    let mut columns = Vec::new();
    for shard in &paths {
        let reader = TokenReader::open(shard)?;
        if columns.is_empty() {
            let schema = crate::tokens::schema(reader.meta(), reader.extra_columns());
            columns = schema.fields().iter().map(|f| (f.name().clone(), type_name(f.data_type()))).collect();
        }
        for row in reader {
            counts.add(&row?);
            progress.add(1);
        }
    }
    progress.finish();
    Ok(counts.summary(paths.len(), columns, meta))
}

/// The metadata that all shards share.
///
/// # Errors
/// No shard, or shards that differ.
pub fn common_meta(paths: &[PathBuf]) -> Result<TokenMeta> {
    let mut common: Option<TokenMeta> = None;
    for path in paths {
        let meta = TokenReader::open(path)?.meta().clone();
        if common.get_or_insert_with(|| meta.clone()) != &meta {
            return Err(Error::Table {
                path: path.clone(),
                why: format!("made by another codec or text tokenizer than {}", paths[0].display()),
                cure: Some("keep the shards of each codec in a folder of their own".to_owned()),
            });
        }
    }
    common.ok_or_else(|| Error::table("", "no token shards"))
}

struct Counts {
    rows: usize,
    keys: HashSet<String>,
    captions: Vec<usize>,
    texts: Vec<usize>,
    with_codes: usize,
    usage: CodeUsage,
}

impl Counts {
    fn new(codebook_size: usize) -> Self {
        let usage = CodeUsage::new(codebook_size);
        Self { rows: 0, keys: HashSet::new(), captions: Vec::new(), texts: Vec::new(), with_codes: 0, usage }
    }

    fn add(&mut self, row: &TokenRow) {
        self.rows += 1;
        self.captions.extend(row.caption.as_ref().map(|caption| caption.chars().count()));
        self.texts.extend(row.text_ids.as_ref().map(Vec::len));
        let first = self.keys.insert(row.key.clone());
        let Some(codes) = &row.codes else { return };
        self.with_codes += 1;
        // Several captions of one image repeat its codes: count them once.
        if first {
            self.usage.add(codes);
        }
    }

    fn summary(self, shards: usize, columns: Vec<(String, String)>, meta: TokenMeta) -> Summary {
        Summary {
            shards,
            rows: self.rows,
            keys: self.keys.len(),
            with_text: self.texts.len(),
            with_codes: self.with_codes,
            columns,
            meta,
            caption_characters: Lengths::of(self.captions),
            text_ids: Lengths::of(self.texts),
            codes: self.usage.summary(),
        }
    }
}

/// Prints the summary of `path` for reading; [`json_line`](crate::json_lines::json_line) takes it as data.
///
/// # Errors
/// The sink cannot be written.
pub fn print(out: &mut impl Write, path: &Path, summary: &Summary) -> io::Result<()> {
    let Summary { meta, codes, keys, with_text, with_codes, .. } = summary;
    let (rows, shards) = (count(summary.rows, "row"), count(summary.shards, "shard"));
    writeln!(out, "{}: {rows} in {shards} of {}", path.display(), crate::tokens::FORMAT)?;
    let TokenMeta { codec_name, codec_sha256, codebook_size, grid, bpe_kind, bpe_sha256, vocab_size, .. } =
        meta;
    let size = format!("{codebook_size} codes, grid {grid} x {grid}, {} px", meta.image_size());
    writeln!(out, "codec       {codec_name} sha256 {codec_sha256}, {size}")?;
    if *vocab_size > 0 {
        writeln!(out, "bpe         {bpe_kind} sha256 {bpe_sha256}, {vocab_size} entries")?;
    }
    for (name, kind) in &summary.columns {
        writeln!(out, "column      {name}: {kind}")?;
    }
    writeln!(out, "keys        {keys}, {with_text} rows with text, {with_codes} with codes")?;
    print_lengths(out, "characters", &summary.caption_characters)?;
    print_lengths(out, "text ids", &summary.text_ids)?;
    let CodeUsageSummary { used, codebook_size, usage, perplexity } = codes;
    let share = 100.0 * usage;
    writeln!(
        out,
        "codebook    {used} of {codebook_size} entries used ({share:.1} %), perplexity {perplexity:.1}"
    )
}

fn print_lengths(out: &mut impl Write, name: &str, lengths: &Lengths) -> io::Result<()> {
    let Lengths { min, mean, median, p99, max } = lengths;
    writeln!(out, "{name:<11} min {min}, mean {mean:.1}, median {median}, 99 % {p99}, max {max}")
}

/// A column type in the words of the format's description.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::UInt16 => "u16".to_owned(),
        DataType::UInt32 => "u32".to_owned(),
        DataType::List(element) => format!("list<{}>", type_name(element.data_type())),
        DataType::FixedSizeList(element, n) => {
            format!("fixed_size_list<{}, {n}>", type_name(element.data_type()))
        }
        other => other.to_string(),
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_in_figures() {
        let lengths = Lengths::of(vec![5, 1, 3]);
        assert_eq!(lengths, Lengths { min: 1, mean: 3.0, median: 3, p99: 5, max: 5 });
        assert_eq!(Lengths::of(Vec::new()), Lengths::default());
    }

    #[test]
    fn codes_of_one_image_count_once() {
        let mut counts = Counts::new(4);
        for caption in ["red", "красный"] {
            let row = TokenRow {
                key: "0".into(),
                caption: Some(caption.into()),
                codes: Some(vec![1, 2]),
                ..TokenRow::default()
            };
            counts.add(&row);
        }
        let summary = counts.summary(1, Vec::new(), TokenMeta::default());
        assert_eq!((summary.rows, summary.keys, summary.with_codes, summary.with_text), (2, 1, 2, 0));
        assert_eq!(summary.codes.used, 2);
        assert_eq!(summary.caption_characters.max, 7);
    }
}
