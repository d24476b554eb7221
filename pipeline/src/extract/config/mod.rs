//! The config of an extraction: plain serde structs, one file per section that has more than a few keys.

mod page;
mod sitemap;

use serde::{Deserialize, Serialize};

use super::kind::InputKind;
use crate::crawl::{ByteSize, MannersConfig, MannersDecide, NetConfig};
use crate::{Error, Result};

pub use page::{CaptionSource, PageConfig};
pub use sitemap::{SitemapConfig, SitemapPages};

/// `extract.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractConfig {
    /// Where pages come from.
    pub input: InputConfig,
    /// What is taken from a page.
    pub page: PageConfig,
    /// Sitemaps.
    pub sitemap: SitemapConfig,
    /// The network, for pages, sitemaps and archives that are not on disk: the keys of a crawl.
    pub net: NetConfig,
    /// What sites say about crawling, and pages about themselves.
    pub manners: MannersConfig,
    /// The link tables.
    pub output: OutputConfig,
    /// This machine.
    pub run: RunConfig,
}

/// `[input]`: where pages come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// WARC and WAT files, saved pages, sitemaps, `.paths` lists of Common Crawl; folders and patterns of them (`*`, `**`);
    /// also under `s3://`, `gs://`, `az://` and `http(s)://`, where another address is that of a page. Of a folder its
    /// archives and saved pages are taken, and those in folders below; sitemaps are to be named.
    #[serde(deserialize_with = "crate::settings::one_or_many")]
    pub paths: Vec<String>,
    /// What the inputs are; unset: by their names and, where these do not say, by their first bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<InputKind>,
    /// The address of `root`: a saved page is taken to be what a server has under its path below `root`. Empty: saved pages
    /// say themselves where they are from (`saved from url=…`, `<link rel=canonical>`, `<base>`).
    pub base: String,
    /// The folder whose address is `base`; empty: the folder that is named, or the one around a page that is.
    pub root: String,
    /// What the lines of a `.paths` list follow: an address, a bucket or a folder.
    pub paths_base: String,
    /// The largest WARC record and the largest saved page; larger ones are counted and left out.
    pub max_record: ByteSize,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            kind: None,
            base: String::new(),
            root: String::new(),
            paths_base: "https://data.commoncrawl.org/".into(),
            max_record: ByteSize::mib(16),
        }
    }
}

/// Whose habits are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compat {
    /// The best there is on a page.
    #[default]
    None,
    /// What cc2dataset takes from a WAT file, under its column names; other inputs are refused.
    Cc2dataset,
}

/// `[output]`: the link tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Folder or bucket for the tables.
    pub path: String,
    /// Pages in a unit, where they are single files or fetched; an archive is a unit of its own.
    pub pages_per_unit: u64,
    /// Whether a link that was there before in the same unit, with the same caption, is left out. `pipeline dedup` does it
    /// over all units, and tells how often a link was there.
    pub dedup: bool,
    /// Whether links without a caption are left out; they are counted all the same.
    pub captioned_only: bool,
    /// Whose habits are followed.
    pub compat: Compat,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            pages_per_unit: 1000,
            dedup: false,
            captioned_only: false,
            compat: Compat::None,
        }
    }
}

/// `[run]`: this machine; nothing here changes a byte of the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Threads, and files read at a time; 0: one per core.
    pub threads: usize,
}

/// What of the config decides the output: part of the plan id, and nothing else is.
#[derive(Serialize)]
pub(super) struct Decides<'a> {
    /// What each input is.
    kinds: Vec<&'static str>,
    base: &'a str,
    max_record: ByteSize,
    page: &'a PageConfig,
    sitemap: &'a SitemapConfig,
    manners: MannersDecide<'a>,
    max_bytes: ByteSize,
    max_redirects: u32,
    dedup: bool,
    captioned_only: bool,
    compat: Compat,
}

impl ExtractConfig {
    /// Refuses what cannot work, naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        if self.input.paths.is_empty() {
            let error = Error::config("input.paths", "no input given");
            return Err(error.with_hint("pipeline extract crawl-data/*.wat.gz --out data/links"));
        }
        if self.output.path.is_empty() {
            let error = Error::config("output.path", "no output folder given");
            return Err(error.with_hint("add --out data/links"));
        }
        let base = url::Url::parse(&self.input.base);
        let web = base.is_ok_and(|base| matches!(base.scheme(), "http" | "https"));
        match self {
            _ if !self.input.base.is_empty() && !web => {
                return wrong("input.base", "is an address such as http://example.org/");
            }
            _ if self.input.base.is_empty() && !self.input.root.is_empty() => {
                return wrong("input.root", "needs input.base, the address of that folder");
            }
            _ if !(1 << 16..=1 << 30).contains(&self.input.max_record.0) => {
                return wrong("input.max_record", "lies between 64 KiB and 1 GiB");
            }
            _ if self.output.pages_per_unit == 0 => {
                return wrong("output.pages_per_unit", "must be at least 1");
            }
            _ => {}
        }
        self.page.validate()?;
        self.sitemap.validate()?;
        self.net.validate()?;
        self.manners.validate(&self.net.user_agent)
    }

    pub(super) fn decides(&self, kinds: Vec<&'static str>) -> Decides<'_> {
        Decides {
            kinds,
            base: &self.input.base,
            max_record: self.input.max_record,
            page: &self.page,
            sitemap: &self.sitemap,
            manners: self.manners.decides(&self.net.user_agent),
            max_bytes: self.net.max_bytes,
            max_redirects: self.net.max_redirects,
            dedup: self.output.dedup,
            captioned_only: self.output.captioned_only,
            compat: self.output.compat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Result<ExtractConfig> {
        let mut all = vec!["input.paths=a.wat.gz".to_owned(), "output.path=out".to_owned()];
        all.extend(sets.iter().map(|s| (*s).to_owned()));
        let config: ExtractConfig = crate::settings::load(None, &all)?;
        config.validate().map(|()| config)
    }

    #[test]
    fn what_cannot_work_names_its_key() {
        for (set, key) in [
            ("input.paths=[]", "input.paths"),
            ("input.base=example.org", "input.base"),
            ("input.root=site", "input.root"),
            ("input.max_record=1", "input.max_record"),
            ("output.path=\"\"", "output.path"),
            ("output.pages_per_unit=0", "output.pages_per_unit"),
            ("page.captions=[]", "page.captions"),
            ("page.captions=[\"alt\", \"alt\"]", "page.captions"),
            ("page.lazy=[\"Data Src\"]", "page.lazy"),
            ("page.max_links=0", "page.max_links"),
            ("sitemap.max_urls=0", "sitemap.max_urls"),
            ("net.timeout=0", "net.timeout"),
            ("net.allow=[\"host\"]", "net.allow"),
            ("manners.contact=nobody", "manners.contact"),
        ] {
            let error = config(&[set]).unwrap_err();
            assert!(error.to_string().starts_with(key), "{set}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn the_written_config_reads_back() {
        let config = config(&["output.compat=cc2dataset", "page.captions=[\"title\", \"heading\"]"]).unwrap();
        let text = crate::settings::to_toml(&config).unwrap();
        assert_eq!(toml::from_str::<ExtractConfig>(&text).unwrap(), config);
    }

    #[test]
    fn threads_and_places_decide_nothing() {
        let decides =
            |sets: &[&str]| serde_json::to_value(config(sets).unwrap().decides(vec!["warc"])).unwrap();
        let plain = decides(&[]);
        assert_eq!(decides(&["run.threads=7", "output.path=elsewhere", "manners.contact=a@b"]), plain);
        assert_ne!(decides(&["output.dedup=true"]), plain);
        assert_ne!(decides(&["page.og_image=true"]), plain);
        assert_ne!(decides(&["input.base=http://h/"]), plain);
    }
}
