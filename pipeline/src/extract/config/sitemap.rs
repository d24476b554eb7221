//! `[sitemap]`: sitemaps.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which pages of a sitemap are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SitemapPages {
    /// Those for which the sitemap names no image.
    #[default]
    WithoutImages,
    /// All.
    All,
    /// None: only the images that sitemaps name are links.
    None,
}

/// `[sitemap]`: sitemaps (sitemaps.org 0.9), indexes of them, and Google's extension that names the images of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SitemapConfig {
    /// Which pages are fetched.
    pub pages: SitemapPages,
    /// How deep indexes may be nested; 0: an index is not followed.
    pub max_depth: u32,
    /// Most pages that a named sitemap may have with all that it leads to; the others are left out with a note. They are
    /// in memory while the extraction runs.
    pub max_urls: usize,
}

impl Default for SitemapConfig {
    fn default() -> Self {
        Self { pages: SitemapPages::default(), max_depth: 3, max_urls: 1_000_000 }
    }
}

impl SitemapConfig {
    pub(super) fn validate(&self) -> Result<()> {
        match self.max_urls {
            0 => Err(Error::config("sitemap.max_urls", "must be at least 1")),
            _ => Ok(()),
        }
    }
}
