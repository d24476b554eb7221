//! How fast a small model of random weights draws: `sampling_speed cached|uncached|parts BATCH`. `bench/sampling.py` runs it.
//!
//! The model has a text of 64 and 32 × 32 codes of 8,192, width 256, 4 layers, 8 heads. Prints one JSON object.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use train::draw::{Drawing, draw_codes};
use train::gpt::{Cache, Gpt, GptConfig, Vocabulary, ids};
use train::sampling::{SamplingConfig, Stream};

/// Every how many codes the uncached form is timed: its time grows evenly with the place.
const EVERY: usize = 64;

fn config() -> GptConfig {
    GptConfig {
        layers: 4,
        dim: 256,
        heads: 8,
        left: 64,
        grid: 32,
        right: 0,
        text_special: 0,
        image_special: 0,
        ..GptConfig::default()
    }
}

fn texts(batch: usize) -> Vec<Vec<u32>> {
    vec![(0..64).map(|i| if i < 12 { 100 + i } else { 0 }).collect(); batch]
}

/// Seconds for all codes of a batch with the cache: the program's own way.
fn cached(gpt: &Gpt, batch: usize) -> f64 {
    let drawings: Vec<_> = (0..batch as u64).map(|stream| Drawing { stream, ..Drawing::default() }).collect();
    let (left, started) = (ids(&texts(batch), &gpt.device()), Instant::now());
    let drawn = draw_codes(gpt, left, &drawings, &SamplingConfig::default(), &mut |_| ());
    assert_eq!(drawn.map(|codes| codes.len()).unwrap_or_default(), batch);
    started.elapsed().as_secs_f64()
}

/// What stands before code `place`: `[batch, left + place, d]`.
fn before(gpt: &Gpt, batch: usize, place: usize) -> Option<Tensor<3>> {
    let left = gpt.embed_left(ids(&texts(batch), &gpt.device())?)?;
    if place == 0 {
        return Some(left);
    }
    let codes: Vec<u16> = (0..place).map(|i| (i * 37 % 8192) as u16).collect();
    Some(Tensor::cat(vec![left, gpt.embed_image(ids(&vec![codes; batch], &gpt.device())?, 0)?], 1))
}

/// Seconds for all codes of a batch when each one takes a pass over everything before it.
fn uncached(gpt: &Gpt, batch: usize) -> f64 {
    let (sampling, places) = (SamplingConfig::default(), gpt.config().segments().image());
    let mut seconds = 0.0;
    for place in (EVERY / 2..places).step_by(EVERY) {
        let started = Instant::now();
        let Some(x) = before(gpt, batch, place) else { continue };
        let last = x.dims()[1] - 1;
        let logits = gpt.logits(gpt.forward(x, None).narrow(1, last, 1), Vocabulary::Image);
        choose(logits, batch, &sampling);
        seconds += started.elapsed().as_secs_f64() * EVERY as f64;
    }
    seconds
}

fn choose(logits: Tensor<3>, batch: usize, sampling: &SamplingConfig) {
    let values = logits.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
    for row in values.chunks(values.len() / batch) {
        assert!(sampling.choose(row, &mut Stream::new(0, 0)).is_ok());
    }
}

/// Seconds of the parts of a cached step, in the middle of the image: layers, head, choice, vectors.
fn parts(gpt: &Gpt, batch: usize) -> Option<[f64; 4]> {
    let (steps, head, sampling) = (64, gpt.head_of(Vocabulary::Image), SamplingConfig::default());
    let mut cache = Cache::new(gpt.config(), batch, &gpt.device());
    gpt.forward_last(before(gpt, batch, 512)?, &mut cache)?;
    let mut seconds = [0.0; 4];
    for place in 512..512 + steps {
        let mut times = [Instant::now(); 5];
        let x = gpt.embed_image(ids(&vec![vec![7u16]; batch], &gpt.device())?, place)?;
        times[1] = Instant::now();
        let hidden = gpt.forward_last(x, &mut cache)?;
        times[2] = Instant::now();
        let logits = gpt.logits_of(hidden, &head);
        times[3] = Instant::now();
        choose(logits, batch, &sampling);
        times[4] = Instant::now();
        for (sum, pair) in [3, 0, 1, 2].into_iter().zip(times.windows(2)) {
            seconds[sum] += (pair[1] - pair[0]).as_secs_f64() / f64::from(steps as u32);
        }
    }
    Some(seconds)
}

fn main() -> train::Result<()> {
    let args: Vec<_> = std::env::args().collect();
    let (mode, batch) =
        (args.get(1).map(String::as_str), args.get(2).and_then(|n| n.parse().ok()).unwrap_or(1));
    let device = Device::flex();
    device.seed(1);
    let gpt = config().init(&device);
    let codes = gpt.config().segments().image() * batch;
    let record = match mode {
        Some("cached") => serde_json::json!({"tokens_per_second": codes as f64 / cached(&gpt, batch)}),
        Some("uncached") => serde_json::json!({"tokens_per_second": codes as f64 / uncached(&gpt, batch)}),
        _ => {
            let [layers, head, choice, vectors] = parts(&gpt, batch).unwrap_or_default();
            serde_json::json!({"layers": layers, "head": head, "choice": choice, "vectors": vectors})
        }
    };
    pipeline::cli::print(&record.to_string())?;
    Ok(())
}
