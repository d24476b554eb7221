//! `tokenize bpe`: the captions of the training pictures → a vocabulary.

use tokenize::bpe::Bpe;
use tokenize::bpe::learn::{LearnConfig, Watch, learn};
use tokenize::corpus::Corpus;

use super::super::figures::Vocabulary;
use super::super::gallery::{Gallery, Language};
use super::super::place::shell;
use super::{Done, Road};
use crate::{Error, Result};

impl Road {
    /// Writes the training captions, one a line, and learns a BPE of the model's vocabulary size from them.
    pub(super) fn words(&mut self, gallery: &Gallery) -> Result<Vocabulary> {
        let (texts, path) = (self.place.out("captions.txt"), self.settings.rudolph.config.data.bpe.clone());
        pipeline::atomic::write(&texts, captions(gallery))?;
        let size = self.settings.rudolph.config.model.text_vocab;
        let (input, output) = (texts.display().to_string(), path.display().to_string());
        let command = shell(["tokenize", "bpe", &input, "--vocab-size", &size.to_string(), "--out", &output]);
        self.stage("bpe", "a vocabulary for Russian and English", command, |_| {
            let corpus = Corpus::find(&[texts], &[])?;
            let config = LearnConfig { vocab_size: size, ..LearnConfig::default() };
            let learned = learn(corpus.batches(), &config, &Watch::default())?;
            let sha256 = learned.bpe.sha256().to_owned();
            let worked = std::fs::metadata(&path).is_err() || Bpe::load(&path)?.sha256() != sha256;
            if worked {
                learned.bpe.save(&path)?;
            }
            let texts = learned.summary.texts as usize;
            let value = Vocabulary { size: learned.bpe.vocab_size(), sha256, texts };
            let said = format!("{} entries from {} captions", value.size, value.texts);
            Ok(Done { value, worked, said })
        })
        .map_err(too_small)
    }
}

fn captions(gallery: &Gallery) -> String {
    let training = gallery.training();
    let lines = training
        .iter()
        .flat_map(|item| Language::ALL.map(|language| format!("{}\n", item.caption(language))));
    lines.collect()
}

/// The vocabulary's size is a key of the model here, not the flag that the message names.
fn too_small(error: Error) -> Error {
    match error {
        Error::Tokenize(tokenize::Error::Bpe { why, .. }) => {
            Error::config(format!("model.text_vocab: {why}")).with_hint("raise model.text_vocab with --set")
        }
        other => other,
    }
}
