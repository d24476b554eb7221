//! Gathers the rows of shards, and encodes texts of their columns.
//!
//! Token shards hold the ids of captions alone. Questions, answers and whatever else a task reads lie in columns that were
//! passed through as strings; they are encoded here, with the vocabulary and the lower-casing of the captions.

use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokenize::bpe::Bpe;
use tokenize::tokens::{Ids, REASON, Selection, TokenMeta, TokenReader};

use super::expected::check;
use super::tokens::{Row, Tokens};
use super::{Expected, Template, Where};
use crate::{Error, Result};

/// Texts that are made of columns while shards are loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a> {
    /// What they are made of.
    pub templates: &'a [Template],
    /// What they are encoded with; without it there are none.
    pub bpe: Option<&'a Bpe>,
}

/// What is read of shards, and how.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) filter: &'a Where,
    pub(super) expected: &'a Expected,
    pub(super) texts: &'a Texts<'a>,
}

impl How<'_> {
    /// Columns beside keys, ids and codes that rows are chosen by or that texts are made of.
    fn columns(&self) -> Vec<String> {
        let filter = self.filter.0.keys().map(String::as_str);
        let texts = self.texts.templates.iter().flat_map(Template::columns);
        let caption = (!self.texts.templates.is_empty()).then_some("caption");
        filter.chain(texts).chain(caption).chain([REASON]).map(str::to_owned).collect()
    }
}

/// A shard, or some rows of one of its row groups.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) shard: &'a Path,
    pub(super) group: Option<usize>,
    /// The first so many rows.
    pub(super) rows: usize,
}

/// Rows gathered so far.
#[derive(Default)]
pub(super) struct Loader {
    /// Of the first shard, or of the first that has images.
    pub(super) meta: Option<TokenMeta>,
    text: Vec<u32>,
    codes: Vec<u16>,
    rows: Vec<Row>,
    images: usize,
    /// Key and codes' place of the last image.
    last: Option<(String, Range<usize>)>,
    /// `None` where nobody asks for a fingerprint.
    hash: Option<Sha256>,
    /// Bytes that the hash has not seen yet: many at a time are faster.
    unhashed: Vec<u8>,
}

/// Bytes gathered before they are hashed.
const HASHED_AT_ONCE: usize = 1 << 16;

impl Loader {
    /// One whose rows get a fingerprint.
    pub(super) fn hashed() -> Self {
        Self { hash: Some(Sha256::new()), ..Self::default() }
    }

    /// Adds the rows of a part of a shard that the filter takes.
    pub(super) fn read(&mut self, part: Part<'_>, how: &How<'_>) -> Result<()> {
        let columns = Some(how.columns());
        let selection = Selection { groups: part.group.map(|group| vec![group]), columns };
        let mut reader = TokenReader::open_part(part.shard, &selection)?;
        check(part.shard, reader.meta(), how.expected)?;
        self.know(part.shard, reader.meta())?;
        columns_exist(part.shard, &reader, how.filter, how.texts.templates)?;
        let bpe = how.texts.bpe.map(|bpe| bpe.clone().with_lowercase(reader.meta().lowercase));
        let reasons = reader.extra_columns().iter().any(|column| column.name == REASON);
        let plain = how.filter.is_any() && how.texts.templates.is_empty() && !reasons;
        let mut left = part.rows;
        while let Some(batch) = reader.next_batch() {
            let batch = batch?;
            for row in 0..batch.len().min(left) {
                if plain {
                    self.push(batch.key(row), batch.text_ids(row), batch.codes(row), &[]);
                    continue;
                }
                let words = batch.words(row);
                if how.filter.takes(&words) {
                    let encode = |template: &Template| Some(bpe.as_ref()?.encode(&template.fill(&words)?));
                    let written: Vec<_> = how.texts.templates.iter().map(encode).collect();
                    self.push(batch.key(row), batch.text_ids(row), batch.codes(row), &written);
                }
            }
            left -= batch.len().min(left);
        }
        Ok(())
    }

    /// Remembers what made the shards: all captions must have been treated alike.
    fn know(&mut self, shard: &Path, meta: &TokenMeta) -> Result<()> {
        if let Some(known) = &self.meta
            && known.lowercase != meta.lowercase
        {
            let how = |lowercase| if lowercase { "lower-cased" } else { "as they were" };
            let [this, others] = [meta.lowercase, known.lowercase].map(how);
            return Err(Error::data(shard, format!("captions {this}, those of the shards before {others}"))
                .with_hint("make one of them again with the same `lowercase` in `tokenize shards`"));
        }
        if self.meta.as_ref().is_none_or(|known| known.codec_sha256.is_empty()) {
            self.meta = Some(meta.clone());
        }
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        key: &str,
        text: Option<Ids<'_>>,
        codes: Option<&[u16]>,
        written: &[Option<Vec<u32>>],
    ) {
        let text = text.map(|ids| self.ids(ids));
        let image = codes.map(|codes| self.image(key, codes));
        self.unhashed.extend([u8::from(text.is_some()), u8::from(image.is_some())]);
        let written = written.iter().map(|ids| ids.as_ref().map(|ids| self.ids(Ids::Wide(ids)))).collect();
        self.rows.push(Row { text, image, written });
        if self.unhashed.len() >= HASHED_AT_ONCE {
            self.digest();
        }
    }

    fn digest(&mut self) {
        if let Some(hash) = &mut self.hash {
            hash.update(&self.unhashed);
        }
        self.unhashed.clear();
    }

    fn ids(&mut self, ids: Ids<'_>) -> Range<usize> {
        let start = self.text.len();
        ids.append_to(&mut self.text);
        self.unhashed.extend(self.text[start..].iter().flat_map(|id| id.to_le_bytes()));
        start..self.text.len()
    }

    fn image(&mut self, key: &str, codes: &[u16]) -> usize {
        self.unhashed.extend(codes.iter().flat_map(|code| code.to_le_bytes()));
        let same = self
            .last
            .as_ref()
            .is_some_and(|(last, place)| *last == key && self.codes[place.clone()] == *codes);
        if !same {
            let start = self.codes.len();
            self.codes.extend_from_slice(codes);
            let place = start..self.codes.len();
            match &mut self.last {
                // The buffer of the last key is taken again: there is one for each image.
                Some((last, at)) => {
                    last.clear();
                    last.push_str(key);
                    *at = place;
                }
                None => self.last = Some((key.to_owned(), place)),
            }
            self.images += 1;
        }
        self.images - 1
    }

    /// All rows; `None` where there is none.
    pub(super) fn finish(self) -> Option<Tokens> {
        (!self.rows.is_empty()).then(|| self.finish_even_empty())
    }

    /// All rows, if there are any.
    pub(super) fn finish_even_empty(mut self) -> Tokens {
        self.digest();
        let hash = self.hash.map(|hash| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        let (meta, fingerprint) = (self.meta.unwrap_or_default(), hash.unwrap_or_default());
        Tokens { meta, text: self.text, codes: self.codes, rows: self.rows, fingerprint }
    }
}

/// Refuses a shard without a column that rows are chosen by or that a text is made of.
pub(crate) fn columns_exist(
    shard: &Path,
    reader: &TokenReader,
    filter: &Where,
    texts: &[Template],
) -> Result<()> {
    let columns = reader.extra_columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let wanted = filter.0.keys().map(|column| (column.as_str(), "to choose rows by"));
    let wanted = wanted.chain(texts.iter().flat_map(Template::columns).map(|column| (column, "for a text")));
    for (column, purpose) in wanted {
        if !names.contains(&column) {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let error = Error::data(shard, format!("no column `{column}` {purpose}; extra columns: {known}"));
            let cure = format!("pass it through with `tokenize shards --columns {column}`");
            return Err(if purpose == "for a text" { error.with_hint(cure) } else { error });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokenize::tokens::{Column, TokenRow, TokenWriter};

    use super::*;
    use crate::data::tokens::tests::{meta, row};

    fn shard(path: &Path, meta: &TokenMeta, rows: &[TokenRow]) {
        let file = pipeline::atomic::AtomicFile::create(path).unwrap();
        let mut writer = TokenWriter::new(file, path, meta, &[Column::text("question")]).unwrap();
        rows.iter().cloned().for_each(|row| writer.push(row).unwrap());
        writer.finish().unwrap().commit().unwrap();
    }

    fn asked(text_ids: Option<Vec<u32>>, question: Option<&str>) -> TokenRow {
        let extra = question.map(|question| ("question".to_owned(), question.into())).into_iter().collect();
        TokenRow { text_ids, codes: None, extra, ..row("q", &[], 0) }
    }

    #[test]
    fn columns_become_ids_and_shards_without_images_join_in() {
        let dir = tempfile::tempdir().unwrap();
        let [images, texts] = ["images.parquet", "texts.parquet"].map(|name| dir.path().join(name));
        let textual = TokenMeta { codec_sha256: String::new(), codebook_size: 0, grid: 0, ..meta() };
        shard(&images, &meta(), &[row("a", &[5], 1)]);
        shard(&texts, &textual, &[asked(Some(vec![6, 7]), None), asked(None, Some("RED cat"))]);
        let bpe = Bpe::train(["red cat"].iter(), 40).unwrap();
        let templates = [Template::new("a {question}").unwrap()];
        let expected = Expected { grid: 2, codebook_size: 16, vocab_size: 50, ..Expected::default() };
        let written = Texts { templates: &templates, bpe: Some(&bpe) };
        let tokens = Tokens::load_with(&[&texts, &images], &Where::default(), &expected, &written).unwrap();
        assert_eq!((tokens.meta().grid, tokens.len(), tokens.images().len()), (2, 3, 1));
        assert_eq!((tokens.text(0), tokens.has_text(1)), (&[6, 7][..], false));
        let ids = bpe.clone().with_lowercase(false).encode("a RED cat");
        assert_eq!(
            (0..3).map(|row| tokens.written(row, 0)).collect::<Vec<_>>(),
            [None, Some(&ids[..]), None]
        );
        assert_eq!(tokens.codes(2), Some(&[1; 4][..]));

        let load = |path: &Path, templates: &[Template]| {
            let texts = Texts { templates, bpe: Some(&bpe) };
            Tokens::load_with(&[path], &Where::default(), &expected, &texts).unwrap_err()
        };
        let error = load(&texts, &[Template::new("{answer}").unwrap()]);
        assert!(error.to_string().ends_with("no column `answer` for a text; extra columns: question"));
        assert!(error.hint().unwrap().contains("--columns answer"));
        let lower = dir.path().join("lower.parquet");
        shard(&lower, &TokenMeta { lowercase: true, ..meta() }, &[row("b", &[5], 1)]);
        let both = [texts.as_path(), &lower];
        let error = Tokens::load_with(&both, &Where::default(), &expected, &written).unwrap_err();
        assert!(error.to_string().ends_with("captions lower-cased, those of the shards before as they were"));
    }
}
