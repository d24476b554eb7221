//! A model with everything that it needs to draw and to caption: its codec and its vocabulary.
//!
//! Here is what can be done with it; `folder` reads and writes it.

mod folder;

use pipeline::picture::Picture;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use crate::Result;
use crate::caption::{Captioning, Templates, caption};
use crate::draw::{Drawing, draw};
use crate::rudolph::Rudolph;
pub use crate::run::png;
use crate::sampling::SamplingConfig;
pub use folder::Sources;

/// A model with its codec and its vocabulary.
pub struct Bundle {
    /// The transformer.
    pub model: Rudolph,
    /// Codes and pictures.
    pub codec: Codec,
    /// Ids and words.
    pub bpe: Bpe,
}

impl Bundle {
    /// Draws `count` pictures for each prompt: all of the first prompt, then of the second.
    ///
    /// # Errors
    /// A sampling setting that is not valid.
    pub fn draw(&self, prompts: &[String], count: usize, how: &Sampling) -> Result<Vec<Picture>> {
        self.draw_with(&self.model, prompts, count, how, &mut |_| ())
    }

    /// The same with other weights, as while training; `on_step` gets the codes drawn so far.
    ///
    /// # Errors
    /// As for [`Bundle::draw`].
    pub fn draw_with(
        &self,
        model: &Rudolph,
        prompts: &[String],
        count: usize,
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Picture>> {
        let texts: Vec<_> = prompts.iter().map(|prompt| self.bpe.encode(prompt)).collect();
        let drawings =
            Drawing::of_texts(texts.iter().flat_map(|text| std::iter::repeat_n(text.as_slice(), count)));
        let codes = draw(model, &drawings, &how.config, how.batch, on_step)?;
        Ok(self.codec.decode(&codes, model.config().grid)?)
    }

    /// Captions pictures of the model's image size.
    ///
    /// # Errors
    /// A picture of another size, or a sampling setting that is not valid.
    pub fn caption(&self, pictures: &[Picture], how: &Sampling) -> Result<Vec<String>> {
        let codes = self.codec.encode(pictures)?;
        self.caption_codes(&self.model, &codes, how)
    }

    /// Captions codes, with other weights, as while training.
    ///
    /// # Errors
    /// Codes that do not fit the model, or a sampling setting that is not valid.
    pub fn caption_codes(&self, model: &Rudolph, codes: &[Vec<u16>], how: &Sampling) -> Result<Vec<String>> {
        let images = Captioning::of_images(codes.iter().map(Vec::as_slice));
        let ids = caption(model, &images, &Templates::default(), &how.config, how.batch, &mut |_| ())?;
        Ok(ids.iter().map(|ids| self.bpe.decode(ids)).collect())
    }

    /// Pixels per side of the model's pictures.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.model.config().grid * self.codec.downsampling()
    }
}

/// How samples are drawn, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Temperature, top-k, top-p and seed.
    pub config: SamplingConfig,
    /// Samples computed together.
    pub batch: usize,
}
