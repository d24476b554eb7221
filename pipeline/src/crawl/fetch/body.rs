//! The body of an answer: read within its limits, then freed of a compression that nobody asked for.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;
use tokio::time::Instant;

use super::Failure;
use super::limits::Limits;
use crate::reason::Reason;

/// How a body is packed (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Deflate,
    Zstd,
    /// Not read here: `br`, or several in a row.
    Other,
}

impl Packing {
    /// By `Content-Encoding`.
    pub(super) fn of(response: &Response) -> Self {
        let mut values = response.headers().get_all(CONTENT_ENCODING).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            let twice = response.headers().get_all(CONTENT_ENCODING).iter().count() > 1;
            return if twice { Self::Other } else { Self::None };
        };
        Self::named(value.to_str().unwrap_or(""))
    }

    /// By the value of the header; words that name no compression (`none`, `utf-8`, …) are mistakes that do no harm.
    pub(crate) fn named(value: &str) -> Self {
        match value.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "zstd" => Self::Zstd,
            "br" | "compress" | "x-compress" | "dcb" | "dcz" => Self::Other,
            several if several.contains(',') => Self::Other,
            _ => Self::None,
        }
    }

    /// Unpacks, `most` bytes at most. A body that is not packed as its header says is left as it is: it may well be
    /// the image itself.
    pub(crate) fn unpack(self, body: Bytes, most: u64) -> Result<Bytes, Reason> {
        match self {
            Self::Gzip if body.starts_with(&[0x1F, 0x8B]) => drain(MultiGzDecoder::new(&*body), most),
            Self::Deflate if is_zlib(&body) => drain(ZlibDecoder::new(&*body), most),
            Self::Zstd if body.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) => {
                drain(zstd::Decoder::with_buffer(&*body).map_err(|_| Reason::ContentEncoding)?, most)
            }
            Self::Other => Err(Reason::ContentEncoding),
            _ => Ok(body),
        }
    }
}

/// By the header of RFC 1950 §2.2.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 15 == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

fn drain(packed: impl Read, most: u64) -> Result<Bytes, Reason> {
    let mut body = Vec::new();
    packed.take(most + 1).read_to_end(&mut body).map_err(|_| Reason::ContentEncoding)?;
    if body.len() as u64 > most { Err(Reason::TooLarge) } else { Ok(body.into()) }
}

/// Reads to the end, which lets the connection be used again.
pub(super) async fn read(
    mut response: Response,
    limits: &Limits,
    deadline: Instant,
) -> Result<Bytes, Failure> {
    let start = Instant::now();
    let length = response.content_length();
    let expected = length.unwrap_or(0).min(limits.max_bytes);
    // Copied out of the connection's buffer, which is larger and would stay in memory as long as the body.
    let mut body = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = response.chunk() => chunk,
            reason = limits.broken(start, body.len(), deadline) => return Err(reason.into()),
        };
        let Some(chunk) = chunk.map_err(|e| Failure::of_body(&e, body.len(), length))? else {
            return Ok(body.freeze());
        };
        if (body.len() + chunk.len()) as u64 > limits.max_bytes {
            return Err(Reason::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(content: &[u8]) -> Bytes {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(content).unwrap();
        packed.finish().unwrap().into()
    }

    #[test]
    fn packed_bodies_are_unpacked() {
        let content = [7; 5000].as_slice();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(content).unwrap();
        let zlib = zlib.finish().unwrap();
        let zstd = zstd::encode_all(content, 1).unwrap();
        for (packing, packed) in
            [(Packing::Gzip, gzip(content)), (Packing::Deflate, zlib.into()), (Packing::Zstd, zstd.into())]
        {
            assert_eq!(packing.unpack(packed.clone(), 5000).unwrap(), content, "{packing:?}");
            assert_eq!(packing.unpack(packed, 4999), Err(Reason::TooLarge), "{packing:?}");
        }
    }

    #[test]
    fn a_small_bomb_stops_at_the_cap() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(Packing::Gzip.unpack(bomb, 1 << 20), Err(Reason::TooLarge));
    }

    #[test]
    fn a_body_that_is_not_packed_is_left_alone_and_a_cut_one_is_told() {
        let picture = Bytes::from_static(b"\xFF\xD8\xFF\xE0");
        for packing in [Packing::None, Packing::Gzip, Packing::Deflate, Packing::Zstd] {
            assert_eq!(packing.unpack(picture.clone(), 100).unwrap(), picture, "{packing:?}");
        }
        let packed = gzip(&[1; 1000]);
        let cut = packed.slice(..packed.len() - 9);
        assert_eq!(Packing::Gzip.unpack(cut, 5000), Err(Reason::ContentEncoding));
        assert_eq!(Packing::Other.unpack(picture, 100), Err(Reason::ContentEncoding));
    }
}
