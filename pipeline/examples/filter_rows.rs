//! Link tables with captions, sizes and scores as a web crawl has them, for `bench/filter.py`: the same rows each time.
//!
//! ```text
//! cargo run --release -p pipeline --example filter_rows FOLDER ROWS
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch, StringBuilder};
use pipeline::atomic::AtomicFile;
use pipeline::pairs::TableWriter;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of a shard, and rows made at a time.
const SHARD: u64 = 500_000;
const BATCH: u64 = 8192;

const ENGLISH: &str = "a the of in on with and red blue small old new photo cat dog house street market summer garden \
    woman man city river mountain flower wooden table kitchen black white dress vintage poster";
const RUSSIAN: &str = "и в на с рыжий старый новый кот собака дом улица рынок лето сад женщина город река гора цветок \
    деревянный стол кухня чёрный белый платье плакат фото";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let rows: u64 = arguments.next().ok_or("how many rows?")?.parse()?;
    std::fs::create_dir_all(&folder)?;
    for shard in 0..rows.div_ceil(SHARD) {
        let path = Path::new(&folder).join(format!("{shard:05}.parquet"));
        write(&path, shard, SHARD.min(rows - shard * SHARD))?;
    }
    Ok(())
}

fn write(path: &Path, shard: u64, rows: u64) -> Result<(), Box<dyn Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(shard);
    let english: Vec<&str> = ENGLISH.split_whitespace().collect();
    let russian: Vec<&str> = RUSSIAN.split_whitespace().collect();
    let schema = batch(&mut random, [&english, &russian], 0, 0)?.schema();
    let mut writer = TableWriter::new(AtomicFile::create(path)?, schema, "links/1", &[], "rows")?;
    for start in (0..rows).step_by(BATCH as usize) {
        let first = shard * SHARD + start;
        writer.write(&batch(&mut random, [&english, &russian], first, BATCH.min(rows - start))?)?;
    }
    writer.close()?.0.commit()?;
    Ok(())
}

fn batch(
    random: &mut ChaCha8Rng,
    words: [&[&str]; 2],
    first: u64,
    rows: u64,
) -> Result<RecordBatch, Box<dyn Error>> {
    let (mut urls, mut captions) = (StringBuilder::new(), StringBuilder::new());
    let (mut widths, mut heights, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    let mut caption = String::new();
    for row in first..first + rows {
        let host = random.random_range(0..20_000);
        urls.append_value(format!("https://host{host}.example/images/{row:010x}/picture-{row}.jpg"));
        describe(random, words, row, &mut caption)?;
        captions.append_value(&caption);
        widths.push(random.random_range(50..2000));
        heights.push(random.random_range(50..2000));
        scores.push(random.random_range(0.1..0.4_f32));
    }
    Ok(RecordBatch::try_from_iter([
        ("url", Arc::new(urls.finish()) as ArrayRef),
        ("caption", Arc::new(captions.finish())),
        ("original_width", Arc::new(Int32Array::from(widths))),
        ("original_height", Arc::new(Int32Array::from(heights))),
        ("clip_score", Arc::new(Float32Array::from(scores))),
    ])?)
}

/// One caption in ten says nothing, two in ten are Russian, the others English; 1 to 14 words.
fn describe(
    random: &mut ChaCha8Rng,
    words: [&[&str]; 2],
    row: u64,
    caption: &mut String,
) -> Result<(), std::fmt::Error> {
    caption.clear();
    let list = match random.random_range(0..10) {
        0 => return write!(caption, "IMG_{row:04}.jpg"),
        1 | 2 => words[1],
        _ => words[0],
    };
    for place in 0..random.random_range(1..15) {
        let space = if place > 0 { " " } else { "" };
        write!(caption, "{space}{}", list[random.random_range(0..list.len())])?;
    }
    Ok(())
}
