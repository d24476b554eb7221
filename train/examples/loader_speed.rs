//! How fast RuDOLPH's batches are made of token shards on disk, without a model; `bench/loader.py` runs it.
//!
//! ```text
//! cargo run -p train --example loader_speed make SHARDS ROWS     # shards of random ids and codes
//! cargo run -p train --example loader_speed read SHARDS BATCHES  # a line of JSON: tokens per second
//! ```
//! A batch has 64 text positions and 16 × 16 codes for each of its rows. Rows are shuffled within windows of 65,536, and the
//! next window is read by another thread meanwhile, as in training.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use pipeline::atomic::AtomicFile;
use pipeline::cli::print;
use tokenize::tokens::{TokenMeta, TokenRow, TokenWriter};
use train::data::{Catalog, Choose, Expected, Reading, Stream};
use train::rudolph::{Row, RudolphConfig, Task};

type Outcome<T> = Result<T, Box<dyn Error>>;

const GRID: usize = 16;
const TEXT: usize = 20;
const VOCABULARY: usize = 16_384;
const CODES: usize = 8192;
const ROWS_A_SHARD: usize = 10_000;
const WINDOW: usize = 65_536;
const BATCH: usize = 32;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["make", shards, rows] => make(Path::new(shards), rows.parse()?),
        ["read", shards, batches] => read(Path::new(shards), batches.parse()?),
        _ => Err("make SHARDS ROWS, or read SHARDS BATCHES".into()),
    }
}

/// Numbers that do not compress.
fn mixed(seed: usize) -> usize {
    train::device::mix(7, seed as u64) as usize
}

fn make(folder: &Path, rows: usize) -> Outcome<()> {
    let meta = TokenMeta {
        codec_sha256: "c".into(),
        codebook_size: CODES,
        grid: GRID,
        downsampling: 8,
        vocab_size: VOCABULARY,
        ..TokenMeta::default()
    };
    for (shard, from) in (0..rows).step_by(ROWS_A_SHARD).enumerate() {
        let path = folder.join(format!("{shard:05}.parquet"));
        let mut writer = TokenWriter::new(AtomicFile::create(&path)?, &path, &meta, &[])?;
        for row in from..rows.min(from + ROWS_A_SHARD) {
            let number = |place: usize, below: usize| mixed(row * 1000 + place) % below;
            writer.push(TokenRow {
                key: format!("{row:09}"),
                caption: Some("a caption of some words that nobody reads".into()),
                text_ids: Some((0..TEXT).map(|i| number(i, VOCABULARY) as u32).collect()),
                codes: Some((0..GRID * GRID).map(|i| number(100 + i, CODES) as u16).collect()),
                ..TokenRow::default()
            })?;
        }
        writer.finish()?.commit()?;
    }
    Ok(())
}

fn read(folder: &Path, batches: u64) -> Outcome<()> {
    let model = RudolphConfig { right: 64, ..RudolphConfig::default() };
    let expected =
        Expected { grid: GRID, codebook_size: CODES, vocab_size: VOCABULARY, ..Expected::default() };
    let reading = Arc::new(Reading { expected, ..Reading::default() });
    let catalog = Catalog::read(&[folder], &reading)?;
    let choose: Choose = Arc::new(|tokens| (0..tokens.len()).collect());
    let stream = Stream::windows(&catalog.blocks, &reading, &choose, (WINDOW, 1), Some(true))?;
    let mut stream = stream.ok_or("no rows")?;
    let (device, began, mut tokens) = (Device::flex(), Instant::now(), 0);
    let mut waited = std::time::Duration::ZERO;
    for batch in 0..batches {
        let taken = stream.take(batch * BATCH as u64..(batch + 1) * BATCH as u64)?;
        let rows: Vec<Row<'_>> = taken
            .iter()
            .map(|taken| Row {
                task: Task::TextToImage,
                text: taken.window.tokens.text(taken.row),
                codes: taken.window.tokens.codes(taken.row).unwrap_or_default(),
            })
            .collect();
        let (made, _) = model.batch(&rows, &device)?;
        let sides = [made.left, made.image].into_iter().flatten();
        tokens += sides.map(|ids| ids.dims().iter().product::<usize>()).sum::<usize>();
        waited += stream.waited();
    }
    let seconds = began.elapsed().as_secs_f64();
    let record = serde_json::json!({
        "tokens": tokens, "seconds": seconds, "tokens_per_second": tokens as f64 / seconds,
        "waited": waited.as_secs_f64(), "memory": train::machine::peak_memory(),
    });
    Ok(print(&record.to_string())?)
}
