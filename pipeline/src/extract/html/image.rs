//! An image of a page, its references as they are written.

use std::sync::Arc;

use url::Url;

use super::srcset::{Size, largest};
use super::tokens::Tag;
use crate::extract::link::{Link, absolute, collapsed};

/// An `<img>`, with what the `<picture>` and the `<figure>` around it and the `<noscript>` beside it add.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    src: Option<String>,
    srcset: Option<String>,
    lazy: Option<String>,
    alt: Option<String>,
    title: Option<String>,
    pub(super) heading: Option<Arc<str>>,
    pub(super) figcaption: Option<Arc<str>>,
    pub(super) licence: Option<Arc<str>>,
    /// What browsers show that run no scripts.
    pub(super) noscript: bool,
}

/// The largest image of the sources of a `<picture>` so far, and of those that a script is to load.
#[derive(Debug, Default)]
pub(super) struct Choice {
    srcset: Option<(String, Size)>,
    lazy: Option<(String, Size)>,
}

impl Choice {
    /// Takes what a `<source>` or the `<img>` offers. Of equal images the first stays.
    pub(super) fn offer(&mut self, tag: &Tag, lazy: &[String]) {
        if tag.get("type").is_some_and(is_unreadable) {
            return;
        }
        if let Some(srcset) = tag.get("srcset") {
            larger(&mut self.srcset, srcset);
        }
        let mut sets = lazy.iter().filter(|name| name.ends_with("srcset")).filter_map(|name| tag.get(name));
        if let Some(srcset) = sets.find(|srcset| largest(srcset, is_link).is_some()) {
            larger(&mut self.lazy, srcset);
        }
    }
}

impl Image {
    /// An `<img>`; `choice` is that of the `<picture>` around it.
    pub(super) fn of(tag: &Tag, mut choice: Choice, lazy: &[String]) -> Self {
        choice.offer(tag, lazy);
        let single = lazy.iter().filter(|name| !name.ends_with("srcset")).filter_map(|name| tag.get(name));
        let single = single.map(str::trim).find(|reference| is_link(reference)).map(str::to_owned);
        Self {
            src: tag.text("src"),
            srcset: choice.srcset.map(|(url, _)| url),
            lazy: choice.lazy.map(|(url, _)| url).or(single),
            alt: tag.get("alt").map(collapsed),
            title: tag.get("title").map(collapsed),
            ..Self::default()
        }
    }

    /// An image that is a reference alone.
    pub(super) fn preview(src: String, alt: Option<String>) -> Self {
        Self { src: Some(src), alt, ..Self::default() }
    }

    /// Takes what another image for the same place, shown without scripts, knows better.
    pub(super) fn join(&mut self, fallback: Self) {
        if self.srcset.is_none() && self.lazy.is_none() {
            self.lazy = fallback.srcset.or(fallback.lazy).or(fallback.src);
        }
        let empty = |text: &Option<String>| text.as_deref().unwrap_or("").is_empty();
        for (mine, other) in [(&mut self.alt, fallback.alt), (&mut self.title, fallback.title)] {
            if empty(mine) && !empty(&other) {
                *mine = other;
            }
        }
    }

    /// The image with absolute references.
    pub(super) fn link(self, base: Option<&Url>, page_licence: Option<&Arc<str>>) -> Link {
        let absolute = |reference: Option<String>| absolute(base, &reference?);
        let licence = self.licence.and_then(|href| absolute(Some(href.to_string()))).map(Arc::from);
        Link {
            src: absolute(self.src),
            srcset_url: absolute(self.srcset),
            lazy_url: absolute(self.lazy),
            alt: self.alt,
            title: self.title,
            figcaption: self.figcaption,
            heading: self.heading,
            licence: licence.or_else(|| page_licence.cloned()),
        }
    }
}

fn larger(best: &mut Option<(String, Size)>, srcset: &str) {
    if let Some((url, size)) = largest(srcset, is_link)
        && best.as_ref().is_none_or(|(_, best)| size > *best)
    {
        *best = Some((url.to_owned(), size));
    }
}

/// Whether a reference may lead somewhere: placeholders are `data:`, mostly.
fn is_link(reference: &str) -> bool {
    let scheme =
        |name: &str| reference.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    !reference.is_empty()
        && !reference.starts_with('#')
        && !scheme("data:")
        && !scheme("about:")
        && !scheme("blob:")
}

/// Formats that a crawl does not decode; the same picture is there in another one.
fn is_unreadable(mime: &str) -> bool {
    let mime = mime.trim().to_ascii_lowercase();
    ["image/avif", "image/jxl", "image/heic", "image/heif", "image/svg", "image/vnd.ms-photo", "image/jp2"]
        .iter()
        .any(|unreadable| mime.starts_with(unreadable))
}
