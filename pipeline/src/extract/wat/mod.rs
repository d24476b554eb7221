//! WAT records: what Common Crawl found in a page, as JSON (`ia-web-commons`, class `ExtractingParseObserver`). Of images
//! they hold `src`, `alt` and `title`; older ones have character references in them.
//!
//! The JSON is read without a tree: what is not asked for is passed over, and of the links of a page only images and
//! licences are kept.

mod entities;
mod json;

use memchr::memmem;
use url::Url;

pub(super) use self::json::{Found, Record};
use self::json::{Head, Html};
use super::config::PageConfig;
use super::counts::Malformed;
use super::language;
use super::link::{Link, Page, absolute, collapsed};
use crate::crawl::PageRules;
use entities::resolved;

/// The path of an image's `src` among the links.
pub(super) const IMAGE: &str = "IMG@/src";

/// What a WAT record is.
#[derive(Debug, PartialEq)]
pub(super) enum Wat {
    /// Not about a page.
    Other,
    /// A page, with the links that it has.
    Page(Page),
    /// A page that opts out.
    OptedOut,
}

/// Whether a WAT record is about a page, and whether it may hold anything of use: a look at the bytes, as most records
/// do not.
pub(super) fn look(json: &[u8], og_image: bool) -> (bool, bool) {
    let page = memmem::find(json, b"\"HTML-Metadata\"").is_some();
    let images = || memmem::find(json, IMAGE.as_bytes()).is_some();
    let previews = || og_image && memmem::find(json, b"og:image").is_some();
    (page, page && (images() || previews()))
}

/// Reads a WAT record.
pub(super) fn read(json: &[u8], config: &PageConfig, rules: &PageRules) -> Result<Wat, Malformed> {
    let (is_page, of_use) = look(json, config.og_image);
    if !of_use {
        return Ok(if is_page { Wat::Page(Page::default()) } else { Wat::Other });
    }
    let record = Record::read(json)?;
    let url = record.target().and_then(|target| absolute(None, target));
    let Some(response) = record.response() else { return Ok(Wat::Other) };
    let Some(html) = &response.html else { return Ok(Wat::Other) };
    let meta = |meta: &json::Meta<'_>| {
        let name = meta.name.as_deref().or(meta.property.as_deref());
        name.zip(meta.content.as_deref()).is_some_and(|(name, content)| rules.meta(name, content))
    };
    let header = |(name, value): (&str, &str)| rules.header(name, value);
    if response.headers().any(header) || html.head.metas.iter().any(meta) {
        return Ok(Wat::OptedOut);
    }
    let language = page_language(&html.head, response.header("Content-Language"));
    Ok(Wat::Page(page(html, url, language, config)))
}

fn page(html: &Html<'_>, url: Option<String>, language: Option<String>, config: &PageConfig) -> Page {
    let address = url.as_deref().and_then(|url| Url::parse(url).ok());
    let base = html.head.base.as_deref().and_then(|base| absolute(address.as_ref(), &resolved(base)));
    let base = base.and_then(|base| Url::parse(&base).ok()).or(address);
    let mut page = Page { url, language, ..Page::default() };
    let licence = licence(html).and_then(|href| absolute(base.as_ref(), &resolved(href)));
    let licence = licence.map(std::sync::Arc::from);
    let text = |text: &Option<json::Text<'_>>| text.as_deref().map(|text| collapsed(&resolved(text)));
    for link in &html.links.0 {
        let Found::Image { url, alt, title } = link else { continue };
        match absolute(base.as_ref(), &resolved(url)) {
            None => page.not_links += 1,
            Some(_) if page.links.len() >= config.max_links => page.over_limit += 1,
            src => {
                let (alt, title, licence) = (text(alt), text(title), licence.clone());
                page.links.push(Link { src, alt, title, licence, ..Link::default() });
            }
        }
    }
    if config.og_image {
        let room = config.max_links.saturating_sub(page.links.len());
        let previews = previews(&html.head).filter_map(|url| absolute(base.as_ref(), &resolved(url)));
        page.links.extend(previews.take(room).map(|src| Link {
            src: Some(src),
            licence: licence.clone(),
            ..Link::default()
        }));
    }
    page
}

/// The licence of a page, as it is written: one that is marked so before a link to Creative Commons.
fn licence<'a>(html: &'a Html<'_>) -> Option<&'a str> {
    let all = || html.head.links.0.iter().chain(&html.links.0);
    let of = |link: &'a Found<'_>, wanted: bool| match link {
        Found::Licence { url, marked } if *marked == wanted => Some(&**url),
        _ => None,
    };
    all().find_map(|link| of(link, true)).or_else(|| all().find_map(|link| of(link, false)))
}

/// The language of a page: `<html lang>` is among the metas under a path of its own.
fn page_language(head: &Head<'_>, header: Option<&str>) -> Option<String> {
    let is = |text: &Option<json::Text<'_>>, name: &str| {
        text.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    let find = |wanted: &dyn Fn(&json::Meta<'_>) -> bool| {
        head.metas.iter().filter(|meta| wanted(meta)).find_map(|meta| language::tag(meta.content.as_deref()?))
    };
    find(&|meta| is(&meta.name, "HTML@/lang"))
        .or_else(|| find(&|meta| is(&meta.name, "HTML@/xml:lang")))
        .or_else(|| header.and_then(language::tag))
        .or_else(|| find(&|meta| is(&meta.http_equiv, "content-language")))
        .or_else(|| find(&|meta| is(&meta.property, "og:locale") || is(&meta.name, "og:locale")))
}

/// The images that a page names for previews.
fn previews<'a>(head: &'a Head<'_>) -> impl Iterator<Item = &'a str> {
    let preview = |text: &Option<json::Text<'_>>| text.as_deref() == Some("og:image");
    let metas = head.metas.iter().filter(move |meta| preview(&meta.property) || preview(&meta.name));
    metas.filter_map(|meta| meta.content.as_deref())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::crawl::MannersConfig;

    fn rules() -> PageRules {
        PageRules::new(&MannersConfig::default(), "bot/1")
    }

    fn record(headers: &serde_json::Value, html: &serde_json::Value) -> String {
        json!({
            "Container": {"Filename": "a.warc.gz", "Offset": "1"},
            "Envelope": {
                "Format": "WARC",
                "WARC-Header-Metadata": {"WARC-Target-URI": "http://h.example/dir/page", "WARC-Type": "response"},
                "Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": headers, "HTML-Metadata": html}},
            },
        })
        .to_string()
    }

    fn page_of(headers: &serde_json::Value, html: &serde_json::Value, config: &PageConfig) -> Page {
        match super::read(record(headers, html).as_bytes(), config, &rules()).unwrap() {
            Wat::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }

    fn image(url: &str) -> serde_json::Value {
        json!({"path": IMAGE, "url": url})
    }

    #[test]
    fn a_page_has_what_its_record_holds() {
        let headers = json!({"content-language": "de", "Set-Cookie": ["a", "b"], "Age": "7"});
        let html = json!({
            "Head": {
                "Base": "/base/",
                "Metas": [{"name": "HTML@/lang", "content": "ru"}, {"property": "og:image", "content": "/p.jpg"}],
                "Link": [{"path": "LINK@/href", "url": "/terms", "rel": "license"}],
            },
            "Links": [
                {"path": "A@/href", "url": "http://creativecommons.org/licenses/by/3.0/", "text": "\u{feff}x"},
                {"url": "a.jpg?x=1&amp;y=2", "alt": "A  \"cat\"\n&eacute;", "title": "t", "path": IMAGE},
                image("data:,x"),
                {"path": "IMG@/longdesc", "url": "/long"},
            ],
        });
        let config = PageConfig { og_image: true, ..PageConfig::default() };
        let page = page_of(&headers, &html, &config);
        assert_eq!(page.url.as_deref(), Some("http://h.example/dir/page"));
        assert_eq!((page.language.as_deref(), page.not_links, page.links.len()), (Some("ru"), 1, 2));
        let link = &page.links[0];
        assert_eq!(link.url(), Some("http://h.example/base/a.jpg?x=1&y=2"));
        assert_eq!((link.alt.as_deref(), link.title.as_deref()), (Some("A \"cat\" é"), Some("t")));
        assert_eq!(link.licence.as_deref(), Some("http://h.example/terms"));
        assert_eq!(page.links[1].url(), Some("http://h.example/p.jpg"));
    }

    #[test]
    fn language_and_licence_have_second_sources() {
        let cc = "https://creativecommons.org/licenses/by/4.0/";
        let html = json!({"Links": [image("/a"), {"path": "A@/href", "url": cc}]});
        let page = page_of(&json!({"Content-Language": "fr"}), &html, &PageConfig::default());
        assert_eq!((page.language.as_deref(), page.links[0].licence.as_deref()), (Some("fr"), Some(cc)));
        let metas = json!([{"http-equiv": "Content-Language", "content": "it"}, {"property": "og:locale", "content": "es_ES"}]);
        let html = json!({"Head": {"Metas": metas}, "Links": [image("/a")]});
        assert_eq!(page_of(&json!({}), &html, &PageConfig::default()).language.as_deref(), Some("it"));
    }

    #[test]
    fn links_have_a_limit() {
        let config = PageConfig { max_links: 2, ..PageConfig::default() };
        let html = json!({"Links": vec![image("/a"); 5]});
        let page = page_of(&json!({}), &html, &config);
        assert_eq!((page.links.len(), page.over_limit), (2, 3));
    }

    #[test]
    fn pages_opt_out_by_header_and_meta() {
        let links = json!([image("/a")]);
        for (headers, metas) in [
            (json!({"x-robots-tag": "noai"}), json!([])),
            (json!({"X-Robots-Tag": ["all", "noimageindex"]}), json!([])),
            (json!({"TDM-Reservation": "1"}), json!([])),
            (json!({}), json!([{"name": "robots", "content": "noai"}])),
        ] {
            let json = record(&headers, &json!({"Head": {"Metas": metas}, "Links": links}));
            assert_eq!(super::read(json.as_bytes(), &PageConfig::default(), &rules()), Ok(Wat::OptedOut));
        }
    }

    #[test]
    fn records_about_other_things_are_passed_over() {
        let read = |json: &str| super::read(json.as_bytes(), &PageConfig::default(), &rules());
        assert_eq!(read(r#"{"Envelope":{"Payload-Metadata":{"HTTP-Request-Metadata":{}}}}"#), Ok(Wat::Other));
        assert_eq!(read(r#"{"HTML-Metadata" but no image"#), Ok(Wat::Page(Page::default())));
        assert_eq!(read(r#"{"HTML-Metadata" IMG@/src"#), Err(Malformed::Json));
        assert_eq!(read(r#"{"HTML-Metadata":1,"x":"IMG@/src"}"#), Err(Malformed::Json), "no envelope");
        let deep = format!(r#"{{"HTML-Metadata":{}"IMG@/src""#, "[".repeat(1_000_000));
        assert_eq!(read(&deep), Err(Malformed::Json));
    }

    proptest! {
        #[test]
        fn damaged_records_are_told(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8) {
            let html = json!({"Head": {"Base": "/b/"}, "Links": [image("/a"), {"path": IMAGE, "url": "b", "alt": "é\n"}]});
            let mut json = record(&json!({"X-Robots-Tag": "all"}), &html).into_bytes();
            let at = at.index(json.len());
            json[at] = byte;
            json.truncate(cut.index(json.len() * 4));
            let _ = super::read(&json, &PageConfig::default(), &rules());
        }
    }
}
