//! How long a training step of a small GPT takes; `bench/train.py` runs it beside PyTorch.
//!
//! ```text
//! cargo run -p train --example train_speed [STEPS]
//! ```
//! Width 256, 4 layers, 8 heads, sequence 320, batch 8, vocabulary 4,096: embeddings, layers, cross-entropy, the way back,
//! clipping by the global norm, AdamW. Prints a line of JSON with the seconds of every step and where the time of one goes.

use std::error::Error;
use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use pipeline::cli::print;
use train::gpt::{Batch, Gpt, GptConfig, MaskSchedule, ids};
use train::objective::{LossLayout, LossWeights, losses};
use train::optim::{OptimConfig, Optimizer};
use train::run::Metrics;

const BATCH: usize = 8;
const POSITIONS: usize = 320;
/// Pads have an id for each position; with them the vocabulary is 4,096.
const VOCABULARY: usize = 4096 - POSITIONS;

fn config() -> GptConfig {
    GptConfig {
        layers: 4,
        dim: 256,
        heads: 8,
        left: POSITIONS,
        grid: 1,
        right: 0,
        text_vocab: VOCABULARY,
        text_special: 0,
        image_vocab: 1,
        image_special: 0,
        sandwich: false,
        head_norm: false,
        masks: MaskSchedule::Full,
        gradient_shrink: 1.0,
        ..GptConfig::default()
    }
}

/// Ids that no two steps share; never 0, which is the pad.
fn batch(step: usize, device: &Device) -> Batch {
    let id = |row: usize, place: usize| {
        let mixed = (step * 7919 + row * 104_729 + place * 1_299_709).wrapping_mul(2_654_435_761) >> 7;
        (1 + mixed % (VOCABULARY - 1)) as u32
    };
    let rows: Vec<Vec<u32>> =
        (0..BATCH).map(|row| (0..POSITIONS).map(|place| id(row, place)).collect()).collect();
    Batch { left: ids(&rows, device), image: None, right: None }
}

fn main() -> Result<(), Box<dyn Error>> {
    let steps = std::env::args().nth(1).map_or(Ok(12), |steps| steps.parse())?;
    let device = Device::flex().autodiff();
    device.seed(1);
    let mut model = config().init(&device);
    let mut optimizer = Optimizer::new(OptimConfig::default());
    let (mut seconds, mut parts, mut last) = (Vec::new(), [0.0; 3], 0.0);
    for step in 0..steps {
        let began = Instant::now();
        let batch = batch(step, &device);
        let hidden = model.hidden(&batch);
        let loss = losses(&model, hidden, &batch, LossLayout::V2, &LossWeights::default()).total;
        last = loss.clone().into_scalar::<f32>();
        let forth = began.elapsed().as_secs_f64();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let back = began.elapsed().as_secs_f64() - forth;
        model = optimizer.learn(3e-4, model, grads, Metrics::new()).0;
        let all = began.elapsed().as_secs_f64();
        seconds.push(all);
        parts = [forth, back, all - forth - back];
    }
    let [forward, backward, update] = parts;
    let record = serde_json::json!({
        "seconds": seconds, "forward": forward, "backward": backward, "update": update, "loss": last,
        "parameters": Gpt::num_params(&model), "memory": train::machine::peak_memory(),
        "product_flops": train::machine::product_speed(&device),
        "flops": BATCH as f64 * config().cost(train::gpt::Lengths { left: POSITIONS, ..Default::default() }).step(),
    });
    Ok(print(&record.to_string())?)
}
