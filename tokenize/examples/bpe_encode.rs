//! Times the encoding of a text file's lines on one thread.
//!
//! ```text
//! bpe_encode MODEL TEXTS [IDS]     # writes the ids of each line to IDS, prints a JSON object
//! ```

use std::fmt::Write;
use std::hash::Hasher;
use std::path::Path;
use std::time::Instant;

use pipeline::atomic;
use tokenize::bpe::Bpe;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, texts, out) = match arguments.as_slice() {
        [model, texts] => (model, texts, None),
        [model, texts, out] => (model, texts, Some(out)),
        _ => return Err("give MODEL TEXTS [IDS]".into()),
    };
    let bpe = Bpe::load(model)?;
    let texts = std::fs::read_to_string(texts)?;
    let lines: Vec<&str> = texts.strip_suffix('\n').unwrap_or(&texts).split('\n').collect();
    let started = Instant::now();
    let mut encoder = bpe.encoder();
    let ids: Vec<Vec<u32>> = lines.iter().map(|line| encoder.encode(line)).collect();
    let seconds = started.elapsed().as_secs_f64();
    if let Some(out) = out {
        write(out, &ids)?;
    }
    let report = serde_json::json!({
        "kind": bpe.kind(), "lines": lines.len(), "seconds": seconds,
        "lines_per_second": (lines.len() as f64 / seconds).round(), "ids": ids.iter().map(Vec::len).sum::<usize>(),
        "checksum": format!("{:016x}", checksum(&ids)),
    });
    Ok(pipeline::cli::print(&report.to_string())?)
}

fn write(path: impl AsRef<Path>, ids: &[Vec<u32>]) -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    for ids in ids {
        for (n, id) in ids.iter().enumerate() {
            write!(text, "{}{id}", if n == 0 { "" } else { " " })?;
        }
        text.push('\n');
    }
    Ok(atomic::write(path.as_ref(), text)?)
}

/// The same for the same ids of the same lines.
fn checksum(ids: &[Vec<u32>]) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    for ids in ids {
        hasher.write_usize(ids.len());
        ids.iter().for_each(|id| hasher.write_u32(*id));
    }
    hasher.finish()
}
