//! The texts around an image: the nearest heading before it, and the caption of its figure.

use std::sync::Arc;

use super::image::Image;
use crate::extract::link::collapsed;

/// Bytes of a heading or caption that are kept: one that is never closed would hold the rest of the page.
const LONGEST: usize = 4 << 10;
/// Figures inside of figures; deeper ones belong to the one around them.
const DEEPEST: usize = 64;

/// Headings and figures at the present place of a page.
#[derive(Debug, Default)]
pub(super) struct Texts {
    heading: Option<Arc<str>>,
    open_heading: Option<Heading>,
    figures: Vec<Figure>,
    /// Figures that are open beyond [`DEEPEST`].
    deeper: usize,
}

#[derive(Debug)]
struct Heading {
    text: String,
    /// The first image inside of it.
    first: usize,
}

#[derive(Debug, Default)]
struct Figure {
    /// Its first image.
    first: usize,
    caption: String,
    in_caption: bool,
    licence: Option<Arc<str>>,
}

impl Texts {
    /// The nearest heading that has ended.
    pub(super) fn heading(&self) -> Option<Arc<str>> {
        self.heading.clone()
    }

    /// A heading begins, which ends one that was open; the next image is number `images.len()`.
    pub(super) fn begin_heading(&mut self, images: &mut [Image]) {
        self.end_heading(images);
        self.open_heading = Some(Heading { text: String::new(), first: images.len() });
    }

    /// The open heading ends: it is that of the images inside of it, and of those to come.
    pub(super) fn end_heading(&mut self, images: &mut [Image]) {
        let Some(Heading { text, first }) = self.open_heading.take() else { return };
        let text = collapsed(&text);
        if !text.is_empty() {
            self.heading = Some(text.into());
            images[first..].iter_mut().for_each(|image| image.heading.clone_from(&self.heading));
        }
    }

    pub(super) fn begin_figure(&mut self, images: &[Image]) {
        match self.figures.len() {
            DEEPEST => self.deeper += 1,
            _ => self.figures.push(Figure { first: images.len(), ..Figure::default() }),
        }
    }

    /// The innermost figure ends: its caption and licence are those of its images that have none.
    pub(super) fn end_figure(&mut self, images: &mut [Image]) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(figure) = self.figures.pop() else { return };
        let caption = Some(collapsed(&figure.caption)).filter(|text| !text.is_empty()).map(Arc::from);
        for image in &mut images[figure.first..] {
            if image.figcaption.is_none() {
                image.figcaption.clone_from(&caption);
            }
            if image.licence.is_none() {
                image.licence.clone_from(&figure.licence);
            }
        }
    }

    pub(super) fn begin_caption(&mut self) {
        if let Some(figure) = self.figures.last_mut() {
            figure.in_caption = true;
        }
    }

    pub(super) fn end_caption(&mut self) {
        if let Some(figure) = self.figures.iter_mut().rev().find(|figure| figure.in_caption) {
            figure.in_caption = false;
        }
    }

    /// A licence link: the first in a figure is the figure's.
    pub(super) fn licence(&mut self, href: &str) {
        if let Some(figure) = self.figures.last_mut() {
            figure.licence.get_or_insert_with(|| href.into());
        }
    }

    /// Text, which may be that of a heading, of a caption, or of both.
    pub(super) fn text(&mut self, text: &str) {
        if let Some(heading) = &mut self.open_heading {
            append(&mut heading.text, text);
        }
        if let Some(figure) = self.figures.iter_mut().rev().find(|figure| figure.in_caption) {
            append(&mut figure.caption, text);
        }
    }

    /// The page ends, and with it all that is open.
    pub(super) fn end(&mut self, images: &mut [Image]) {
        self.end_heading(images);
        self.deeper = 0;
        while !self.figures.is_empty() {
            self.end_figure(images);
        }
    }
}

fn append(to: &mut String, text: &str) {
    let room = LONGEST.saturating_sub(to.len());
    to.push_str(&text[..text.floor_char_boundary(room)]);
}
