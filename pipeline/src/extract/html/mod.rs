//! The images of an HTML page: for each the best reference to it and what the page says about it.
//!
//! The page is read as a stream of tags, so that attributes, character references, scripts and comments are what browsers
//! take them for; no tree is built. What needs one (which figure, which heading) follows from the order of the tags.

mod charset;
mod head;
mod image;
mod licence;
mod reading;
mod srcset;
#[cfg(test)]
mod tests;
mod texts;
mod tokens;

use std::sync::Arc;

use url::Url;

use self::image::Image;
pub(super) use self::licence::{is_creative_commons, is_licence_rel};
use self::reading::Reading;
use super::config::PageConfig;
use super::link::{Page, absolute};
use crate::crawl::PageRules;

/// A page, and what is known about it from outside.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it is from.
    pub(super) url: Option<Url>,
    /// The server's `Content-Type`.
    pub(super) content_type: Option<&'a str>,
    /// The server's `Content-Language`.
    pub(super) language: Option<&'a str>,
}

/// Whether a `Content-Type` is that of a page.
pub(super) fn is_html(content_type: &str) -> bool {
    let mime = content_type.split(';').next().unwrap_or("").trim();
    mime.eq_ignore_ascii_case("text/html") || is_xhtml(content_type)
}

fn is_xhtml(content_type: &str) -> bool {
    let mime = content_type.split(';').next().unwrap_or("").trim();
    mime.eq_ignore_ascii_case("application/xhtml+xml")
}

/// Reads a page; `None` if it opts out.
pub(super) fn read(document: &Document<'_>, config: &PageConfig, rules: &PageRules) -> Option<Page> {
    let host = document.url.as_ref().and_then(Url::host_str);
    let text = charset::decode(document.bytes, document.content_type, host);
    let xml = document.content_type.is_some_and(is_xhtml);
    let mut reading = Reading::new(config, rules, xml);
    tokens::listen(&text, &mut reading);
    (!reading.head.opts_out).then(|| page(reading, document))
}

/// Resolves the references of a page that has been read.
fn page(mut reading: Reading<'_>, document: &Document<'_>) -> Page {
    reading.texts.end(&mut reading.images);
    let Reading { head, mut images, over_limit, config, .. } = reading;
    let (url, base) = head.places(document.url.clone());
    let language = head.language(document.language);
    let licence = head.page_licence().and_then(|href| absolute(base.as_ref(), href)).map(Arc::from);
    if config.og_image {
        let room = config.max_links.saturating_sub(images.len());
        images.extend(head.previews.into_iter().take(room).map(|(src, alt)| Image::preview(src, alt)));
    }
    let mut page = Page { url: url.map(String::from), language, over_limit, ..Page::default() };
    let mut last_noscript = false;
    for image in images {
        let noscript = image.noscript;
        let link = image.link(base.as_ref(), licence.as_ref());
        // The same picture for browsers with scripts and without is one link.
        let twin =
            page.links.last().is_some_and(|last| (noscript || last_noscript) && last.url() == link.url());
        match link.url() {
            None => page.not_links += 1,
            Some(_) if twin => last_noscript = false,
            Some(_) => {
                page.links.push(link);
                last_noscript = noscript;
            }
        }
    }
    page
}
