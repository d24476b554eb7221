//! What a JPEG file tells before its first scan: size, components, colour, EXIF, colour profile.

use super::segments::{APP0, APP1, APP2, APP14, EOI, SOF0, SOF1, SOF2, SOS, Segment, Segments};
use crate::reason::Reason;

/// Progressive files with more scans are made to waste time: encoders write about ten.
const MAX_SCANS: usize = 100;

/// What the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// One component.
    Grey,
    /// Luma and two differences (JFIF, BT.601).
    YCbCr,
    /// Stored as they are.
    Rgb,
    /// Ink, stored as 255 minus its amount, as every reader takes it.
    Cmyk,
    /// `Cmyk` whose first three components are stored as differences.
    Ycck,
}

/// One component of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameComponent {
    pub(super) id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub(super) h: usize,
    /// Vertical sampling factor, 1 to 4.
    pub(super) v: usize,
    /// Its quantisation table, 0 to 3.
    pub(super) table: usize,
}

/// The frame header (T.81, B.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    pub(super) components: Vec<FrameComponent>,
}

impl Frame {
    /// Reads a frame header.
    ///
    /// # Errors
    /// [`Reason::Format`] for arithmetic coding, lossless and hierarchical files, and 12 bits; else
    /// [`Reason::Decode`].
    pub(super) fn read(segment: &Segment<'_>) -> Result<Self, Reason> {
        if !matches!(segment.marker, SOF0 | SOF1 | SOF2) {
            return Err(Reason::Format);
        }
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment.body else {
            return Err(Reason::Decode);
        };
        if precision != 8 || !matches!(count, 1 | 3 | 4) {
            return Err(Reason::Format);
        }
        let components = rest.chunks_exact(3).take(usize::from(count)).map(component);
        let frame = Self {
            width: usize::from(u16::from_be_bytes([w1, w0])),
            height: usize::from(u16::from_be_bytes([h1, h0])),
            progressive: segment.marker == SOF2,
            components: components.collect::<Result<_, _>>()?,
        };
        match frame.components.len() == usize::from(count) && frame.width > 0 && frame.height > 0 {
            true => Ok(frame),
            false => Err(Reason::Decode),
        }
    }

    /// The largest sampling factors: the size of a minimum coded unit in blocks.
    pub(super) fn sampling(&self) -> (usize, usize) {
        let most =
            |factor: fn(&FrameComponent) -> usize| self.components.iter().map(factor).max().unwrap_or(1);
        (most(|c| c.h), most(|c| c.v))
    }

    /// Blocks of 8 × 8 samples in all components, with those that fill up the last units.
    pub(super) fn blocks(&self) -> usize {
        let (h, v) = self.sampling();
        let units = self.width.div_ceil(8 * h) * self.height.div_ceil(8 * v);
        units * self.components.iter().map(|c| c.h * c.v).sum::<usize>()
    }
}

fn component(bytes: &[u8]) -> Result<FrameComponent, Reason> {
    let &[id, sampling, table] = bytes else { return Err(Reason::Decode) };
    let (h, v, table) = (usize::from(sampling >> 4), usize::from(sampling & 15), usize::from(table));
    match (1..=4).contains(&h) && (1..=4).contains(&v) && table < 4 {
        true => Ok(FrameComponent { id, h, v, table }),
        false => Err(Reason::Decode),
    }
}

/// Everything before the first scan.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) frame: Frame,
    pub(super) colour: Colour,
    /// The EXIF block, from its TIFF header on.
    pub(super) exif: Option<&'a [u8]>,
    icc: Vec<(u8, &'a [u8])>,
    /// The file behind the header of its first scan.
    scans: Segments<'a>,
}

impl<'a> Header<'a> {
    /// Reads the segments up to the first scan.
    ///
    /// # Errors
    /// [`Reason::Truncated`] when the file ends before, else those of [`Frame::read`].
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let mut segments = Segments::new(bytes);
        let (mut frame, mut exif, mut icc, mut jfif, mut adobe) = (None, None, Vec::new(), false, None);
        while let Some(segment) = segments.next() {
            match segment.marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => frame = Some(Frame::read(&segment)?),
                APP0 => jfif |= segment.body.starts_with(b"JFIF\0"),
                APP1 => exif = exif.or(segment.body.strip_prefix(b"Exif\0\0")),
                APP2 => icc.extend(profile_part(segment.body)),
                APP14 if segment.body.starts_with(b"Adobe") => adobe = segment.body.get(11).copied(),
                EOI => return Err(Reason::Decode),
                SOS => {
                    let frame = frame.ok_or(Reason::Decode)?;
                    let colour = colour(&frame, jfif, adobe);
                    return Ok(Self { frame, colour, exif, icc, scans: segments });
                }
                _ => {}
            }
        }
        Err(Reason::Truncated)
    }

    /// The colour profile (ICC.1, annex B.4): its parts in the order of their numbers, `None` if one is missing.
    pub(super) fn icc_profile(&self) -> Option<Vec<u8>> {
        let mut parts = self.icc.clone();
        parts.sort_by_key(|(number, _)| *number);
        let complete = !parts.is_empty() && (1_u8..).zip(&parts).all(|(n, (number, _))| n == *number);
        complete.then(|| parts.iter().flat_map(|(_, part)| part.iter().copied()).collect())
    }

    /// Whether the file has its end. Decoders fill what is missing with grey and say nothing; a thumbnail inside the
    /// metadata has an end marker of its own, so only what follows the first scan counts.
    pub(super) fn is_whole(&self) -> bool {
        let rest = self.scans.rest();
        rest.ends_with(&[0xFF, EOI]) || rest.windows(2).any(|pair| pair == [0xFF, EOI])
    }

    /// Whether a progressive file has so many scans that it can only be meant to waste time.
    pub(super) fn is_bomb(&self) -> bool {
        let more = || self.scans.clone().filter(|segment| segment.marker == SOS).nth(MAX_SCANS - 1);
        self.frame.progressive && more().is_some()
    }
}

fn profile_part(body: &[u8]) -> Option<(u8, &[u8])> {
    match body.strip_prefix(b"ICC_PROFILE\0")? {
        [number, _count, part @ ..] => Some((*number, part)),
        _ => None,
    }
}

/// The rules of libjpeg (`default_decompress_parms` in jdapimin.c), which are those of every browser.
fn colour(frame: &Frame, jfif: bool, adobe: Option<u8>) -> Colour {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    match (ids.as_slice(), adobe) {
        ([_], _) => Colour::Grey,
        ([_, _, _, _], Some(2)) => Colour::Ycck,
        ([_, _, _, _], _) => Colour::Cmyk,
        _ if jfif => Colour::YCbCr,
        (_, Some(0)) | ([b'R', b'G', b'B'], None) => Colour::Rgb,
        _ => Colour::YCbCr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ids: &[u8]) -> Frame {
        let mut body = vec![8, 0, 16, 0, 32, u8::try_from(ids.len()).unwrap()];
        body.extend(ids.iter().flat_map(|id| [*id, 0x11, 0]));
        Frame::read(&Segment { marker: SOF0, body: &body }).unwrap()
    }

    #[test]
    fn colours_follow_the_rules_of_libjpeg() {
        for (ids, jfif, adobe, expected) in [
            (&[1][..], false, Some(0), Colour::Grey),
            (&[1, 2, 3], false, None, Colour::YCbCr),
            (b"RGB", false, None, Colour::Rgb),
            (b"RGB", true, None, Colour::YCbCr),
            (&[1, 2, 3], false, Some(0), Colour::Rgb),
            (&[1, 2, 3], true, Some(0), Colour::YCbCr),
            (&[1, 2, 3, 4], true, None, Colour::Cmyk),
            (&[1, 2, 3, 4], false, Some(2), Colour::Ycck),
        ] {
            assert_eq!(colour(&frame(ids), jfif, adobe), expected, "{ids:?} {jfif} {adobe:?}");
        }
    }

    #[test]
    fn blocks_fill_up_the_last_units() {
        let body = [8, 0, 17, 0, 33, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
        let frame = Frame::read(&Segment { marker: SOF2, body: &body }).unwrap();
        assert_eq!((frame.width, frame.height, frame.progressive), (33, 17, true));
        assert_eq!(frame.blocks(), 3 * 2 * 6);
    }

    #[test]
    fn what_is_not_read_and_what_is_wrong_are_told_apart() {
        let read = |marker, body: &[u8]| Frame::read(&Segment { marker, body }).unwrap_err();
        assert_eq!(read(0xC9, &[8, 0, 1, 0, 1, 1, 1, 0x11, 0]), Reason::Format, "arithmetic coding");
        assert_eq!(read(SOF1, &[12, 0, 1, 0, 1, 1, 1, 0x11, 0]), Reason::Format, "12 bits");
        assert_eq!(read(SOF0, &[8, 0, 0, 0, 1, 1, 1, 0x11, 0]), Reason::Decode, "no height");
        assert_eq!(read(SOF0, &[8, 0, 1, 0, 1, 1, 1, 0x51, 0]), Reason::Decode, "a sampling factor of 5");
        assert_eq!(read(SOF0, &[8, 0, 1, 0, 1, 3, 1, 0x11, 0]), Reason::Decode, "two components missing");
    }

    #[test]
    fn a_profile_in_parts_is_put_together() {
        let part = |number: u8, text: &[u8]| {
            let body = [b"ICC_PROFILE\0", &[number, 2][..], text].concat();
            [&[0xFF, APP2, 0, u8::try_from(body.len() + 2).unwrap()][..], &body].concat()
        };
        let file = |parts: &[Vec<u8>]| {
            let frame = b"\xFF\xC0\0\x0B\x08\0\x01\0\x01\x01\x01\x11\0\xFF\xDA\0\x02";
            [b"\xFF\xD8", &parts.concat()[..], frame].concat()
        };
        let both = file(&[part(2, b"world"), part(1, b"hello ")]);
        assert_eq!(Header::read(&both).unwrap().icc_profile().unwrap(), b"hello world");
        assert_eq!(Header::read(&file(&[part(2, b"world")])).unwrap().icc_profile(), None);
        assert_eq!(Header::read(&file(&[])).unwrap().icc_profile(), None);
    }
}
