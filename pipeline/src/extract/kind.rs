//! What an input is: by its name, or by its first bytes where the name does not say.

use std::io::{self, Read};

use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// Bytes that are looked at.
const LOOK: u64 = 4096;

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// WARC or WAT records.
    #[value(alias = "wat")]
    Warc,
    /// A page: a file, or an address that is fetched.
    Html,
    /// A sitemap or an index of sitemaps; also a text with the address of a page in each line.
    Sitemap,
    /// A list of archives, as Common Crawl publishes them.
    Paths,
}

impl InputKind {
    /// By the ending of a name; `.gz` is looked through. An `.xml` may be a sitemap or a page.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        Some(match name.rsplit_once('.')?.1 {
            "warc" | "wat" => Self::Warc,
            "html" | "htm" | "xhtml" | "xht" | "shtml" => Self::Html,
            "paths" => Self::Paths,
            _ => return None,
        })
    }

    /// By the first bytes of a file, unpacked if they are packed.
    pub(super) fn of_content(reader: impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut reader = reader.take(LOOK);
        reader.read_to_end(&mut head)?;
        if head.starts_with(&[0x1F, 0x8B]) {
            let mut unpacked = Vec::new();
            // What is cut at the end of the look is no damage.
            drop(MultiGzDecoder::new(&head[..]).take(LOOK).read_to_end(&mut unpacked));
            head = unpacked;
        }
        Ok(Self::of_bytes(&head))
    }

    fn of_bytes(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"WARC/") {
            return Some(Self::Warc);
        }
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with("http://") || text.starts_with("https://") {
            return Some(Self::Sitemap);
        }
        match first_element(text)?.as_str() {
            "urlset" | "sitemapindex" => Some(Self::Sitemap),
            // Pages begin with nearly anything that is HTML, other XML with its own elements.
            "html" | "!doctype html" | "head" | "body" | "meta" | "title" | "link" | "script" | "style"
            | "div" | "p" | "img" | "a" | "table" | "center" | "font" | "h1" | "h2" | "figure"
            | "picture" => Some(Self::Html),
            _ => None,
        }
    }
}

/// The first element of a markup, in lower case, its namespace left out; a `<!DOCTYPE html>` counts as one. Comments and
/// declarations before it are passed over.
fn first_element(mut text: &str) -> Option<String> {
    loop {
        text = text.trim_start();
        let behind = match text {
            _ if text.starts_with("<!--") => text.split_once("-->")?.1,
            _ if text.starts_with("<?") => text.split_once('>')?.1,
            _ if starts_with(text, "<!doctype html") => return Some("!doctype html".to_owned()),
            _ if starts_with(text, "<!doctype") => text.split_once('>')?.1,
            _ => {
                let name =
                    text.strip_prefix('<')?.split(|c: char| c.is_whitespace() || "/>".contains(c)).next()?;
                let name = name.rsplit(':').next()?;
                return (!name.is_empty()).then(|| name.to_ascii_lowercase());
            }
        };
        text = behind;
    }
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_tell_most() {
        for (name, kind) in [
            ("CC-MAIN-1.warc.gz", Some(InputKind::Warc)),
            ("CC-MAIN-1.warc.wat.gz", Some(InputKind::Warc)),
            ("a.WARC", Some(InputKind::Warc)),
            ("index.html", Some(InputKind::Html)),
            ("wat.paths.gz", Some(InputKind::Paths)),
            ("sitemap.xml", None),
            ("page", None),
        ] {
            assert_eq!(InputKind::of_name(name), kind, "{name}");
        }
    }

    #[test]
    fn content_tells_the_rest() {
        let kind = |text: &str| InputKind::of_content(text.as_bytes()).unwrap();
        assert_eq!(kind("WARC/1.0\r\n"), Some(InputKind::Warc));
        assert_eq!(
            kind("\u{feff}<?xml version=\"1.0\"?>\n<!-- x --><urlset xmlns=\"…\">"),
            Some(InputKind::Sitemap)
        );
        assert_eq!(kind("<s:sitemapindex>"), Some(InputKind::Sitemap));
        assert_eq!(kind("http://h/1\nhttp://h/2\n"), Some(InputKind::Sitemap));
        let xhtml = "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0\"><html>";
        assert_eq!(kind(xhtml), Some(InputKind::Html));
        assert_eq!(kind("<!DOCTYPE book>\n<BODY>"), Some(InputKind::Html));
        assert_eq!((kind("<rss>"), kind("{}"), kind(""), kind("<")), (None, None, None, None));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, "<urlset>".repeat(90_000).as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(InputKind::of_content(&packed[..]).unwrap(), Some(InputKind::Sitemap));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(bytes: Vec<u8>, markup in "[<!?a-z/> -]{0,30}") {
            InputKind::of_content(&bytes[..]).unwrap();
            InputKind::of_bytes(markup.as_bytes());
        }
    }
}
