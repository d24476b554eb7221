//! CLIPScore: how well pictures go with their captions, by the angle between CLIP's two vectors.
//!
//! Source: Hessel et al. 2021, "CLIPScore: a reference-free evaluation metric for image captioning", §3: `w·max(cos, 0)`
//! with w = 2.5. torchmetrics and most papers about drawing print `100·max(cos, 0)` under the same name; both are here.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pipeline::picture::Picture;
use serde::Serialize;
use tokenize::bpe::Bpe;

use crate::clip::Clip;
use crate::{Error, Result};

/// Name of the vocabulary in CLIP's folder.
pub const VOCABULARY: &str = "bpe_simple_vocab_16e6.txt.gz";
/// The paper's factor.
const W: f64 = 2.5;

/// A CLIP with its vocabulary.
pub struct Critic {
    clip: Clip,
    bpe: Bpe,
}

/// The score and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipScore {
    /// Mean of `2.5·max(cos, 0)`, as in Hessel et al. 2021.
    pub clip_score_hessel: f64,
    /// Mean of `100·max(cos, 0)`, as torchmetrics has it.
    pub clip_score_100: f64,
    /// Pictures with captions.
    pub pictures: usize,
    /// Captions cut to CLIP's positions.
    pub captions_cut: usize,
    /// sha256 of CLIP's weights.
    pub weights_sha256: String,
    /// How a picture gets the model's size.
    pub resize: String,
}

impl Critic {
    /// Opens a folder of Hugging Face's layout; the vocabulary is `bpe_simple_vocab_16e6.txt.gz` of openai/CLIP, in that
    /// folder or elsewhere.
    ///
    /// # Errors
    /// A file is missing or does not fit.
    pub fn open(dir: &Path, vocabulary: Option<&Path>, device: &Device) -> Result<Self> {
        let path: PathBuf = vocabulary.map_or_else(|| dir.join(VOCABULARY), Path::to_owned);
        if !path.is_file() {
            let why = format!("{}: CLIP's vocabulary is missing", path.display());
            return Err(
                Error::config(why).with_hint("put openai/CLIP's file there, or name it with --clip-bpe")
            );
        }
        let (clip, bpe) = (Clip::open(dir, device)?, Bpe::load(&path)?);
        if bpe.as_clip().is_none() {
            return Err(Error::config(format!("{}: a vocabulary of kind {}", path.display(), bpe.kind()))
                .with_hint(format!("CLIP needs {VOCABULARY}")));
        }
        let (entries, rows) = (bpe.vocab_size(), clip.config().text_config.vocab_size);
        if entries != rows {
            let why = format!("{}: {entries} entries, the model has {rows}", path.display());
            return Err(Error::config(why));
        }
        Ok(Self { clip, bpe })
    }

    /// The cosine of each picture with its caption, and how many captions were cut.
    ///
    /// # Errors
    /// A picture cannot be scaled, or a vector is not finite.
    pub fn cosines(&self, pairs: Vec<(Picture, String)>) -> Result<(Vec<f32>, usize)> {
        if pairs.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let length = self.clip.config().text_config.max_position_embeddings;
        let (mut pictures, mut texts, mut cut) = (Vec::new(), Vec::new(), 0);
        for (picture, caption) in pairs {
            let Some(model) = self.bpe.as_clip() else { continue };
            let (ids, was_cut) = model.framed(&self.bpe.encode(&caption), length);
            cut += usize::from(was_cut);
            pictures.push(picture);
            texts.push(ids.into_iter().map(i64::from).collect());
        }
        let text = self.clip.texts(&texts)?.vector;
        let image = self.clip.images(self.clip.pixels(pictures)?).vector;
        let cosines = (text * image).sum_dim(1).into_data().convert::<f32>().try_to_vec::<f32>();
        let cosines = cosines.map_err(|error| Error::config(format!("CLIP's vectors: {error:?}")))?;
        if cosines.iter().any(|cosine| !cosine.is_finite()) {
            return Err(Error::config("CLIP's vectors are not finite: are its weights damaged?"));
        }
        Ok((cosines, cut))
    }

    /// The score of all cosines.
    #[must_use]
    pub fn score(&self, cosines: &[f32], captions_cut: usize) -> ClipScore {
        let mean = mean_positive(cosines);
        let side = self.clip.config().vision_config.image_size;
        ClipScore {
            clip_score_hessel: W * mean,
            clip_score_100: 100.0 * mean,
            pictures: cosines.len(),
            captions_cut,
            weights_sha256: self.clip.sha256().to_owned(),
            resize: format!("{side} x {side}, bicubic on the shorter side, centre (openai/CLIP)"),
        }
    }
}

/// Mean of `max(cos, 0)`.
fn mean_positive(cosines: &[f32]) -> f64 {
    cosines.iter().map(|cosine| f64::from(cosine.max(0.0))).sum::<f64>() / cosines.len().max(1) as f64
}

/// Captions of pictures: `captions.tsv` lines of a file's name, a tab, its caption.
///
/// # Errors
/// The file cannot be read, or a line has no tab, which is named by its number.
pub fn captions(path: &Path) -> Result<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let pair = |(number, line): (usize, &str)| match line.split_once('\t') {
        Some((name, caption)) if !caption.trim().is_empty() => {
            Ok((name.to_owned(), caption.trim().to_owned()))
        }
        _ => Err(Error::data(path, format!("line {number}: not a file name, a tab and a caption"))
            .with_hint("one line per picture, as `train caption` prints them")),
    };
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_below_zero_counts_as_zero() {
        assert!((mean_positive(&[0.5, -0.9, 0.1]) - 0.2).abs() < 1e-7);
        assert_eq!(mean_positive(&[]), 0.0);
    }

    #[test]
    fn captions_are_lines_of_name_tab_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.tsv");
        pipeline::atomic::write(&path, "a.png\tred cat \n\nb.png\ta\tdog\n").unwrap();
        let found = captions(&path).unwrap();
        assert_eq!((found["a.png"].as_str(), found["b.png"].as_str()), ("red cat", "a\tdog"));
        pipeline::atomic::write(&path, "a.png\tcat\nb.png dog\n").unwrap();
        let error = captions(&path).unwrap_err().to_string();
        assert!(error.contains("c.tsv: line 2: not a file name"), "{error}");
    }
}
