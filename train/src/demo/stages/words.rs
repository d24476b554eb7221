//! `tokenize bpe`: the captions of the training pictures → a vocabulary.

use tokenize::bpe::Bpe;
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
            let texts = corpus.texts().collect::<tokenize::Result<Vec<_>>>()?;
            let bpe = Bpe::train(texts.iter(), size)?;
            let worked = std::fs::metadata(&path).is_err() || Bpe::load(&path)?.sha256() != bpe.sha256();
            if worked {
                bpe.save(&path)?;
            }
            let saved = Bpe::load(&path)?;
            let value = Vocabulary {
                size: saved.vocab_size(),
                sha256: saved.sha256().to_owned(),
                texts: texts.len(),
            };
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
