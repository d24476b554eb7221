//! The members of a gzip file (RFC 1952), inflated one after the other. Common Crawl packs every record into a member of
//! its own, so a damaged one costs that record alone: reading goes on at the next member.
//!
//! A member may be damaged so that it seems to go on into the next ones. The search for the next begins therefore
//! behind the damaged member's first byte, as far as that is still in memory, and never looks at more bytes twice than
//! it has seen once: any file is read in time proportional to its length.

use std::io::{self, Read};

use zlib_rs::crc32::crc32;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::buffer::Buffer;
use super::headers::BEGIN;
use crate::extract::counts::Malformed;

/// Bytes read from the file at a time.
const READ: usize = 256 << 10;
/// Bytes inflated at a time.
const INFLATE: usize = 128 << 10;
/// Packed bytes of a member that are kept for the search behind a damage.
const KEPT: usize = 1 << 20;
/// The longest header of a member.
const LONGEST_HEADER: usize = 64 << 10;
/// Base-2 logarithm of deflate's window.
const WINDOW_BITS: u8 = 15;

/// What a pull brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes behind those that were there.
    More,
    /// The member has ended as it should.
    Border,
    /// The member is damaged: what came of it is not to be trusted. Reading goes on at the next one.
    Damaged(Malformed),
    /// The file has ended.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A file that is not packed.
    Plain,
    /// Before a member's header.
    Between,
    /// In its deflate data.
    Inside,
    /// Before its checksum and length.
    Trailer,
}

/// The bytes of a file, unpacked if it is packed.
pub(super) struct Members<R> {
    reader: R,
    input: Vec<u8>,
    at: usize,
    end: usize,
    /// Where the member begins in `input`, as long as that is kept.
    begin: Option<usize>,
    state: State,
    inflate: Inflate,
    checksum: u32,
    length: u32,
    /// Bytes taken from the file, and those of them that were looked at again.
    seen: u64,
    again: u64,
}

impl<R: Read> Members<R> {
    /// Looks at the first bytes: what does not begin as a gzip file is not packed, unless members stand in it where records
    /// would.
    pub(super) fn open(reader: R) -> io::Result<Self> {
        let mut members = Self {
            reader,
            input: vec![0; KEPT + READ],
            at: 0,
            end: 0,
            begin: None,
            state: State::Plain,
            inflate: Inflate::new(false, WINDOW_BITS),
            checksum: 0,
            length: 0,
            seen: 0,
            again: 0,
        };
        let have = members.ahead(READ)?;
        let begin = &members.input[..have];
        let damaged = || memchr::memmem::find(begin, BEGIN).is_none() && next_header(begin).is_some();
        if begin.starts_with(&[0x1F, 0x8B]) || damaged() {
            members.state = State::Between;
        }
        Ok(members)
    }

    /// Bytes taken from the file.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the file is packed.
    pub(super) fn is_packed(&self) -> bool {
        self.state != State::Plain
    }

    /// Appends to `out`, or says why not.
    pub(super) fn pull(&mut self, out: &mut Buffer) -> io::Result<Piece> {
        match self.state {
            State::Plain => self.copy(out),
            State::Between => match self.header()? {
                Header::None => Ok(Piece::End),
                Header::Sound => self.pull(out),
                Header::Broken(reason) => self.damaged(reason),
            },
            State::Inside => self.inflate(out),
            State::Trailer => self.trailer(),
        }
    }

    fn copy(&mut self, out: &mut Buffer) -> io::Result<Piece> {
        if self.at == self.end && !self.refill()? {
            return Ok(Piece::End);
        }
        let bytes = &self.input[self.at..self.end];
        out.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        out.written(bytes.len());
        self.at = self.end;
        Ok(Piece::More)
    }

    fn header(&mut self) -> io::Result<Header> {
        // Some writers pad their files with zeros.
        while self.ahead(1)? == 1 && self.input[self.at] == 0 {
            self.at += 1;
        }
        self.begin = Some(self.at);
        let mut wanted = 10;
        loop {
            let have = self.ahead(wanted)?;
            let bytes = &self.input[self.at..self.at + have];
            match header_length(bytes) {
                _ if bytes.is_empty() => return Ok(Header::None),
                Some(Ok(length)) => {
                    self.at += length;
                    break;
                }
                Some(Err(())) => return Ok(Header::Broken(Malformed::Gzip)),
                None if have < wanted => return Ok(Header::Broken(Malformed::Truncated)),
                None if wanted >= LONGEST_HEADER => return Ok(Header::Broken(Malformed::Gzip)),
                None => wanted *= 2,
            }
        }
        self.inflate.reset(false);
        (self.checksum, self.length, self.state) = (0, 0, State::Inside);
        Ok(Header::Sound)
    }

    fn inflate(&mut self, out: &mut Buffer) -> io::Result<Piece> {
        loop {
            if self.at == self.end && !self.refill()? {
                return self.damaged(Malformed::Truncated);
            }
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let room = out.room(INFLATE);
            let done = self.inflate.decompress(&self.input[self.at..self.end], room, InflateFlush::NoFlush);
            let took = (self.inflate.total_in() - before.0) as usize;
            let made = (self.inflate.total_out() - before.1) as usize;
            self.checksum = crc32(self.checksum, &room[..made]);
            self.length = self.length.wrapping_add(made as u32);
            self.at += took;
            out.written(made);
            match done {
                Err(_) => return self.damaged(Malformed::Gzip),
                Ok(Status::StreamEnd) => self.state = State::Trailer,
                Ok(_) if took == 0 && made == 0 => return self.damaged(Malformed::Gzip),
                Ok(_) => {}
            }
            match (made, self.state) {
                (0, State::Trailer) => return self.trailer(),
                (0, _) => {}
                _ => return Ok(Piece::More),
            }
        }
    }

    fn trailer(&mut self) -> io::Result<Piece> {
        if self.ahead(8)? < 8 {
            return self.damaged(Malformed::Truncated);
        }
        let word = |at: usize| {
            let bytes = &self.input[self.at + at..self.at + at + 4];
            bytes.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
        };
        if (word(0), word(4)) != (self.checksum, self.length) {
            return self.damaged(Malformed::Checksum);
        }
        self.at += 8;
        (self.begin, self.state) = (None, State::Between);
        Ok(Piece::Border)
    }

    /// Goes to the next place where a member may begin.
    fn damaged(&mut self, reason: Malformed) -> io::Result<Piece> {
        let reached = self.at;
        let from = self.begin.take().map(|begin| (begin + 1).min(self.end));
        let from = from.filter(|from| self.again + (reached.saturating_sub(*from)) as u64 <= self.seen);
        self.at = from.unwrap_or(reached);
        self.again += reached.saturating_sub(self.at) as u64;
        self.state = State::Between;
        loop {
            let bytes = &self.input[self.at..self.end];
            if let Some(found) = next_header(bytes) {
                self.at += found;
                return Ok(Piece::Damaged(reason));
            }
            // A header may have begun at the end.
            self.at += bytes.len().saturating_sub(FIXED_HEADER - 1);
            if !self.refill()? {
                self.at = self.end;
                return Ok(Piece::Damaged(reason));
            }
        }
    }

    /// How many of `count` bytes are there.
    fn ahead(&mut self, count: usize) -> io::Result<usize> {
        while self.end - self.at < count && self.refill()? {}
        Ok((self.end - self.at).min(count))
    }

    /// Reads on; `false` at the end of the file.
    fn refill(&mut self) -> io::Result<bool> {
        let mut keep = self.begin.unwrap_or(self.at);
        if self.end - keep > KEPT {
            (keep, self.begin) = (self.at, None);
        }
        self.input.copy_within(keep..self.end, 0);
        self.at -= keep;
        self.end -= keep;
        self.begin = self.begin.map(|begin| begin - keep);
        let room = (self.end + READ).min(self.input.len());
        let read = loop {
            match self.reader.read(&mut self.input[self.end..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.end += read;
        self.seen += read as u64;
        Ok(read > 0)
    }
}

enum Header {
    None,
    Sound,
    Broken(Malformed),
}

/// Magic, method, flags, time, extra flags, system.
const FIXED_HEADER: usize = 10;

/// Where a header may begin: magic, method, no reserved flag, and a system and extra flags that writers know.
fn next_header(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(bytes, &[0x1F, 0x8B, 8]).find(|at| {
        let fits = |header: &[u8]| {
            header[3] & 0xE0 == 0 && matches!(header[8], 0 | 2 | 4) && matches!(header[9], 0..=13 | 255)
        };
        bytes.get(*at..*at + FIXED_HEADER).is_some_and(fits)
    })
}

/// Bytes of a member's header; `None` while it has not ended, an error for what is none.
fn header_length(bytes: &[u8]) -> Option<Result<usize, ()>> {
    let magic = [0x1F, 0x8B, 8];
    let begins = bytes.iter().zip(magic).all(|(found, wanted)| *found == wanted);
    if !begins || bytes.get(3).is_some_and(|flags| flags & 0xE0 != 0) {
        return Some(Err(()));
    }
    let flags = *bytes.get(3)?;
    let mut at = FIXED_HEADER;
    if flags & 4 != 0 {
        let extra = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    (bytes.len() >= at).then_some(Ok(at))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    pub(super) fn member(content: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(content).unwrap();
        packed.finish().unwrap()
    }

    /// Content and events, those of content left out.
    fn read(file: &[u8]) -> (Vec<Vec<u8>>, Vec<Piece>) {
        let (mut members, mut buffer) = (Members::open(file).unwrap(), Buffer::new());
        let (mut content, mut events) = (Vec::new(), Vec::new());
        loop {
            match members.pull(&mut buffer).unwrap() {
                Piece::More => {}
                Piece::End => return (content, events),
                event => {
                    events.push(event);
                    if event == Piece::Border {
                        content.push(buffer.rest().to_vec());
                    }
                    buffer.take(buffer.len());
                }
            }
        }
    }

    #[test]
    fn members_come_one_after_the_other() {
        let named = GzBuilder::new()
            .filename("a.warc")
            .comment("b")
            .extra(vec![1, 2, 3])
            .write(Vec::new(), Compression::best());
        let mut named = named;
        named.write_all(b"two").unwrap();
        let long = vec![7; 1_000_000];
        let file =
            [member(b"one"), named.finish().unwrap(), vec![0; 20], member(&long), member(b"")].concat();
        let (content, events) = read(&file);
        assert_eq!(content, [b"one".to_vec(), b"two".to_vec(), long, Vec::new()]);
        assert_eq!(events, [Piece::Border; 4]);
    }

    #[test]
    fn a_file_that_is_not_packed_is_passed_on() {
        let mut buffer = Buffer::new();
        let mut members = Members::open(&b"WARC/1.0"[..]).unwrap();
        assert_eq!(members.pull(&mut buffer).unwrap(), Piece::More);
        assert_eq!((members.pull(&mut buffer).unwrap(), buffer.rest()), (Piece::End, &b"WARC/1.0"[..]));
    }

    /// Text that packs badly, so that a damage hits data.
    fn noise(seed: u32, count: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            b'a' + (state % 23) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_damaged_member_costs_itself_alone() {
        let parts: Vec<_> = (0..5).map(|seed| noise(seed, 5000)).collect();
        let packed: Vec<_> = parts.iter().map(|part| member(part)).collect();
        let begin = packed[0].len() + packed[1].len();
        for (damage, reasons) in [
            (begin + 1, &[Malformed::Gzip][..]),
            (begin + 2000, &[Malformed::Gzip, Malformed::Checksum]),
            (begin + packed[2].len() - 6, &[Malformed::Checksum]),
        ] {
            let mut file = packed.concat();
            file[damage] ^= 0x55;
            let (content, events) = read(&file);
            assert_eq!(content, [&parts[0][..], &parts[1], &parts[3], &parts[4]], "{damage}");
            let damaged: Vec<_> = events
                .iter()
                .filter_map(|e| if let Piece::Damaged(why) = e { Some(why) } else { None })
                .collect();
            assert!(damaged.len() == 1 && reasons.contains(damaged[0]), "{damaged:?}");
        }
    }

    #[test]
    fn a_member_that_is_cut_does_not_take_the_next_with_it() {
        let (one, two, three) = (noise(1, 9000), noise(2, 9000), noise(3, 9000));
        let cut = member(&one);
        let file = [&cut[..cut.len() / 2], &member(&two), &member(&three)].concat();
        assert_eq!(read(&file).0, [two, three]);
        let last = [member(&one), cut[..cut.len() - 3].to_vec()].concat();
        assert_eq!(read(&last), (vec![one], vec![Piece::Border, Piece::Damaged(Malformed::Truncated)]));
    }

    #[test]
    fn garbage_between_members_is_passed_over() {
        let garbage = noise(9, 700_000);
        let file = [member(b"one"), garbage, member(b"two")].concat();
        let (content, events) = read(&file);
        assert_eq!(content, [b"one", b"two"]);
        assert_eq!(events, [Piece::Border, Piece::Damaged(Malformed::Gzip), Piece::Border]);
    }

    #[test]
    fn headers_without_members_take_time_by_their_length() {
        // Each begins a stored block that reaches over a thousand of the others.
        let header = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0, 0xFF, 0x7F, 0, 0x80];
        let file = header.repeat(200_000);
        let (mut members, mut buffer) = (Members::open(&file[..]).unwrap(), Buffer::new());
        let mut made = 0;
        loop {
            let piece = members.pull(&mut buffer).unwrap();
            made += buffer.len();
            buffer.take(buffer.len());
            if piece == Piece::End {
                break;
            }
        }
        assert!(members.again <= members.seen && made < 3 * file.len(), "{} {made}", members.again);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes: Vec<u8>, sound in 0_usize..40) {
            let packed = member(b"WARC/1.0\r\n\r\n some content that is packed");
            let file = [&packed[..sound.min(packed.len())], &bytes].concat();
            read(&file);
        }

        #[test]
        fn pieces_of_the_file_do_not_matter(sizes in proptest::collection::vec(1_usize..700, 1..50)) {
            struct Slow<'a>(&'a [u8], std::iter::Cycle<std::vec::IntoIter<usize>>);
            impl Read for Slow<'_> {
                fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                    let count = self.1.next().unwrap().min(buffer.len());
                    self.0.read(&mut buffer[..count])
                }
            }
            let parts: Vec<_> = (0..4).map(|seed| noise(seed, 3000)).collect();
            let file: Vec<u8> = parts.iter().flat_map(|part| member(part)).collect();
            let mut members = Members::open(Slow(&file, sizes.into_iter().cycle())).unwrap();
            let (mut buffer, mut all) = (Buffer::new(), Vec::new());
            loop {
                match members.pull(&mut buffer).unwrap() {
                    Piece::More => {}
                    Piece::Border => { all.push(buffer.rest().to_vec()); buffer.take(buffer.len()); }
                    Piece::Damaged(why) => panic!("{why:?}"),
                    Piece::End => break,
                }
            }
            prop_assert_eq!(all, parts);
        }
    }
}
