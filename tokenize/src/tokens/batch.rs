//! Rows decoded together, as they lie in the file: what training reads, without strings and lists of its own for each row.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, UInt16Type, UInt32Type};

use super::schema::OWN;
use super::writer::check_row;
use super::{Column, TokenMeta, TokenRow, Value};

/// Text ids of a row in the width of their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids<'a> {
    /// Of a vocabulary of at most 65,536 entries.
    Narrow(&'a [u16]),
    /// Of a larger one.
    Wide(&'a [u32]),
}

impl Ids<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends them to `to`.
    pub fn append_to(&self, to: &mut Vec<u32>) {
        match self {
            Self::Narrow(ids) => to.extend(ids.iter().map(|id| u32::from(*id))),
            Self::Wide(ids) => to.extend_from_slice(ids),
        }
    }
}

/// Some rows of a shard.
#[derive(Debug)]
pub struct TokenBatch {
    keys: StringArray,
    captions: Option<StringArray>,
    text: ListArray,
    codes: FixedSizeListArray,
    extra: Vec<(Column, ArrayRef)>,
}

impl TokenBatch {
    /// Takes the columns of a batch whose schema was checked; those after the format's own are `extra`.
    pub(super) fn new(batch: &RecordBatch, extra: &[Column]) -> Option<Self> {
        let [key, caption, text_ids, codes] = OWN;
        let column = |name: &str| batch.column_by_name(name);
        let named = |wanted: &Column| Some((wanted.clone(), column(&wanted.name)?.clone()));
        Some(Self {
            keys: column(key)?.as_string::<i32>().clone(),
            captions: column(caption).map(|captions| captions.as_string::<i32>().clone()),
            text: column(text_ids)?.as_list::<i32>().clone(),
            codes: column(codes)?.as_fixed_size_list().clone(),
            extra: extra.iter().filter_map(named).collect(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pair's key.
    pub fn key(&self, row: usize) -> &str {
        self.keys.value(row)
    }

    /// Bare BPE ids of the caption, if it has one.
    pub fn text_ids(&self, row: usize) -> Option<Ids<'_>> {
        let offsets = self.text.value_offsets();
        let span = usize::try_from(offsets[row]).ok()?..usize::try_from(offsets[row + 1]).ok()?;
        self.text.is_valid(row).then(|| match self.text.values().data_type() {
            DataType::UInt32 => Ids::Wide(&self.text.values().as_primitive::<UInt32Type>().values()[span]),
            _ => Ids::Narrow(&self.text.values().as_primitive::<UInt16Type>().values()[span]),
        })
    }

    /// The image's codes in raster order, if it has any.
    pub fn codes(&self, row: usize) -> Option<&[u16]> {
        let size = usize::try_from(self.codes.value_length()).ok()?;
        let from = row * size;
        let values = || &self.codes.values().as_primitive::<UInt16Type>().values()[from..from + size];
        self.codes.is_valid(row).then(values)
    }

    /// A row without its ids and codes.
    pub fn words(&self, row: usize) -> TokenRow {
        let captions = self.captions.as_ref().filter(|captions| captions.is_valid(row));
        TokenRow {
            key: self.key(row).to_owned(),
            caption: captions.map(|captions| captions.value(row).to_owned()),
            extra: self.extra(row),
            ..TokenRow::default()
        }
    }

    /// A row with everything that was read of it.
    pub fn row(&self, row: usize) -> TokenRow {
        let ids = |ids: Ids<'_>| {
            let mut all = Vec::with_capacity(ids.len());
            ids.append_to(&mut all);
            all
        };
        TokenRow {
            text_ids: self.text_ids(row).map(ids),
            codes: self.codes(row).map(<[u16]>::to_vec),
            ..self.words(row)
        }
    }

    /// The columns passed through that were read, by name; null values are absent.
    pub fn extra(&self, row: usize) -> BTreeMap<String, Value> {
        let value =
            |(column, array): &(Column, ArrayRef)| Some((column.name.clone(), column.value(array, row)?));
        self.extra.iter().filter_map(value).collect()
    }

    /// Refuses ids and codes out of the ranges that the metadata gives, naming the row.
    pub(super) fn check(&self, meta: &TokenMeta) -> Result<(), String> {
        let ids = self.text.values();
        let ids = match ids.data_type() {
            DataType::UInt32 => ids.as_primitive::<UInt32Type>().values().iter().copied().max(),
            _ => ids.as_primitive::<UInt16Type>().values().iter().copied().max().map(u32::from),
        };
        let codes = self.codes.values().as_primitive::<UInt16Type>().values().iter().copied().max();
        let below = |highest: Option<usize>, size: usize| highest.is_none_or(|highest| highest < size);
        if below(ids.map(|id| id as usize), meta.vocab_size)
            && below(codes.map(usize::from), meta.codebook_size)
        {
            return Ok(());
        }
        (0..self.len()).try_for_each(|row| {
            let row = self.row(row);
            check_row(&row, meta).map_err(|why| format!("row {:?}: {why}", row.key))
        })
    }
}
