//! How many pictures per second a VQGAN of any shape encodes and decodes; `bench/codec.py` measures it beside PyTorch.
//!
//! ```text
//! cargo run --release -p tokenize --example codec_speed weights codec.json codec.safetensors
//! cargo run --release -p tokenize --example codec_speed speed codec.json codec.safetensors pixels.f32 128 16 3 codes.u16
//! ```
//! `weights` draws random weights for a configuration in JSON (the keys of `VqGanConfig`). `speed` takes the first 16 pictures of
//! 128 × 128 from a file of f32 in [-1, 1], as `[picture][colour][row][column]`, works on them in one batch, three times after once
//! without counting, and writes the codes as u16. `RAYON_NUM_THREADS` sets the threads.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use pipeline::cli::print;
use serde_json::{Value, json};
use tokenize::vqgan::{Precision, VqGan, VqGanConfig};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["weights", config, out] => Ok(model(config)?.save(Path::new(out), Precision::Full)?),
        ["speed", config, weights, pixels, side, batch, rounds, codes] => {
            let model = model(config)?.load(Path::new(weights))?;
            let shape = [batch.parse()?, 3, side.parse()?, side.parse()?];
            print(&speed(&model, picture(pixels, shape)?, rounds.parse()?, codes)?.to_string())?;
            Ok(())
        }
        _ => Err("`weights CONFIG OUT` or `speed CONFIG WEIGHTS PIXELS SIDE BATCH ROUNDS CODES`".into()),
    }
}

/// A model of random weights; dead ends of the initialisation (a codebook around 0) do not change the speed.
fn model(config: &str) -> Outcome<VqGan> {
    let config: VqGanConfig = serde_json::from_slice(&std::fs::read(config)?)?;
    Ok(config.init(&Device::flex())?)
}

fn picture(path: &str, shape: [usize; 4]) -> Outcome<Tensor<4>> {
    let bytes = std::fs::read(path)?;
    let values = bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value));
    let values: Vec<f32> = values.take(shape.iter().product()).collect();
    Ok(Tensor::from_data(TensorData::new(values, shape), &Device::flex()))
}

fn speed(model: &VqGan, pixels: Tensor<4>, rounds: usize, out: &str) -> Outcome<Value> {
    let batch = pixels.dims()[0];
    let codes = model.encode(pixels.clone());
    let values = codes.clone().into_data().convert_dtype(DType::I64);
    let values = values.as_slice::<i64>().map_err(|error| format!("{error:?}"))?;
    let values: Result<Vec<u16>, _> = values.iter().map(|code| u16::try_from(*code)).collect();
    let bytes: Vec<u8> = values?.into_iter().flat_map(u16::to_le_bytes).collect();
    pipeline::atomic::write(out, &bytes)?;
    Ok(json!({
        "encode": timed(batch, rounds, || drop(model.encode(pixels.clone()).into_data())),
        "decode": timed(batch, rounds, || drop(model.decode(codes.clone()).into_data())),
    }))
}

/// Pictures per second and processor seconds per picture of each round, after one that does not count.
fn timed(batch: usize, rounds: usize, work: impl Fn()) -> Value {
    work();
    let (mut per_second, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (before, started) = (processor_seconds(), Instant::now());
        work();
        per_second.push(batch as f64 / started.elapsed().as_secs_f64());
        cpu.extend(processor_seconds().zip(before).map(|(after, before)| (after - before) / batch as f64));
    }
    json!({"per_second": per_second, "cpu": cpu})
}

/// What Linux counts for this process, in hundredths: user time and system time.
fn processor_seconds() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = told.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
