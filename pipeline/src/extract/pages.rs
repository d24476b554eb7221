//! A unit of pages: those on disk are read, those on the network fetched, those of a sitemap taken as they are; what was
//! found comes out in the order of the list.

use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rayon::iter::{
    IndexedParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelIterator,
};
use url::Url;

use super::archive::{Readers, Taken};
use super::counts::Malformed;
use super::html::{self, Document};
use super::input::Entry;
use super::link::Page;
use super::table::Found;
use crate::crawl::{FetchedPage, PageFetcher};
use crate::reason::Reason;
use crate::{Error, Result};

/// Pages that are read together.
const TOGETHER: usize = 64;

/// Reads the pages of a unit; `fetcher` is there if one of them is to be fetched, `check` is asked whether to go on.
pub(super) fn read(
    entries: &[Entry],
    readers: &Readers,
    fetcher: Option<&PageFetcher>,
    check: impl Fn() -> Result<()>,
    mut each: impl FnMut(Taken) -> Result<()>,
) -> Result<()> {
    let mut live = fetch(entries, readers, fetcher, &check, &mut each)?;
    for (entries, live) in entries.chunks(TOGETHER).zip(live.chunks_mut(TOGETHER)) {
        check()?;
        let read = |(entry, live): (&Entry, &mut Option<Taken>)| match entry {
            Entry::File { path, url, bytes } => file(path, url.as_deref(), *bytes, readers),
            Entry::Live(_) => live.take().unwrap_or_default(),
            Entry::Listed(page) => {
                let found =
                    Page { url: Some(page.url.clone()), links: page.images.clone(), ..Page::default() };
                let mut taken = Taken { entries: 1, ..Taken::default() };
                taken.counts.pages = 1;
                taken.found.push(Found::Page(found));
                taken
            }
        };
        let all: Vec<Taken> =
            readers.pool.install(|| entries.par_iter().zip(live.par_iter_mut()).map(read).collect());
        all.into_iter().try_for_each(&mut each)?;
    }
    Ok(())
}

/// Fetches the pages that are to be fetched, in any order; `each` is told of their bytes as they come.
fn fetch(
    entries: &[Entry],
    readers: &Readers,
    fetcher: Option<&PageFetcher>,
    check: impl Fn() -> Result<()>,
    each: &mut impl FnMut(Taken) -> Result<()>,
) -> Result<Vec<Option<Taken>>> {
    let mut pages: Vec<Option<Taken>> = entries.iter().map(|_| None).collect();
    let wanted = |(at, entry): (usize, &Entry)| match entry {
        Entry::Live(url) => Some((at, url.clone())),
        _ => None,
    };
    let (places, urls): (Vec<usize>, Vec<String>) = entries.iter().enumerate().filter_map(wanted).unzip();
    if urls.is_empty() {
        return Ok(pages);
    }
    let fetcher = fetcher.ok_or(Error::Lost { what: "the network" })?;
    fetcher.fetch(urls, check, |index, page| {
        let mut taken = Taken::default();
        match page {
            Ok(page) => fetched(&page, readers, &mut taken),
            Err(reason) => taken.counts.failed(reason),
        }
        pages[places[index]] = Some(taken);
        each(Taken { bytes: entries[places[index]].bytes(), entries: 1, ..Taken::default() })
    })?;
    Ok(pages)
}

fn fetched(page: &FetchedPage, readers: &Readers, taken: &mut Taken) {
    let html = page.content_type.as_deref().is_none_or(html::is_html);
    if !html {
        return taken.counts.malformed(Malformed::NotPage);
    }
    let document = Document {
        bytes: &page.bytes,
        url: Some(page.url.clone()),
        content_type: page.content_type.as_deref(),
        language: page.language.as_deref(),
    };
    readers.page(&document).count(taken);
}

/// A saved page, unpacked if it is packed.
fn file(path: &Path, url: Option<&str>, bytes: u64, readers: &Readers) -> Taken {
    let mut taken = Taken { bytes, entries: 1, ..Taken::default() };
    let largest = readers.config.input.max_record.0;
    let Ok(content) = content(path, largest) else {
        taken.counts.failed(Reason::FileUnreadable);
        return taken;
    };
    match content {
        Err(reason) => taken.counts.malformed(reason),
        Ok(content) => {
            let xhtml = path.extension().is_some_and(|ending| ending == "xhtml" || ending == "xht");
            let document = Document {
                bytes: &content,
                url: url.and_then(|url| Url::parse(url).ok()),
                content_type: xhtml.then_some("application/xhtml+xml"),
                language: None,
            };
            readers.page(&document).count(&mut taken);
        }
    }
    taken
}

fn content(path: &Path, largest: u64) -> std::io::Result<Result<Vec<u8>, Malformed>> {
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(largest + 1).read_to_end(&mut content)?;
    if content.starts_with(&[0x1F, 0x8B]) {
        let packed = std::mem::take(&mut content);
        if MultiGzDecoder::new(&packed[..]).take(largest + 1).read_to_end(&mut content).is_err() {
            return Ok(Err(Malformed::Gzip));
        }
    }
    Ok(if content.len() as u64 > largest { Err(Malformed::TooLarge) } else { Ok(content) })
}
