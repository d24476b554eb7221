//! Gathers the rows of shards, and encodes texts of their columns.
//!
//! Token shards hold the ids of captions alone. Questions, answers and whatever else a task reads lie in columns that were
//! passed through as strings; they are encoded here, with the vocabulary and the lower-casing of the captions.

use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokenize::bpe::Bpe;
use tokenize::tokens::{TokenMeta, TokenReader, TokenRow};

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
    hash: Sha256,
}

impl Loader {
    /// Adds the rows of a shard that `filter` takes.
    pub(super) fn read(
        &mut self,
        shard: &Path,
        filter: &Where,
        expected: &Expected,
        texts: &Texts<'_>,
    ) -> Result<()> {
        let reader = TokenReader::open(shard)?;
        check(shard, reader.meta(), expected)?;
        self.know(shard, reader.meta())?;
        columns_exist(shard, &reader, filter, texts.templates)?;
        let bpe = texts.bpe.map(|bpe| bpe.clone().with_lowercase(reader.meta().lowercase));
        for row in reader {
            let row = row?;
            if filter.takes(&row) {
                let encode = |template: &Template| Some(bpe.as_ref()?.encode(&template.fill(&row)?));
                let written: Vec<_> = texts.templates.iter().map(encode).collect();
                self.push(row, &written);
            }
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

    pub(super) fn push(&mut self, row: TokenRow, written: &[Option<Vec<u32>>]) {
        let text = row.text_ids.map(|ids| self.ids(&ids));
        let image = row.codes.map(|codes| self.image(row.key, codes));
        self.hash.update([u8::from(text.is_some()), u8::from(image.is_some())]);
        let written = written.iter().map(|ids| ids.as_ref().map(|ids| self.ids(ids))).collect();
        self.rows.push(Row { text, image, written });
    }

    fn ids(&mut self, ids: &[u32]) -> Range<usize> {
        ids.iter().for_each(|id| self.hash.update(id.to_le_bytes()));
        let start = self.text.len();
        self.text.extend(ids);
        start..self.text.len()
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

    /// All rows; `None` where there is none.
    pub(super) fn finish(self) -> Option<Tokens> {
        let meta = self.meta.filter(|_| !self.rows.is_empty())?;
        let fingerprint = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Tokens { meta, text: self.text, codes: self.codes, rows: self.rows, fingerprint })
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
    use tokenize::tokens::{Column, TokenWriter};

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
