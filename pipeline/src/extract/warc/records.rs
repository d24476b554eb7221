//! WARC records, one after the other: `WARC/1.0`, header lines, an empty line, as many bytes as Content-Length says, two
//! line ends.
//!
//! A record that is not so is counted with its reason, and reading goes on: at the next gzip member where the file is
//! packed, else at the next line that begins with `WARC/1.`. A Content-Length that is too large would swallow the records
//! behind it, so a record has to end where another one, a member or the file does; if it does not, the search goes back
//! to its head.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

use super::buffer::Buffer;
use super::gzip::{Members, Piece};
use super::headers::{BEGIN, Headers, head_length};
use crate::extract::counts::Malformed;

/// The longest head of a record.
const LONGEST_HEAD: usize = 64 << 10;
/// Line ends behind a record.
const TRAILER: usize = 4;

/// What a record is, by its `WARC-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Kind {
    /// An answer of a server.
    Response,
    /// A file without the answer around it.
    Resource,
    /// Something about another record: in a WAT file all that there is.
    Metadata,
    /// An answer that is the same as an earlier one.
    Revisit,
    /// Requests, conversions (WET), information about the file.
    Other,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extract) enum Next {
    /// A record: where its head and its body lie in [`Records::bytes`], until the next call.
    Record { kind: Kind, head: Range<usize>, body: Range<usize> },
    /// Something that should be a record and is none.
    Malformed(Malformed),
    /// The file has ended.
    End,
}

/// The records of a file, packed or not.
pub(in crate::extract) struct Records<R> {
    members: Members<R>,
    data: Buffer,
    /// Bytes of `data` that belong to the record handed out last.
    given: usize,
    /// Unpacked bytes of the file that were taken from the front of `data`.
    taken: u64,
    /// Where members of the file end, in unpacked bytes of the file, as far as that lies in `data`.
    borders: VecDeque<u64>,
    /// Borders before this place have been looked at by [`Records::cut`]: each is once, however small members are.
    looked: u64,
    largest: usize,
}

impl<R: Read> Records<R> {
    /// The records of a file whose bodies have at most `largest` bytes.
    pub(in crate::extract) fn open(reader: R, largest: u64) -> io::Result<Self> {
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        let members = Members::open(reader)?;
        Ok(Self {
            members,
            data: Buffer::new(),
            given: 0,
            taken: 0,
            borders: VecDeque::new(),
            looked: 0,
            largest,
        })
    }

    /// The bytes that a [`Next::Record`] tells the places of.
    pub(in crate::extract) fn bytes(&self) -> &[u8] {
        self.data.rest()
    }

    /// Bytes taken from the file.
    pub(in crate::extract) fn seen(&self) -> u64 {
        self.members.seen()
    }

    /// The next record, or what is in its place.
    ///
    /// # Errors
    /// A file that cannot be read; what is wrong with its content is no error.
    pub(in crate::extract) fn next(&mut self) -> io::Result<Next> {
        self.take(self.given);
        self.given = 0;
        loop {
            let blank = line_ends(self.data.rest());
            self.take(blank);
            if self.data.len() >= BEGIN.len() {
                break;
            }
            match self.more()? {
                Piece::More | Piece::Border => {}
                Piece::End if self.data.is_empty() => return Ok(Next::End),
                Piece::End => return Ok(self.give_up(Malformed::Truncated)),
                Piece::Damaged(reason) => return Ok(self.give_up(reason)),
            }
        }
        match self.data.rest().starts_with(BEGIN) {
            true => self.record(),
            false => self.search(1, Malformed::Header),
        }
    }

    /// The record that begins here.
    fn record(&mut self) -> io::Result<Next> {
        let head = loop {
            match head_length(self.data.rest()) {
                Some(Ok(length)) if length <= LONGEST_HEAD => break length,
                None if self.data.len() <= LONGEST_HEAD => {}
                _ => return self.search(1, Malformed::Header),
            }
            let piece = self.more()?;
            if let Some(cut) = self.cut(piece, usize::MAX)? {
                return Ok(cut);
            }
        };
        let headers = Headers(&self.data.rest()[..head]);
        let length = headers.get("Content-Length").and_then(|text| text.parse::<usize>().ok());
        let kind = kind(headers);
        match length {
            None => self.search(head, Malformed::Length),
            Some(length) if length > self.largest => self.search(head, Malformed::TooLarge),
            Some(length) => self.body(kind, head, head + length),
        }
    }

    fn body(&mut self, kind: Kind, head: usize, end: usize) -> io::Result<Next> {
        while self.data.len() < end + TRAILER {
            let piece = self.more()?;
            if matches!(piece, Piece::Border | Piece::End) && self.data.len() >= end {
                break;
            }
            if let Some(cut) = self.cut(piece, end)? {
                return Ok(cut);
            }
        }
        // A packed record is sound once its member is, which may have nothing more to give than its checksum.
        if self.members.is_packed()
            && self.data.len() == end + TRAILER
            && let Piece::Damaged(reason) = self.more()?
        {
            return Ok(self.give_up(reason));
        }
        if !self.ends_well(end) {
            return self.search(head, Malformed::WrongLength);
        }
        self.given = end;
        Ok(Next::Record { kind, head: 0..head, body: head..end })
    }

    /// What is in the record's place if it does not go on as far as `end`. A member's end is the record's only if
    /// another record begins behind it: there are files whose members end anywhere.
    fn cut(&mut self, piece: Piece, end: usize) -> io::Result<Option<Next>> {
        match piece {
            Piece::Damaged(reason) => return Ok(Some(self.give_up(reason))),
            // The length may have been too large: what it would have swallowed is still there.
            Piece::End => return self.search(1, Malformed::Truncated).map(Some),
            Piece::More | Piece::Border => {}
        }
        let first = self.borders.partition_point(|border| *border < self.looked);
        let bytes = self.data.rest();
        for border in self.borders.range(first..) {
            let at = (border - self.taken) as usize;
            if at >= end || at + BEGIN.len() > bytes.len() {
                break;
            }
            self.looked = border + 1;
            if at > 0 && bytes[at..].starts_with(BEGIN) {
                self.take(at);
                return Ok(Some(Next::Malformed(Malformed::Truncated)));
            }
        }
        Ok(None)
    }

    /// Whether what lies behind a record may lie there: line ends and another record, another member, nothing.
    fn ends_well(&self, end: usize) -> bool {
        let behind = &self.data.rest()[end..];
        let blank = line_ends(behind);
        let next = &behind[blank..];
        let known = next.len().min(BEGIN.len());
        // Within a member whose checksum is still to come a damaged length may end at any pair of line ends.
        let trusted = !self.members.is_packed() || next[..known] == BEGIN[..known];
        (blank >= 2 && trusted) || next.is_empty() || self.is_border(end + blank)
    }

    /// Goes on at the next record at or behind `from`.
    fn search(&mut self, mut from: usize, reason: Malformed) -> io::Result<Next> {
        loop {
            if let Some(found) = self.begin_behind(from) {
                self.take(found);
                return Ok(Next::Malformed(reason));
            }
            // A record may have begun at the end.
            self.take(self.data.len().saturating_sub(BEGIN.len() + 1));
            from = 0;
            if let Piece::Damaged(_) | Piece::End = self.more()? {
                return Ok(self.give_up(reason));
            }
        }
    }

    /// Where a record may begin: where a member does, or behind a line end.
    fn begin_behind(&self, from: usize) -> Option<usize> {
        let bytes = self.data.rest();
        let found = memchr::memmem::find_iter(bytes.get(from..)?, BEGIN).map(|at| from + at);
        found.into_iter().find(|at| *at > 0 && bytes[at - 1] == b'\n' || self.is_border(*at))
    }

    fn more(&mut self) -> io::Result<Piece> {
        let piece = self.members.pull(&mut self.data)?;
        let end = self.taken + self.data.len() as u64;
        if piece == Piece::Border && self.borders.back() != Some(&end) {
            self.borders.push_back(end);
        }
        Ok(piece)
    }

    /// Leaves out all that is there.
    fn give_up(&mut self, reason: Malformed) -> Next {
        self.take(self.data.len());
        Next::Malformed(reason)
    }

    fn take(&mut self, count: usize) {
        self.data.take(count);
        self.taken += count as u64;
        while self.borders.front().is_some_and(|border| *border < self.taken) {
            self.borders.pop_front();
        }
    }

    /// Whether a member ends at a place of `data`.
    fn is_border(&self, at: usize) -> bool {
        self.borders.binary_search(&(self.taken + at as u64)).is_ok()
    }
}

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

fn kind(headers: Headers<'_>) -> Kind {
    match headers.get("WARC-Type").map(|kind| kind.to_ascii_lowercase()).as_deref() {
        Some("response") => Kind::Response,
        Some("resource") => Kind::Resource,
        Some("metadata") => Kind::Metadata,
        Some("revisit") => Kind::Revisit,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn record(kind: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}\r\n\r\n")
            .into_bytes()
    }

    fn member(content: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(content).unwrap();
        packed.finish().unwrap()
    }

    /// Bodies, and what is malformed between them.
    fn read(file: &[u8]) -> Vec<Result<String, Malformed>> {
        let mut records = Records::open(file, 100_000).unwrap();
        let mut found = Vec::new();
        loop {
            match records.next().unwrap() {
                Next::Record { body, .. } => {
                    found.push(Ok(String::from_utf8_lossy(&records.bytes()[body]).into_owned()));
                }
                Next::Malformed(reason) => found.push(Err(reason)),
                Next::End => return found,
            }
        }
    }

    fn ok(text: &str) -> Result<String, Malformed> {
        Ok(text.to_owned())
    }

    #[test]
    fn records_are_told_apart_packed_or_not() {
        let parts =
            [record("warcinfo", "a"), record("response", ""), record("Metadata", &"long ".repeat(9999))];
        let all = [ok("a"), ok(""), ok(&"long ".repeat(9999))];
        assert_eq!(read(&parts.concat()), all);
        assert_eq!(read(&member(&parts.concat())), all, "one member");
        assert_eq!(
            read(&parts.iter().flat_map(|part| member(part)).collect::<Vec<_>>()),
            all,
            "a member each"
        );
        let blocks = parts.concat();
        let blocks: Vec<u8> = blocks.chunks(37).flat_map(member).collect();
        assert_eq!(read(&blocks), all, "members that end anywhere");
        let unix =
            b"WARC/1.1\nContent-Length: 3\nWARC-Type: response\n\nabc\n\nWARC/1.1\nContent-Length: 1\n\nd";
        assert_eq!(read(unix), [ok("abc"), ok("d")]);
    }

    #[test]
    fn kinds_are_those_of_the_head() {
        let file = record("response", "x");
        let mut records = Records::open(&file[..], 10).unwrap();
        let Next::Record { kind, head, body } = records.next().unwrap() else { panic!() };
        assert_eq!((kind, &records.bytes()[body]), (Kind::Response, &b"x"[..]));
        assert_eq!(Headers(&records.bytes()[head]).get("content-length").as_deref(), Some("1"));
        assert_eq!((records.next().unwrap(), records.seen()), (Next::End, file.len() as u64));
    }

    #[test]
    fn a_malformed_record_does_not_hide_the_next() {
        let (first, last) = (record("response", "first"), record("response", "last"));
        let text = String::from_utf8(record("response", "some body")).unwrap();
        for (damaged, reason) in [
            (text.replace("Content-Length: 9", "Content-Length: 5"), Malformed::WrongLength),
            (text.replace("Content-Length: 9", "Content-Length: 30"), Malformed::WrongLength),
            (text.replace("Content-Length: 9", "Content-Length: 99999999999"), Malformed::TooLarge),
            (text.replace("Content-Length: 9", "Content-Length: none"), Malformed::Length),
            (text.replace("Content-Length: 9\r\n", ""), Malformed::Length),
            (text.replace("WARC/1.0", "WARX/1.0"), Malformed::Header),
            (format!("garbage {text}"), Malformed::Header),
        ] {
            let damaged = damaged.as_bytes();
            let found = read(&[&first, damaged, &last].concat());
            assert_eq!(found, [ok("first"), Err(reason), ok("last")], "{}", String::from_utf8_lossy(damaged));
            let members = [member(&first), member(damaged), member(&last)].concat();
            let reason = match reason {
                // Seen before the length could be wrong: another record begins in the next member.
                Malformed::WrongLength if damaged.windows(4).any(|four| four == b": 30") => {
                    Malformed::Truncated
                }
                other => other,
            };
            assert_eq!(read(&members), [ok("first"), Err(reason), ok("last")]);
        }
    }

    #[test]
    fn a_file_that_ends_early_says_so() {
        let file = [record("response", "first"), record("response", "second")].concat();
        for cut in [1, 10, 50] {
            let found = read(&file[..file.len() - 4 - cut]);
            assert_eq!((&found[0], &found[1..]), (&ok("first"), &[Err(Malformed::Truncated)][..]), "{cut}");
        }
        assert_eq!(read(&file[..file.len() - 4]), [ok("first"), ok("second")], "line ends may be missing");
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_length_beyond_the_file_does_not_swallow_what_follows() {
        let (first, last) = (record("response", "first"), record("response", "last"));
        let text = String::from_utf8(record("response", "some body")).unwrap();
        let damaged = text.replace("Content-Length: 9", "Content-Length: 90000");
        let found = [ok("first"), Err(Malformed::Truncated), ok("last")];
        assert_eq!(read(&[&first, damaged.as_bytes(), &last].concat()), found);
        assert_eq!(read(&member(&[&first, damaged.as_bytes(), &last].concat())), found);
    }

    #[test]
    fn time_is_proportional_to_the_length_of_the_file() {
        let started = std::time::Instant::now();
        // A head in every line, members of a byte, lengths that reach over all the others.
        let heads = read(&b"WARC/1.0\n".repeat(100_000));
        assert!(heads.iter().all(Result::is_err));
        let lengths = read(&b"WARC/1.0\nContent-Length: 99990\n\n".repeat(100_000));
        assert!(lengths.len() > 90_000 && lengths.iter().all(Result::is_err));
        let head = member(b"WARC/1.0\nContent-Length: 90000\n\n");
        let long = [head, member(b"x").repeat(90_000), member(b"\n\n")].concat();
        assert_eq!(read(&long), [ok(&"x".repeat(90_000))]);
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }

    #[test]
    fn a_wrong_checksum_spoils_the_record() {
        let mut file = [member(&record("response", "first")), member(&record("response", "second"))].concat();
        let at = member(&record("response", "first")).len() - 5;
        file[at] ^= 1;
        assert_eq!(read(&file), [Err(Malformed::Checksum), ok("second")]);
    }

    #[test]
    fn a_head_without_an_end_is_left() {
        let endless =
            [b"WARC/1.0\r\n".to_vec(), b"X: y\r\n".repeat(20_000), record("response", "last")].concat();
        assert_eq!(read(&endless), [Err(Malformed::Header), ok("last")]);
        let cut = [b"WARC/1.0\r\nContent-Length: 2\r\n".to_vec(), record("response", "last")].concat();
        assert_eq!(read(&cut), [Err(Malformed::Header), ok("last")]);
    }

    /// The bodies of some records, and a file of them.
    fn twelve() -> (Vec<String>, Vec<u8>) {
        let bodies: Vec<String> = (0..12).map(|n| format!("body {n} ").repeat(20 + n)).collect();
        let file = bodies.iter().flat_map(|body| member(&record("response", body))).collect();
        (bodies, file)
    }

    #[test]
    fn a_flipped_bit_never_gives_another_body() {
        let (bodies, file) = twelve();
        for at in 0..file.len() * 8 {
            let mut file = file.clone();
            file[at / 8] ^= 1 << (at % 8);
            assert!(read(&file).iter().flatten().all(|body| bodies.contains(body)), "bit {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..60),
                    Just(record("response", "body")),
                    Just(member(&record("metadata", "{}"))),
                    Just(b"WARC/1.0\r\nContent-Length: 77\r\n\r\n".to_vec()),
                ],
                0..12,
            ),
        ) {
            read(&parts.concat());
        }

        #[test]
        fn flipped_bits_cost_few_records(places in proptest::collection::vec(any::<prop::sample::Index>(), 1..4)) {
            let (bodies, mut file) = twelve();
            for place in &places {
                let at = place.index(file.len() * 8);
                file[at / 8] ^= 1 << (at % 8);
            }
            let sound = read(&file).into_iter().flatten().filter(|body| bodies.contains(body)).collect::<Vec<_>>();
            prop_assert!(sound.len() + 2 * places.len() >= bodies.len(), "{} of {}", sound.len(), bodies.len());
        }
    }
}
