//! A model with everything that it needs to draw and to caption: its codec and its vocabulary.
//!
//! Here is how it draws, in `says` what it says; `folder` reads and writes it.

mod drawings;
mod folder;
mod says;
mod words;

use pipeline::picture::Picture;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use crate::draw::{Drawing, draw};
use crate::model::{Model, TokenModel};
use crate::rudolph::Rudolph;
pub use crate::run::png;
use crate::sampling::SamplingConfig;
use crate::{Error, Result};
pub use drawings::{Drawn, select};
pub use folder::Sources;
pub(crate) use folder::{
    config_in, is_model, model_files, model_in, parts_in, save_beside_weights, weights_in,
};
pub use says::{Candidate, Classes};
pub(crate) use words::{open as vocabulary_in, settings_of};

/// A model with its codec and its vocabulary.
pub struct Bundle<M = Model> {
    /// The transformer.
    pub model: M,
    /// Codes and pictures.
    pub codec: Codec,
    /// Ids and words; a model without text has none.
    pub bpe: Option<Bpe>,
}

impl Bundle {
    /// The same with a model that says something about pictures.
    ///
    /// # Errors
    /// It is another; `wanted` ends the sentence "… cannot".
    pub fn rudolph(self, wanted: &str) -> Result<Bundle<Rudolph>> {
        let Self { model, codec, bpe } = self;
        match model {
            Model::Rudolph(model) => Ok(Bundle { model, codec, bpe }),
            other => {
                let kind = other.config_of().kind().name();
                Err(Error::config(format!("a model of kind {kind} cannot {wanted}"))
                    .with_hint("it has no text after the image; models of kind rudolph have"))
            }
        }
    }
}

impl<M: TokenModel> Bundle<M> {
    /// Bare BPE ids of a text; none in a model without text.
    #[must_use]
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.bpe.as_ref().map_or_else(Vec::new, |bpe| bpe.encode(text))
    }

    /// The text of bare BPE ids; empty in a model without text.
    #[must_use]
    pub fn text(&self, ids: &[u32]) -> String {
        self.bpe.as_ref().map_or_else(String::new, |bpe| bpe.decode(ids))
    }

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
        model: &M,
        prompts: &[String],
        count: usize,
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Picture>> {
        let texts: Vec<_> = prompts.iter().map(|prompt| self.ids(prompt)).collect();
        let drawings =
            Drawing::of_texts(texts.iter().flat_map(|text| std::iter::repeat_n(text.as_slice(), count)));
        let codes = draw(model, &drawings, &how.config, how.batch, on_step)?;
        let mut pictures = Vec::with_capacity(codes.len());
        // A codec's activations at full size take thousands of times the memory of the codes.
        for codes in codes.chunks(how.batch.max(1)) {
            pictures.extend(self.codec.decode(codes, model.gpt().config().grid)?);
        }
        Ok(pictures)
    }

    /// Pixels per side of the model's pictures.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.model.gpt().config().grid * self.codec.downsampling()
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
