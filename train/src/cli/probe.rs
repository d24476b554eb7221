//! `train probe`: what a linear classifier tells from each layer of ImageGPT.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::progress::Progress;

use crate::bundle::Bundle;
use crate::data::{Expected, Tokens, Values, Where};
use crate::image_gpt::ImageGpt;
use crate::image_gpt_task::{Classes, labels};
use crate::model::{Model, TokenModel};
use crate::probe::{Logistic, LogisticConfig, Probed, features};
use crate::{Error, Result, device};

#[derive(Args, Debug)]
#[command(
    after_help = "Prints a line for each layer: its number, the accuracy on the training and on the held-out pictures.
Layer 0 is the embedded pixels, the last one the model's output.

Examples:
  train probe runs/imagegpt --tokens data/fashion/tokens --train split=train --held-out split=test
  train probe runs/imagegpt --tokens data/train --test data/test --layers 4,6,8 --rows 10000 --json"
)]
pub(super) struct ProbeArgs {
    /// A run folder, or a model folder, of kind imagegpt
    model: PathBuf,
    /// Token shards to fit to, with a column of classes
    #[arg(long, value_name = "SHARDS")]
    tokens: PathBuf,
    /// Token shards to judge by; without it those of --tokens
    #[arg(long, value_name = "SHARDS")]
    test: Option<PathBuf>,
    /// Rows to fit to, by the value of a column
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = condition)]
    train: Option<(String, String)>,
    /// Rows to judge by
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = condition)]
    held_out: Option<(String, String)>,
    /// Column with the class
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    /// Layers to look at; without it all
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    layers: Vec<usize>,
    /// Most rows to fit to, spread over all; 0 takes all
    #[arg(long, value_name = "N", default_value_t = 0)]
    rows: usize,
    /// Most rows to judge by
    #[arg(long, value_name = "N", default_value_t = 0)]
    held_out_rows: usize,
    /// Weight decay of the classifier
    #[arg(long, value_name = "L2", default_value_t = LogisticConfig::default().decay)]
    decay: f64,
    /// Pictures computed together
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    pub(super) common: Common,
}

fn condition(text: &str) -> std::result::Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("write COLUMN=VALUE")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

/// Pictures with their classes.
struct Labelled {
    tokens: Tokens,
    rows: Vec<usize>,
    labels: Vec<String>,
}

impl Labelled {
    fn pictures(&self) -> Vec<&[u16]> {
        self.rows.iter().map(|row| self.tokens.codes(*row).unwrap_or_default()).collect()
    }
}

pub(super) fn probe(args: &ProbeArgs) -> Result<u8> {
    if args.test.is_none() && args.held_out.is_none() {
        return Err(Error::config("--held-out or --test: which rows is the classifier judged by?"));
    }
    let device = device::open(&args.device)?;
    let bundle = Bundle::open(&args.model, &device)?;
    let Model::ImageGpt(model) = &bundle.model else {
        let kind = bundle.model.config_of().kind().name();
        return Err(Error::config(format!("{}: a model of kind {kind}, not imagegpt", args.model.display())));
    };
    let layers = layers(args, model)?;
    let read = |path, filter, limit| read(args, &bundle, model, (path, filter, limit));
    let train = read(&args.tokens, &args.train, args.rows)?;
    let held_out = read(args.test.as_ref().unwrap_or(&args.tokens), &args.held_out, args.held_out_rows)?;
    let classes = Classes::of(&train.labels);
    let numbers = [classes.numbers(&train.labels)?, classes.numbers(&held_out.labels)?];
    args.common.say(&format!(
        "{} pictures to fit to, {} to judge by, {} classes",
        train.rows.len(),
        held_out.rows.len(),
        classes.len()
    ));
    let all = (train.rows.len() + held_out.rows.len()) as u64;
    let progress = Progress::start(args.common.progress_style(), "picture", Some(all), 0);
    let seen = features(model, &train.pictures(), args.batch, &mut |done| progress.set(done as u64))?;
    let before = train.rows.len();
    let judged =
        features(model, &held_out.pictures(), args.batch, &mut |done| progress.set((before + done) as u64))?;
    progress.finish();
    let config = LogisticConfig { decay: args.decay, ..LogisticConfig::default() };
    for layer in layers {
        let fitted = Logistic::fit(&seen[layer], &numbers[0], classes.len(), &config, &device);
        let [train, held_out] = [(&seen, &numbers[0]), (&judged, &numbers[1])]
            .map(|(features, classes)| fitted.accuracy(&features[layer], classes));
        tell(args, Probed { layer, train, held_out })?;
    }
    Ok(0)
}

fn layers(args: &ProbeArgs, model: &ImageGpt) -> Result<Vec<usize>> {
    let last = model.config().layers;
    match args.layers.iter().find(|layer| **layer > last) {
        Some(layer) => Err(Error::config(format!("--layers: {layer}; the model has 0 to {last}"))),
        None if args.layers.is_empty() => Ok((0..=last).collect()),
        None => Ok(args.layers.clone()),
    }
}

fn read(
    args: &ProbeArgs,
    bundle: &Bundle,
    model: &ImageGpt,
    (path, filter, limit): (&PathBuf, &Option<(String, String)>, usize),
) -> Result<Labelled> {
    let filter =
        Where(filter.iter().map(|(column, value)| (column.clone(), Values::One(value.clone()))).collect());
    let expected = Expected {
        codec: Some((args.model.clone(), bundle.codec.sha256.clone())),
        grid: model.config().grid,
        codebook_size: model.config().colours,
        vocab_size: usize::MAX,
        ..Expected::default()
    };
    let tokens = Tokens::load(path, &filter, &expected)?.with_images();
    let all = labels(path, &filter, &args.label)?;
    let count = if limit == 0 { tokens.len() } else { tokens.len().min(limit) };
    let rows: Vec<usize> = (0..count).map(|i| i * tokens.len() / count.max(1)).collect();
    let labels = rows.iter().filter_map(|row| all.get(*row).cloned()).collect();
    Ok(Labelled { tokens, rows, labels })
}

fn tell(args: &ProbeArgs, Probed { layer, train, held_out }: Probed) -> Result<()> {
    if args.common.json {
        let record = serde_json::json!({"type": "probe", "version": 1, "layer": layer, "train": train, "held_out": held_out});
        return Ok(print(&record.to_string())?);
    }
    Ok(print(&format!("layer {layer}\t{:.2} %\t{:.2} %", 100.0 * train, 100.0 * held_out))?)
}
