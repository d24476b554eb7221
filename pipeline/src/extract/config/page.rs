//! `[page]`: what is taken from a page.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Attributes in which pages keep the image that a script is to load, the names with `srcset` first, as they offer a choice:
/// lazysizes, WordPress and its plugins, lozad, jQuery Lazy Load, Squarespace, Wikia.
const LAZY: [&str; 12] = [
    "data-srcset",
    "data-lazy-srcset",
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-lazyload",
    "data-original-src",
    "data-image",
    "data-image-src",
    "data-full-src",
    "data-url",
];

/// Where a caption may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptionSource {
    /// The text that stands for the image.
    Alt,
    /// The caption of the figure around it.
    Figcaption,
    /// What a pointer over it shows.
    Title,
    /// The nearest heading before it.
    Heading,
}

/// `[page]`: what is taken from a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageConfig {
    /// The first of these that is not empty is the caption.
    pub captions: Vec<CaptionSource>,
    /// Attributes of an image that a script is to load; the first that names a link counts, one that ends in `srcset` is
    /// read as such.
    pub lazy: Vec<String>,
    /// Whether the image that a page names for previews (`<meta property="og:image">`) is a link too.
    pub og_image: bool,
    /// Most links of one page.
    pub max_links: usize,
}

impl Default for PageConfig {
    fn default() -> Self {
        Self {
            captions: vec![CaptionSource::Alt, CaptionSource::Figcaption, CaptionSource::Title],
            lazy: LAZY.map(str::to_owned).into(),
            og_image: false,
            max_links: 10_000,
        }
    }
}

impl PageConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        let twice =
            |source: &&CaptionSource| self.captions.iter().filter(|other| other == source).count() > 1;
        if self.captions.is_empty() || self.captions.iter().any(|source| twice(&source)) {
            return wrong("page.captions", "names each source once: alt, figcaption, title, heading");
        }
        let attribute =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | ':' | '.');
        if !self.lazy.iter().all(|name| !name.is_empty() && name.chars().all(attribute)) {
            return wrong("page.lazy", "holds names of attributes such as \"data-src\", in lower case");
        }
        match self.max_links {
            0 => wrong("page.max_links", "must be at least 1"),
            _ => Ok(()),
        }
    }
}
