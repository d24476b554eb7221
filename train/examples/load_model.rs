//! Loads a checkpoint as a command of `train` does, and prints how long it took: `bench/loading.py` asks for it.
//!
//! `cargo run --release --example load_model -- rudalle-malevich-v3 pytorch_model_v3.bin`

use std::io::{Error, Write};
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use train::draw::Draws;
use train::presets;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: load_model PRESET FILE").into());
    };
    let config = presets::named(&name)?;
    let start = Instant::now();
    let model = config.load(Path::new(&path), &Device::flex())?;
    let seconds = start.elapsed().as_secs_f64();
    // One number that depends on the weights: the sum of a part of the head.
    let (weight, _): (Tensor<2>, _) = model.gpt().head(0..1);
    let sum = weight.sum().into_scalar::<f32>();
    writeln!(std::io::stdout(), "{}", serde_json::json!({"seconds": seconds, "sum": sum}))?;
    Ok(())
}
