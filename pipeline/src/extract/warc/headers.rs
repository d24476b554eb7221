//! Header lines as WARC and HTTP write them: `Name: value`, names compared without regard to case.

use std::borrow::Cow;

/// The lines of a head; its first line, `WARC/1.0` or `HTTP/1.1 200 OK`, has no name and is never found.
#[derive(Clone, Copy, Debug)]
pub(in crate::extract) struct Headers<'a>(pub(super) &'a [u8]);

impl<'a> Headers<'a> {
    /// A head that lies in memory.
    pub(in crate::extract) fn new(head: &'a [u8]) -> Self {
        Self(head)
    }

    /// All values of a name.
    pub(in crate::extract) fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0.split(|byte| *byte == b'\n').filter_map(move |line| {
            let value = line.get(name.len()..)?.strip_prefix(b":")?;
            let named = line[..name.len()].eq_ignore_ascii_case(name.as_bytes());
            named.then(|| String::from_utf8_lossy(value.trim_ascii()))
        })
    }

    /// The first value of a name.
    pub(in crate::extract) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// Name and value of every line that has both.
    pub(in crate::extract) fn iter(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let text = |bytes: &'a [u8]| String::from_utf8_lossy(bytes.trim_ascii());
            Some((text(&line[..colon]), text(&line[colon + 1..])))
        })
    }
}

/// How a WARC record begins.
pub(super) const BEGIN: &[u8] = b"WARC/1.";

/// A head in which a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interrupted;

/// Where a head ends, its empty line included; `None` if it does not.
pub(super) fn head_length(bytes: &[u8]) -> Option<Result<usize, Interrupted>> {
    let mut line = 0;
    loop {
        line += memchr::memchr(b'\n', &bytes[line..])? + 1;
        match &bytes[line..] {
            [b'\n', ..] => return Some(Ok(line + 1)),
            [b'\r', b'\n', ..] => return Some(Ok(line + 2)),
            text if text.starts_with(BEGIN) => return Some(Err(Interrupted)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_values_no_blanks_around() {
        let headers =
            Headers(b"HTTP/1.1 200 OK\r\nContent-type:  text/html \r\nX: a\r\nx: b\nBroken\r\nY:\r\n\r\n");
        assert_eq!(headers.get("Content-Type").as_deref(), Some("text/html"));
        assert_eq!(headers.all("x").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            (headers.get("y").as_deref(), headers.get("Broken"), headers.get("HTTP/1.1")),
            (Some(""), None, None)
        );
        assert_eq!(headers.iter().count(), 4);
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(head_length(b"a: b\r\n\r\nbody"), Some(Ok(8)));
        assert_eq!(head_length(b"a: b\n\nbody"), Some(Ok(6)));
        assert_eq!(head_length(b"a: b\n\r\nbody"), Some(Ok(7)));
        assert_eq!(head_length(b"a: b\nWARC/1.0\r\n\r\n"), Some(Err(Interrupted)));
        assert_eq!((head_length(b"a: b\r\nc: d\r\n"), head_length(b"")), (None, None));
    }
}
