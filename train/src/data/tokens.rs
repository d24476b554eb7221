//! The rows of token shards in memory.

use std::ops::Range;
use std::path::Path;

use tokenize::shard_list;
use tokenize::tokens::TokenMeta;

use super::loader::{How, Loader, Part, Texts};
use super::{Expected, Where};
use crate::{Error, Result};

/// The rows of one or more token shards, compact: text ids and codes in one buffer each.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub(super) meta: TokenMeta,
    pub(super) text: Vec<u32>,
    pub(super) codes: Vec<u16>,
    pub(super) rows: Vec<Row>,
    pub(super) fingerprint: String,
}

/// Where a row's ids lie in the buffers.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) text: Option<Range<usize>>,
    /// Index of an image. The captions of one image, adjacent in a shard, share it.
    pub(super) image: Option<usize>,
    /// One for each further text; `None` where the row lacks a column of it.
    pub(super) written: Box<[Option<Range<usize>>]>,
}

impl Tokens {
    /// Reads a shard file or a folder of shards, taking the rows that `filter` names.
    ///
    /// # Errors
    /// A shard that is damaged, made by another codec or vocabulary, or out of the model's ranges: the error names the
    /// shard and what does not fit. Also when no row is left.
    pub fn load(path: &Path, filter: &Where, expected: &Expected) -> Result<Self> {
        Self::load_with(&[path], filter, expected, &Texts::default())
    }

    /// The same from several folders, one behind the other, with further texts: see [`Tokens::written`].
    ///
    /// # Errors
    /// As for [`Tokens::load`]; also a column that a text asks for and a shard lacks.
    pub fn load_with(
        paths: &[&Path],
        filter: &Where,
        expected: &Expected,
        texts: &Texts<'_>,
    ) -> Result<Self> {
        let (mut loader, how) = (Loader::hashed(), How { filter, expected, texts });
        for path in paths {
            for shard in shard_list::list(path)? {
                loader.read(Part { shard: &shard, group: None, rows: usize::MAX }, &how)?;
            }
        }
        let fault = || {
            let which = if filter.is_any() { "" } else { " that the filter takes" };
            Error::data(paths.first().copied().unwrap_or(Path::new("")), format!("no rows{which}"))
        };
        loader.finish().ok_or_else(fault)
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

    /// Whether a row has a caption.
    #[must_use]
    pub fn has_text(&self, row: usize) -> bool {
        self.rows[row].text.is_some()
    }

    /// Bare ids of the further text `index` of [`Texts::templates`]; `None` where the row lacks a column of it.
    #[must_use]
    pub fn written(&self, row: usize, index: usize) -> Option<&[u32]> {
        self.rows[row].written.get(index)?.clone().map(|range| &self.text[range])
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

    /// Bytes of memory that they take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let written: usize = self.rows.iter().map(|row| size_of_val(&*row.written)).sum();
        let buffers = size_of_val(&*self.text) + size_of_val(&*self.codes) + size_of_val(&*self.rows);
        (buffers + written) as u64
    }

    /// sha256 over all ids in order.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use tokenize::tokens::TokenRow;

    use super::*;

    pub(crate) fn meta() -> TokenMeta {
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

    pub(crate) fn row(key: &str, text: &[u32], code: u16) -> TokenRow {
        TokenRow {
            key: key.into(),
            text_ids: Some(text.to_vec()),
            codes: Some(vec![code; 4]),
            ..TokenRow::default()
        }
    }

    fn push(loader: &mut Loader, row: &TokenRow, written: &[Option<Vec<u32>>]) {
        let ids = row.text_ids.as_deref().map(tokenize::tokens::Ids::Wide);
        loader.push(&row.key, ids, row.codes.as_deref(), written);
    }

    /// Rows of a grid of this size, with their further texts.
    pub(crate) fn tokens_of(grid: usize, rows: Vec<(TokenRow, Vec<Option<Vec<u32>>>)>) -> Tokens {
        let mut loader = Loader::hashed();
        rows.iter().for_each(|(row, written)| push(&mut loader, row, written));
        loader.meta = Some(TokenMeta { grid, ..meta() });
        loader.finish().unwrap()
    }

    pub(crate) fn tokens(rows: Vec<TokenRow>) -> Tokens {
        let mut loader = Loader::hashed();
        rows.iter().for_each(|row| push(&mut loader, row, &[]));
        loader.meta = Some(meta());
        loader.finish().unwrap()
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
}
