//! The transformer that ImageGPT, DALL·E and RuDOLPH are configurations of.
//!
//! `segments` says what a sequence is made of, `mask` who sees whom, `embedding` turns ids into vectors, `block`
//! (on `norm`, `attention`, `activation`, and `rotary` and `shift` where asked) is a layer, `cache` keeps keys and values
//! while sampling. [`Gpt`] puts them together; its field names are the key names of the published RuDOLPH checkpoints.

mod activation;
mod attention;
mod batch;
mod block;
mod cache;
mod config;
mod cost;
mod embedding;
mod linear;
mod mask;
mod norm;
mod recompute;
mod rotary;
mod segments;
mod shift;
pub(crate) mod trace;

use std::ops::Range;

use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Int, Tensor, module};

pub use activation::{Activation, tanh_gelu};
pub use attention::{SelfAttention, attention, dense_attention};
pub use batch::{Batch, Framed, frame, ids, padded};
pub use block::Block;
pub use cache::{Cache, Head, LayerCache};
pub(crate) use config::owner;
pub use config::{GptConfig, GridPositions, Shared, Start};
pub use cost::{Cost, Lengths};
pub use embedding::{BOS, EOS, PAD};
pub(crate) use mask::FORBIDDEN;
pub use mask::{Mask, MaskKind, MaskSchedule};
pub use norm::{Norm, NormKind, layer_norm, rms_norm};
pub use segments::Segments;

pub(crate) use linear::linear_rows;

use block::Around;
use embedding::ImagePositions;
use linear::{linear, linear_tensors};
use rotary::Rotary;

/// A part of the vocabulary of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Text ids, special tokens and pads.
    Text,
    /// Image codes and special image tokens.
    Image,
    /// Both, text first.
    All,
}

/// The layers and the norm after them.
#[derive(Module, Debug)]
struct Transformer {
    layers: Vec<Block>,
    final_layernorm: Norm,
}

/// The model.
#[derive(Module, Debug)]
pub struct Gpt {
    text_embeddings: Option<Embedding>,
    image_embeddings: Option<Embedding>,
    l_text_pos_embeddings: Option<Embedding>,
    r_text_pos_embeddings: Option<Embedding>,
    image_row_embeddings: Option<Embedding>,
    image_col_embeddings: Option<Embedding>,
    image_pos_embeddings: Option<Embedding>,
    to_logits: (Option<Norm>, Linear),
    transformer: Transformer,
    #[module(skip)]
    config: GptConfig,
    #[module(skip)]
    masks: Vec<Mask>,
    #[module(skip)]
    rotary: Option<Rotary>,
}

impl Gpt {
    fn new(config: &GptConfig, device: &Device) -> Self {
        let table = |rows| embedding::table(rows, config, device);
        let tokens = |rows| if config.tied { None } else { table(rows) };
        let rotary = config.positions == GridPositions::Rotary;
        // Text position tables have one row more than positions, as the published ones have.
        let text_rows = |len: usize| if len == 0 || rotary { 0 } else { len + 1 };
        let norm = || Norm::new(config.norm, config.dim, config.epsilon, device);
        let total = config.total_text() + config.total_image();
        let layers = config.layers;
        Self {
            text_embeddings: tokens(config.total_text()),
            image_embeddings: tokens(embedding::image_rows(config)),
            l_text_pos_embeddings: table(text_rows(config.left)),
            r_text_pos_embeddings: table(text_rows(config.right)),
            image_row_embeddings: table(embedding::side_rows(config)),
            image_col_embeddings: table(embedding::side_rows(config)),
            image_pos_embeddings: table(embedding::flat_rows(config)),
            to_logits: (
                config.head_norm.then(norm),
                linear(config.dim, total, config.head_bias, config.init_std, device),
            ),
            transformer: Transformer {
                layers: (0..layers).map(|index| Block::new(config, index, device)).collect(),
                final_layernorm: norm(),
            },
            config: config.clone(),
            masks: Self::masks(config, device),
            rotary: rotary
                .then(|| Rotary::new(config.seen_segments(), config.head_dim(), &device.clone().inner())),
        }
    }

    /// One mask per layer; layers of one kind share its memory.
    fn masks(config: &GptConfig, device: &Device) -> Vec<Mask> {
        let device = device.clone().inner();
        let mut masks: Vec<Mask> = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            let kind = config.masks.kind(index, config.layers);
            let known = masks.iter().find(|mask| mask.kind == kind).cloned();
            masks.push(known.unwrap_or_else(|| Mask::new(kind, config.seen_segments(), &device)));
        }
        masks
    }

    /// The hyper-parameters.
    pub const fn config(&self) -> &GptConfig {
        &self.config
    }

    /// Where the weights lie.
    pub fn device(&self) -> Device {
        self.to_logits.1.weight.device()
    }

    /// How many positions a start token shifts the inputs by: 0 or 1.
    pub fn shift(&self) -> usize {
        usize::from(self.config.start != Start::None)
    }

    /// Left pads by their position-unique ids: `[b, n]` → `[b, n]`.
    pub fn left_targets(&self, left: Tensor<2, Int>) -> Tensor<2, Int> {
        let [_, n] = left.dims();
        let first = self.config.left_pad(0) as i64;
        let pads = Tensor::arange(first..first + n as i64, &left.device()).unsqueeze::<2>();
        let is_pad = left.clone().equal_scalar(0);
        left.mask_where(is_pad, pads)
    }

    /// Vectors of the left text, from its beginning: `[b, n]` → `[b, n (+ start), d]`.
    pub fn embed_left(&self, left: Tensor<2, Int>) -> Option<Tensor<3>> {
        let mut ids = self.left_targets(left);
        match self.config.start {
            Start::Text => ids = embedding::prepend(BOS as usize, ids),
            Start::Zero => ids = embedding::prepend(PAD as usize, ids),
            Start::None | Start::Image => {}
        }
        self.embed_text(self.l_text_pos_embeddings.as_ref(), ids, 0)
    }

    /// Vectors of left-text ids `from..from + n`, behind those that a cache has seen: `[b, n]` → `[b, n, d]`.
    pub fn continue_left(&self, left: Tensor<2, Int>, from: usize) -> Option<Tensor<3>> {
        if from == 0 {
            return self.embed_left(left);
        }
        let n = left.dims()[1];
        let first = self.config.left_pad(from) as i64;
        let pads = Tensor::arange(first..first + n as i64, &left.device()).unsqueeze::<2>();
        let is_pad = left.clone().equal_scalar(0);
        let position = from + usize::from(matches!(self.config.start, Start::Text | Start::Zero));
        let ids = left.mask_where(is_pad, pads);
        self.embed_text(self.l_text_pos_embeddings.as_ref(), ids, position)
    }

    /// The vector of the start token before an image, `batch` times: `[b, 1, d]`; `None` where there is no such token.
    pub fn embed_start(&self, batch: usize) -> Option<Tensor<3>> {
        let id = self.config.total_image() as i64;
        let start = || self.embed_at(Tensor::full([batch, 1], id, &self.device()), 0);
        (self.config.start == Start::Image).then(start).flatten()
    }

    /// Vectors of image codes `from..from + n`: `[b, n]` → `[b, n, d]`.
    ///
    /// After a start token the last code of an image is never an input, and has no vector.
    pub fn embed_image(&self, codes: Tensor<2, Int>, from: usize) -> Option<Tensor<3>> {
        let position = from + usize::from(self.config.start == Start::Image);
        let n = codes.dims()[1].min(self.config.segments().image().saturating_sub(position));
        if n == 0 { None } else { self.embed_at(codes.narrow(1, 0, n), position) }
    }

    /// An image of a model with a vector per position, some of its codes not told: BERT's objective.
    ///
    /// # Shapes
    /// - `codes`: `[b, grid²]`; `seen`: `[b, grid²]`, 1 where the code is told and 0 where its vector is left out
    /// - output: `[b, grid², d]`
    pub fn embed_masked(&self, codes: Tensor<2, Int>, seen: Tensor<2>) -> Option<Tensor<3>> {
        let positions = self.image_pos_embeddings.as_ref()?.weight.val().unsqueeze::<3>();
        let vectors = module::embedding(self.image_embeddings.as_ref()?.weight.val(), codes);
        Some(vectors * seen.unsqueeze_dim::<3>(2) + positions)
    }

    fn embed_at(&self, codes: Tensor<2, Int>, position: usize) -> Option<Tensor<3>> {
        let positions = ImagePositions {
            rows: self.image_row_embeddings.as_ref(),
            cols: self.image_col_embeddings.as_ref(),
            flat: self.image_pos_embeddings.as_ref(),
        };
        let positions = positions.vectors(position, codes.dims()[1]);
        let tokens = self.token_vectors(self.image_embeddings.as_ref(), Vocabulary::Image, codes)?;
        Some(match positions {
            Some(positions) => tokens + positions,
            None => tokens,
        })
    }

    /// Vectors of ids from a table, or from the head's columns of its part of the vocabulary: `[b, n]` → `[b, n, d]`.
    fn token_vectors(
        &self,
        table: Option<&Embedding>,
        vocabulary: Vocabulary,
        ids: Tensor<2, Int>,
    ) -> Option<Tensor<3>> {
        if !self.config.tied {
            return Some(module::embedding(table?.weight.val(), ids));
        }
        let [b, n] = ids.dims();
        let columns = ids.reshape([b * n]) + self.columns(vocabulary).start as i64;
        let vectors = self.to_logits.1.weight.val().select(1, columns).transpose();
        Some(vectors.reshape([b, n, self.config.dim]))
    }

    fn embed_text(
        &self,
        positions: Option<&Embedding>,
        ids: Tensor<2, Int>,
        from: usize,
    ) -> Option<Tensor<3>> {
        let n = ids.dims()[1];
        let tokens = self.token_vectors(self.text_embeddings.as_ref(), Vocabulary::Text, ids)?;
        Some(match positions {
            Some(table) => tokens + table.weight.val().narrow(0, from, n).unsqueeze::<3>(),
            None => tokens,
        })
    }

    /// Vectors of right-text ids `from..from + n`: `[b, n]` → `[b, n, d]`.
    pub fn embed_right(&self, right: Tensor<2, Int>, from: usize) -> Option<Tensor<3>> {
        self.embed_text(self.r_text_pos_embeddings.as_ref(), right, from)
    }

    /// The vectors that enter the first layer: `[b, t, d]`.
    pub fn embed(&self, batch: &Batch) -> Option<Tensor<3>> {
        let left = batch.left.clone().and_then(|ids| self.embed_left(ids));
        let start = batch.image.as_ref().and_then(|codes| self.embed_start(codes.dims()[0]));
        let image = batch.image.clone().and_then(|codes| self.embed_image(codes, 0));
        let right = batch.right.clone().and_then(|ids| self.embed_right(ids, 0));
        let mut parts = [left, start, image, right].into_iter().flatten().collect::<Vec<_>>();
        let x = if parts.len() > 1 { Tensor::cat(parts, 1) } else { parts.pop()? };
        let n = x.dims()[1].min(self.config.segments().total());
        Some(embedding::shrink_gradient(x.narrow(1, 0, n), self.config.gradient_shrink))
    }

    /// What the last layer's norm puts out for a batch: `[b, t, d]`.
    pub fn hidden(&self, batch: &Batch) -> Tensor<3> {
        // A batch always has a segment; without any there is nothing to compute.
        let x = self.embed(batch).unwrap_or_else(|| Tensor::zeros([1, 1, self.config.dim], &self.device()));
        self.forward(x, None)
    }

    /// The layers and the norm after them: `[b, t, d]` → `[b, t, d]`.
    ///
    /// With a cache, `x` holds the positions after those the cache has seen.
    pub fn forward(&self, x: Tensor<3>, cache: Option<&mut Cache>) -> Tensor<3> {
        let mut caches = cache.map(|cache| cache.layers.iter_mut());
        let mut x = x;
        for (index, layer) in self.transformer.layers.iter().enumerate() {
            let cache = caches.as_mut().and_then(Iterator::next);
            if let Some(around) = self.around(index) {
                x = layer.forward(x, around, cache);
            }
        }
        self.finish(x)
    }

    /// What layer `index` needs from outside; there always is one, since a layer without weights of its own names one
    /// that has them.
    fn around(&self, index: usize) -> Option<Around<'_>> {
        let (shared, layers) = (&self.config.shared, &self.transformer.layers);
        Some(Around {
            attention: layers.get(owner(&shared.attention, index))?.parts().0?,
            mlp: layers.get(owner(&shared.feed_forward, index))?.parts().1?,
            mask: self.masks.get(index)?,
            rotary: self.rotary.as_ref(),
            dropping: false,
        })
    }

    /// What comes after the last layer: `[b, t, d]` → `[b, t, d]`.
    fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        let x = if self.config.divide_max { x.clone() / x.max_dim(2).detach() } else { x };
        self.transformer.final_layernorm.forward(x)
    }

    /// What each layer reads after its first norm, then the last layer's output after the final norm: the features that
    /// ImageGPT's linear probes look at (Chen et al. 2020, section 3.4.2). `layers + 1` of `[b, t, d]`.
    pub fn normalised_states(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let mut states = Vec::with_capacity(self.config.layers + 1);
        let mut x = x;
        for (index, layer) in self.transformer.layers.iter().enumerate() {
            states.push(layer.normalised(x.clone()));
            if let Some(around) = self.around(index) {
                x = layer.forward(x, around, None);
            }
        }
        states.push(self.finish(x));
        states
    }

    /// What every layer puts out, then the norm after them: `layers + 1` tensors `[b, t, d]`.
    pub fn hidden_states(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let mut states = Vec::with_capacity(self.config.layers + 1);
        let mut x = x;
        for (index, layer) in self.transformer.layers.iter().enumerate() {
            if let Some(around) = self.around(index) {
                x = layer.forward(x, around, None);
            }
            states.push(x.clone());
        }
        states.push(self.finish(x));
        states
    }

    /// The columns of the head that belong to a part of the vocabulary.
    pub fn columns(&self, vocabulary: Vocabulary) -> Range<usize> {
        let (text, image) = (self.config.total_text(), self.config.total_image());
        match vocabulary {
            Vocabulary::Text => 0..text,
            Vocabulary::Image => text..text + image,
            Vocabulary::All => 0..text + image,
        }
    }

    /// The norm of the head: `[b, t, d]` → `[b, t, d]`.
    pub fn head_norm(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.to_logits.0 {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// The head's weight `[d, n]` and bias `[n]` for some of its columns.
    pub fn head(&self, columns: Range<usize>) -> (Tensor<2>, Option<Tensor<1>>) {
        let (from, n) = (columns.start, columns.len());
        let whole = self.to_logits.1.weight.dims()[1] == n;
        let cut = |weight: Tensor<2>| if whole { weight } else { weight.narrow(1, from, n) };
        let bias = self.to_logits.1.bias.as_ref().map(|bias| bias.val().narrow(0, from, n));
        (cut(self.to_logits.1.weight.val()), bias)
    }

    /// Logits of a part of the vocabulary: `[b, t, d]` from [`Self::forward`] → `[b, t, n]`.
    pub fn logits(&self, hidden: Tensor<3>, vocabulary: Vocabulary) -> Tensor<3> {
        let (weight, bias) = self.head(self.columns(vocabulary));
        linear_tensors(self.head_norm(hidden), weight, bias)
    }
}
