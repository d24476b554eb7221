//! `train write`: texts that go on.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::progress::Progress;

use super::speech::{SpeechArgs, at_least_one};
use crate::Result;
use crate::words::TokenPair;
use crate::words::task::is_cut;

#[derive(Args, Debug)]
#[command(
    after_help = "Prints one text on each line. Of several, equal ones are printed once, and the text that the model
finds most natural (the lowest perplexity) comes first. A text is never longer than the model's left text.

Examples:
  train write runs/rudolph --prompt 'рыжий кот'
  train write runs/rudolph --prompt 'a red' --prompt 'a blue' -n 8 --scores"
)]
pub(super) struct WriteArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// How the text begins (repeatable); may be empty
    #[arg(long = "prompt", value_name = "TEXT", required = true)]
    prompts: Vec<String>,
    /// Texts drawn for each prompt
    #[arg(short = 'n', long = "n", value_name = "N", default_value_t = 1)]
    count: usize,
    /// Print perplexity and count behind the text
    #[arg(long)]
    scores: bool,
    #[command(flatten)]
    speech: SpeechArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn write(args: &WriteArgs) -> Result<u8> {
    at_least_one("--n", args.count)?;
    let how = args.speech.sampling()?;
    let bundle = args.speech.machine.open(&args.run, "writing", "write", &args.common)?;
    let config = bundle.model.config();
    let token = TokenPair::text(config).left;
    let cut =
        args.prompts.iter().filter(|prompt| is_cut(&bundle.ids(prompt.trim()), token, config.left)).count();
    if cut > 0 {
        let (all, left) = (args.prompts.len(), config.left);
        args.common.say(&format!("{cut} of {all} prompts do not fit into model.left = {left} and are cut"));
    }
    let total = (args.prompts.len() * args.count) as u64;
    let progress = Progress::start(args.common.progress_style(), "text", Some(total), 0);
    let mut on_step = |done: usize| progress.set(done as u64);
    let written = bundle.write(&args.prompts, args.count, &how, &mut on_step)?;
    progress.finish();
    for (prompt, texts) in args.prompts.iter().zip(&written) {
        if texts.is_empty() {
            args.common.say(&format!("{prompt:?}: no text has words"));
        }
        for (counted, perplexity) in texts {
            let (text, count) = (&counted.text, counted.count);
            if args.common.json {
                let record = serde_json::json!({
                    "type": "text", "version": 1, "prompt": prompt, "text": text, "count": count,
                    "perplexity": perplexity,
                });
                print(&record.to_string())?;
            } else if args.scores {
                print(&format!("{text}\t{perplexity:.2}\t{count}"))?;
            } else {
                print(text)?;
            }
        }
    }
    Ok(0)
}
