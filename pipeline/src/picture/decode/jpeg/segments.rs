//! The marker segments of a JPEG file (ITU-T T.81, annex B).

/// Start of frame, baseline.
pub(super) const SOF0: u8 = 0xC0;
/// Start of frame, extended sequential.
pub(super) const SOF1: u8 = 0xC1;
/// Start of frame, progressive.
pub(super) const SOF2: u8 = 0xC2;
/// Huffman tables.
pub(super) const DHT: u8 = 0xC4;
/// End of image.
pub(super) const EOI: u8 = 0xD9;
/// Start of scan; entropy-coded data follows its body.
pub(super) const SOS: u8 = 0xDA;
/// Quantisation tables.
pub(super) const DQT: u8 = 0xDB;
/// Restart interval.
pub(super) const DRI: u8 = 0xDD;
/// JFIF.
pub(super) const APP0: u8 = 0xE0;
/// EXIF.
pub(super) const APP1: u8 = 0xE1;
/// Colour profile.
pub(super) const APP2: u8 = 0xE2;
/// Adobe's colour transform.
pub(super) const APP14: u8 = 0xEE;

/// A marker and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// The second byte of the marker.
    pub(super) marker: u8,
    /// The bytes behind the length; none for markers without a length.
    pub(super) body: &'a [u8],
}

/// Walks from segment to segment. What lies between two of them is passed over, entropy-coded data (with its restart
/// markers) as well as the garbage that some cameras write.
#[derive(Clone, Debug)]
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    /// Where the next segment is looked for.
    pub(super) at: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What comes after the segment that was returned last.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    /// `None` at the end of the file, also inside a segment.
    fn next(&mut self) -> Option<Segment<'a>> {
        loop {
            self.at += self.rest().iter().position(|byte| *byte == 0xFF)? + 1;
            match *self.bytes.get(self.at)? {
                // Fill bytes, stuffed bytes, and markers that stand alone.
                0xFF => {}
                0x00 | 0x01 | 0xD0..=0xD8 => self.at += 1,
                EOI => {
                    self.at += 1;
                    return Some(Segment { marker: EOI, body: &[] });
                }
                marker => {
                    let length = self.bytes.get(self.at + 1..self.at + 3)?;
                    let end = self.at + 1 + usize::from(u16::from_be_bytes(length.try_into().ok()?));
                    let body = self.bytes.get(self.at + 3..end)?;
                    self.at = end;
                    return Some(Segment { marker, body });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_coded_data_and_garbage_are_passed_over() {
        let file = b"\xFF\xD8\xFF\xFF\xDD\0\x04\0\x08garbage\xFF\xDA\0\x02\x12\xFF\0\x34\xFF\xD0\x56\xFF\xD9";
        let mut segments = Segments::new(file);
        assert_eq!(segments.next(), Some(Segment { marker: DRI, body: &[0, 8] }));
        assert_eq!(segments.next(), Some(Segment { marker: SOS, body: &[] }));
        assert_eq!(segments.rest()[0], 0x12);
        assert_eq!(segments.next(), Some(Segment { marker: EOI, body: &[] }));
        assert_eq!(segments.next(), None);
    }

    #[test]
    fn a_cut_segment_is_the_end() {
        assert_eq!(Segments::new(b"\xFF\xD8\xFF\xDD\0\x04\0").next(), None);
        assert_eq!(Segments::new(b"\xFF\xD8\xFF\xDD\0\0").next(), None, "a length below its own two bytes");
        assert_eq!(Segments::new(b"\xFF").next(), None);
    }
}
