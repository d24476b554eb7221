//! The bytes of a page as text: by a byte order mark, by what the server says, by what the page says, else by the guess
//! that Firefox makes. This is the order of the HTML standard ("determining the character encoding").

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// Bytes in which a page has to say its encoding; the standard asks for 1024, pages are late.
const LOOK: usize = 4096;
/// Bytes by which an encoding is guessed.
const GUESS: usize = 64 << 10;

/// Decodes a page; `content_type` is the server's header, `host` that of the page.
pub(super) fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>, host: Option<&str>) -> Cow<'a, str> {
    let said = content_type.and_then(|header| of_label(parameter(header)?.as_bytes()));
    let encoding = said.or_else(|| of_page(&bytes[..bytes.len().min(LOOK)]));
    // A byte order mark wins inside of this.
    encoding.unwrap_or_else(|| guess(bytes, host)).decode(bytes).0
}

/// The `charset` of a `Content-Type`.
fn parameter(content_type: &str) -> Option<&str> {
    let at = content_type.to_ascii_lowercase().find("charset")?;
    let value = content_type[at + "charset".len()..].trim_start().strip_prefix('=')?.trim_start();
    let end = |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '"' | '\'' | ',');
    match value.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next(),
        None => value.split(end).next(),
    }
}

fn of_label(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(label).filter(|encoding| *encoding != encoding_rs::REPLACEMENT)
}

/// What the page says in an XML declaration or a `<meta>`, read as ASCII: the standard's prescan.
fn of_page(bytes: &[u8]) -> Option<&'static Encoding> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut rest = text.as_str();
    if let Some(declaration) = rest.trim_start().strip_prefix("<?xml") {
        let declaration = declaration.split('>').next()?;
        if let Some((_, value)) = declaration.split_once("encoding") {
            let value = value.trim_start().strip_prefix('=')?.trim_start();
            return value
                .strip_prefix(['"', '\''])
                .and_then(|v| ascii(of_label(v.split(['"', '\'']).next()?.as_bytes())?));
        }
    }
    while let Some((_, behind)) = rest.split_once('<') {
        rest = match behind {
            _ if behind.starts_with("!--") => behind.split_once("-->").map_or("", |(_, rest)| rest),
            _ if is_meta(behind) => {
                let tag = &behind[..behind.find('>').unwrap_or(behind.len())];
                if let Some(encoding) = parameter(tag).and_then(|label| of_label(label.as_bytes())) {
                    return ascii(encoding);
                }
                behind
            }
            _ => behind,
        };
    }
    None
}

fn is_meta(tag: &str) -> bool {
    let name = tag.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("meta"));
    name && tag[4..].starts_with(|c: char| c.is_ascii_whitespace() || c == '/')
}

/// A page that can say in ASCII that it is UTF-16 is not.
fn ascii(encoding: &'static Encoding) -> Option<&'static Encoding> {
    Some(match encoding {
        _ if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
        _ if encoding == X_USER_DEFINED => WINDOWS_1252,
        _ => encoding,
    })
}

fn guess(bytes: &[u8], host: Option<&str>) -> &'static Encoding {
    let look = &bytes[..bytes.len().min(GUESS)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(look, look.len() == bytes.len());
    let label = host.and_then(|host| host.rsplit('.').next());
    let domain = label.filter(|label| {
        !label.is_empty() && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    });
    detector.guess(domain.map(str::as_bytes), Utf8Detection::Allow)
}

#[cfg(test)]
mod tests {
    use encoding_rs::{KOI8_R, SHIFT_JIS, WINDOWS_1251};
    use proptest::prelude::*;

    use super::*;

    const RUSSIAN: &str = "<p>Рыжий кот сидит на окне и смотрит на улицу, где идёт дождь.</p>";

    fn bytes(encoding: &'static Encoding, text: &str) -> Vec<u8> {
        encoding.encode(text).0.into_owned()
    }

    #[test]
    fn the_server_says_it_before_the_page() {
        let page = bytes(WINDOWS_1251, &format!("<meta charset=utf-8>{RUSSIAN}"));
        assert!(decode(&page, Some("text/html; Charset=\"windows-1251\""), None).ends_with(RUSSIAN));
        let page = bytes(UTF_8, &format!("\u{feff}{RUSSIAN}"));
        assert_eq!(
            decode(&page, Some("text/html;charset=koi8-r"), None),
            RUSSIAN,
            "a byte order mark before both"
        );
    }

    #[test]
    fn the_page_says_it_in_several_ways() {
        for says in [
            "<meta charset=windows-1251>",
            "<META  http-equiv=Content-Type content='text/html; charset = windows-1251'/>",
            "<!-- <meta charset=utf-8> --><meta name=a><meta/charset=\"cp1251\">",
            "<?xml version=\"1.0\" encoding='windows-1251'?>",
            "<metal charset=utf-8><meta charset=unknown><meta charset=windows-1251>",
        ] {
            let page = bytes(WINDOWS_1251, &format!("{says}{RUSSIAN}"));
            assert!(decode(&page, Some("text/html"), None).ends_with(RUSSIAN), "{says}");
        }
        let page = bytes(UTF_8, &format!("<meta charset=utf-16>{RUSSIAN}"));
        assert!(decode(&page, None, None).ends_with(RUSSIAN));
    }

    #[test]
    fn a_page_that_does_not_say_is_guessed() {
        for encoding in [UTF_8, WINDOWS_1251, KOI8_R] {
            assert_eq!(
                decode(&bytes(encoding, RUSSIAN), None, Some("example.ru")),
                RUSSIAN,
                "{}",
                encoding.name()
            );
        }
        let japanese = "<p>窓の外を見ている猫の写真です。今日は雨が降っています。</p>";
        assert_eq!(decode(&bytes(SHIFT_JIS, japanese), None, Some("example.jp")), japanese);
        assert_eq!(decode(b"caf\xE9 au lait", None, None), "café au lait");
    }

    proptest! {
        #[test]
        fn any_bytes_are_text(bytes: Vec<u8>, header in "[a-z=;\" -]{0,30}", host in "[a-zA-Z0-9.-]{0,12}") {
            decode(&bytes, Some(&format!("text/html; charset{header}")), Some(&host));
            of_page(&[b"<meta ", &bytes[..]].concat());
        }
    }
}
