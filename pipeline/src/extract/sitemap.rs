//! Sitemaps (sitemaps.org 0.9), indexes of them, Google's image extension, and the plain form: an address in each line.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::counts::Malformed;
use super::link::{Link, absolute, collapsed};

/// The largest sitemap, unpacked: the protocol allows 50 MB.
const LARGEST: u64 = 64 << 20;
/// The longest text of an element that is kept.
const LONGEST: usize = 16 << 10;

/// What a sitemap names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sitemap {
    /// Pages, in order.
    pub(super) pages: Vec<Listed>,
    /// Other sitemaps.
    pub(super) children: Vec<String>,
    /// What ended it early.
    pub(super) malformed: Option<Malformed>,
}

/// A page of a sitemap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its address.
    pub(super) url: String,
    /// The images that are named for it.
    pub(super) images: Vec<Link>,
}

/// An image that is being read.
#[derive(Debug, Default)]
struct Image {
    url: Option<String>,
    caption: Option<String>,
    title: Option<String>,
    licence: Option<String>,
}

/// Reads a sitemap, packed or not.
pub(super) fn read(bytes: &[u8]) -> Sitemap {
    let mut unpacked = Vec::new();
    let mut malformed = None;
    let bytes = if bytes.starts_with(&[0x1F, 0x8B]) {
        if MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut unpacked).is_err() {
            malformed = Some(Malformed::Gzip);
        }
        &unpacked[..]
    } else {
        &bytes[..bytes.len().min(usize::try_from(LARGEST).unwrap_or(usize::MAX))]
    };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut sitemap = if text.starts_with('<') { of_xml(text) } else { of_lines(text) };
    sitemap.malformed = malformed.or(sitemap.malformed);
    sitemap
}

fn of_lines(text: &str) -> Sitemap {
    let pages = text.lines().filter_map(|line| absolute(None, line));
    Sitemap { pages: pages.map(|url| Listed { url, images: Vec::new() }).collect(), ..Sitemap::default() }
}

fn of_xml(text: &str) -> Sitemap {
    let mut reader = Reader::from_str(text);
    let mut open = Open::default();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => open.begin(tag.local_name().as_ref()),
            Ok(Event::Text(text)) => open.text(&text.decode().unwrap_or_default()),
            Ok(Event::CData(text)) => open.text(&text.decode().unwrap_or_default()),
            Ok(Event::GeneralRef(reference)) => open.reference(&reference),
            Ok(Event::End(_)) => open.end(),
            Ok(Event::Eof) if open.path.is_empty() => return open.sitemap,
            // Cut short, or no XML from here on: what was whole before counts.
            Ok(Event::Eof) | Err(_) => return Sitemap { malformed: Some(Malformed::Xml), ..open.sitemap },
            Ok(_) => {}
        }
    }
}

/// The elements around the present place.
#[derive(Debug, Default)]
struct Open {
    sitemap: Sitemap,
    /// Local names: namespaces have any prefix.
    path: Vec<Vec<u8>>,
    text: String,
    page: Listed,
    image: Image,
}

impl Open {
    fn begin(&mut self, name: &[u8]) {
        self.text.clear();
        match name {
            b"url" => self.page = Listed::default(),
            b"image" => self.image = Image::default(),
            _ => {}
        }
        self.path.push(name.to_vec());
    }

    fn text(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        let name = reference.decode().unwrap_or_default();
        let named = || quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
        let resolved = reference.resolve_char_ref().ok().flatten().map(String::from).or_else(named);
        // What is not known stays as it is written: in addresses, ampersands are often not escaped.
        self.text(&resolved.unwrap_or_else(|| format!("&{name};")));
    }

    fn end(&mut self) {
        let Some(name) = self.path.pop() else { return };
        let around = self.path.last().map_or(&b""[..], Vec::as_slice);
        let text = || Some(collapsed(&self.text)).filter(|text| !text.is_empty());
        match (around, name.as_slice()) {
            (b"url", b"loc") => self.page.url = absolute(None, &self.text).unwrap_or_default(),
            (b"sitemap", b"loc") => self.sitemap.children.extend(absolute(None, &self.text)),
            (b"image", b"loc") => self.image.url = absolute(None, &self.text),
            (b"image", b"caption") => self.image.caption = text(),
            (b"image", b"title") => self.image.title = text(),
            (b"image", b"license") => self.image.licence = absolute(None, &self.text),
            (b"url", b"image") => self.page.images.extend(std::mem::take(&mut self.image).link()),
            (_, b"url") if !self.page.url.is_empty() => {
                self.sitemap.pages.push(std::mem::take(&mut self.page));
            }
            _ => {}
        }
        self.text.clear();
    }
}

impl Image {
    fn link(self) -> Option<Link> {
        Some(Link {
            src: Some(self.url?),
            figcaption: self.caption.map(Into::into),
            title: self.title,
            licence: self.licence.map(Into::into),
            ..Link::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const MAP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
 <url><loc> http://h/1?a=1&amp;b=&#50; </loc><lastmod>2024-01-01</lastmod></url>
 <url>
  <loc><![CDATA[http://h/2]]></loc>
  <image:image><image:loc>http://h/2.jpg</image:loc><image:caption>A  cat &amp; a &lt;dog&gt;</image:caption></image:image>
  <image:image><image:loc>http://h/3.jpg</image:loc><image:title>t</image:title><image:license>http://l/</image:license></image:image>
  <image:image><image:loc>nowhere</image:loc></image:image>
 </url>
 <url><loc>ftp://h/3</loc></url>
</urlset>"#;

    #[test]
    fn pages_and_their_images_are_read() {
        let map = read(MAP.as_bytes());
        assert_eq!((map.pages.len(), map.malformed), (2, None));
        assert_eq!((map.pages[0].url.as_str(), map.pages[0].images.len()), ("http://h/1?a=1&b=2", 0));
        let [first, second] = &map.pages[1].images[..] else { panic!("{map:?}") };
        assert_eq!(
            (first.url(), first.figcaption.as_deref()),
            (Some("http://h/2.jpg"), Some("A cat & a <dog>"))
        );
        assert_eq!((second.title.as_deref(), second.licence.as_deref()), (Some("t"), Some("http://l/")));
    }

    #[test]
    fn indexes_name_other_sitemaps_under_any_prefix() {
        let index = "<s:sitemapindex xmlns:s='x'><s:sitemap><s:loc>http://h/a.xml.gz</s:loc></s:sitemap></s:sitemapindex>";
        assert_eq!(read(index.as_bytes()).children, ["http://h/a.xml.gz"]);
    }

    #[test]
    fn a_plain_list_is_a_sitemap() {
        let pages = read("\u{feff}http://h/1\r\n\nhttps://h/2 \nnothing\n".as_bytes()).pages;
        assert_eq!(
            pages.iter().map(|page| page.url.as_str()).collect::<Vec<_>>(),
            ["http://h/1", "https://h/2"]
        );
    }

    #[test]
    fn what_is_cut_gives_what_is_whole() {
        let cut = read(&MAP.as_bytes()[..MAP.find("<image:title>").unwrap()]);
        assert_eq!((cut.pages.len(), cut.malformed), (1, Some(Malformed::Xml)));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(MAP.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(read(&packed), read(MAP.as_bytes()));
        assert_eq!(read(&packed[..packed.len() - 9]).malformed, Some(Malformed::Gzip));
        let ampersand = "<urlset><url><loc>http://h/?a&b=1&c;</loc></url></urlset>";
        assert!(read(ampersand.as_bytes()).pages.len() <= 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, at in any::<prop::sample::Index>()) {
            read(&bytes);
            let mut damaged = MAP.as_bytes().to_vec();
            let at = at.index(damaged.len());
            damaged.splice(at..at, bytes.into_iter().take(3));
            read(&damaged);
        }
    }
}
