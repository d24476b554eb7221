//! `tokenize show`: what token shards hold, in figures.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use pipeline::progress::{Progress, ProgressStyle};
use serde::Serialize;

use crate::bpe::Bpe;
use crate::metrics::{CodeUsage, CodeUsageSummary};
use crate::pixels::Preprocess;
use crate::tokens::{TokenMeta, TokenReader, TokenRow, Value};
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
    /// Rows without codes by the reason why.
    pub reasons: BTreeMap<String, usize>,
    /// Rows per view of their picture, where there are several.
    pub views: BTreeMap<String, usize>,
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
    /// The first rows, as many as were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<Shown>,
}

/// A row as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The pair's key.
    pub key: String,
    /// The caption.
    pub caption: Option<String>,
    /// Its ids.
    pub text_ids: Option<Vec<u32>>,
    /// What the ids say, where the text tokenizer was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The codes.
    pub codes: Option<Vec<u16>>,
    /// The columns after those.
    pub extra: BTreeMap<String, Value>,
}

impl Shown {
    fn new(row: &TokenRow, bpe: Option<&Bpe>) -> Self {
        Self {
            key: row.key.clone(),
            caption: row.caption.clone(),
            text_ids: row.text_ids.clone(),
            text: bpe.and_then(|bpe| Some(bpe.decode(row.text_ids.as_ref()?))),
            codes: row.codes.clone(),
            extra: row.extra.clone(),
        }
    }
}

/// What to show beside the figures.
#[derive(Debug, Default)]
pub struct ShowOptions {
    /// So many of the first rows.
    pub rows: usize,
    /// Turns their ids back into text.
    pub bpe: Option<Bpe>,
}

/// Reads every row of the shards at `path` (a shard, or the folder of `tokenize shards`).
///
/// # Errors
/// No shards, damaged shards, shards made by different codecs or text tokenizers, or by another text tokenizer than the
/// one given.
pub fn summarise(path: &Path, options: &ShowOptions, style: ProgressStyle) -> Result<Summary> {
    let progress = Progress::start(style, "rows", None, 0);
    let paths = shard_list::list(path)?;
    let meta = common_meta(&paths)?;
    if let Some(bpe) = options.bpe.as_ref().filter(|bpe| bpe.sha256() != meta.bpe_sha256) {
        return Err(Error::Config {
            key: "bpe".to_owned(),
            why: format!("its sha256 is {}, the shards were made with {}", bpe.sha256(), meta.bpe_sha256),
        });
    }
    let mut counts = Counts::new(meta.codebook_size);
    let mut first = Vec::new();
    let mut columns = Vec::new();
    for shard in &paths {
        let reader = TokenReader::open(shard)?;
        if columns.is_empty() {
            let schema = crate::tokens::schema(reader.meta(), reader.extra_columns());
            columns = schema.fields().iter().map(|f| (f.name().clone(), type_name(f.data_type()))).collect();
        }
        for row in reader {
            let row = row?;
            if first.len() < options.rows {
                first.push(Shown::new(&row, options.bpe.as_ref()));
            }
            counts.add(&row);
            progress.add(1);
        }
    }
    progress.finish();
    Ok(Summary { first, ..counts.summary(paths.len(), columns, meta) })
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

#[derive(Default)]
struct Counts {
    rows: usize,
    keys: HashSet<String>,
    captions: Vec<usize>,
    texts: Vec<usize>,
    with_codes: usize,
    reasons: BTreeMap<String, usize>,
    views: BTreeMap<String, usize>,
    usage: CodeUsage,
}

impl Counts {
    fn new(codebook_size: usize) -> Self {
        Self { usage: CodeUsage::new(codebook_size), ..Self::default() }
    }

    fn add(&mut self, row: &TokenRow) {
        self.rows += 1;
        self.captions.extend(row.caption.as_ref().map(|caption| caption.chars().count()));
        self.texts.extend(row.text_ids.as_ref().map(Vec::len));
        for (counts, value) in [(&mut self.reasons, row.reason()), (&mut self.views, row.view())] {
            if let Some(value) = value {
                *counts.entry(value.to_owned()).or_default() += 1;
            }
        }
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
            reasons: self.reasons,
            views: self.views,
            columns,
            meta,
            caption_characters: Lengths::of(self.captions),
            text_ids: Lengths::of(self.texts),
            codes: self.usage.summary(),
            first: Vec::new(),
        }
    }
}

/// Prints the summary of `path` for reading; [`json_line`](crate::json_lines::json_line) takes it as data.
///
/// # Errors
/// The sink cannot be written.
pub fn print(out: &mut impl Write, path: &Path, summary: &Summary) -> io::Result<()> {
    let Summary { meta, keys, with_text, with_codes, .. } = summary;
    let (rows, shards) = (count(summary.rows, "row"), count(summary.shards, "shard"));
    writeln!(out, "{}: {rows} in {shards} of {}", path.display(), crate::tokens::FORMAT)?;
    print_meta(out, meta)?;
    for (name, kind) in &summary.columns {
        writeln!(out, "column      {name}: {kind}")?;
    }
    writeln!(out, "keys        {keys}, {with_text} rows with text, {with_codes} with codes")?;
    print_lengths(out, "characters", &summary.caption_characters)?;
    print_lengths(out, "text ids", &summary.text_ids)?;
    print_counts(out, "no codes", &summary.reasons)?;
    print_counts(out, "views", &summary.views)?;
    if meta.codebook_size > 0 {
        let CodeUsageSummary { used, codebook_size, usage, perplexity } = summary.codes;
        let share = 100.0 * usage;
        writeln!(
            out,
            "codebook    {used} of {codebook_size} entries used ({share:.1} %), perplexity {perplexity:.1}"
        )?;
    }
    summary.first.iter().try_for_each(|row| print_row(out, row, meta.grid))
}

fn print_meta(out: &mut impl Write, meta: &TokenMeta) -> io::Result<()> {
    let TokenMeta { codec_name, codec_sha256, codebook_size, grid, bpe_kind, bpe_sha256, .. } = meta;
    if *codebook_size > 0 {
        let kind = if meta.codec_kind.is_empty() { String::new() } else { format!(" ({})", meta.codec_kind) };
        let size = format!("{codebook_size} codes, grid {grid} x {grid}, {} px", meta.image_size());
        writeln!(out, "codec       {codec_name}{kind} sha256 {codec_sha256}, {size}")?;
        let Preprocess { size, crop, filter, range } = meta.preprocess;
        let [crop, filter, range] = [name(&crop), name(&filter), name(&range)];
        writeln!(out, "preprocess  crop {crop}, filter {filter}, range {range}, trained on {size} px")?;
    }
    if meta.vocab_size > 0 {
        let case = if meta.lowercase { ", lower-cased" } else { "" };
        writeln!(out, "bpe         {bpe_kind} sha256 {bpe_sha256}, {} entries{case}", meta.vocab_size)?;
    }
    Ok(())
}

/// A value of a closed set as it is stored.
fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => format!("{other:?}"),
    }
}

fn print_counts(out: &mut impl Write, name: &str, counts: &BTreeMap<String, usize>) -> io::Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let counts: Vec<String> = counts.iter().map(|(value, n)| format!("{value} {n}")).collect();
    writeln!(out, "{name:<11} {}", counts.join(", "))
}

fn print_row(out: &mut impl Write, row: &Shown, grid: usize) -> io::Result<()> {
    writeln!(out, "\nkey         {}", row.key)?;
    if let Some(caption) = &row.caption {
        writeln!(out, "caption     {caption:?}")?;
    }
    if let Some(ids) = &row.text_ids {
        writeln!(out, "text_ids    {}", joined(ids))?;
    }
    if let Some(text) = &row.text {
        writeln!(out, "text        {text:?}")?;
    }
    for line in row.codes.iter().flat_map(|codes| codes.chunks(grid.max(1))).enumerate() {
        let name = if line.0 == 0 { "codes" } else { "" };
        writeln!(out, "{name:<11} {}", joined(line.1))?;
    }
    for (name, value) in &row.extra {
        let value = serde_json::to_string(value).unwrap_or_default();
        writeln!(out, "{name:<11} {value}")?;
    }
    Ok(())
}

fn joined<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn print_lengths(out: &mut impl Write, name: &str, lengths: &Lengths) -> io::Result<()> {
    let Lengths { min, mean, median, p99, max } = lengths;
    writeln!(out, "{name:<11} min {min}, mean {mean:.1}, median {median}, 99 % {p99}, max {max}")
}

/// A column type in the words of the format's description.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Int8 => "i8".to_owned(),
        DataType::Int16 => "i16".to_owned(),
        DataType::Int32 => "i32".to_owned(),
        DataType::Int64 => "i64".to_owned(),
        DataType::UInt8 => "u8".to_owned(),
        DataType::UInt16 => "u16".to_owned(),
        DataType::UInt32 => "u32".to_owned(),
        DataType::UInt64 => "u64".to_owned(),
        DataType::Float16 => "f16".to_owned(),
        DataType::Float32 => "f32".to_owned(),
        DataType::Float64 => "f64".to_owned(),
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
