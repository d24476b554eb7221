//! Drawings with what is known of them: ranked, decoded, and kept as a token shard.

use std::collections::BTreeMap;
use std::path::Path;

use pipeline::atomic::AtomicFile;
use pipeline::picture::Picture;
use tokenize::tokens::{Column, TokenMeta, TokenRow, TokenWriter, Value};

use super::Bundle;
use crate::Result;
use crate::draw::{Drawing, Footprint, Score, rank};
use crate::gpt::GptConfig;
use crate::model::{Model, TokenModel};

/// Channels at full size of a codec that does not say it: as many as the published ones have.
const CHANNELS: usize = 128;

/// A finished drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Which of the prompts it is of, counted from 0.
    pub prompt: usize,
    /// The random stream that it was drawn from: with the seed it decides the drawing.
    pub stream: u64,
    /// Its codes in raster order.
    pub codes: Vec<u16>,
    /// How good it is, where it was ranked.
    pub score: Option<Score>,
}

/// Puts the drawings of each prompt in order, the best first, and keeps `keep` of them. `drawn` holds `count` codes of one
/// prompt after the other, as [`draw`](crate::draw::draw) gave them for `drawings`.
///
/// # Errors
/// Codes that do not fit the model.
pub fn select(
    model: &Model,
    drawings: &[Drawing],
    codes: Vec<Vec<u16>>,
    (count, keep): (usize, usize),
    batch: usize,
) -> Result<Vec<Drawn>> {
    let mut all: Vec<_> = drawings
        .iter()
        .zip(codes)
        .zip(0..)
        .map(|((drawing, codes), at)| Drawn {
            prompt: at / count,
            stream: drawing.stream,
            codes,
            score: None,
        })
        .collect();
    if keep < count {
        for (drawn, drawings) in all.chunks_mut(count).zip(drawings.chunks(count)) {
            let codes = drawn.iter().map(|drawn| drawn.codes.as_slice()).collect::<Vec<_>>();
            let scores = rank(model, &drawings[0].text, &codes, batch)?;
            drawn.iter_mut().zip(scores).for_each(|(drawn, score)| drawn.score = Some(score));
            drawn.sort_by(|a, b| value(a).total_cmp(&value(b)));
        }
        let kept = all.into_iter().enumerate().filter(|(at, _)| at % count < keep);
        all = kept.map(|(_, drawn)| drawn).collect();
    }
    Ok(all)
}

fn value(drawn: &Drawn) -> f32 {
    drawn.score.map_or(f32::INFINITY, |score| score.score)
}

impl<M: TokenModel> Bundle<M> {
    /// Whether a text is longer than its place in the model: its end is cut off then, as in the published code.
    #[must_use]
    pub fn is_cut(&self, text: &str) -> bool {
        self.model.asks(&self.ids(text)).is_some_and(|framed| framed.truncated)
    }

    /// The memory that drawing takes.
    #[must_use]
    pub fn footprint(&self, guided: bool) -> Footprint {
        let config: &GptConfig = self.model.gpt().config();
        let side = self.codec.decoded_size(config.grid);
        let channels = match self.codec.config() {
            Some(codec) => codec.ch,
            // A palette has no layers.
            None if self.codec.downsampling() == 1 => 3,
            None => CHANNELS,
        };
        Footprint::new(config, guided, side * side, channels)
    }

    /// Pictures of drawings, `batch` at a time.
    ///
    /// # Errors
    /// A code that the codec does not have.
    pub fn pictures(&self, drawn: &[Drawn], batch: usize) -> Result<Vec<Picture>> {
        let mut pictures = Vec::with_capacity(drawn.len());
        for drawn in drawn.chunks(batch.max(1)) {
            let codes = drawn.iter().map(|drawn| drawn.codes.clone()).collect::<Vec<_>>();
            pictures.extend(self.codec.decode(&codes, self.model.gpt().config().grid)?);
        }
        Ok(pictures)
    }

    /// Writes drawings as a token shard: `key, caption, text_ids, codes` as in every shard, then `prompt, seed, stream,
    /// score, text_perplexity, image_perplexity`. `keys` name the rows.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_drawings(
        &self,
        drawn: &[Drawn],
        (keys, prompts): (&[String], &[String]),
        seed: u64,
        path: &Path,
    ) -> Result<()> {
        let file = AtomicFile::create(path)?;
        let mut writer = TokenWriter::new(file, path, &self.token_meta(), &columns())?;
        for (drawn, key) in drawn.iter().zip(keys) {
            let prompt = prompts.get(drawn.prompt).filter(|_| self.bpe.is_some());
            writer.push(TokenRow {
                key: key.clone(),
                caption: prompt.cloned(),
                text_ids: prompt.map(|prompt| self.ids(prompt)),
                codes: Some(drawn.codes.clone()),
                extra: extra(drawn, seed),
            })?;
        }
        Ok(writer.finish()?.commit()?)
    }

    /// What made the ids and codes of this bundle.
    #[must_use]
    pub fn token_meta(&self) -> TokenMeta {
        let codec = TokenMeta {
            codec_name: self.codec.name.clone(),
            codec_kind: self.codec.kind().name().to_owned(),
            codec_sha256: self.codec.sha256.clone(),
            codebook_size: self.codec.codebook_size(),
            grid: self.model.gpt().config().grid,
            downsampling: self.codec.downsampling(),
            preprocess: *self.codec.preprocess(),
            ..TokenMeta::default()
        };
        match &self.bpe {
            Some(bpe) => TokenMeta {
                bpe_kind: bpe.kind().to_owned(),
                bpe_sha256: bpe.sha256().to_owned(),
                vocab_size: bpe.vocab_size(),
                lowercase: bpe.lowercase(),
                ..codec
            },
            None => codec,
        }
    }
}

/// The columns after those of every token shard.
fn columns() -> [Column; 6] {
    [
        Column::int("prompt"),
        Column::uint("seed"),
        Column::uint("stream"),
        Column::float("score"),
        Column::float("text_perplexity"),
        Column::float("image_perplexity"),
    ]
}

fn extra(drawn: &Drawn, seed: u64) -> BTreeMap<String, Value> {
    let real = |value: f32| Value::Float(f64::from(value));
    let score = drawn.score;
    let columns = [
        ("prompt", Some(Value::Int(drawn.prompt as i64))),
        ("seed", Some(Value::UInt(seed))),
        ("stream", Some(Value::UInt(drawn.stream))),
        ("score", score.map(|score| real(score.score))),
        ("text_perplexity", score.and_then(|score| score.text).map(real)),
        ("image_perplexity", score.map(|score| real(score.image))),
    ];
    columns.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
