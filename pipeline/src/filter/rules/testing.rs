//! Tables for the tests of the rules, and what a rule given in TOML does with them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};

use super::super::columns::Columns;
use super::super::funnel::Funnel;
use super::super::judge::Judge;
use super::{RuleEntry, Site};
use crate::Result;

pub(in crate::filter) fn texts(columns: &[(&str, &[Option<&str>])]) -> RecordBatch {
    let column = |values: &[Option<&str>]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    RecordBatch::try_from_iter(columns.iter().map(|(name, values)| (*name, column(values)))).unwrap()
}

pub(in crate::filter) fn captions(captions: &[Option<&str>]) -> RecordBatch {
    texts(&[("caption", captions)])
}

pub(in crate::filter) fn numbers(columns: &[(&str, &[Option<f64>])]) -> RecordBatch {
    let column = |values: &[Option<f64>]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    RecordBatch::try_from_iter(columns.iter().map(|(name, values)| (*name, column(values)))).unwrap()
}

/// The rules ready for a table, under their kinds as names.
pub(in crate::filter) fn judge(rules: &[&str], table: &RecordBatch) -> Result<Judge> {
    let mut site = Site::new(Columns::new(table.schema()), "caption", "url", None);
    for rule in rules {
        let entry: RuleEntry = toml::from_str(rule).unwrap();
        let name = entry.name.clone().unwrap_or_else(|| entry.rule.kind().to_owned());
        site.add(&entry, name, "x.parquet")?;
    }
    Ok(Judge::new(site))
}

/// The rows that a rule removes.
pub(in crate::filter) fn caught(rule: &str, table: &RecordBatch) -> Vec<usize> {
    let judge = judge(&[rule], table).unwrap();
    let verdict = judge.judge(table, &mut Funnel::of(&judge)).unwrap();
    (0..table.num_rows()).filter(|row| verdict.first[*row].is_some()).collect()
}

/// The captions after a rule that rewrites.
pub(in crate::filter) fn rewritten(rule: &str, captions: &[&str]) -> Vec<String> {
    let captions: Vec<_> = captions.iter().copied().map(Some).collect();
    let table = self::captions(&captions);
    let judge = judge(&[rule], &table).unwrap();
    let verdict = judge.judge(&table, &mut Funnel::of(&judge)).unwrap();
    let table = judge.changed(&table, &verdict).unwrap();
    table.column(0).as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
}

/// Why a rule is refused.
pub(in crate::filter) fn refused(rule: &str, table: &RecordBatch) -> String {
    judge(&[rule], table).map(|_| ()).unwrap_err().to_string()
}
