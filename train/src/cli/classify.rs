//! `train classify`: which of several texts fits a picture best, by a model that was trained for no classes.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::progress::Progress;

use super::speech::{MachineArgs, codes};
use crate::classify::Classified;
use crate::{Error, Result};

#[derive(Args, Debug)]
#[command(
    after_help = "Prints one line for each picture: its file, a tab, the class. With --scores every class follows with
its score, the likeliest first: the lowest score is the likeliest, as in the published code.

Examples:
  train classify runs/rudolph a.png b.png --class кошка --class собака
  train classify runs/rudolph *.png --classes classes.txt --template 'на картинке изображено: {}' --json"
)]
pub(super) struct ClassifyArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF)
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// A class (repeatable)
    #[arg(long = "class", value_name = "TEXT")]
    named: Vec<String>,
    /// A text file with one class on each line
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The text that is judged; {} is the class
    #[arg(long, value_name = "TEXT", default_value = "{}")]
    template: String,
    /// Print the score of every class
    #[arg(long)]
    scores: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn classify(args: &ClassifyArgs) -> Result<u8> {
    let names = names(args)?;
    let bundle = args.machine.open(&args.run, "classifying", "classify", &args.common)?;
    let classes = bundle.classes(&names, &args.template)?;
    if classes.cut > 0 {
        let (cut, all, right) = (classes.cut, names.len(), bundle.model.config().right);
        args.common.say(&format!("{cut} of {all} classes do not fit into model.right = {right} and are cut"));
    }
    let codes = codes(&bundle, &args.pictures, args.machine.batch)?;
    let progress = Progress::start(args.common.progress_style(), "picture", Some(codes.len() as u64), 0);
    let mut on_step = |done: usize| progress.set(done as u64);
    let found = bundle.classify(&codes, &classes, args.machine.batch, &mut on_step)?;
    progress.finish();
    for (path, found) in args.pictures.iter().zip(&found) {
        show(args, &path.display().to_string(), &names, found)?;
    }
    Ok(0)
}

fn names(args: &ClassifyArgs) -> Result<Vec<String>> {
    let mut names = args.named.clone();
    if let Some(path) = &args.classes {
        names.extend(listed(path)?);
    }
    match names.as_slice() {
        [] | [_] => {
            let why = if names.is_empty() { "no classes to choose from" } else { "one class is no choice" };
            Err(Error::config(why).with_hint("give at least two, with --class or --classes FILE"))
        }
        _ => Ok(names),
    }
}

/// The lines of a file, without empty ones.
fn listed(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::config(format!("{}: byte {at} is no UTF-8", path.display()))
            .with_hint("save the classes as UTF-8, one on each line")
    })?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn show(args: &ClassifyArgs, file: &str, names: &[String], found: &Classified) -> Result<()> {
    let class = &names[found.label];
    if args.common.json {
        let scores = names.iter().zip(found.scores.iter().zip(&found.perplexities)).map(
            |(class, (score, ppl))| serde_json::json!({"class": class, "score": score, "perplexity": ppl}),
        );
        let record = serde_json::json!({
            "type": "class", "version": 1, "file": file, "label": found.label, "class": class,
            "scores": scores.collect::<Vec<_>>(),
        });
        return Ok(print(&record.to_string())?);
    }
    let mut line = format!("{file}\t{class}");
    if args.scores {
        let mut order = (0..names.len()).collect::<Vec<_>>();
        order.sort_by(|a, b| found.perplexities[*a].total_cmp(&found.perplexities[*b]));
        for at in order {
            line += &format!("\t{} {:.4}", names[at], found.scores[at]);
        }
    }
    Ok(print(&line)?)
}
