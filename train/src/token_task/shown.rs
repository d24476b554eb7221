//! What is shown while training: drawings from fixed prompts, and captions of fixed pictures.

use std::path::Path;

use pipeline::atomic;

use super::mix::TaskKind;
use super::{TextImage, TextImageConfig, TokenLearner};
use crate::Result;
use crate::bundle::Sampling;
use crate::data::Tokens;
use crate::model::Model;
use crate::run::{sample_name, save_grid};
use crate::sampling::SamplingConfig;
use crate::words::{Captioning, Templates, caption};

/// Pictures that are captioned each time.
const CAPTIONED: usize = 8;

impl<C: TextImageConfig> TokenLearner<C> {
    /// Draws a row for each prompt; a model that learns to caption captions the first pictures that are held out.
    pub(super) fn show(&self, dir: &Path, step: u64) -> Result<()> {
        let columns = if self.task.samples.columns == 0 { 4 } else { self.task.samples.columns };
        let how = Sampling { config: self.task.samples.sampling, batch: self.task.data.batch_size };
        let model = self.average.finished(&self.bundle.model);
        let pictures = self.bundle.draw_with(&model, &self.prompts, columns, &how, &mut |_| ())?;
        save_grid(&pictures, columns, &dir.join(sample_name(step, "")))?;
        atomic::write(dir.join("prompts.txt"), self.prompts.join("\n") + "\n")?;
        let captions = self.captions(model)?;
        if captions.is_empty() {
            return Ok(());
        }
        let name = sample_name(step, "captions").replace(".png", ".txt");
        Ok(atomic::write(dir.join(name), captions.join("\n") + "\n")?)
    }

    /// `what the model says (the picture's own caption)`, a line for each picture.
    fn captions(&self, model: C::Model) -> Result<Vec<String>> {
        let learns = |kind| self.taught.iter().any(|taught| taught.exercise.plan.kind == kind);
        let (Model::Rudolph(model), Some(bpe)) = (model.into_any(), &self.bundle.bpe) else {
            return Ok(Vec::new());
        };
        if !learns(TaskKind::ImageToText) {
            return Ok(Vec::new());
        }
        let Some(sets) = self.sets.first() else { return Ok(Vec::new()) };
        let shown = first_pictures(sets.held_out.as_ref().unwrap_or(&sets.sample));
        let images = Captioning::of_images(shown.iter().map(|(codes, _)| *codes));
        let (templates, sampling) = (Templates::default(), SamplingConfig::text());
        let said = caption(&model, &images, &templates, &sampling, CAPTIONED, &mut |_| ())?;
        let line = |(said, (_, own)): (&Vec<u32>, &(&[u16], &[u32]))| {
            let words = |ids: &[u32]| bpe.decode(ids).replace(['\n', '\t'], " ");
            format!("{} ({})", words(said), words(own))
        };
        Ok(said.iter().zip(&shown).map(line).collect())
    }
}

/// Codes of the first different images with a caption each.
fn first_pictures(tokens: &Tokens) -> Vec<(&[u16], &[u32])> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for row in 0..tokens.len() {
        if let (Some(image), Some(codes)) = (tokens.image(row), tokens.codes(row))
            && tokens.has_text(row)
            && !seen.contains(&image)
        {
            seen.push(image);
            found.push((codes, tokens.text(row)));
        }
        if found.len() == CAPTIONED {
            break;
        }
    }
    found
}
