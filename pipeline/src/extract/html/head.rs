//! What a page says about itself: its address, its base, its language, its licence, its wishes.

use url::Url;

use super::licence::{is_creative_commons, is_licence_rel};
use super::tokens::Tag;
use crate::crawl::PageRules;
use crate::extract::language;
use crate::extract::link::{absolute, collapsed};

/// What has been said so far; the first of each counts.
#[derive(Debug, Default)]
pub(super) struct Head {
    base: Option<String>,
    canonical: Option<String>,
    saved_from: Option<String>,
    /// `<html lang>`, `Content-Language`, `og:locale`, the language of a part of the page.
    languages: [Option<String>; 4],
    /// A link marked as the licence, and one to Creative Commons.
    licences: [Option<String>; 2],
    /// Previews: address and alternative text.
    pub(super) previews: Vec<(String, Option<String>)>,
    /// Whether the page does not want to be used.
    pub(super) opts_out: bool,
}

impl Head {
    /// Takes what a start tag says, other than an image's.
    pub(super) fn take(&mut self, tag: &Tag, rules: &PageRules) {
        match tag.name.as_str() {
            "html" => first(&mut self.languages[0], language_of(tag)),
            "body" | "main" | "article" | "section" | "div" => {
                first(&mut self.languages[3], language_of(tag));
            }
            "base" => first(&mut self.base, tag.text("href")),
            "meta" => self.meta(tag, rules),
            "link" if tag.has_word("rel", "canonical") => {
                first(&mut self.canonical, tag.text("href"));
            }
            _ => {}
        }
    }

    /// The licence that a link leads to, if it does; kept as the page's.
    pub(super) fn licence(&mut self, tag: &Tag) -> Option<String> {
        if !matches!(tag.name.as_str(), "a" | "area" | "link") {
            return None;
        }
        let href = tag.get("href")?;
        let marked = tag.get("rel").is_some_and(is_licence_rel);
        if !marked && (tag.name == "link" || !is_creative_commons(href)) {
            return None;
        }
        first(&mut self.licences[usize::from(!marked)], Some(href.to_owned()));
        Some(href.to_owned())
    }

    fn meta(&mut self, tag: &Tag, rules: &PageRules) {
        let Some(content) = tag.get("content") else { return };
        let named = |attribute: &str, name: &str| {
            tag.get(attribute).is_some_and(|found| found.trim().eq_ignore_ascii_case(name))
        };
        if named("http-equiv", "content-language") {
            first(&mut self.languages[1], language::tag(content));
        }
        // Open Graph asks for `property`; many write `name`.
        let about = tag.get("property").or_else(|| tag.get("name")).unwrap_or("").trim();
        match about.to_ascii_lowercase().as_str() {
            "og:locale" => first(&mut self.languages[2], language::tag(content)),
            "og:image" | "og:image:url" => {
                let again = self.previews.last().is_some_and(|(url, _)| url == content);
                if !again {
                    self.previews.push((content.to_owned(), None));
                }
            }
            "og:image:alt" => {
                if let Some((_, alt)) = self.previews.last_mut() {
                    first(alt, Some(collapsed(content)));
                }
            }
            name => self.opts_out |= rules.meta(name, content),
        }
    }

    /// Takes the remark of a program that saved the page: Internet Explorer's mark of the web, which Chromium writes too,
    /// SingleFile's and HTTrack's.
    pub(super) fn remark(&mut self, comment: &str) {
        let comment = comment.trim();
        let word = |text: &str| text.split_ascii_whitespace().next().map(str::to_owned);
        let address = if let Some((_, behind)) = comment.split_once("saved from url=(") {
            behind.split_once(')').and_then(|(_, url)| word(url))
        } else if comment.starts_with("Page saved with SingleFile") {
            comment.split_once("url:").and_then(|(_, url)| word(url))
        } else if let Some(place) = comment.strip_prefix("Mirrored from ") {
            place
                .contains(" by HTTrack")
                .then(|| word(place).map(|place| format!("http://{place}")))
                .flatten()
        } else {
            None
        };
        first(&mut self.saved_from, address.filter(|address| absolute(None, address).is_some()));
    }

    /// Address and base of the page: `url` where it is known from outside.
    pub(super) fn places(&self, url: Option<Url>) -> (Option<Url>, Option<Url>) {
        let parse = |text: &Option<String>| Url::parse(&absolute(None, text.as_deref()?)?).ok();
        let url = url.or_else(|| parse(&self.saved_from)).or_else(|| parse(&self.canonical));
        let base = self.base.as_deref().and_then(|base| absolute(url.as_ref(), base));
        let base = base.and_then(|base| Url::parse(&base).ok());
        (url.clone().or_else(|| base.clone()), base.or(url))
    }

    /// The language: `header` is the server's.
    pub(super) fn language(&self, header: Option<&str>) -> Option<String> {
        let [html, meta, locale, part] = &self.languages;
        html.clone()
            .or_else(|| header.and_then(language::tag))
            .or_else(|| meta.clone())
            .or_else(|| locale.clone())
            .or_else(|| part.clone())
    }

    /// The licence of the page, as it is written.
    pub(super) fn page_licence(&self) -> Option<&str> {
        self.licences.iter().flatten().next().map(String::as_str)
    }
}

fn first(place: &mut Option<String>, value: Option<String>) {
    if place.is_none() {
        *place = value;
    }
}

/// `lang`, or XHTML's `xml:lang`.
fn language_of(tag: &Tag) -> Option<String> {
    tag.get("lang").and_then(language::tag).or_else(|| tag.get("xml:lang").and_then(language::tag))
}
