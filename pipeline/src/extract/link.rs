//! A link to an image, and what its page says about it.

use std::sync::Arc;

use url::Url;

use super::config::CaptionSource;

/// The longest URL: servers refuse longer ones, and a hostile page could make every link as long as itself.
const LONGEST_URL: usize = 8 << 10;

/// The links of a page and what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Its address.
    pub(super) url: Option<String>,
    /// Its language, as it says.
    pub(super) language: Option<String>,
    /// Its links, in its order.
    pub(super) links: Vec<Link>,
    /// Images whose references are no links.
    pub(super) not_links: u64,
    /// Links beyond the limit.
    pub(super) over_limit: u64,
}

/// A link to an image. All URLs are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) alt: Option<String>,
    pub(super) title: Option<String>,
    pub(super) figcaption: Option<Arc<str>>,
    pub(super) heading: Option<Arc<str>>,
    pub(super) src: Option<String>,
    pub(super) srcset_url: Option<String>,
    pub(super) lazy_url: Option<String>,
    pub(super) licence: Option<Arc<str>>,
}

impl Link {
    /// The best candidate: the largest of those that the page offers, else what a script would load, else what is there
    /// without one; `None` where no reference is a link.
    pub(super) fn url(&self) -> Option<&str> {
        self.srcset_url.as_deref().or(self.lazy_url.as_deref()).or(self.src.as_deref())
    }

    /// The first of the `sources` that is not empty.
    pub(super) fn caption(&self, sources: &[CaptionSource]) -> Option<&str> {
        let of = |source: &CaptionSource| match source {
            CaptionSource::Alt => self.alt.as_deref(),
            CaptionSource::Figcaption => self.figcaption.as_deref(),
            CaptionSource::Title => self.title.as_deref(),
            CaptionSource::Heading => self.heading.as_deref(),
        };
        sources.iter().filter_map(of).find(|text| !text.is_empty())
    }
}

/// The absolute form of a reference without its fragment, if it leads to a web server; `None` for an empty one, a fragment
/// alone, `data:` and other schemes, and a relative one without a base.
pub(super) fn absolute(base: Option<&Url>, reference: &str) -> Option<String> {
    let reference = reference.trim_matches(|c: char| c <= ' ');
    if reference.is_empty() || reference.starts_with('#') || reference.len() > LONGEST_URL {
        return None;
    }
    let mut url = Url::options().base_url(base).parse(reference).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_fragment(None);
    Some(String::from(url)).filter(|url| url.len() <= LONGEST_URL)
}

/// Text as a reader sees it: runs of white space are one blank, none at the ends.
pub(super) fn collapsed(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut joined = String::with_capacity(text.len());
    joined.extend(words.next());
    for word in words {
        joined.push(' ');
        joined.push_str(word);
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_become_links_or_nothing() {
        let base = Url::parse("https://example.org/a/page.html?x#top").unwrap();
        let absolute = |reference| absolute(Some(&base), reference);
        for (reference, url) in [
            ("b.jpg", "https://example.org/a/b.jpg"),
            (" /b c.jpg\n", "https://example.org/b%20c.jpg"),
            ("//cdn.example/é.png#part", "https://cdn.example/%C3%A9.png"),
            ("HTTP://EXAMPLE.com", "http://example.com/"),
            ("?id=3", "https://example.org/a/page.html?id=3"),
            ("https://пример.рф/к.png", "https://xn--e1afmkfd.xn--p1ai/%D0%BA.png"),
        ] {
            assert_eq!(absolute(reference).as_deref(), Some(url));
        }
        for reference in
            ["", " ", "#top", "data:image/gif;base64,R0", "javascript:void(0)", "about:blank", "http://"]
        {
            assert_eq!(absolute(reference), None, "{reference}");
        }
        assert_eq!(super::absolute(None, "b.jpg"), None);
        assert_eq!(absolute(&"x".repeat(9000)), None);
    }

    #[test]
    fn the_caption_is_the_first_text_that_is_not_empty() {
        let link = Link {
            alt: Some(String::new()),
            title: Some("title".into()),
            figcaption: Some("figure".into()),
            ..Link::default()
        };
        use CaptionSource::{Alt, Figcaption, Heading, Title};
        assert_eq!(link.caption(&[Alt, Figcaption, Title]), Some("figure"));
        assert_eq!(link.caption(&[Alt, Title]), Some("title"));
        assert_eq!(link.caption(&[Alt, Heading]), None);
    }

    proptest! {
        #[test]
        fn collapsed_text_has_single_blanks_between_the_same_words(text in "[ \\n\\ta-c\u{a0}é]{0,40}") {
            let once = collapsed(&text);
            prop_assert!(once.split_whitespace().eq(text.split_whitespace()));
            prop_assert_eq!(&once, &collapsed(&once));
            prop_assert!(!once.contains("  ") && once.trim() == once);
        }

        #[test]
        fn every_link_is_a_url_of_the_web(reference in ".{0,40}") {
            let base = Url::parse("http://h/a/").unwrap();
            if let Some(url) = absolute(Some(&base), &reference) {
                let parsed = Url::parse(&url).unwrap();
                prop_assert!(parsed.host().is_some() && parsed.fragment().is_none() && parsed.as_str() == url);
            }
        }
    }
}
