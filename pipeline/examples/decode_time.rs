//! Milliseconds of processor time per picture: decode, resize to 256 pixels, encode.
//!
//! `cargo run --release -p pipeline --example decode_time -- FOLDER`

use std::io::Write;
use std::time::{Duration, Instant};

use pipeline::picture::{
    DecodeOptions, EncodeOptions, ResizeOptions, decode, decode_for, encode, resize, resize_decoded,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let (decoding, resizing, encoding) =
        (DecodeOptions::default(), ResizeOptions::default(), EncodeOptions::default());
    let mut out = std::io::stdout();
    for reduced in [false, true] {
        let (mut sums, mut count) = ([Duration::ZERO; 3], 0_u32);
        for file in &files {
            let bytes = std::fs::read(file)?;
            let times = [now()];
            let picture = match reduced {
                true => decode_for(&bytes, &decoding, &resizing),
                false => decode(&bytes, &decoding).map(Into::into),
            };
            let Ok(picture) = picture else { continue };
            let times = [times[0], now()];
            let small = match reduced {
                true => resize_decoded(picture, &resizing)?,
                false => resize(picture.picture, &resizing)?,
            };
            let times = [times[0], times[1], now()];
            encode(&small, &encoding)?;
            let times = [times[0], times[1], times[2], now()];
            for (sum, pair) in sums.iter_mut().zip(times.windows(2)) {
                *sum += pair[1].saturating_sub(pair[0]);
            }
            count += 1;
        }
        let [decode, resize, encode] = sums.map(|sum| sum.as_secs_f64() * 1e3 / f64::from(count.max(1)));
        let what = if reduced { "reduced" } else { "whole" };
        writeln!(
            out,
            "{what}: {count} pictures, decode {decode:.2} ms, resize {resize:.2} ms, encode {encode:.2} ms"
        )?;
    }
    Ok(())
}

/// Processor time of this thread where Linux tells it, else the time of day.
fn now() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}
