//! `train score`: every number that says how good a model is.

mod judge;
mod single;
mod tokens;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pipeline::cli::{Common, print};
use serde::Serialize;

use crate::data::{Values, Where};
use crate::rudolph::Task;
use crate::{Error, Result};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  train score runs/rudolph --tokens data/tokens --where split=test --out scores.parquet
  train score runs/rudolph --text \"red cat\" --picture cat.png
  train score runs/rudolph --tokens data/tokens --label-column label --classes classes.txt --template \"a picture of {}\"
  train score runs/rudolph --tokens data/tokens --n 1000 --fid-weights pt_inception-2015-12-05-6726825d.pth --reference stats.npz
  train score --pictures rfid/reconstruction --reference rfid/original --fid-weights pt_inception-2015-12-05-6726825d.pth
  train score --pictures drawings --captions captions.tsv --clip-model clip-vit-base-patch32

Losses are in nats per token, pads left out. Two perplexities are printed: exp(mean loss), and mean(exp loss) as ruDALL-E
and RuDOLPH report it. Bits per dimension are the codes' bits by pixel and channel, without what the codec loses.")]
pub(super) struct ScoreArgs {
    /// A run folder, or a model folder; not needed for --pictures
    #[arg(value_name = "RUN|MODEL")]
    run: Option<PathBuf>,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    zero_shot: ZeroShotArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    /// Rows or pictures computed together; without it as many as a quarter of the free memory holds, 64 at most
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args, Debug)]
struct WhatArgs {
    /// Token shards: a file or a folder
    #[arg(long, value_name = "DIR", help_heading = "What is scored")]
    tokens: Option<PathBuf>,
    /// Only rows whose column has this value (repeatable; the values of one column are alternatives)
    #[arg(long = "where", value_name = "COLUMN=VALUE", requires = "tokens", help_heading = "What is scored")]
    filter: Vec<String>,
    /// Only the first N rows
    #[arg(long, value_name = "N", requires = "tokens", help_heading = "What is scored")]
    rows: Option<usize>,
    /// How RuDOLPH reads a row
    #[arg(long, value_enum, default_value_t, help_heading = "What is scored")]
    task: TaskName,
    /// A score for each row, as Parquet
    #[arg(long, value_name = "FILE.parquet", requires = "tokens", help_heading = "What is scored")]
    out: Option<PathBuf>,
    /// A single text before the picture
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens", help_heading = "What is scored")]
    text: Option<String>,
    /// A single picture
    #[arg(long, value_name = "FILE", conflicts_with = "tokens", help_heading = "What is scored")]
    picture: Option<PathBuf>,
    /// A single text after the picture (RuDOLPH)
    #[arg(long, value_name = "TEXT", requires = "picture", help_heading = "What is scored")]
    right_text: Option<String>,
}

/// [`Task`] on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// The caption before the image
    #[default]
    TextToImage,
    /// The caption after the image
    ImageToText,
    /// The text alone
    TextToText,
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::TextToImage => Self::TextToImage,
            TaskName::ImageToText => Self::ImageToText,
            TaskName::TextToText => Self::TextToText,
        }
    }
}

#[derive(Args, Debug)]
struct ZeroShotArgs {
    /// The column of the labels: names of classes, or their numbers from 0
    #[arg(long, value_name = "COLUMN", requires_all = ["tokens", "classes"], help_heading = "Zero-shot accuracy")]
    label_column: Option<String>,
    /// The classes: a text file, one on a line
    #[arg(long, value_name = "FILE", requires = "label_column", help_heading = "Zero-shot accuracy")]
    classes: Option<PathBuf>,
    /// The text of a class, with {} for its name (repeatable: perplexities are averaged)
    #[arg(long = "template", value_name = "TEXT", default_value = "{}", help_heading = "Zero-shot accuracy")]
    templates: Vec<String>,
    /// Which classes were taken for which, tab-separated
    #[arg(long, value_name = "FILE.tsv", requires = "label_column", help_heading = "Zero-shot accuracy")]
    confusion: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct JudgeArgs {
    /// Judge the pictures of a folder instead of drawings
    #[arg(long, value_name = "DIR", conflicts_with_all = ["run", "tokens"], help_heading = "Drawings and pictures")]
    pictures: Option<PathBuf>,
    /// Captions of the folder's pictures: lines of file name, tab, caption
    #[arg(long, value_name = "FILE.tsv", requires = "pictures", help_heading = "Drawings and pictures")]
    captions: Option<PathBuf>,
    /// FID: the weights of pytorch-fid's Inception, as .pth or safetensors
    #[arg(long, value_name = "FILE", help_heading = "Drawings and pictures")]
    fid_weights: Option<PathBuf>,
    /// FID: statistics (.npz of mu and sigma) or a folder of pictures
    #[arg(
        long,
        value_name = "STATS.npz|DIR",
        requires = "fid_weights",
        help_heading = "Drawings and pictures"
    )]
    reference: Option<PathBuf>,
    /// Write the measured pictures' statistics, for a later --reference or pytorch-fid
    #[arg(long, value_name = "FILE.npz", requires = "fid_weights", help_heading = "Drawings and pictures")]
    write_stats: Option<PathBuf>,
    /// CLIPScore: a CLIPModel in Hugging Face's layout
    #[arg(long, value_name = "DIR", help_heading = "Drawings and pictures")]
    clip_model: Option<PathBuf>,
    /// CLIP's vocabulary; without it bpe_simple_vocab_16e6.txt.gz in CLIP's folder
    #[arg(long, value_name = "FILE", requires = "clip_model", help_heading = "Drawings and pictures")]
    clip_bpe: Option<PathBuf>,
    /// Drawings of captions of --tokens, or pictures of --pictures; without it one for each
    #[arg(long, value_name = "N", help_heading = "Drawings and pictures")]
    n: Option<usize>,
    /// Chooses captions or pictures, and draws
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Drawings and pictures")]
    seed: u64,
    /// Keep the K most probable codes; 0 keeps all
    #[arg(long, value_name = "K", help_heading = "Drawings and pictures")]
    top_k: Option<usize>,
    /// Keep the most probable codes that together reach this probability; 1 keeps all
    #[arg(long, value_name = "P", help_heading = "Drawings and pictures")]
    top_p: Option<f64>,
    /// Write the numbers with their protocol as JSON
    #[arg(long, value_name = "FILE.json", help_heading = "Drawings and pictures")]
    report: Option<PathBuf>,
}

pub(super) fn score(args: &ScoreArgs) -> Result<u8> {
    if args.batch == Some(0) {
        return Err(Error::config("--batch: must be at least 1"));
    }
    if args.judge.fid_weights.is_some() || args.judge.clip_model.is_some() {
        judge::judge(args)?;
    } else if args.judge.pictures.is_some() {
        return Err(Error::config("--pictures: how are they to be judged?")
            .with_hint("give --fid-weights, --clip-model or both"));
    } else if args.what.tokens.is_some() {
        tokens::score(args)?;
    } else {
        single::score(args)?;
    }
    Ok(0)
}

impl ScoreArgs {
    /// The model's folder.
    fn run(&self) -> Result<&PathBuf> {
        self.run.as_ref().ok_or_else(|| Error::config("RUN: which model is to be scored?"))
    }

    fn filter(&self) -> Result<Where> {
        let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in &self.what.filter {
            let Some((column, value)) = text.split_once('=') else {
                return Err(Error::config(format!("--where {text}: not COLUMN=VALUE")));
            };
            columns.entry(column.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Where(columns.into_iter().map(|(column, values)| (column, Values::Any(values))).collect()))
    }

    /// One record, as JSON or as text.
    fn tell(&self, kind: &str, record: &impl Serialize, text: &str) -> Result<()> {
        if !self.common.json {
            return Ok(print(text)?);
        }
        let mut line = serde_json::json!({"type": kind, "version": 1});
        if let (Some(line), Ok(serde_json::Value::Object(record))) =
            (line.as_object_mut(), serde_json::to_value(record))
        {
            line.extend(record);
        }
        Ok(print(&line.to_string())?)
    }
}
