//! `tokenize bpe`.

use std::path::PathBuf;

use pipeline::cli::Common;
use pipeline::progress::Progress;

use super::print_json;
use crate::Result;
use crate::bpe::Bpe;
use crate::corpus::Corpus;

/// Flags of `tokenize bpe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize bpe captions.txt --vocab-size 16384 --out bpe.json
  tokenize bpe data/pairs --columns caption,caption_ru --vocab-size 4096 --out bpe.json")]
pub(super) struct Args {
    /// Text, CSV, TSV or Parquet files, pair shards, or folders of them
    #[arg(required = true)]
    texts: Vec<PathBuf>,
    /// Entries of the vocabulary, the four special ids included
    #[arg(long, default_value_t = 16384)]
    vocab_size: usize,
    /// Columns of tables that hold text [default: caption, or the only text column]
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Where to write the tokenizer
    #[arg(short, long, default_value = "bpe.json")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        let common = &self.common;
        let corpus = Corpus::find(&self.texts, &self.columns)?;
        let progress = Progress::start(common.progress_style(), "texts", None, 0);
        let mut failed = None;
        let texts = corpus.texts().map_while(|text| text.map_err(|error| failed = Some(error)).ok());
        let trained = Bpe::train(texts.inspect(|_| progress.add(1)), self.vocab_size);
        if let Some(error) = failed {
            return Err(error);
        }
        let bpe = trained?;
        progress.finish();
        bpe.save(&self.out)?;
        let (size, path) = (bpe.vocab_size(), self.out.display());
        if size < self.vocab_size {
            common
                .say(&format!("note: the texts hold only {size} different pieces; every word is one id now"));
        }
        if common.json {
            let record = serde_json::json!({"path": self.out, "vocab_size": size, "sha256": bpe.sha256(), "texts": progress.done()});
            print_json("bpe", &record)?;
        } else {
            common.say(&format!(
                "{path}: {size} entries from {} texts, sha256 {}",
                progress.done(),
                bpe.sha256()
            ));
            common.say(&format!(
                "next: tokenize shards data/pairs --codec vqgan.safetensors --bpe {path} --out data/tokens"
            ));
        }
        Ok(0)
    }
}
