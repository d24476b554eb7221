//! Token shards in memory, checked against what the model expects, and batches as a pure function of (seed, step, rank).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokenize::shard_list;
use tokenize::tokens::{Column, REASON, TokenMeta, TokenReader, TokenRow};

use crate::device::mix;
use crate::{Error, Result};

/// Which rows count: for each extra column the values that are taken. Empty takes every row.
///
/// ```toml
/// where = { split = ["train"] }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Where(pub BTreeMap<String, Values>);

/// One value or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// The column must be this.
    One(String),
    /// The column must be one of these.
    Any(Vec<String>),
}

impl Where {
    /// Whether every row is taken.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows whose picture failed are texts without the picture that they describe: they are taken only where the filter
    /// asks for a `reason`.
    pub(crate) fn takes(&self, row: &TokenRow) -> bool {
        if row.reason().is_some() && !self.0.contains_key(REASON) {
            return false;
        }
        self.0.iter().all(|(column, values)| {
            row.extra.get(column).is_some_and(|value| match values {
                Values::One(one) => value.is(one),
                Values::Any(any) => any.iter().any(|one| value.is(one)),
            })
        })
    }

    /// Refuses a shard that lacks a column of the filter.
    ///
    /// # Errors
    /// Names the column and those that there are.
    pub(crate) fn check(&self, shard: &Path, columns: &[Column]) -> Result<()> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let Some(column) = self.0.keys().find(|column| !names.contains(&column.as_str())) else {
            return Ok(());
        };
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Error::data(shard, format!("no column `{column}` to choose rows by; extra columns: {known}")))
    }
}

/// What a model asks of the shards. `None` asks nothing.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// sha256 of the codec's weights, and where they are.
    pub codec: Option<(PathBuf, String)>,
    /// sha256 of the vocabulary, and where it is.
    pub bpe: Option<(PathBuf, String)>,
    /// Codes per side.
    pub grid: usize,
    /// Codes that the model has logits for: exactly those of the codec, so that it never draws one that none stands for.
    pub codebook_size: usize,
    /// The model has rows for text ids below this.
    pub vocab_size: usize,
}

/// The rows of one or more token shards, compact: text ids and codes in one buffer each.
#[derive(Clone, Debug)]
pub struct Tokens {
    meta: TokenMeta,
    text: Vec<u32>,
    codes: Vec<u16>,
    rows: Vec<Row>,
    fingerprint: String,
}

/// Where a row's ids lie in the buffers.
#[derive(Clone, Debug)]
struct Row {
    text: Option<Range<usize>>,
    /// Index of an image. The captions of one image, adjacent in a shard, share it.
    image: Option<usize>,
}

impl Tokens {
    /// Reads a shard file or a folder of shards, taking the rows that `filter` names.
    ///
    /// # Errors
    /// A shard that is damaged, made by another codec or vocabulary, or out of the model's ranges: the error names the
    /// shard and what does not fit. Also when no row is left.
    pub fn load(path: &Path, filter: &Where, expected: &Expected) -> Result<Self> {
        let mut loader = Loader::default();
        let mut meta = None;
        for shard in shard_list::list(path)? {
            let reader = TokenReader::open(&shard)?;
            check(&shard, reader.meta(), expected)?;
            filter.check(&shard, reader.extra_columns())?;
            meta.get_or_insert_with(|| reader.meta().clone());
            for row in reader {
                let row = row?;
                if filter.takes(&row) {
                    loader.push(row);
                }
            }
        }
        match meta {
            Some(meta) if !loader.rows.is_empty() => Ok(loader.finish(meta)),
            _ => {
                let which = if filter.0.is_empty() { "" } else { " that the filter takes" };
                Err(Error::data(path, format!("no rows{which}")))
            }
        }
    }

    /// What made the shards.
    #[must_use]
    pub fn meta(&self) -> &TokenMeta {
        &self.meta
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: a set without rows is refused at loading.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bare text ids of a row; empty where it has no caption.
    #[must_use]
    pub fn text(&self, row: usize) -> &[u32] {
        self.rows[row].text.clone().map_or(&[], |range| &self.text[range])
    }

    /// Codes of a row's image, if it has one.
    #[must_use]
    pub fn codes(&self, row: usize) -> Option<&[u16]> {
        let size = self.meta.codes_per_image();
        self.rows[row].image.map(|image| &self.codes[image * size..(image + 1) * size])
    }

    /// Index of the row's image among [`Tokens::images`]; captions of one image share it.
    #[must_use]
    pub fn image(&self, row: usize) -> Option<usize> {
        self.rows[row].image
    }

    /// Codes of every image once.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.codes.chunks_exact(self.meta.codes_per_image().max(1))
    }

    /// Keeps the rows that have an image.
    #[must_use]
    pub fn with_images(mut self) -> Self {
        self.rows.retain(|row| row.image.is_some());
        self
    }

    /// Takes the last `count` images with all their captions off into a set of their own.
    #[must_use]
    pub fn hold_out(mut self, count: usize) -> (Self, Self) {
        let size = self.meta.codes_per_image();
        let first = self.images().len().saturating_sub(count);
        let (rest, mut last): (Vec<_>, Vec<_>) =
            self.rows.iter().cloned().partition(|row| row.image.is_none_or(|image| image < first));
        last.iter_mut().for_each(|row| row.image = row.image.map(|image| image - first));
        let codes = self.codes.split_off(first * size);
        let held_out = Self { codes, rows: last, ..self.clone() };
        self.rows = rest;
        (self, held_out)
    }

    /// sha256 over all ids in order.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Gathers rows.
#[derive(Default)]
struct Loader {
    text: Vec<u32>,
    codes: Vec<u16>,
    rows: Vec<Row>,
    images: usize,
    /// Key and codes' place of the last image.
    last: Option<(String, Range<usize>)>,
    hash: Sha256,
}

impl Loader {
    fn push(&mut self, row: TokenRow) {
        let text = row.text_ids.map(|ids| {
            ids.iter().for_each(|id| self.hash.update(id.to_le_bytes()));
            let start = self.text.len();
            self.text.extend(ids);
            start..self.text.len()
        });
        let image = row.codes.map(|codes| self.image(row.key, codes));
        self.hash.update([u8::from(text.is_some()), u8::from(image.is_some())]);
        self.rows.push(Row { text, image });
    }

    fn image(&mut self, key: String, codes: Vec<u16>) -> usize {
        codes.iter().for_each(|code| self.hash.update(code.to_le_bytes()));
        let same = self
            .last
            .as_ref()
            .is_some_and(|(last, place)| *last == key && self.codes[place.clone()] == codes);
        if !same {
            let start = self.codes.len();
            self.codes.extend(codes);
            self.last = Some((key, start..self.codes.len()));
            self.images += 1;
        }
        self.images - 1
    }

    fn finish(self, meta: TokenMeta) -> Tokens {
        let fingerprint = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Tokens { meta, text: self.text, codes: self.codes, rows: self.rows, fingerprint }
    }
}

/// Refuses a shard that the model cannot be trained on, and says why.
pub(crate) fn check(shard: &Path, meta: &TokenMeta, expected: &Expected) -> Result<()> {
    let refuse = |why: String, cure: &str| Err(Error::data(shard, why).with_hint(cure));
    let hashes = [
        ("codec", &meta.codec_sha256, &expected.codec, "name the codec that made the shard in `data.codec`"),
        (
            "vocabulary",
            &meta.bpe_sha256,
            &expected.bpe,
            "name the vocabulary that made the shard in `data.bpe`",
        ),
    ];
    for (what, found, wanted, cure) in hashes {
        if let Some((path, sha256)) = wanted
            && sha256 != found
        {
            let [found, sha256] = [found, sha256].map(|hash| hash.get(..12).unwrap_or(hash));
            return refuse(
                format!("made with another {what} (sha256 {found}…) than {} ({sha256}…)", path.display()),
                &format!("{cure}, or make the shards again with `tokenize shards`"),
            );
        }
    }
    if meta.grid != expected.grid {
        return refuse(
            format!("a grid of {0}×{0} codes, the model has {1}×{1}", meta.grid, expected.grid),
            "set `model.grid` to the shard's grid, or make the shards again at another image size",
        );
    }
    if meta.codebook_size != expected.codebook_size {
        return refuse(
            format!("{} codes, the model has {}", meta.codebook_size, expected.codebook_size),
            "set `model.image_vocab` to the codec's codebook size",
        );
    }
    if meta.vocab_size > expected.vocab_size {
        return refuse(
            format!("text ids below {}, the model has only {}", meta.vocab_size, expected.vocab_size),
            "set `model.text_vocab` to the vocabulary's size",
        );
    }
    Ok(())
}

/// The order in which rows are seen: every epoch a permutation of its own, cut into batches that run across epochs.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    rows: usize,
    batch: usize,
    rank: usize,
    world: usize,
    /// The epoch whose permutation was used last.
    known: Option<(u64, Vec<u32>)>,
}

impl Order {
    /// Batches of `batch` rows out of `rows`, all on one process.
    #[must_use]
    pub fn new(seed: u64, rows: usize, batch: usize) -> Self {
        Self { seed, rows, batch, rank: 0, world: 1, known: None }
    }

    /// The share of process `rank` out of `world`: together they see what one process with the whole batch would.
    #[must_use]
    pub fn of_rank(self, rank: usize, world: usize) -> Self {
        Self { rank, world, ..self }
    }

    /// Steps for one pass over the rows.
    #[must_use]
    pub fn steps_per_epoch(&self) -> f64 {
        self.rows as f64 / (self.batch * self.world) as f64
    }

    /// The rows of a step. The same arguments give the same rows in any process, whatever was asked before.
    pub fn rows(&mut self, step: u64) -> Vec<usize> {
        let first = (step * self.world as u64 + self.rank as u64) * self.batch as u64;
        (first..first + self.batch as u64).map(|position| self.row(position)).collect()
    }

    fn row(&mut self, position: u64) -> usize {
        let epoch = position / self.rows as u64;
        let index = (position % self.rows as u64) as usize;
        if self.known.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.known = Some((epoch, permutation(mix(self.seed, epoch), self.rows)));
        }
        self.known.as_ref().map_or(0, |(_, order)| order[index] as usize)
    }
}

fn permutation(seed: u64, rows: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

/// Mean loss in nats of guessing each held-out code by its frequency in the training images, add-one smoothed: what a
/// model reaches that has learned nothing but how common each code is.
#[must_use]
pub fn code_frequency_loss(train: &Tokens, held_out: &Tokens, codebook_size: usize) -> f64 {
    let mut counts = vec![1u64; codebook_size];
    for code in train.images().flatten() {
        counts[usize::from(*code)] += 1;
    }
    let total = counts.iter().sum::<u64>() as f64;
    let codes = held_out.images().flatten();
    let (sum, n) = codes
        .fold((0.0, 0u64), |(sum, n), code| (sum - (counts[usize::from(*code)] as f64 / total).ln(), n + 1));
    sum / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn meta() -> TokenMeta {
        TokenMeta {
            codec_sha256: "c0dec".into(),
            bpe_sha256: "b9e".into(),
            codebook_size: 16,
            grid: 2,
            downsampling: 8,
            vocab_size: 50,
            ..TokenMeta::default()
        }
    }

    fn expected() -> Expected {
        Expected { grid: 2, codebook_size: 16, vocab_size: 50, ..Expected::default() }
    }

    fn row(key: &str, text: &[u32], code: u16) -> TokenRow {
        TokenRow {
            key: key.into(),
            text_ids: Some(text.to_vec()),
            codes: Some(vec![code; 4]),
            ..TokenRow::default()
        }
    }

    fn tokens(rows: Vec<TokenRow>) -> Tokens {
        let mut loader = Loader::default();
        rows.into_iter().for_each(|row| loader.push(row));
        loader.finish(meta())
    }

    #[test]
    fn captions_of_one_image_share_its_codes() {
        let tokens = tokens(vec![row("a", &[5], 1), row("a", &[6, 7], 1), row("b", &[8], 2)]);
        assert_eq!(tokens.images().len(), 2);
        assert_eq!((tokens.text(1), tokens.codes(1)), (&[6, 7][..], Some(&[1; 4][..])));
        assert_eq!((tokens.text(2), tokens.codes(2)), (&[8][..], Some(&[2; 4][..])));
    }

    #[test]
    fn images_are_held_out_with_all_their_captions() {
        let rows = vec![row("a", &[5], 1), row("b", &[6], 2), row("b", &[7], 2), row("c", &[8], 3)];
        let (rest, held_out) = tokens(rows).hold_out(2);
        assert_eq!((rest.len(), rest.images().len(), rest.text(0)), (1, 1, &[5][..]));
        assert_eq!((held_out.len(), held_out.images().len()), (3, 2));
        assert_eq!((held_out.text(1), held_out.codes(1)), (&[7][..], Some(&[2; 4][..])));
        assert_eq!((held_out.text(2), held_out.codes(2)), (&[8][..], Some(&[3; 4][..])));
    }

    #[test]
    fn the_fingerprint_sees_every_id_and_where_it_is() {
        let prints = [
            tokens(vec![row("a", &[5], 1), row("b", &[6], 1)]),
            tokens(vec![row("a", &[5, 6], 1), row("b", &[], 1)]),
            tokens(vec![row("a", &[5], 1), row("b", &[6], 2)]),
        ]
        .map(|tokens| tokens.fingerprint);
        assert_eq!(prints.iter().collect::<BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn misfits_are_refused_by_name() {
        let refusal = |change: fn(&mut Expected)| {
            let mut expected = expected();
            change(&mut expected);
            check(Path::new("s.parquet"), &meta(), &expected).unwrap_err().to_string()
        };
        assert_eq!(
            refusal(|e| e.codec = Some(("new.safetensors".into(), "0123456789abcdef".into()))),
            "s.parquet: made with another codec (sha256 c0dec…) than new.safetensors (0123456789ab…)"
        );
        assert!(refusal(|e| e.bpe = Some(("v.json".into(), "x".into()))).contains("another vocabulary"));
        assert_eq!(refusal(|e| e.grid = 4), "s.parquet: a grid of 2×2 codes, the model has 4×4");
        assert_eq!(refusal(|e| e.codebook_size = 8), "s.parquet: 16 codes, the model has 8");
        assert_eq!(refusal(|e| e.codebook_size = 32), "s.parquet: 16 codes, the model has 32");
        assert_eq!(refusal(|e| e.vocab_size = 49), "s.parquet: text ids below 50, the model has only 49");
        assert!(check(Path::new("s.parquet"), &meta(), &expected()).is_ok());
    }

    #[test]
    fn rows_whose_picture_failed_are_taken_on_request_alone() {
        let failed = TokenRow { extra: [(REASON.into(), "dns".into())].into(), ..TokenRow::default() };
        assert!(!Where::default().takes(&failed));
        let asked: Where = toml::from_str("reason = ['dns', 'decode']").unwrap();
        assert!(asked.takes(&failed) && !asked.takes(&TokenRow::default()));
    }

    #[test]
    fn a_filter_takes_one_value_or_several() {
        let filter: Where = toml::from_str("split = ['train', 'valid']\nlanguage = 'ru'").unwrap();
        let with = |split: &str, language: &str| TokenRow {
            extra: [("split", split), ("language", language)].map(|(k, v)| (k.into(), v.into())).into(),
            ..TokenRow::default()
        };
        assert!(filter.takes(&with("valid", "ru")));
        assert!(!filter.takes(&with("valid", "en")));
        assert!(!filter.takes(&with("test", "ru")));
        assert!(!filter.takes(&TokenRow::default()));
        assert!(Where::default().takes(&TokenRow::default()));
    }

    #[test]
    fn the_baseline_is_the_cross_entropy_of_smoothed_frequencies() {
        let train = tokens(vec![row("a", &[], 1), row("b", &[], 1), row("c", &[], 3)]);
        let held_out = tokens(vec![row("d", &[], 1), row("e", &[], 2)]);
        let expected = -((9.0f64 / 28.0).ln() + (1.0f64 / 28.0).ln()) / 2.0;
        assert!((code_frequency_loss(&train, &held_out, 16) - expected).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn every_epoch_sees_every_row_once(rows in 1usize..60, batch in 1usize..9, seed: u64) {
            let mut order = Order::new(seed, rows, batch);
            let steps = (3 * rows).div_ceil(batch) as u64;
            let seen: Vec<_> = (0..steps).flat_map(|step| order.rows(step)).collect();
            for epoch in seen.chunks_exact(rows) {
                prop_assert_eq!(epoch.iter().collect::<BTreeSet<_>>().len(), rows);
            }
        }

        #[test]
        fn a_batch_depends_on_nothing_but_its_step(steps in proptest::collection::vec(0u64..200, 1..20), seed: u64) {
            let mut wandering = Order::new(seed, 37, 4);
            for step in steps {
                prop_assert_eq!(wandering.rows(step), Order::new(seed, 37, 4).rows(step));
            }
        }

        #[test]
        fn ranks_share_the_batch_of_one_process(step in 0u64..100, seed: u64) {
            let whole = Order::new(seed, 37, 8).rows(step);
            let parts: Vec<_> =
                (0..4).flat_map(|rank| Order::new(seed, 37, 2).of_rank(rank, 4).rows(step)).collect();
            prop_assert_eq!(whole, parts);
        }
    }
}
