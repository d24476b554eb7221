//! `train caption`: pictures into words.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::atomic::AtomicFile;
use pipeline::cli::{Common, print};
use pipeline::progress::Progress;
use tokenize::tokens::{Column, TokenMeta, TokenRow, TokenWriter};

use super::speech::{SpeechArgs, at_least_one, codes};
use crate::Result;
use crate::bundle::{Bundle, Candidate};
use crate::rudolph::Rudolph;
use crate::words::task::is_cut;
use crate::words::{Counted, TokenPair};

#[derive(Args, Debug)]
#[command(after_help = "Prints one line for each caption: the picture's file, a tab, the caption.

With --candidates, many captions of each picture are drawn; equal ones are counted, and they are ordered
by how well the model draws the picture from them, over how often they came: the lowest score is the best.

Examples:
  train caption runs/rudolph cat.png dog.jpg
  train caption runs/rudolph *.png --candidates 48 --template 'на картинке' --best 5 --scores
  train caption runs/rudolph *.png --candidates 48 --out captions.parquet    # a token shard: train reads it")]
pub(super) struct CaptionArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF)
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// What every caption begins with; the published models know "на картинке"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    template: String,
    /// Captions drawn of each picture, to choose from; published: 48
    #[arg(long, value_name = "N", default_value_t = 1)]
    candidates: usize,
    /// How many of them are given, the best first
    #[arg(long, value_name = "N", default_value_t = 1)]
    best: usize,
    /// Print score, count and both perplexities behind the caption
    #[arg(long)]
    scores: bool,
    /// Write the captions to a token shard, with the pictures' codes
    #[arg(long, value_name = "FILE.parquet")]
    out: Option<PathBuf>,
    #[command(flatten)]
    speech: SpeechArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn caption(args: &CaptionArgs) -> Result<u8> {
    at_least_one("--candidates", args.candidates)?;
    at_least_one("--best", args.best)?;
    let how = args.speech.sampling()?;
    let bundle = args.speech.machine.open(&args.run, "captioning", "caption", &args.common)?;
    let config = bundle.model.config();
    let cut = is_cut(&bundle.ids(&args.template), TokenPair::caption(config).right, config.right);
    if cut {
        args.common.say(&format!("the template does not fit into model.right = {} and is cut", config.right));
    }
    let codes = codes(&bundle, &args.pictures, how.batch)?;
    let total = (codes.len() * args.candidates) as u64;
    let progress = Progress::start(args.common.progress_style(), "caption", Some(total), 0);
    let mut on_step = |done: usize| progress.set(done as u64);
    let counted = bundle.candidates(&codes, &args.template, args.candidates, &how, &mut on_step)?;
    progress.finish();
    let mut ranked = rank(args, &bundle, &codes, &counted, how.batch)?;
    ranked.iter_mut().for_each(|candidates| candidates.truncate(args.best));
    let silent = ranked.iter().filter(|candidates| candidates.is_empty()).count();
    if silent > 0 {
        args.common.say(&format!("{silent} of {} pictures: no caption has words", ranked.len()));
    }
    for (path, candidates) in args.pictures.iter().zip(&ranked) {
        show(args, &path.display().to_string(), candidates)?;
    }
    match &args.out {
        Some(out) => save(out, args, &bundle, &codes, &ranked),
        None => Ok(0),
    }
}

/// One caption needs no ranking, unless its score is asked for.
fn rank(
    args: &CaptionArgs,
    bundle: &Bundle<Rudolph>,
    codes: &[Vec<u16>],
    counted: &[Vec<Counted>],
    batch: usize,
) -> Result<Vec<Vec<Candidate>>> {
    if args.candidates == 1 && !args.scores && args.out.is_none() {
        let plain = |one: &Counted| Candidate {
            text: one.text.clone(),
            count: one.count,
            text_perplexity: f32::NAN,
            image_perplexity: f32::NAN,
            score: f32::NAN,
        };
        return Ok(counted.iter().map(|counted| counted.iter().map(plain).collect()).collect());
    }
    let total = counted.iter().map(Vec::len).sum::<usize>() as u64;
    let progress = Progress::start(args.common.progress_style(), "ranking", Some(total), 0);
    let ranked = bundle.rank(codes, counted, batch, &mut |done| progress.set(done as u64));
    progress.finish();
    ranked
}

fn show(args: &CaptionArgs, file: &str, candidates: &[Candidate]) -> Result<()> {
    if candidates.is_empty() && !args.common.json {
        print(&format!("{file}\t"))?;
    }
    if candidates.is_empty() && args.common.json {
        let record =
            serde_json::json!({"type": "caption", "version": 1, "file": file, "caption": "", "count": 0});
        print(&record.to_string())?;
    }
    for candidate in candidates {
        let Candidate { text, count, text_perplexity, image_perplexity, score } = candidate;
        if args.common.json {
            // What was not computed is null.
            let record = serde_json::json!({
                "type": "caption", "version": 1, "file": file, "caption": text, "count": count, "score": score,
                "text_perplexity": text_perplexity, "image_perplexity": image_perplexity,
            });
            print(&record.to_string())?;
        } else if args.scores {
            print(&format!(
                "{file}\t{text}\t{score:.4}\t{count}\t{text_perplexity:.2}\t{image_perplexity:.2}"
            ))?;
        } else {
            print(&format!("{file}\t{text}"))?;
        }
    }
    Ok(())
}

/// The captions as a token shard, with the rank of each.
fn save(
    out: &Path,
    args: &CaptionArgs,
    bundle: &Bundle<Rudolph>,
    codes: &[Vec<u16>],
    ranked: &[Vec<Candidate>],
) -> Result<u8> {
    let extra = ["rank", "count", "score", "text_perplexity", "image_perplexity"];
    let columns =
        extra.map(|name| if extra[..2].contains(&name) { Column::int(name) } else { Column::float(name) });
    let file = AtomicFile::create(out)?;
    let mut writer = TokenWriter::new(file, out, &meta(bundle), &columns)?;
    for ((path, codes), candidates) in args.pictures.iter().zip(codes).zip(ranked) {
        for (candidate, rank) in candidates.iter().zip(1i64..) {
            let numbers =
                [candidate.score, candidate.text_perplexity, candidate.image_perplexity].map(f64::from);
            let integers = [rank, candidate.count as i64].map(tokenize::tokens::Value::Int);
            let values = integers.into_iter().chain(numbers.map(tokenize::tokens::Value::Float));
            writer.push(TokenRow {
                key: path.display().to_string(),
                caption: Some(candidate.text.clone()),
                text_ids: Some(bundle.ids(&candidate.text)),
                codes: Some(codes.clone()),
                extra: extra.map(str::to_owned).into_iter().zip(values).collect(),
            })?;
        }
    }
    writer.finish()?.commit()?;
    args.common.say(&format!("wrote {}", out.display()));
    Ok(0)
}

fn meta(bundle: &Bundle<Rudolph>) -> TokenMeta {
    let codec = &bundle.codec;
    let meta = TokenMeta {
        codec_name: codec.name.clone(),
        codec_kind: codec.kind().name().to_owned(),
        codec_sha256: codec.sha256.clone(),
        codebook_size: codec.codebook_size(),
        grid: bundle.model.config().grid,
        downsampling: codec.downsampling(),
        preprocess: *codec.preprocess(),
        ..TokenMeta::default()
    };
    match &bundle.bpe {
        None => meta,
        Some(bpe) => TokenMeta {
            bpe_kind: bpe.kind().to_owned(),
            bpe_sha256: bpe.sha256().to_owned(),
            vocab_size: bpe.vocab_size(),
            lowercase: bpe.lowercase(),
            ..meta
        },
    }
}
