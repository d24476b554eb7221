//! What an extraction reads: archives, and lists of pages that lie on disk, are fetched, or stand in a sitemap.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::sitemap;
use crate::Result;
use crate::crawl::Source;
use crate::unit::{InputFile, hex};

/// What a page on the network is taken to be long, as long as nobody knows.
const USUAL_PAGE: u64 = 64 << 10;

/// One input, as the plan names it.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) content: Content,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A WARC or WAT file: one unit.
    Archive(Source),
    /// Pages, some of which are a unit.
    Pages(Arc<[Entry]>),
}

/// A page of a list.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A file, with its address where the config tells it.
    File { path: PathBuf, url: Option<String>, bytes: u64 },
    /// A page that is fetched.
    Live(String),
    /// A page of a sitemap, whose images stand there.
    Listed(Box<sitemap::Listed>),
}

impl Content {
    pub(super) fn pages(entries: Vec<Entry>) -> Self {
        Self::Pages(entries.into())
    }
}

impl Entry {
    /// How it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Live(url) => url.clone(),
            Self::Listed(page) => page.url.clone(),
        }
    }

    /// Whether it is to be fetched.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Its size, as far as that is known.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Live(_) => USUAL_PAGE,
            Self::Listed(_) => 0,
        }
    }
}

impl Input {
    /// As a plan counts it: an archive is one row, a page is one row.
    ///
    /// The digest of an archive on disk is that of its bytes. Of one that is far away it is that of its name and size, of
    /// pages that of their names and sizes: nothing is fetched for it, and what changes its content and keeps its size
    /// goes unnoticed.
    pub(super) fn listed(&self) -> Result<InputFile> {
        let (rows, bytes, digest) = match &self.content {
            Content::Archive(source @ Source::File(_)) => (1, source.bytes()?, source.digest()?),
            Content::Archive(source) => {
                let bytes = source.bytes()?;
                (1, bytes, hex(&Sha256::digest(format!("{}\0{bytes}", source.name()))))
            }
            Content::Pages(entries) => {
                let bytes = entries.iter().map(Entry::bytes).sum();
                (entries.len() as u64, bytes, digest(entries))
            }
        };
        Ok(InputFile { path: self.name.clone(), rows, bytes, digest, offsets: Vec::new() })
    }

    /// What it is, for the plan.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Archive(_) => "archive",
            Content::Pages(_) => "pages",
        }
    }
}

fn digest(entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| hash.update([text.as_bytes(), &[0]].concat());
    for entry in entries {
        match entry {
            // Where the files lie says nothing if they have addresses.
            Entry::File { path, url, bytes } => {
                part(url.as_deref().unwrap_or(&path.file_name().unwrap_or_default().to_string_lossy()));
                part(&bytes.to_string());
            }
            Entry::Live(url) => part(url),
            Entry::Listed(page) => {
                part(&page.url);
                page.images.iter().for_each(|image| part(&format!("{image:?}")));
            }
        }
    }
    hex(&hash.finalize())
}
