//! `tokenize bpe`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pipeline::cli::Common;
use pipeline::interrupt;
use pipeline::progress::Progress;

use super::print_json;
use crate::Result;
use crate::bpe::Specials;
use crate::bpe::learn::{LearnConfig, LearnKind, Summary, Watch, learn};
use crate::corpus::{Batch, Corpus};

/// Flags of `tokenize bpe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize bpe captions.txt --vocab-size 16384 --out bpe.model
  tokenize bpe data/pairs --columns caption,caption_ru --vocab-size 4096 --out bpe.model
  tokenize bpe texts/ --vocab-size 32000 --coverage 0.9999 --keep-case --out bpe.json")]
pub(super) struct Args {
    /// Text (also .gz, .zst), CSV, TSV or Parquet files, pair or token shards, or folders of them
    #[arg(required = true)]
    texts: Vec<PathBuf>,
    /// Entries of the vocabulary, special ids included
    #[arg(long, default_value_t = 16384)]
    vocab_size: usize,
    /// Share of all characters that the alphabet covers; rarer ones are left out (.model only)
    #[arg(long, default_value_t = 1.0)]
    coverage: f64,
    /// Tell capitals from small letters; without it texts are lower-cased, as ruDALL-E does
    #[arg(long)]
    keep_case: bool,
    /// Columns of tables that hold text [default: caption, or the only text column]
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Id that fills a text up; -1 for none
    #[arg(long, default_value = "0", value_parser = id, allow_negative_numbers = true)]
    pad_id: Id,
    /// Id of characters that the alphabet lacks; -1 for none (.json only)
    #[arg(long, default_value = "1", value_parser = id, allow_negative_numbers = true)]
    unk_id: Id,
    /// Id that begins a text; -1 for none
    #[arg(long, default_value = "2", value_parser = id, allow_negative_numbers = true)]
    bos_id: Id,
    /// Id that ends a text; -1 for none
    #[arg(long, default_value = "3", value_parser = id, allow_negative_numbers = true)]
    eos_id: Id,
    /// Where to write the tokenizer: .json is byte-level (Hugging Face), anything else YouTokenToMe's format
    #[arg(short, long, default_value = "bpe.model")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// A special id, or none.
#[derive(Clone, Copy, Debug)]
struct Id(Option<u32>);

fn id(text: &str) -> std::result::Result<Id, String> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(Id(None)),
        Ok(id) => u32::try_from(id).map(|id| Id(Some(id))).map_err(|_| format!("{id} is no id")),
        Err(error) => Err(error.to_string()),
    }
}

/// Texts that are not wholly UTF-8.
#[derive(Default)]
struct Damage {
    texts: usize,
    first: Option<String>,
}

impl Damage {
    fn note(&mut self, batch: &Batch) {
        self.texts += batch.damaged;
        self.first = self.first.take().or_else(|| batch.first_damaged.clone());
    }
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        let corpus = Corpus::find(&self.texts, &self.columns)?;
        let started = Instant::now();
        let progress = Progress::start(self.common.progress_style(), "texts", None, 0);
        let watch = Watch { interrupt: interrupt::install(), progress: Some(progress.clone()) };
        let mut damage = Damage::default();
        let batches = corpus.batches().inspect(|batch| {
            if let Ok(batch) = batch {
                damage.note(batch);
            }
        });
        let learned = learn(batches, &self.config(), &watch)?;
        progress.finish();
        learned.bpe.save(&self.out)?;
        let seconds = started.elapsed().as_secs_f64();
        if self.common.json {
            let mut record = serde_json::json!({
                "path": self.out, "kind": learned.bpe.kind(), "sha256": learned.bpe.sha256(),
                "vocab_size": learned.bpe.vocab_size(), "lowercase": learned.bpe.lowercase(),
                "damaged_texts": damage.texts, "seconds": seconds,
            });
            if let (Some(record), serde_json::Value::Object(summary)) =
                (record.as_object_mut(), serde_json::json!(learned.summary))
            {
                record.extend(summary);
            }
            print_json("bpe", &record)?;
        } else {
            self.talk(&learned.summary, &damage, seconds, learned.bpe.sha256());
        }
        Ok(0)
    }

    fn config(&self) -> LearnConfig {
        let json = self.out.extension().is_some_and(|ending| ending == "json");
        LearnConfig {
            kind: if json { LearnKind::ByteLevel } else { LearnKind::Yttm },
            vocab_size: self.vocab_size,
            coverage: self.coverage,
            lowercase: !self.keep_case,
            specials: Specials {
                pad: self.pad_id.0,
                unk: self.unk_id.0,
                bos: self.bos_id.0,
                eos: self.eos_id.0,
            },
        }
    }

    fn talk(&self, summary: &Summary, damage: &Damage, seconds: f64, sha256: &str) {
        let say = |text: &str| self.common.say(text);
        if let Some(first) = &damage.first {
            let texts = if damage.texts == 1 { "text has" } else { "texts have" };
            let number = damage.texts;
            say(&format!("note: {number} {texts} bytes that are no UTF-8, left out; the first is {first}"));
        }
        if summary.entries < self.vocab_size {
            let size = summary.entries;
            say(&format!("note: the texts hold only {size} different pieces; every word is one id now"));
        }
        let path: &Path = &self.out;
        let Summary { texts, words, distinct_words, entries, alphabet, covered, pieces_per_word, .. } =
            summary;
        say(&format!("{}: {entries} entries from {texts} texts, sha256 {sha256}", path.display()));
        say(&format!("words       {words}, {distinct_words} different, {pieces_per_word:.2} pieces each"));
        say(&match self.config().kind {
            LearnKind::Yttm => {
                format!("characters  {alphabet} are entries and cover {:.4} % of the text", 100.0 * covered)
            }
            LearnKind::ByteLevel => format!("characters  all, by their bytes: {alphabet} are entries"),
        });
        say(&format!("time        {seconds:.1} s, {:.0} words/s", *words as f64 / seconds.max(1e-3)));
        let keep = if self.keep_case { " --set lowercase=false" } else { "" };
        say(&format!(
            "next: tokenize shards data/pairs --codec vqgan.safetensors --bpe {} --out data/tokens{keep}",
            path.display()
        ));
    }
}
