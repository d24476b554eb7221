//! `train answer`: questions about pictures and about texts.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::progress::Progress;

use super::speech::{SpeechArgs, at_least_one, codes};
use crate::bundle::Bundle;
use crate::rudolph::Rudolph;
use crate::words::task::is_cut;
use crate::words::{Counted, Question, TokenPair};
use crate::{Error, Result};

#[derive(Args, Debug)]
#[command(
    after_help = "Prints one line for each answer: with pictures the file and a tab before it. A model answers what it was
fine-tuned to answer: the task tokens are <LT_TQA> and <RT_TQA> of the published fine-tuning unless others are named.

Examples:
  train answer runs/vqa cat.png --question 'какого цвета кот?'
  train answer runs/squad --context 'Кот рыжий, пёс белый.' --question 'какого цвета кот?'
  train answer runs/fbc2 cat.png --question 'кто это?' --left-token 16392 --right-token 16393 --candidates 16"
)]
pub(super) struct AnswerArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// Pictures that the question is about; none for a question about a text
    #[arg(value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// The question
    #[arg(long, value_name = "TEXT")]
    question: String,
    /// A text that it is about; stands before the question
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    context: String,
    /// The id behind the BOS of the question
    #[arg(long, value_name = "ID")]
    left_token: Option<u32>,
    /// The id behind the BOS of the answer
    #[arg(long, value_name = "ID")]
    right_token: Option<u32>,
    /// Answers drawn; equal ones are counted, the most frequent is given first
    #[arg(long, value_name = "N", default_value_t = 1)]
    candidates: usize,
    /// How many different answers are given
    #[arg(long, value_name = "N", default_value_t = 1)]
    best: usize,
    #[command(flatten)]
    speech: SpeechArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn answer(args: &AnswerArgs) -> Result<u8> {
    at_least_one("--candidates", args.candidates)?;
    at_least_one("--best", args.best)?;
    if args.question.trim().is_empty() {
        return Err(Error::config("--question: is empty").with_hint("ask something"));
    }
    let how = args.speech.sampling()?;
    let bundle = args.speech.machine.open(&args.run, "answering", "answer", &args.common)?;
    let tokens = TokenPair::question(bundle.model.config(), args.left_token, args.right_token)?;
    let questions = questions(args, &bundle, tokens, how.batch)?;
    let total = (questions.len() * args.candidates) as u64;
    let progress = Progress::start(args.common.progress_style(), "answer", Some(total), 0);
    let mut on_step = |done: usize| progress.set(done as u64);
    let answers = bundle.answer(tokens, &questions, args.candidates, &how, &mut on_step)?;
    progress.finish();
    for (at, answers) in answers.iter().enumerate() {
        show(args, args.pictures.get(at).map(|path| path.display().to_string()), answers)?;
    }
    Ok(0)
}

fn questions(
    args: &AnswerArgs,
    bundle: &Bundle<Rudolph>,
    tokens: TokenPair,
    batch: usize,
) -> Result<Vec<Question>> {
    let left = bundle.model.config().left;
    let text = bundle.ids(format!("{} {}", args.context.trim(), args.question.trim()).trim());
    if is_cut(&text, tokens.left, left) {
        args.common.say(&format!(
            "context and question do not fit into model.left = {left} and are cut at their end, where the question is"
        ));
    }
    let question = |(codes, stream)| Question { text: text.clone(), codes, stream };
    if args.pictures.is_empty() {
        return Ok(vec![question((None, 0))]);
    }
    let codes = codes(bundle, &args.pictures, batch)?;
    Ok(codes.into_iter().map(Some).zip(0..).map(question).collect())
}

fn show(args: &AnswerArgs, file: Option<String>, answers: &[Counted]) -> Result<()> {
    let silent = [Counted { text: String::new(), count: 0 }];
    let answers = if answers.is_empty() { &silent } else { answers };
    for Counted { text, count } in answers.iter().take(args.best) {
        if args.common.json {
            let record = serde_json::json!({
                "type": "answer", "version": 1, "file": file, "question": args.question, "answer": text, "count": count,
            });
            print(&record.to_string())?;
        } else {
            print(&file.as_ref().map_or_else(|| text.clone(), |file| format!("{file}\t{text}")))?;
        }
    }
    Ok(())
}
