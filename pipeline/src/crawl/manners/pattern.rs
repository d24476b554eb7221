//! Path patterns of robots.txt (RFC 9309 §2.2.2 and §2.2.3), which TDMRep uses too: a prefix of path and query, in
//! which `*` stands for anything and a `$` at the end for the end.

use url::Url;

/// A pattern in the spelling in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Normalised; a `*` is a wildcard.
    text: String,
    /// Whether it must match to the end of the path.
    anchored: bool,
}

impl Pattern {
    /// `None` where there is nothing to match: an empty `Disallow:` forbids nothing.
    pub(super) fn new(value: &[u8]) -> Option<Self> {
        let (value, anchored) = match value.strip_suffix(b"$") {
            Some(rest) => (rest, true),
            None => (value, false),
        };
        let text = normalised(value, |byte| byte == b'*');
        (anchored || !text.is_empty()).then_some(Self { text, anchored })
    }

    /// Octets of the pattern: of two that match, the longer one is the more specific.
    pub(super) fn octets(&self) -> usize {
        self.text.len() + usize::from(self.anchored)
    }

    /// `path` is what [`path_of`] gives.
    ///
    /// Every piece between wildcards is taken where it first fits: should the rest match anywhere, it also matches
    /// behind the first fit. So a hostile pattern costs no more than one look through the path per piece.
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut pieces = self.text.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = path.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return !self.anchored || rest.is_empty() };
        for piece in pieces {
            let Some((_, behind)) = rest.split_once(piece) else { return false };
            rest = behind;
        }
        if self.anchored { rest.ends_with(last) } else { rest.contains(last) }
    }
}

/// Path and query of a URL in the spelling in which patterns are compared.
pub(super) fn path_of(url: &Url) -> String {
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path.push('?');
        path += query;
    }
    normalised(path.as_bytes(), |_| false)
}

/// One spelling for paths that RFC 3986 (§6.2.2) calls equal: escapes of unreserved characters undone, others in
/// capitals, and all that is no URI character escaped. `*` and `$` are escaped unless `keep` says otherwise, as a
/// pattern matches them verbatim by their escapes alone (RFC 9309 §2.2.3).
fn normalised(bytes: &[u8], keep: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        let escaped = if *byte == b'%' { escape(behind) } else { None };
        rest = if escaped.is_some() { &behind[2..] } else { behind };
        match (escaped, *byte) {
            (Some(inner), _) if is_unreserved(inner) => text.push(char::from(inner)),
            (Some(inner), _) => push_escaped(&mut text, inner),
            (None, byte) if keep(byte) || is_unreserved(byte) || is_reserved(byte) => {
                text.push(char::from(byte));
            }
            (None, byte) => push_escaped(&mut text, byte),
        }
    }
    text
}

/// The byte that the two hexadecimal digits after a `%` stand for.
fn escape(behind: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn push_escaped(text: &mut String, byte: u8) {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
    text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 §2.2, without the two that patterns give a meaning.
fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!&'()+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        let url = Url::parse("http://h/").unwrap().join(url).unwrap();
        Pattern::new(pattern.as_bytes()).is_some_and(|pattern| pattern.matches(&path_of(&url)))
    }

    /// The slow and obvious way.
    fn by_backtracking(pattern: &[u8], path: &[u8], anchored: bool) -> bool {
        match (pattern, path) {
            ([], rest) => !anchored || rest.is_empty(),
            ([b'*', behind @ ..], rest) => {
                (0..=rest.len()).any(|skip| by_backtracking(behind, &rest[skip..], anchored))
            }
            ([p, behind @ ..], [c, rest @ ..]) => p == c && by_backtracking(behind, rest, anchored),
            _ => false,
        }
    }

    #[test]
    fn equal_spellings_are_equal() {
        for (pattern, url) in [
            ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
            ("/foo/bar/%e3%83%84", "/foo/bar/ツ"),
            ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
            ("/foo/bar/baz", "/foo/bar/%62%61%7A"),
            ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar"),
            ("/a b", "/a%20b"),
            ("/path/foo-%24", "/path/foo-$"),
            ("/path/foo-%2A$", "/path/foo-*"),
            ("/100%", "/100%25"),
        ] {
            assert!(matches(pattern, url), "{pattern} {url}");
        }
        assert!(!matches("/a%2Fb", "/a/b"), "an escaped slash is another path");
        assert!(!matches("/foo-%2A", "/foo-x"));
        assert!(!matches("/Fish", "/fish"));
    }

    #[test]
    fn a_dollar_means_the_end_only_at_the_end() {
        assert!(matches("/a$", "/a") && !matches("/a$", "/a/") && !matches("/a$", "/a?b"));
        assert!(matches("/a$b", "/a$bc") && !matches("/a$b", "/a"));
        assert!(matches("/*.php$", "/x.php/y.php") && !matches("/*.php$", "/x.php5"));
        assert!(!matches("$", "/") && matches("/$", "/") && Pattern::new(b"").is_none());
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = Pattern::new("/*a".repeat(50_000).as_bytes()).unwrap();
        assert!(!pattern.matches(&format!("/{}", "a".repeat(100_000))));
    }

    proptest! {
        #[test]
        fn the_quick_way_is_right(pattern in "[/ab*]{0,8}", path in "[/ab]{0,10}", anchored: bool) {
            let text = pattern.clone() + if anchored { "$" } else { "" };
            let found = Pattern::new(text.as_bytes()).is_some_and(|p| p.matches(&path));
            let wanted = by_backtracking(pattern.as_bytes(), path.as_bytes(), anchored);
            prop_assert_eq!(found, wanted && !text.is_empty());
        }

        #[test]
        fn normalising_twice_changes_nothing(bytes: Vec<u8>) {
            let once = normalised(&bytes, |_| false);
            prop_assert_eq!(normalised(once.as_bytes(), |_| false), once);
        }
    }
}
