//! A WARC or WAT file to its pages: one thread unpacks it and cuts it into records, the threads of the pool read these, and
//! the first thread takes what they found, in the order of the file.
//!
//! Records are handed over by the mebibyte; a window bounds how many such batches are under way, and with it the memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::ThreadPool;
use url::Url;

use super::compat::cc2dataset;
use super::config::{Compat, ExtractConfig};
use super::counts::{ExtractCounts, Malformed};
use super::html::{self, Document};
use super::table::Found;
use super::warc::{Answer, Headers, Kind, Next, Records};
use super::wat::{self, Wat};
use crate::crawl::{PageRules, Source};
use crate::{Error, Result};

/// Bytes of records that are handed over together.
const BATCH: usize = 1 << 20;
/// Bytes of the file after which a batch is handed over though it holds little, so that somebody sees how far it is.
const STEP: u64 = 4 << 20;

/// What reads records.
#[derive(Clone)]
pub(super) struct Readers {
    pub(super) config: Arc<ExtractConfig>,
    pub(super) rules: Arc<PageRules>,
    pub(super) pool: Arc<ThreadPool>,
}

/// Records that are read together.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    records: Vec<Held>,
    counts: ExtractCounts,
}

/// A record of a [`Batch`].
struct Held {
    kind: Kind,
    head: Range<usize>,
    body: Range<usize>,
}

/// What a batch gave.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) found: Vec<Found>,
    pub(super) counts: ExtractCounts,
    /// Bytes of the input that were read for it.
    pub(super) bytes: u64,
    /// Pages of a list that are done with it, found or not.
    pub(super) entries: u64,
}

/// Reads a whole archive; `each` gets what was found, in the order of the file.
///
/// # Errors
/// Those of `each`, and a file that cannot be read. What is wrong with its content is counted.
pub(super) fn read(
    source: &Source,
    readers: &Readers,
    mut each: impl FnMut(Taken) -> Result<()>,
) -> Result<()> {
    let failed = |e| source.error(e);
    let mut records = Records::open(source.open()?, readers.config.input.max_record.0).map_err(failed)?;
    let window = 2 * readers.pool.current_num_threads() + 2;
    let mut under_way: VecDeque<Receiver<Taken>> = VecDeque::new();
    let (mut batch, mut told) = (Batch::default(), 0);
    loop {
        let next = records.next().map_err(failed)?;
        let ended = next == Next::End;
        batch.take(next, records.bytes(), &readers.config);
        if ended || batch.bytes.len() >= BATCH || records.seen() >= told + STEP {
            let bytes = records.seen() - told;
            told += bytes;
            under_way.push_back(readers.start(std::mem::take(&mut batch), bytes));
        }
        while under_way.len() > if ended { 0 } else { window } {
            let Some(first) = under_way.pop_front() else { break };
            each(first.recv().map_err(|_| Error::Lost { what: "the reading of records" })?)?;
        }
        if ended {
            return Ok(());
        }
    }
}

impl Batch {
    /// Counts what comes, and keeps it if something may be found in it.
    fn take(&mut self, next: Next, bytes: &[u8], config: &ExtractConfig) {
        let (kind, head, body) = match next {
            Next::End => return,
            Next::Malformed(reason) => return self.counts.malformed(reason),
            Next::Record { kind, head, body } => (kind, head, body),
        };
        self.counts.records += 1;
        match kind {
            Kind::Revisit => self.counts.revisits += 1,
            Kind::Other => {}
            // Only WAT files are what cc2dataset reads.
            Kind::Response | Kind::Resource if config.output.compat == Compat::Cc2dataset => {}
            Kind::Metadata if !wat::look(&bytes[body.clone()], config.page.og_image).1 => {
                self.counts.pages += u64::from(wat::look(&bytes[body], false).0);
            }
            kind => {
                let begin = self.bytes.len();
                self.bytes.extend_from_slice(&bytes[head.start..body.end]);
                let moved =
                    |range: Range<usize>| begin + range.start - head.start..begin + range.end - head.start;
                self.records.push(Held { kind, head: moved(head.clone()), body: moved(body) });
            }
        }
    }
}

impl Readers {
    /// Hands a batch to the pool.
    fn start(&self, batch: Batch, bytes: u64) -> Receiver<Taken> {
        let (sender, receiver) = sync_channel(1);
        let readers = self.clone();
        self.pool.spawn(move || {
            let mut taken = Taken { found: Vec::new(), counts: batch.counts, bytes, entries: 0 };
            for record in &batch.records {
                let (head, body) = (&batch.bytes[record.head.clone()], &batch.bytes[record.body.clone()]);
                match readers.record(record.kind, Headers::new(head), body) {
                    Ok(Some(page)) => page.count(&mut taken),
                    Ok(None) => {}
                    Err(reason) => taken.counts.malformed(reason),
                }
            }
            // Nobody waits once the unit is given up.
            drop(sender.send(taken));
        });
        receiver
    }

    fn record(&self, kind: Kind, headers: Headers<'_>, body: &[u8]) -> Result<Option<Read>, Malformed> {
        match kind {
            Kind::Metadata if self.config.output.compat == Compat::Cc2dataset => {
                Ok(cc2dataset::read(body)?.map(|page| Read::Found(Found::Cc2dataset(page))))
            }
            Kind::Metadata => Ok(match wat::read(body, &self.config.page, &self.rules)? {
                Wat::Other => None,
                Wat::Page(page) => Some(Read::Found(Found::Page(page))),
                Wat::OptedOut => Some(Read::OptedOut),
            }),
            Kind::Response => self.response(headers, body),
            Kind::Resource => Ok(self.resource(headers, body)),
            Kind::Revisit | Kind::Other => Ok(None),
        }
    }

    fn response(&self, headers: Headers<'_>, body: &[u8]) -> Result<Option<Read>, Malformed> {
        // Of other schemes, such as `dns:`.
        let http = headers.get("Content-Type").is_none_or(|kind| kind.starts_with("application/http"));
        if !http {
            return Ok(None);
        }
        let answer = Answer::of(body).ok_or(Malformed::Http)?;
        let kind = answer.headers.get("Content-Type");
        if !(200..300).contains(&answer.status) || !kind.as_deref().is_none_or(html::is_html) {
            return Ok(None);
        }
        if answer.headers.iter().any(|(name, value)| self.rules.header(&name, &value)) {
            return Ok(Some(Read::OptedOut));
        }
        let body = answer.body(self.config.input.max_record.0)?;
        if kind.is_none() && !is_markup(&body) {
            return Ok(None);
        }
        let language = answer.headers.get("Content-Language");
        let document = Document {
            bytes: &body,
            url: address(headers),
            content_type: kind.as_deref(),
            language: language.as_deref(),
        };
        Ok(Some(self.page(&document)))
    }

    fn resource(&self, headers: Headers<'_>, body: &[u8]) -> Option<Read> {
        let kind = headers.get("Content-Type");
        if !kind.as_deref().map_or_else(|| is_markup(body), html::is_html) {
            return None;
        }
        let url = address(headers);
        Some(self.page(&Document { bytes: body, url, content_type: kind.as_deref(), language: None }))
    }

    /// Reads a page.
    pub(super) fn page(&self, document: &Document<'_>) -> Read {
        match html::read(document, &self.config.page, &self.rules) {
            Some(page) => Read::Found(Found::Page(page)),
            None => Read::OptedOut,
        }
    }
}

/// What became of a page.
pub(super) enum Read {
    Found(Found),
    OptedOut,
}

impl Read {
    /// Counts a page and keeps what was found.
    pub(super) fn count(self, taken: &mut Taken) {
        taken.counts.pages += 1;
        match self {
            Self::Found(found) => taken.found.push(found),
            Self::OptedOut => taken.counts.opted_out += 1,
        }
    }
}

fn address(headers: Headers<'_>) -> Option<Url> {
    // Some writers put the address in angle brackets, as drafts of the standard did.
    let target = headers.get("WARC-Target-URI")?;
    let url = Url::parse(target.trim_matches(['<', '>'])).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Whether bytes of which nobody says what they are may be a page.
fn is_markup(body: &[u8]) -> bool {
    let begin = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    let begin = begin[..begin.len().min(14)].to_ascii_lowercase();
    begin.starts_with(b"<!doctype html") || begin.starts_with(b"<html") || begin.starts_with(b"<head")
}
