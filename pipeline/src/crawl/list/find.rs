//! From what the config names to input files: paths, folders, patterns, URLs, outputs of earlier crawls.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use url::Url;

use super::earlier::Earlier;
use super::format::is_image;
use super::source::{Source, http_object};
use super::{Content, ListFile, ListFormat, Parked, tree};
use crate::crawl::config::{CrawlConfig, InputConfig};
use crate::store::Store;
use crate::unit::{committed, is_dropped};
use crate::{Error, Result};

/// The input files that the config names, folders and patterns opened up; all must exist.
pub(super) fn find(config: &CrawlConfig) -> Result<Vec<ListFile>> {
    let mut finder = Finder { config, input: &config.input, parked: Parked::default(), found: Vec::new() };
    for name in &config.input.urls {
        if config.input.retry_failed.is_on() {
            finder.earlier(name)?;
        } else if is_url(name) {
            finder.remote(name)?;
        } else {
            finder.local(name.strip_prefix("file://").unwrap_or(name))?;
        }
    }
    Ok(finder.found)
}

fn is_url(name: &str) -> bool {
    name.contains("://") && !name.starts_with("file://")
}

fn has_wildcard(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

struct Finder<'a> {
    config: &'a CrawlConfig,
    input: &'a InputConfig,
    parked: Parked,
    found: Vec<ListFile>,
}

impl Finder<'_> {
    fn add(&mut self, name: String, content: Content) {
        self.found.push(ListFile { name, content, parked: self.parked.clone() });
    }

    /// A single file of a format that its name or the config tells.
    fn file(&mut self, source: Source, name: &str) -> Result<()> {
        let display = source.name();
        let format = self.input.format.or_else(|| ListFormat::of(Path::new(name)));
        let unknown = || {
            Error::input(&display, "cannot tell the format of this link list from its name")
                .with_hint("set input.format to parquet, csv, tsv, json, jsonl, txt or webdataset")
        };
        let content = Content::of(source, format.ok_or_else(unknown)?, self.input.quoting)?;
        self.add(display, content);
        Ok(())
    }

    fn local(&mut self, name: &str) -> Result<()> {
        let path = PathBuf::from(name);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => self.folder(&path),
            Ok(_) => self.file(Source::File(path), name),
            Err(_) if has_wildcard(name) => self.matching(name),
            Err(e) => Err(Error::io(path, e)),
        }
    }

    fn matching(&mut self, pattern: &str) -> Result<()> {
        let wrong = |e: glob::PatternError| Error::config(pattern, format!("not a pattern: {e}"));
        let found = glob::glob_with(pattern, options()).map_err(wrong)?;
        let found: Result<Vec<PathBuf>, glob::GlobError> = found.collect();
        let mut found = found.map_err(|e| Error::io(e.path().to_owned(), e.into()))?;
        found.sort();
        for path in &found {
            self.local(&path.to_string_lossy())?;
        }
        match found.is_empty() {
            true => Err(nothing_matches(pattern)),
            false => Ok(()),
        }
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let output = folder.join("plan.json").is_file();
        let listing = if output { output_of(folder)? } else { Listing::of(folder)? };
        let name = folder.display().to_string();
        let names = match (self.input.format, listing.decide()) {
            (Some(ListFormat::Images), _) | (None, Held::Images) => None,
            (Some(format), _) => Some(listing.with(format)),
            (None, Held::Lists(names)) => Some(names),
            (None, Held::Unclear) => return Err(unclear(&name)),
            (None, Held::Nothing) if tree::has_image(folder)? => None,
            (None, Held::Nothing) => Some(listing.with(ListFormat::Json)),
        };
        let Some(names) = names else {
            self.add(name, Content::Images(folder.to_owned()));
            return Ok(());
        };
        if names.is_empty() {
            return Err(nothing_inside(&name));
        }
        names.iter().try_for_each(|name| self.file(Source::File(folder.join(name)), name))
    }

    fn remote(&mut self, location: &str) -> Result<()> {
        if location.starts_with("http://") || location.starts_with("https://") {
            let object = http_object(location, &self.config.net)?;
            let path = Url::parse(location).map(|url| url.path().to_owned()).unwrap_or_default();
            return self.file(Source::Object(object), &path);
        }
        let (above, name) = location.rsplit_once('/').unwrap_or(("", location));
        if !has_wildcard(location) && ListFormat::of(Path::new(name)).is_some() {
            return self.file(Source::of(&Store::open(above)?, name)?, name);
        }
        let (root, pattern) = split(location);
        let below = Source::below(&Store::open(&root)?)?;
        match pattern {
            Some(pattern) => self.objects_like(location, &pattern, below),
            None => self.objects(location, below),
        }
    }

    fn objects_like(&mut self, location: &str, pattern: &str, below: Vec<(String, Source)>) -> Result<()> {
        let wrong = |e: glob::PatternError| Error::config(location, format!("not a pattern: {e}"));
        let pattern = Pattern::new(pattern).map_err(wrong)?;
        let before = self.found.len();
        for (name, source) in below {
            if pattern.matches_with(&name, options()) {
                self.file(source, &name)?;
            }
        }
        match self.found.len() == before {
            true => Err(nothing_matches(location)),
            false => Ok(()),
        }
    }

    /// The lists directly in a folder of a bucket.
    fn objects(&mut self, location: &str, below: Vec<(String, Source)>) -> Result<()> {
        let here = || below.iter().filter(|(name, _)| !name.contains('/'));
        let listing = Listing { files: here().map(|(name, _)| name.clone()).collect(), folders: Vec::new() };
        let names = match (self.input.format, listing.decide()) {
            (Some(format), _) => listing.with(format),
            (None, Held::Lists(names)) => names,
            (None, Held::Nothing) => listing.with(ListFormat::Json),
            (None, Held::Unclear) => return Err(unclear(location)),
            (None, Held::Images) => {
                let message = "a folder of images in a bucket is not read";
                return Err(
                    Error::input(location, message).with_hint("copy it to a disk, or pack it into tars")
                );
            }
        };
        if names.is_empty() {
            return Err(nothing_inside(location));
        }
        let wanted = here().filter(|(name, _)| names.contains(name)).cloned().collect::<Vec<_>>();
        wanted.into_iter().try_for_each(|(name, source)| self.file(source, &name))
    }

    fn earlier(&mut self, location: &str) -> Result<()> {
        if same_place(location, &self.config.output.path) {
            return Err(Error::config("output.path", "is the folder whose failures are to be fetched again")
                .with_hint("choose another --out; input.retry_failed says how to join both"));
        }
        let earlier = Earlier::find(location, &self.input.retry_failed)?;
        self.add(location.to_owned(), Content::Earlier(earlier.into()));
        Ok(())
    }
}

fn same_place(a: &str, b: &str) -> bool {
    let real = |name: &str| Path::new(name).canonicalize().ok();
    a.trim_end_matches('/') == b.trim_end_matches('/') || real(a).is_some_and(|a| Some(a) == real(b))
}

/// `*` stops at a slash, `**` does not; hidden names are to be named.
fn options() -> MatchOptions {
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true }
}

/// The part of a bucket's URL that has no wildcard, and the pattern below it.
fn split(location: &str) -> (String, Option<String>) {
    let parts: Vec<&str> = location.split('/').collect();
    match parts.iter().position(|part| has_wildcard(part)) {
        Some(first) => (parts[..first].join("/"), Some(parts[first..].join("/"))),
        None => (location.trim_end_matches('/').to_owned(), None),
    }
}

fn nothing_matches(pattern: &str) -> Error {
    Error::input(pattern, "nothing matches this pattern")
        .with_hint("`*` stays in a folder, `**` goes into all of them")
}

fn nothing_inside(folder: &str) -> Error {
    Error::input(
        folder,
        "no link lists, tars or images in this folder (parquet, csv, tsv, json, jsonl, txt, tar, jpg, …)",
    )
}

fn unclear(folder: &str) -> Error {
    Error::input(folder, "this folder holds several kinds of input")
        .with_hint("set input.format to the one that is meant: images, webdataset, parquet, csv, …")
}

/// What a crawl has committed: tables, and the tars and folders beside them.
fn output_of(folder: &Path) -> Result<Listing> {
    let store = Store::open(&folder.to_string_lossy())?;
    let mut listing = Listing::default();
    for file in committed(&store)?.into_iter().flat_map(|commit| commit.files) {
        match file.name.strip_suffix('/') {
            Some(name) => listing.folders.push(name.to_owned()),
            None => listing.files.push(file.name),
        }
    }
    Ok(listing)
}

/// The names in a folder, in order, hidden ones left out.
#[derive(Debug, Default)]
struct Listing {
    files: Vec<String>,
    folders: Vec<String>,
}

/// What a folder seems to hold.
#[derive(Debug, PartialEq, Eq)]
enum Held {
    Lists(Vec<String>),
    Images,
    /// Lists beside images, or beside tars that are not theirs.
    Unclear,
    Nothing,
}

impl Listing {
    fn of(folder: &Path) -> Result<Self> {
        let mut listing = Self::default();
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            let path = entry.map_err(|e| Error::io(folder, e))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            match path.is_dir() {
                _ if name.starts_with('.') => {}
                true => listing.folders.push(name.to_owned()),
                false => listing.files.push(name.to_owned()),
            }
        }
        listing.files.sort();
        listing.folders.sort();
        Ok(listing)
    }

    /// The lists of a format; statistics of img2dataset and removed rows are none.
    fn with(&self, format: ListFormat) -> Vec<String> {
        let of = |name: &&String| {
            let list = !name.ends_with("_stats.json") && !is_dropped(name);
            list && ListFormat::of(Path::new(name)) == Some(format)
        };
        self.files.iter().filter(of).cloned().collect()
    }

    /// Other tools' outputs are told by what lies together: img2dataset puts `00000.parquet` beside `00000.tar` and
    /// beside the folder `00000`; captions are `.txt` beside images.
    fn decide(&self) -> Held {
        use ListFormat::{Csv, Jsonl, Parquet, Tsv, Txt, Webdataset};
        let tars = self.with(Webdataset);
        let images = self.files.iter().any(|name| is_image(name));
        let tables: Vec<String> =
            [Parquet, Csv, Tsv, Jsonl].into_iter().flat_map(|format| self.with(format)).collect();
        let beside = |names: &[String], ending: &str| {
            let partner = |table: &String| table.rsplit_once('.').map(|(stem, _)| format!("{stem}{ending}"));
            tables.iter().all(|table| partner(table).is_some_and(|partner| names.contains(&partner)))
        };
        if !tars.is_empty() {
            return if beside(&tars, ".tar") && !images { Held::Lists(tars) } else { Held::Unclear };
        }
        if images {
            return if tables.is_empty() { Held::Images } else { Held::Unclear };
        }
        if !tables.is_empty() && beside(&self.folders, "") {
            return Held::Images;
        }
        let mut lists = [tables, self.with(Txt)].concat();
        lists.sort();
        match lists.is_empty() {
            true => Held::Nothing,
            false => Held::Lists(lists),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(files: &[&str], folders: &[&str]) -> Held {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Listing { files: all(files), folders: all(folders) }.decide()
    }

    fn lists(names: &[&str]) -> Held {
        Held::Lists(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn folders_are_told_by_what_lies_together() {
        assert_eq!(held(&["a.csv", "b.txt", "notes.md"], &["old"]), lists(&["a.csv", "b.txt"]));
        assert_eq!(held(&["a.jsonl.gz", "b.parquet"], &[]), lists(&["a.jsonl.gz", "b.parquet"]));
        // img2dataset's three layouts.
        let webdataset = ["00000.parquet", "00000.tar", "00000_stats.json"];
        assert_eq!(held(&webdataset, &[]), lists(&["00000.tar"]));
        assert_eq!(held(&["00000.parquet", "00000_stats.json"], &["00000"]), Held::Images);
        assert_eq!(held(&["00000.parquet", "00000_stats.json"], &[]), lists(&["00000.parquet"]));
        let filtered = ["00000.dropped.parquet", "00000.parquet", "00000_stats.json"];
        assert_eq!(held(&filtered, &[]), lists(&["00000.parquet"]));
        assert_eq!(held(&["a.jpg", "a.txt", "a.json"], &[]), Held::Images);
        assert_eq!(held(&["a.jpg", "metadata.csv"], &[]), Held::Unclear);
        assert_eq!(held(&["a.tar", "links.csv"], &[]), Held::Unclear);
        assert_eq!(held(&["a.json"], &["cats", "dogs"]), Held::Nothing);
        assert_eq!(held(&[], &[]), Held::Nothing);
    }

    #[test]
    fn a_pattern_begins_at_its_first_wildcard() {
        let split = |location| split(location);
        assert_eq!(
            split("s3://bucket/a/*.parquet"),
            ("s3://bucket/a".to_owned(), Some("*.parquet".to_owned()))
        );
        assert_eq!(
            split("s3://bucket/a*/b/c.csv"),
            ("s3://bucket".to_owned(), Some("a*/b/c.csv".to_owned()))
        );
        assert_eq!(split("gs://bucket/lists/"), ("gs://bucket/lists".to_owned(), None));
    }
}
