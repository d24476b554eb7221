//! Texts to learn a BPE from: plain text, CSV, TSV and Parquet files (pair and token shards too), or folders of them.
//!
//! Text files may be compressed with gzip or Zstandard.

mod batch;
mod lines;
mod tables;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{Error, Result};
pub use batch::Batch;
use lines::Lines;

/// Texts in the order of the files, some at a time.
pub type Batches = Box<dyn Iterator<Item = Result<Batch>> + Send>;

/// Files that hold text.
#[derive(Clone, Debug)]
pub struct Corpus {
    files: Vec<PathBuf>,
    columns: Vec<String>,
}

impl Corpus {
    /// Finds the files: each path is a file, or a folder that is searched for `.txt`, `.md`, `.csv`, `.tsv` (also
    /// with `.gz` or `.zst`) and `.parquet` files. `columns` are the text columns of tables; without any, `caption` or
    /// the only string column.
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
    pub fn batches(&self) -> impl Iterator<Item = Result<Batch>> + Send + '_ {
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
        } else if matches!(ending(&uncompressed(&entry).0), "txt" | "md" | "csv" | "tsv" | "parquet") {
            files.push(entry);
        }
    }
    Ok(())
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

/// How a file is compressed.
#[derive(Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Zstandard,
}

/// The name that the file has without its compression, and the compression.
fn uncompressed(path: &Path) -> (PathBuf, Compression) {
    match ending(path) {
        "gz" => (path.with_extension(""), Compression::Gzip),
        "zst" => (path.with_extension(""), Compression::Zstandard),
        _ => (path.to_owned(), Compression::None),
    }
}

fn open(path: &Path, columns: &[String]) -> Result<Batches> {
    let (name, compression) = uncompressed(path);
    let reader = || -> Result<Box<dyn Read + Send>> {
        let file = File::open(path).map_err(Error::io(path))?;
        Ok(match compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Compression::Zstandard => Box::new(zstd::Decoder::new(file).map_err(Error::io(path))?),
        })
    };
    match ending(&name) {
        "parquet" => tables::parquet(path, columns),
        "csv" => tables::delimited(path, reader()?, b',', columns),
        "tsv" => tables::delimited(path, reader()?, b'\t', columns),
        _ => Ok(Box::new(Lines::new(path, reader()?))),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::atomic;

    use super::*;

    fn read(paths: &[PathBuf], columns: &[&str]) -> Result<Vec<String>> {
        let columns: Vec<String> = columns.iter().map(|&c| c.to_owned()).collect();
        let batches: Vec<Batch> = Corpus::find(paths, &columns)?.batches().collect::<Result<_>>()?;
        Ok(batches.iter().flat_map(Batch::texts).map(str::to_owned).collect())
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
    fn bytes_that_are_no_utf8_are_left_out_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        atomic::write(folder.path().join("a.txt"), b"good\n\xff\xfe\n").unwrap();
        atomic::write(folder.path().join("b.csv"), b"id,caption\n1,good\n2,b\xffad\n").unwrap();
        let corpus = Corpus::find(&[folder.path().to_owned()], &[]).unwrap();
        let batches: Vec<Batch> = corpus.batches().collect::<Result<_>>().unwrap();
        assert_eq!(batches.iter().flat_map(Batch::texts).collect::<Vec<_>>(), ["good", "", "good", "bad"]);
        let places: Vec<_> = batches.iter().filter_map(|batch| batch.first_damaged.as_deref()).collect();
        assert!(places[0].ends_with("a.txt:2") && places[1].ends_with("b.csv:3"), "{places:?}");
    }

    #[test]
    fn compressed_text_is_text() {
        let folder = tempfile::tempdir().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, b"red\nflag\n").unwrap();
        let gzip = gzip.finish().unwrap();
        // Two members, as parallel compressors write them.
        atomic::write(folder.path().join("a.txt.gz"), [&gzip[..], &gzip].concat()).unwrap();
        let table = zstd::encode_all(&b"id\tcaption\n1\tblue\n"[..], 1).unwrap();
        atomic::write(folder.path().join("b.tsv.zst"), table).unwrap();
        assert_eq!(read(&[folder.path().to_owned()], &[]).unwrap(), ["red", "flag", "red", "flag", "blue"]);
        atomic::write(folder.path().join("c.txt.gz"), &gzip[..gzip.len() - 4]).unwrap();
        let error = read(&[folder.path().join("c.txt.gz")], &[]).unwrap_err().to_string();
        assert!(error.contains("c.txt.gz: "), "{error}");
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
