//! The parts of a WAT record that are read: everything else in its JSON is passed over where it lies.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::counts::Malformed;
use super::super::html::{is_creative_commons, is_licence_rel};
use super::IMAGE;

/// The record.
#[derive(Debug, Deserialize)]
pub(in crate::extract) struct Record<'a> {
    #[serde(rename = "Envelope", borrow)]
    envelope: Envelope<'a>,
    #[serde(rename = "Container", borrow, default)]
    container: Container<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Container<'a> {
    #[serde(rename = "Filename", borrow)]
    filename: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Payload-Metadata", borrow)]
    payload: Payload<'a>,
    #[serde(rename = "WARC-Header-Metadata", borrow, default)]
    head: WarcHead<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WarcHead<'a> {
    #[serde(rename = "WARC-Target-URI", borrow)]
    target: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Payload<'a> {
    #[serde(rename = "HTTP-Response-Metadata", borrow)]
    response: Option<Response<'a>>,
}

/// What it says about an answer.
#[derive(Debug, Deserialize)]
pub(in crate::extract) struct Response<'a> {
    #[serde(rename = "Headers", borrow, default)]
    headers: Headers<'a>,
    #[serde(rename = "HTML-Metadata", borrow)]
    pub(in crate::extract) html: Option<Html<'a>>,
}

/// What it says about a page.
#[derive(Debug, Deserialize)]
pub(in crate::extract) struct Html<'a> {
    #[serde(rename = "Head", borrow, default)]
    pub(in crate::extract) head: Head<'a>,
    #[serde(rename = "Links", borrow, default)]
    pub(in crate::extract) links: Links<'a>,
}

/// What a page says about itself.
#[derive(Debug, Default, Deserialize)]
pub(in crate::extract) struct Head<'a> {
    #[serde(rename = "Base", borrow)]
    pub(in crate::extract) base: Option<Text<'a>>,
    #[serde(rename = "Metas", borrow, default)]
    pub(super) metas: Vec<Meta<'a>>,
    #[serde(rename = "Link", borrow, default)]
    pub(super) links: Links<'a>,
}

/// A `<meta>`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) property: Option<Text<'a>>,
    #[serde(rename = "http-equiv", borrow)]
    pub(super) http_equiv: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Text<'a>>,
}

impl<'a> Record<'a> {
    /// Reads a record. What is passed over is checked as well: nothing is taken from JSON that is none.
    pub(in crate::extract) fn read(json: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(json).map_err(|_| Malformed::Json)?;
        serde_json::from_str(text).map_err(|_| Malformed::Json)
    }

    /// The address of the page.
    pub(in crate::extract) fn target(&self) -> Option<&str> {
        self.envelope.head.target.as_deref()
    }

    /// The archive in which the page lies.
    pub(in crate::extract) fn filename(&self) -> Option<&str> {
        self.container.filename.as_deref()
    }

    pub(in crate::extract) fn response(&self) -> Option<&Response<'a>> {
        self.envelope.payload.response.as_ref()
    }
}

impl Response<'_> {
    /// Those header lines that are of use.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A link of a page that is kept.
#[derive(Debug, PartialEq)]
pub(in crate::extract) enum Found<'a> {
    Image { url: Text<'a>, alt: Option<Text<'a>>, title: Option<Text<'a>> },
    Licence { url: Text<'a>, marked: bool },
}

/// The links of a page, those left out that are neither images nor licences.
#[derive(Debug, Default, PartialEq)]
pub(in crate::extract) struct Links<'a>(pub(in crate::extract) Vec<Found<'a>>);

/// A link as it lies there: of most only the path is looked at, and no text is unescaped.
#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow)]
    path: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    alt: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    rel: Option<&'a RawValue>,
}

impl<'a> Link<'a> {
    fn found(self) -> Option<Found<'a>> {
        let url = self.url?;
        let path = self.path?.get().trim_matches('"');
        if path == IMAGE {
            let [alt, title] = [self.alt, self.title].map(|raw| raw.map(text));
            return Some(Found::Image { url: text(url), alt, title });
        }
        let marked = || self.rel.is_some_and(|rel| is_licence_rel(&text(rel)));
        let (marked, licence) = match path {
            // A slash may be escaped, as every character may; Common Crawl escapes those of `</` alone.
            "A@/href" | "AREA@/href" => (marked(), is_creative_commons(url.get().trim_matches('"'))),
            "LINK@/href" => (marked(), false),
            _ => (false, false),
        };
        (marked || licence).then(|| Found::Licence { url: text(url), marked })
    }
}

/// The text that a value holds; anything else holds an empty one.
fn text(raw: &RawValue) -> Text<'_> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

impl<'de: 'a, 'a> Deserialize<'de> for Links<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Links<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("links")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut links: A) -> Result<Links<'de>, A::Error> {
                let mut kept = Vec::new();
                while let Some(link) = links.next_element::<Link<'de>>()? {
                    kept.extend(link.found());
                }
                Ok(Links(kept))
            }
        }
        deserializer.deserialize_seq(Kept)
    }
}

/// Header lines that say something about the use of a page.
#[derive(Debug, Default)]
struct Headers<'a>(Vec<(Text<'a>, Text<'a>)>);

/// Their names.
const OF_USE: [&str; 3] = ["Content-Language", "X-Robots-Tag", "tdm-reservation"];

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Headers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut lines: A) -> Result<Headers<'de>, A::Error> {
                let mut kept = Vec::new();
                while let Some(name) = lines.next_key::<Text<'de>>()? {
                    if OF_USE.iter().any(|of_use| name.eq_ignore_ascii_case(of_use)) {
                        let Values(values) = lines.next_value()?;
                        kept.extend(values.into_iter().map(|value| (name.clone(), value)));
                    } else {
                        lines.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Headers(kept))
            }
        }
        deserializer.deserialize_map(Kept)
    }
}

/// The values of a header: a text, or a list where it is there several times.
struct Values<'a>(Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Values<'de>, E> {
                Ok(Values(vec![Text(Cow::Borrowed(text))]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Values<'de>, E> {
                Ok(Values(vec![Text(Cow::Owned(text.to_owned()))]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Values<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = texts.next_element()? {
                    all.push(text);
                }
                Ok(Values(all))
            }
        }
        deserializer.deserialize_any(All)
    }
}

/// A text, borrowed from the record where it has no escapes. (Serde borrows no `Option<Cow<str>>`.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::extract) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}
