//! Tag after tag of a page: what each means for the images.

use html5gum::State;

use super::head::Head;
use super::image::{Choice, Image};
use super::texts::Texts;
use super::tokens::{Listener, Tag};
use crate::crawl::PageRules;
use crate::extract::config::PageConfig;

/// What has been read of a page.
pub(super) struct Reading<'a> {
    pub(super) config: &'a PageConfig,
    rules: &'a PageRules,
    pub(super) head: Head,
    pub(super) texts: Texts,
    pub(super) images: Vec<Image>,
    pub(super) over_limit: u64,
    /// Served as XML, where any element may close itself.
    xml: bool,
    /// Open `<svg>` and `<math>`, where any element may as well.
    foreign: usize,
    /// Open `<template>`s, whose content is not shown.
    templates: usize,
    /// In the text of a script or style.
    hidden: bool,
    picture: Option<Choice>,
    noscript: bool,
    /// The image that the last element was.
    last: Option<usize>,
    /// The image for which one in the open `<noscript>` stands.
    stands_for: Option<usize>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(config: &'a PageConfig, rules: &'a PageRules, xml: bool) -> Self {
        Self {
            config,
            rules,
            head: Head::default(),
            texts: Texts::default(),
            images: Vec::new(),
            over_limit: 0,
            xml,
            foreign: 0,
            templates: 0,
            hidden: false,
            picture: None,
            noscript: false,
            last: None,
            stands_for: None,
        }
    }

    fn image(&mut self, tag: &Tag) {
        let choice = self.picture.take().unwrap_or_default();
        let mut image = Image::of(tag, choice, &self.config.lazy);
        if let Some(other) = self.stands_for.take().and_then(|other| self.images.get_mut(other)) {
            return other.join(image);
        }
        if self.images.len() >= self.config.max_links {
            self.over_limit += 1;
            return;
        }
        self.last = (!self.noscript).then_some(self.images.len());
        (image.heading, image.noscript) = (self.texts.heading(), self.noscript);
        self.images.push(image);
    }

    /// Words on both sides of a block are words of their own.
    fn space(&mut self, name: &str) {
        if matches!(
            name,
            "br" | "p"
                | "div"
                | "li"
                | "ul"
                | "ol"
                | "dl"
                | "dt"
                | "dd"
                | "tr"
                | "td"
                | "th"
                | "table"
                | "section"
                | "article"
                | "blockquote"
                | "pre"
                | "hr"
                | "h1"
                | "h2"
                | "h3"
                | "h4"
                | "h5"
                | "h6"
                | "figcaption"
        ) {
            self.texts.text(" ");
        }
    }
}

impl Listener for Reading<'_> {
    fn wants(&self, tag: &str, attribute: &str) -> bool {
        let known = [
            "src",
            "srcset",
            "alt",
            "title",
            "type",
            "href",
            "rel",
            "lang",
            "xml:lang",
            "name",
            "property",
            "content",
            "http-equiv",
            "shadowrootmode",
        ];
        let lazy =
            || matches!(tag, "img" | "source") && self.config.lazy.iter().any(|name| name == attribute);
        known.contains(&attribute) || lazy()
    }

    fn start(&mut self, tag: &Tag) -> Option<State> {
        let closed = tag.closed && self.is_xml();
        let raw = if closed { None } else { raw_text(&tag.name) };
        self.hidden = raw.is_some();
        match tag.name.as_str() {
            "template" if !closed && tag.get("shadowrootmode").is_none() => self.templates += 1,
            _ if self.templates > 0 => return raw,
            "svg" | "math" if !tag.closed => self.foreign += 1,
            "noscript" => {
                self.noscript = !closed;
                self.stands_for = self.last.take();
                return raw;
            }
            _ => {}
        }
        self.last = None;
        match tag.name.as_str() {
            "img" => self.image(tag),
            "picture" => self.picture = Some(Choice::default()),
            "source" => {
                if let Some(choice) = &mut self.picture {
                    choice.offer(tag, &self.config.lazy);
                }
            }
            "figure" => self.texts.begin_figure(&self.images),
            "figcaption" => self.texts.begin_caption(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.texts.begin_heading(&mut self.images),
            _ => {
                if let Some(href) = self.head.licence(tag) {
                    self.texts.licence(&href);
                }
                self.head.take(tag, self.rules);
            }
        }
        self.space(&tag.name);
        raw
    }

    fn end(&mut self, name: &str) {
        self.hidden = false;
        if self.templates > 0 {
            self.templates -= usize::from(name == "template");
            return;
        }
        self.space(name);
        match name {
            "svg" | "math" => self.foreign = self.foreign.saturating_sub(1),
            "picture" => self.picture = None,
            "noscript" => (self.noscript, self.stands_for) = (false, None),
            "figure" => self.texts.end_figure(&mut self.images),
            "figcaption" => self.texts.end_caption(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.texts.end_heading(&mut self.images),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden || self.templates > 0 {
            return;
        }
        if self.last.is_some() && !text.trim().is_empty() {
            self.last = None;
        }
        self.texts.text(text);
    }

    fn comment(&mut self, text: &str) {
        self.head.remark(text);
    }

    fn is_xml(&self) -> bool {
        self.xml || self.foreign > 0
    }
}

/// How the content of an element is read that holds no tags.
fn raw_text(name: &str) -> Option<State> {
    Some(match name {
        "title" | "textarea" => State::RcData,
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => State::RawText,
        "script" => State::ScriptData,
        "plaintext" => State::PlainText,
        _ => return None,
    })
}
