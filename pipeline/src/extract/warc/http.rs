//! The HTTP answer inside a response record: its head, and its body freed of what the way over the network put around it.

use bytes::Bytes;

use super::headers::{Headers, head_length};
use crate::crawl::Packing;
use crate::extract::counts::Malformed;

/// An answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::extract) struct Answer<'a> {
    /// The status code.
    pub(in crate::extract) status: u16,
    /// Its header lines.
    pub(in crate::extract) headers: Headers<'a>,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Takes the body of a record apart; `None` where no answer begins.
    pub(in crate::extract) fn of(record: &'a [u8]) -> Option<Self> {
        let rest = record.strip_prefix(b"HTTP/")?;
        let line = rest.split(|byte| *byte == b'\n').next()?;
        let status = std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        // An answer may end with its head, and even that without an empty line.
        let head = head_length(record).and_then(Result::ok).unwrap_or(record.len());
        Some(Self { status, headers: Headers(&record[..head]), body: &record[head..] })
    }

    /// The body, `most` bytes of it at most.
    ///
    /// Common Crawl stores bodies unpacked under another name of the header; other crawlers as they came, in chunks and
    /// packed. Neither is believed without a look at the bytes.
    pub(in crate::extract) fn body(&self, most: u64) -> Result<Bytes, Malformed> {
        let chunked =
            self.headers.all("Transfer-Encoding").any(|coding| coding.eq_ignore_ascii_case("chunked"));
        let joined = chunked.then(|| join_chunks(self.body)).flatten();
        let body = joined.map_or_else(|| Bytes::copy_from_slice(self.body), Bytes::from);
        let packing =
            self.headers.get("Content-Encoding").map_or(Packing::None, |name| Packing::named(&name));
        if packing == Packing::Other && body.trim_ascii_start().starts_with(b"<") {
            return Ok(body);
        }
        packing.unpack(body, most).map_err(|_| Malformed::ContentEncoding)
    }
}

/// The bytes of a chunked body (RFC 9112 §7.1), as far as it goes; `None` for a body that does not begin as one.
fn join_chunks(body: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((size, data)) = chunk(rest) {
        let (data, behind) = data.split_at(size.min(data.len()));
        joined.extend_from_slice(data);
        if size == 0 {
            return Some(joined);
        }
        rest = behind.strip_prefix(b"\r\n").or_else(|| behind.strip_prefix(b"\n")).unwrap_or(behind);
    }
    (rest.len() < body.len()).then_some(joined)
}

/// Size of a chunk, and what lies behind the line that tells it.
fn chunk(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let newline = bytes.iter().take(1000).position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..newline]).ok()?;
    let size = line.split(';').next()?.trim();
    Some((usize::from_str_radix(size, 16).ok()?, &bytes[newline + 1..]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn body(head: &str, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        let record = [format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat();
        let answer = Answer::of(&record).unwrap();
        assert_eq!(answer.status, 200);
        answer.body(1000).map(|body| body.to_vec())
    }

    #[test]
    fn chunks_are_joined_if_they_are_chunks() {
        let chunked = "Transfer-Encoding: chunked\r\n";
        assert_eq!(body(chunked, b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n").unwrap(), b"abcdefgh");
        assert_eq!(body(chunked, b"3\r\nabc\r\n5\r\nde").unwrap(), b"abcde", "cut");
        assert_eq!(body(chunked, b"<html>\n</html>").unwrap(), b"<html>\n</html>", "joined by the archiver");
        assert_eq!(body("", b"3\r\nabc\r\n0\r\n\r\n").unwrap(), b"3\r\nabc\r\n0\r\n\r\n");
    }

    #[test]
    fn packed_bodies_are_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[b'x'; 900]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(body("Content-Encoding: gzip\r\n", &packed).unwrap(), [b'x'; 900]);
        assert_eq!(body("Content-Encoding: gzip\r\n", b"<p>").unwrap(), b"<p>", "unpacked by the archiver");
        assert_eq!(body("Content-Encoding: gzip\r\n", &packed[..20]), Err(Malformed::ContentEncoding));
        assert_eq!(body("Content-Encoding: br\r\n", b"?"), Err(Malformed::ContentEncoding));
        assert_eq!(body("Content-Encoding: br\r\n", b" <p>").unwrap(), b" <p>");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert!(Answer::of(b"<html>").is_none());
        assert!(Answer::of(b"HTTP/1.1\r\n\r\n").is_none());
        assert_eq!(Answer::of(b"HTTP/1.0 404 Not Found").unwrap().status, 404);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, size in 0_usize..100) {
            join_chunks(&[format!("{size:x}\r\n").as_bytes(), &bytes].concat());
            let record = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat();
            let _ = Answer::of(&record).map(|answer| answer.body(50));
        }
    }
}
