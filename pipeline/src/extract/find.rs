//! From what the config names to inputs: files, folders, patterns, addresses, lists of archives, sitemaps.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use url::Url;

use super::config::{ExtractConfig, SitemapPages};
use super::input::{Content, Entry, Input};
use super::kind::InputKind;
use super::sitemap::{self, Sitemap};
use crate::crawl::{
    NetConfig, PageFetcher, Source, Walk, files_like, has_wildcard, http_object, is_url, objects_like, split,
};
use crate::store::Store;
use crate::{Error, Result};

/// Archives of a list that are looked for at a time.
const LOOKING: usize = 16;
/// The largest list of archives, unpacked.
const LARGEST_LIST: u64 = 256 << 20;

/// What the search needs besides the config.
pub(super) struct Around<'a> {
    /// The network, should it be needed.
    pub(super) fetcher: &'a dyn Fn() -> Result<Arc<PageFetcher>>,
    /// Is told what was left out.
    pub(super) note: &'a dyn Fn(&str),
    /// Is asked whether to go on.
    pub(super) check: &'a dyn Fn() -> Result<()>,
}

/// Finds the inputs.
pub(super) fn find(config: &ExtractConfig, around: &Around<'_>) -> Result<Vec<Input>> {
    let mut finder = Finder { config, around, found: Vec::new(), named: Vec::new() };
    for name in &config.input.paths {
        finder.add(name)?;
    }
    if let Some(first) = finder.named.first() {
        let name = match finder.named.len() {
            1 => first.name(),
            pages => format!("{} and {} more", first.name(), pages - 1),
        };
        finder.found.push(Input { name, content: Content::pages(std::mem::take(&mut finder.named)) });
    }
    Ok(finder.found)
}

/// Whether a name is that of pages whose sizes nobody knows before they are fetched.
pub(super) fn is_fetched(name: &str) -> bool {
    let web = name.starts_with("http://") || name.starts_with("https://");
    let sitemap = name.ends_with(".xml") || name.ends_with(".xml.gz");
    sitemap
        || web
            && InputKind::of_name(name.split(['?', '#']).next().unwrap_or(name))
                .is_none_or(|kind| kind == InputKind::Html)
}

struct Finder<'a> {
    config: &'a ExtractConfig,
    around: &'a Around<'a>,
    found: Vec<Input>,
    /// Pages that are named one by one.
    named: Vec<Entry>,
}

impl Finder<'_> {
    fn add(&mut self, name: &str) -> Result<()> {
        match name.strip_prefix("file://").unwrap_or(name) {
            web if web.starts_with("http://") || web.starts_with("https://") => self.web(web),
            bucket if is_url(bucket) => self.bucket(bucket),
            path => self.local(path),
        }
    }

    fn local(&mut self, name: &str) -> Result<()> {
        let path = Path::new(name);
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => self.folder(path),
            Ok(_) => self.file(path),
            Err(_) if has_wildcard(name) => {
                files_like(name)?.iter().try_for_each(|path| self.local(&path.to_string_lossy()))
            }
            Err(e) => Err(Error::io(path, e)),
        }
    }

    /// A file that is named: it has to be something.
    fn file(&mut self, path: &Path) -> Result<()> {
        let unknown = || {
            Error::input(path, "cannot tell what this is: no WARC, no page, no sitemap, no list of archives")
                .with_hint("set input.kind to warc, html, sitemap or paths")
        };
        let kind = self.config.input.kind.map_or_else(|| kind_of(path), |kind| Ok(Some(kind)))?;
        match kind.ok_or_else(unknown)? {
            InputKind::Warc => self.archive(Source::File(path.to_owned())),
            InputKind::Html => {
                let entry = self.page(path, path.parent().unwrap_or(Path::new("")))?;
                self.named.push(entry);
                Ok(())
            }
            InputKind::Sitemap => self.sitemap(&path.display().to_string()),
            InputKind::Paths => self.list(&Source::File(path.to_owned())),
        }
    }

    /// The archives and pages of a folder and those below.
    fn folder(&mut self, folder: &Path) -> Result<()> {
        let (mut walk, mut pages, before) = (Walk::new(folder)?, Vec::new(), self.found.len());
        while let Some((path, _)) = walk.next()? {
            // What cannot be looked at is none of them; pages that cannot be read are counted later.
            let kind = kind_of(&path).unwrap_or(None);
            match kind.filter(|kind| self.config.input.kind.is_none_or(|wanted| wanted == *kind)) {
                Some(InputKind::Warc) => self.archive(Source::File(path))?,
                Some(InputKind::Html) => pages.push(self.page(&path, folder)?),
                _ => {}
            }
        }
        if !pages.is_empty() {
            let name = folder.display().to_string();
            self.found.insert(before, Input { name, content: Content::pages(pages) });
        }
        match self.found.len() == before {
            true => Err(Error::input(folder, "no archives and no pages in this folder")
                .with_hint("sitemaps and lists of archives are to be named themselves")),
            false => Ok(()),
        }
    }

    /// A saved page, with the address that the config gives it; `folder` is its root where the config names none.
    fn page(&self, path: &Path, folder: &Path) -> Result<Entry> {
        let input = &self.config.input;
        let root = if input.root.is_empty() { folder } else { Path::new(&input.root) };
        let url = match Url::parse(&input.base) {
            Ok(base) => Some(address(&base, root, path)?),
            Err(_) => None,
        };
        let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
        Ok(Entry::File { path: path.to_owned(), url: url.map(String::from), bytes })
    }

    fn archive(&mut self, source: Source) -> Result<()> {
        self.found.push(Input { name: source.name(), content: Content::Archive(source) });
        Ok(())
    }

    fn web(&mut self, address: &str) -> Result<()> {
        let url = Url::parse(address).map_err(|e| Error::config(address, format!("not a URL: {e}")))?;
        let name = url.path().rsplit('/').next().unwrap_or_default();
        let sitemap = name.ends_with(".xml") || name.ends_with(".xml.gz");
        let named = || InputKind::of_name(name).or_else(|| sitemap.then_some(InputKind::Sitemap));
        match self.config.input.kind.or_else(named) {
            Some(InputKind::Warc) => self.archive(Source::Object(http_object(address, &self.config.net)?)),
            Some(InputKind::Paths) => self.list(&Source::Object(http_object(address, &self.config.net)?)),
            Some(InputKind::Sitemap) => self.sitemap(address),
            Some(InputKind::Html) | None => {
                self.named.push(Entry::Live(url.into()));
                Ok(())
            }
        }
    }

    /// The archives and lists of a bucket; pages in buckets are not read.
    fn bucket(&mut self, location: &str) -> Result<()> {
        let (above, name) = location.rsplit_once('/').unwrap_or(("", location));
        if !has_wildcard(location) && self.kind_in_bucket(name).is_some() {
            return self.object(Source::of(&Store::open(above)?, name)?, name);
        }
        let (root, pattern) = split(location);
        let below = Source::below(&Store::open(&root)?)?;
        let objects = match pattern {
            Some(pattern) => objects_like(location, &pattern, below)?,
            None => below,
        };
        let before = self.found.len();
        for (name, source) in objects {
            if self.kind_in_bucket(&name).is_some() {
                self.object(source, &name)?;
            }
        }
        match self.found.len() == before {
            true => Err(Error::input(location, "no archives here (.warc, .wat, .paths, also .gz)")
                .with_hint("pages and sitemaps are read from a disk or a web server")),
            false => Ok(()),
        }
    }

    fn kind_in_bucket(&self, name: &str) -> Option<InputKind> {
        let kind = self.config.input.kind.or_else(|| InputKind::of_name(name));
        kind.filter(|kind| matches!(kind, InputKind::Warc | InputKind::Paths))
    }

    fn object(&mut self, source: Source, name: &str) -> Result<()> {
        match self.kind_in_bucket(name) {
            Some(InputKind::Paths) => self.list(&source),
            _ => self.archive(source),
        }
    }

    /// The archives that a list names, in its order.
    fn list(&mut self, source: &Source) -> Result<()> {
        let base = &self.config.input.paths_base;
        let locations: Vec<String> =
            lines(source)?
                .into_iter()
                .map(|line| {
                    if line.contains("://") || line.starts_with('/') { line } else { format!("{base}{line}") }
                })
                .collect();
        if locations.is_empty() {
            return Err(Error::input(source.name(), "the list names no archive"));
        }
        let net = &self.config.net;
        let pool = ThreadPoolBuilder::new().num_threads(LOOKING).build();
        let pool = pool.map_err(|_| Error::Lost { what: "the search for archives" })?;
        let sources: Vec<Result<Source>> =
            pool.install(|| locations.par_iter().map(|location| archive_at(location, net)).collect());
        sources.into_iter().try_for_each(|source| self.archive(source?))
    }

    /// The pages of a sitemap and of those that it leads to, level by level.
    fn sitemap(&mut self, location: &str) -> Result<()> {
        let limits = &self.config.sitemap;
        let (mut entries, mut level) = (Vec::new(), vec![location.to_owned()]);
        let mut seen: BTreeSet<String> = level.iter().cloned().collect();
        for depth in 0..=limits.max_depth {
            let mut below = Vec::new();
            for (location, read) in self.sitemaps(&level, depth == 0)? {
                let Sitemap { pages, children, malformed } = read;
                if let Some(reason) = malformed {
                    (self.around.note)(&format!("{location}: malformed ({reason}), read as far as it goes"));
                }
                entries.extend(pages.into_iter().flat_map(|page| entries_of(page, limits.pages)));
                below.extend(children.into_iter().filter(|child| seen.insert(child.clone())));
            }
            if entries.len() > limits.max_urls {
                (self.around.note)(&format!(
                    "{location}: more than {} pages, the others are left out",
                    limits.max_urls
                ));
                entries.truncate(limits.max_urls);
                below.clear();
            }
            level = below;
            if level.is_empty() {
                break;
            }
        }
        if let Some(deeper) = level.first() {
            (self.around.note)(&format!(
                "{deeper}: {} sitemaps are nested deeper than sitemap.max_depth",
                level.len()
            ));
        }
        if entries.is_empty() {
            return Err(Error::input(location, "this sitemap leads to no page and names no image"));
        }
        self.found.push(Input { name: location.to_owned(), content: Content::pages(entries) });
        Ok(())
    }

    /// Sitemaps by their locations, in order; those of the first level have to be there.
    fn sitemaps(&self, locations: &[String], first: bool) -> Result<Vec<(String, Sitemap)>> {
        if let [path] = locations
            && !is_url(path)
        {
            let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
            return Ok(vec![(path.clone(), sitemap::read(&bytes))]);
        }
        let mut read: Vec<Option<Sitemap>> = locations.iter().map(|_| None).collect();
        let fetcher = (self.around.fetcher)()?;
        fetcher.fetch(locations.to_vec(), self.around.check, |index, page| {
            match page {
                Ok(page) => read[index] = Some(sitemap::read(&page.bytes)),
                Err(reason) if first => {
                    return Err(Error::input(&locations[index], reason.text()).with_hint(reason.hint()));
                }
                Err(reason) => (self.around.note)(&format!("{}: left out ({reason})", locations[index])),
            }
            Ok(())
        })?;
        Ok(locations.iter().cloned().zip(read).filter_map(|(at, read)| Some((at, read?))).collect())
    }
}

/// An archive that a list names.
fn archive_at(location: &str, net: &NetConfig) -> Result<Source> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return http_object(location, net).map(Source::Object);
    }
    if !is_url(location) {
        let path = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
        std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
        return Ok(Source::File(path));
    }
    let (above, name) = location.rsplit_once('/').unwrap_or(("", location));
    Source::of(&Store::open(above)?, name)
}

/// What a file is, by its name or its first bytes.
fn kind_of(path: &Path) -> Result<Option<InputKind>> {
    let named = path.file_name().and_then(|name| InputKind::of_name(name.to_str()?));
    let look = || InputKind::of_content(File::open(path)?);
    named.map_or_else(|| look().map_err(|e| Error::io(path, e)), |kind| Ok(Some(kind)))
}

/// What is to be done about a page of a sitemap.
fn entries_of(page: sitemap::Listed, wanted: SitemapPages) -> impl Iterator<Item = Entry> {
    let fetch = match wanted {
        SitemapPages::All => true,
        SitemapPages::WithoutImages => page.images.is_empty(),
        SitemapPages::None => false,
    };
    let live = fetch.then(|| Entry::Live(page.url.clone()));
    (!page.images.is_empty()).then(|| Entry::Listed(Box::new(page))).into_iter().chain(live)
}

/// The lines of a list, unpacked if it is packed.
fn lines(source: &Source) -> Result<Vec<String>> {
    let failed = |e| source.error(e);
    let mut bytes = Vec::new();
    source.open()?.take(LARGEST_LIST).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.starts_with(&[0x1F, 0x8B]) {
        let packed = std::mem::take(&mut bytes);
        let damaged = |_| Error::input(source.name(), "damaged or cut short: its gzip data cannot be read");
        MultiGzDecoder::new(&packed[..]).take(LARGEST_LIST).read_to_end(&mut bytes).map_err(damaged)?;
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The address of a file below `root`, whose own is `base`.
fn address(base: &Url, root: &Path, path: &Path) -> Result<Url> {
    let below = |path: &Path, root: &Path| path.strip_prefix(root).ok().map(Path::to_owned);
    let real = || below(&path.canonicalize().ok()?, &root.canonicalize().ok()?);
    let Some(below) = below(path, root).or_else(real) else {
        let message = format!("lies outside of {}, the folder whose address is input.base", root.display());
        return Err(Error::input(path, message).with_hint("set input.root to a folder around it"));
    };
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        let names = below.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        });
        segments.pop_if_empty().extend(names);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_the_root_is_one_below_the_base() {
        let address = |base: &str, root: &str, path: &str| {
            super::address(&Url::parse(base).unwrap(), Path::new(root), Path::new(path)).map(String::from)
        };
        assert_eq!(address("http://h", "site", "site/ru/a b.html").unwrap(), "http://h/ru/a%20b.html");
        assert_eq!(
            address("http://h/x/?q#f", "", "ru/кот?.html").unwrap(),
            "http://h/x/ru/%D0%BA%D0%BE%D1%82%3F.html"
        );
        assert_eq!(address("http://h/x", "site", "site/./a").unwrap(), "http://h/x/a");
        assert!(
            address("http://h/", "site", "other/a").unwrap_err().to_string().contains("lies outside of site")
        );
    }

    #[test]
    fn pages_of_sitemaps_are_fetched_as_asked() {
        let count = |images: usize, wanted| {
            let page = sitemap::Listed { url: "http://h/".into(), images: vec![Default::default(); images] };
            let entries: Vec<Entry> = entries_of(page, wanted).collect();
            (entries.len(), entries.iter().filter(|entry| matches!(entry, Entry::Live(_))).count())
        };
        assert_eq!(
            (count(0, SitemapPages::WithoutImages), count(2, SitemapPages::WithoutImages)),
            ((1, 1), (1, 0))
        );
        assert_eq!((count(0, SitemapPages::All), count(2, SitemapPages::All)), ((1, 1), (2, 1)));
        assert_eq!((count(0, SitemapPages::None), count(2, SitemapPages::None)), ((0, 0), (1, 0)));
    }
}
