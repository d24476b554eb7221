//! Which pictures of the token shards are measured.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::VerifyOptions;
use crate::metrics::CodeUsage;
use crate::tokens::{TokenMeta, TokenReader};
use crate::{Error, Result};

/// The name of the view that is the picture itself.
const WHOLE: &str = "whole";

/// The selected pictures.
pub(super) struct Selection {
    /// Pictures that pass the filter.
    pub(super) selected: usize,
    /// Keys of the measured ones, in the order of the shards.
    pub(super) order: Vec<String>,
    /// Their codes.
    pub(super) codes: HashMap<String, Vec<u16>>,
    /// Use of the codebook over all that pass the filter.
    pub(super) usage: CodeUsage,
}

/// Reads the shards twice, first the keys and the codebook's use, then the codes of the chosen pictures alone, so that
/// memory is bounded by the sample.
pub(super) fn select(shards: &[PathBuf], meta: &TokenMeta, options: &VerifyOptions) -> Result<Selection> {
    let mut usage = CodeUsage::new(meta.codebook_size);
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    each_picture(shards, options, |key, codes| {
        if seen.insert(key.to_owned()) {
            usage.add(codes);
            keys.push(key.to_owned());
        }
    })?;
    if keys.is_empty() {
        return Err(nothing(options));
    }
    let limit = if options.sample == 0 { keys.len() } else { options.sample };
    let order = spread(&keys, limit);
    let wanted: HashSet<&str> = order.iter().map(String::as_str).collect();
    let mut codes = HashMap::with_capacity(order.len());
    each_picture(shards, options, |key, found| {
        if wanted.contains(key) && !codes.contains_key(key) {
            codes.insert(key.to_owned(), found.to_vec());
        }
    })?;
    Ok(Selection { selected: keys.len(), order, codes, usage })
}

fn each_picture(
    shards: &[PathBuf],
    options: &VerifyOptions,
    mut visit: impl FnMut(&str, &[u16]),
) -> Result<()> {
    for shard in shards {
        let reader = TokenReader::open(shard)?;
        if let Some(filter) =
            options.filter.as_ref().filter(|filter| !filter.applies_to(reader.extra_columns()))
        {
            return Err(Error::Table {
                path: shard.clone(),
                why: format!("no column {:?} to filter by", filter.column),
                cure: Some(format!("columns here: {}", names(&reader))),
            });
        }
        for row in reader {
            let row = row?;
            let accepted = options.filter.as_ref().is_none_or(|filter| filter.accepts(&row));
            // Other views are cut from the picture in other ways than the one that is compared.
            let whole = row.view().is_none_or(|view| view == WHOLE);
            if let (true, Some(codes)) = (accepted && whole, &row.codes) {
                visit(&row.key, codes);
            }
        }
    }
    Ok(())
}

fn names(reader: &TokenReader) -> String {
    let extra = reader.extra_columns().iter().map(|column| column.name.as_str());
    ["key", "caption"].into_iter().chain(extra).collect::<Vec<_>>().join(", ")
}

fn nothing(options: &VerifyOptions) -> Error {
    let why = match &options.filter {
        Some(filter) => format!("no picture with {} = {:?}", filter.column, filter.value),
        None => "no pictures in these shards".to_owned(),
    };
    Error::table(&options.tokens, why)
}

/// At most `limit` of `items`, evenly spread, the first always among them.
pub(super) fn spread(items: &[String], limit: usize) -> Vec<String> {
    let count = limit.min(items.len());
    (0..count).map(|i| items[i * items.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_even_and_within_the_limit() {
        let items: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        assert_eq!(spread(&items, 4), ["0", "2", "5", "7"]);
        assert_eq!(spread(&items, 20), items);
        assert!(spread(&items, 0).is_empty() && spread(&[], 3).is_empty());
    }
}
