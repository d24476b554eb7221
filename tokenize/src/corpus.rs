//! Texts to learn a BPE from: plain text, CSV, TSV and Parquet files (pair shards too), or folders of them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Error, Result};

/// Texts one by one, in the order of the files.
pub type Texts = Box<dyn Iterator<Item = Result<String>> + Send>;

/// The column that holds the text where none is named.
const DEFAULT_COLUMN: &str = "caption";

/// Files that hold text.
#[derive(Clone, Debug)]
pub struct Corpus {
    files: Vec<PathBuf>,
    columns: Vec<String>,
}

impl Corpus {
    /// Finds the files: each path is a file, or a folder that is searched for `.txt`, `.md`, `.csv`, `.tsv` and
    /// `.parquet` files. `columns` are the text columns of tables; without any, `caption` or the only string column.
    ///
    /// # Errors
    /// A path that does not exist, or a folder without any such file.
    pub fn find(paths: &[PathBuf], columns: &[String]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let before = files.len();
            collect(path, &mut files)?;
            if files.len() == before {
                return Err(Error::Bpe {
                    what: path.display().to_string(),
                    why: "no .txt, .md, .csv, .tsv or .parquet file in this folder".to_owned(),
                    cure: None,
                });
            }
        }
        Ok(Self { files, columns: columns.to_vec() })
    }

    /// The files in the order in which they are read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Every text of every file; a file that cannot be read is one error in its place.
    pub fn texts(&self) -> impl Iterator<Item = Result<String>> + Send + '_ {
        self.files.iter().flat_map(|path| {
            open(path, &self.columns).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
        })
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(Error::io(path))?;
        files.push(path.to_owned());
        return Ok(());
    }
    // A folder of shards holds what was committed, perhaps beside what a killed process left.
    if let Some(shards) = crate::shard_list::committed(path)? {
        files.extend(shards);
        return Ok(());
    }
    let mut entries = BTreeSet::new();
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        entries.insert(entry.map_err(Error::io(path))?.path());
    }
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if matches!(ending(&entry), "txt" | "md" | "csv" | "tsv" | "parquet") {
            files.push(entry);
        }
    }
    Ok(())
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

fn open(path: &Path, columns: &[String]) -> Result<Texts> {
    match ending(path) {
        "parquet" => parquet_texts(path, columns),
        "csv" => table_texts(path, b',', columns),
        "tsv" => table_texts(path, b'\t', columns),
        _ => line_texts(path),
    }
}

fn line_texts(path: &Path) -> Result<Texts> {
    let file = File::open(path).map_err(Error::io(path))?;
    let path = path.to_owned();
    let lines = BufReader::new(file).lines().enumerate();
    Ok(Box::new(lines.map(move |(number, line)| {
        line.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => Error::Bpe {
                what: format!("{}:{}", path.display(), number + 1),
                why: "not UTF-8 text".to_owned(),
                cure: Some("convert the file to UTF-8, for example with iconv".to_owned()),
            },
            _ => Error::Io { path: path.clone(), source: error },
        })
    })))
}

fn table_texts(path: &Path, delimiter: u8, columns: &[String]) -> Result<Texts> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(BufReader::new(file));
    let names: Vec<String> =
        reader.headers().map_err(|e| Error::table(path, e))?.iter().map(str::to_owned).collect();
    let chosen = choose(path, &names, columns)?;
    let path = path.to_owned();
    let rows = reader.into_records().flat_map(move |row| match row {
        Ok(row) => chosen.iter().filter_map(|&i| row.get(i)).map(|text| Ok(text.to_owned())).collect(),
        Err(error) => vec![Err(Error::table(&path, error))],
    });
    Ok(Box::new(rows))
}

fn parquet_texts(path: &Path, columns: &[String]) -> Result<Texts> {
    let file = File::open(path).map_err(Error::io(path))?;
    let damaged = |e: parquet::errors::ParquetError| Error::Table {
        path: path.to_owned(),
        why: format!("not a readable Parquet file: {e}"),
        cure: Some("the file may be cut short: compare its size with the original".to_owned()),
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let names = string_columns(builder.schema());
    let chosen: Vec<String> = choose(path, &names, columns)?.into_iter().map(|i| names[i].clone()).collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), chosen.iter().map(String::as_str));
    let batches = builder.with_projection(mask).build().map_err(damaged)?;
    let path = path.to_owned();
    Ok(Box::new(batches.flat_map(move |batch| match batch.and_then(|batch| texts_of(&batch)) {
        Ok(texts) => texts.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(Error::table(&path, error))],
    })))
}

fn string_columns(schema: &Schema) -> Vec<String> {
    let strings = schema.fields().iter().filter(|field| {
        matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    });
    strings.map(|field| field.name().clone()).collect()
}

fn texts_of(batch: &RecordBatch) -> std::result::Result<Vec<String>, arrow::error::ArrowError> {
    let mut texts = Vec::new();
    for column in batch.columns() {
        let column = cast(column, &DataType::Utf8)?;
        let column = column.as_string::<i32>();
        texts.extend(column.iter().flatten().map(str::to_owned));
    }
    Ok(texts)
}

/// Indices of the text columns: the wanted ones, else `caption`, else the only one.
fn choose(path: &Path, names: &[String], wanted: &[String]) -> Result<Vec<usize>> {
    let fault = |why: String| Error::Table {
        path: path.to_owned(),
        why,
        cure: Some(format!("text columns here: {}", names.join(", "))),
    };
    let position = |name: &str| names.iter().position(|n| n == name);
    if !wanted.is_empty() {
        let find = |name: &String| position(name).ok_or_else(|| fault(format!("no text column {name:?}")));
        return wanted.iter().map(find).collect();
    }
    match (position(DEFAULT_COLUMN), names.len()) {
        (Some(index), _) => Ok(vec![index]),
        (None, 1) => Ok(vec![0]),
        (None, _) => Err(fault("which column holds the text? Name it with --columns".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::atomic;

    use super::*;

    fn read(paths: &[PathBuf], columns: &[&str]) -> Result<Vec<String>> {
        let columns: Vec<String> = columns.iter().map(|&c| c.to_owned()).collect();
        Corpus::find(paths, &columns)?.texts().collect()
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        atomic::write(folder.path().join("b.txt"), "third\n").unwrap();
        atomic::write(folder.path().join("a.tsv"), "id\tcaption\n1\tfirst\n2\tsecond\n").unwrap();
        atomic::write(folder.path().join("c.bin"), [0xff, 0xfe]).unwrap();
        assert_eq!(read(&[folder.path().to_owned()], &[]).unwrap(), ["first", "second", "third"]);
    }

    #[test]
    fn a_missing_column_names_those_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        atomic::write(&path, "en,ru\nflag,флаг\n").unwrap();
        assert_eq!(read(std::slice::from_ref(&path), &["ru", "en"]).unwrap(), ["флаг", "flag"]);
        let error = read(std::slice::from_ref(&path), &["de"]).unwrap_err();
        assert!(error.to_string().ends_with("a.csv: no text column \"de\""), "{error}");
        assert_eq!(error.hint().unwrap(), "text columns here: en, ru");
        assert!(read(&[path], &[]).unwrap_err().to_string().contains("--columns"));
    }

    #[test]
    fn text_that_is_not_utf8_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        atomic::write(&path, b"good\n\xff\xfe\n").unwrap();
        let error = read(&[path], &[]).unwrap_err();
        assert!(error.to_string().ends_with("a.txt:2: not UTF-8 text"), "{error}");
    }

    #[test]
    fn an_empty_folder_and_a_missing_file_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&[folder.path().to_owned()], &[]).unwrap_err().to_string().contains("no .txt"));
        assert!(
            read(&[folder.path().join("absent.txt")], &[]).unwrap_err().to_string().contains("absent.txt")
        );
    }
}
