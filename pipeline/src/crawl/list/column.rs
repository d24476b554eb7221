//! One column of a list, whatever the list is: Parquet, CSV, JSON, text, packed or not, on disk or not.

use std::path::Path;

use super::{ListFile, ListFormat};
use crate::Result;
use crate::crawl::config::{CrawlConfig, InputConfig};
use crate::unit::Unit;

/// Hands the values of `column` to `each` as text, those that are null or blank left out. A file of no known ending is
/// text with one value per line; `key` is the key of a config that names the column.
///
/// # Errors
/// A list that is not there, is damaged or has no such column.
pub(crate) fn list_column(path: &str, column: &str, key: &str, each: &mut dyn FnMut(&str)) -> Result<()> {
    let unknown =
        !path.ends_with('/') && !Path::new(path).is_dir() && ListFormat::of(Path::new(path)).is_none();
    let input = InputConfig {
        urls: vec![path.to_owned()],
        format: unknown.then_some(ListFormat::Txt),
        url_col: column.to_owned(),
        image_col: Some(String::new()),
        ..InputConfig::default()
    };
    let config = CrawlConfig { input, ..CrawlConfig::default() };
    for list in ListFile::find(&config)? {
        list.column(&list.fields(&config.input)?, column, key)?;
        let columns = list.columns(&config.input)?;
        let (rows, offsets) = list.scan(u64::MAX)?;
        let unit =
            Unit { index: 0, file: list.name.clone(), start: 0, rows, offset: offsets.first().copied() };
        list.read(&columns, &unit, &mut |block| {
            block.links.iter().flatten().for_each(|value| each(value));
            true
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &str, content: &str, column: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        crate::atomic::write(&path, content).unwrap();
        let mut values = Vec::new();
        let mut note = |value: &str| values.push(value.to_owned());
        list_column(path.to_str().unwrap(), column, "subset.list_column", &mut note)?;
        Ok(values)
    }

    #[test]
    fn a_column_is_read_from_every_kind_of_list() {
        let expected = ["b", "a"];
        assert_eq!(values("x.csv", "key,uid\n1,b\n2,\n3,a\n", "uid").unwrap(), expected);
        assert_eq!(values("x.jsonl", "{\"uid\": \"b\"}\n{\"uid\": \"a\"}\n", "uid").unwrap(), expected);
        assert_eq!(values("x.txt", "b\n\na\n", "uid").unwrap(), expected);
        assert_eq!(values("uids", "b\na", "uid").unwrap(), expected);
        assert_eq!(values("empty.txt", "", "uid").unwrap(), [""; 0]);
    }

    #[test]
    fn a_column_that_is_not_there_is_told_with_the_key() {
        let error = values("x.csv", "key,uid\n1,b\n", "uidd").unwrap_err();
        assert!(error.to_string().ends_with("no column `uidd`; there are: key, uid"), "{error}");
        assert_eq!(error.hint().unwrap(), "did you mean subset.list_column = \"uid\"?");
    }
}
