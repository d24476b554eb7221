//! The picture work of a crawl alone: decodes, resizes and encodes every `.jpg` of a folder with the crawl's defaults,
//! in one thread per core, without network and shards. `bench/crawl.py` takes it as the limit of a crawl's speed.
//!
//! ```text
//! cargo run --release -p pipeline --example picture_time FOLDER
//! ```

use std::error::Error;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pipeline::cli::print;
use pipeline::picture::{DecodeOptions, EncodeOptions, ResizeOptions, decode_for, encode, resize_decoded};
use pipeline::reason::Reason;
use serde_json::json;

/// Time in each step, added up over the threads.
#[derive(Clone, Copy, Default)]
struct Times {
    decode: Duration,
    resize: Duration,
    encode: Duration,
}

impl AddAssign for Times {
    fn add_assign(&mut self, other: Self) {
        self.decode += other.decode;
        self.resize += other.resize;
        self.encode += other.encode;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder of .jpg files?")?;
    let bodies = read(Path::new(&folder))?;
    let threads = thread::available_parallelism()?.get();
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let times = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&bodies, &next))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Err(Reason::Decode))).collect::<Vec<_>>()
    });
    let wall = started.elapsed();
    let mut sum = Times::default();
    for part in times {
        sum += part.map_err(Reason::text)?;
    }
    let ms = |time: Duration| 1000.0 * time.as_secs_f64();
    print(
        &json!({
            "pictures": bodies.len(),
            "threads": threads,
            "wall_s": wall.as_secs_f64(),
            "thread_ms": {"decode": ms(sum.decode), "resize": ms(sum.resize), "encode": ms(sum.encode)},
        })
        .to_string(),
    )?;
    Ok(())
}

/// The files, in memory before the clock starts.
fn read(folder: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    paths.sort();
    Ok(paths.iter().map(std::fs::read).collect::<Result<_, _>>()?)
}

/// Takes pictures until none is left.
fn work(bodies: &[Vec<u8>], next: &AtomicUsize) -> Result<Times, Reason> {
    let mut times = Times::default();
    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
        let started = Instant::now();
        let picture = decode_for(body, &DecodeOptions::default(), &ResizeOptions::default())?;
        let decoded = Instant::now();
        let picture = resize_decoded(picture, &ResizeOptions::default())?;
        let resized = Instant::now();
        encode(&picture, &EncodeOptions::default())?;
        times += Times { decode: decoded - started, resize: resized - decoded, encode: resized.elapsed() };
    }
    Ok(times)
}
