//! Milliseconds of processor time per picture of a folder: decode, resize to 256 pixels, encode.
//!
//! `cargo run --release -p pipeline --example decode_time -- FOLDER`

use std::io::Write;
use std::time::{Duration, Instant};

use pipeline::picture::{
    DecodeOptions, EncodeOptions, ResizeOptions, decode, decode_for, encode, resize_decoded,
};
use pipeline::reason::Reason;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let files = std::fs::read_dir(folder)?.map(|entry| std::fs::read(entry?.path()));
    let files = files.collect::<std::io::Result<Vec<_>>>()?;
    for (name, reduced) in [("whole", false), ("reduced", true)] {
        let times: Vec<_> = files.iter().filter_map(|bytes| steps(bytes, reduced).ok()).collect();
        let count = times.len().max(1) as f64;
        let mean =
            |step: usize| times.iter().map(|steps| steps[step].as_secs_f64() * 1e3).sum::<f64>() / count;
        writeln!(
            std::io::stdout(),
            "{name}: {count} pictures, decode {:.2} ms, resize {:.2} ms, encode {:.2} ms",
            mean(0),
            mean(1),
            mean(2)
        )?;
    }
    Ok(())
}

fn steps(bytes: &[u8], reduced: bool) -> Result<[Duration; 3], Reason> {
    let (decoding, resizing) = (DecodeOptions::default(), ResizeOptions::default());
    let start = now();
    let picture = match reduced {
        true => decode_for(bytes, &decoding, &resizing)?,
        false => decode(bytes, &decoding)?.into(),
    };
    let decoded = now();
    let picture = resize_decoded(picture, &resizing)?;
    let resized = now();
    encode(&picture, &EncodeOptions::default())?;
    Ok([decoded.saturating_sub(start), resized.saturating_sub(decoded), now().saturating_sub(resized)])
}

/// Processor time of this thread where Linux tells it, else the time of day.
fn now() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}
