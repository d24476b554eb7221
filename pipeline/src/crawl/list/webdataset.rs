//! Tars as webdataset reads them: neighbouring members with the same key are one sample, the key being the path up to
//! the first dot of the file name. Images stay where they are until they are needed.

use std::io::{BufReader, Read, Seek, SeekFrom};

use tar::{EntryType, Header, PaxExtensions};

use super::format::is_image;
use super::records::Records;
use super::samples::{Sample, json_of, text_of};
use super::source::{Reader, Source};
use crate::crawl::local::Stored;
use crate::{Error, Result};

/// A header, and what sizes are rounded up to.
const BLOCK: u64 = 512;
/// A larger text or JSON is left alone, a larger name is none.
const LARGEST: u64 = 16 << 20;

/// A file in a tar.
struct Member {
    name: String,
    /// Where its headers begin.
    begin: u64,
    start: u64,
    length: u64,
}

/// The files of a tar, in order.
struct Members {
    source: Source,
    reader: BufReader<Reader>,
    at: u64,
    end: u64,
}

impl Members {
    fn open(source: &Source, at: u64) -> Result<Self> {
        let reader = BufReader::with_capacity(64 << 10, source.open()?);
        let mut members = Self { source: source.clone(), reader, at: 0, end: source.bytes()? };
        members.go(at)?;
        Ok(members)
    }

    /// Without losing what is read ahead, where that helps.
    fn go(&mut self, to: u64) -> Result<()> {
        let moved = match to.checked_signed_diff(self.at) {
            Some(by) => self.reader.seek_relative(by),
            None => self.reader.seek(SeekFrom::Start(to)).map(|_| ()),
        };
        self.at = to;
        moved.map_err(|e| self.source.error(e))
    }

    fn read(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = Read::by_ref(&mut self.reader).take(length).read_to_end(&mut bytes);
        self.at += read.map_err(|e| self.source.error(e))? as u64;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(self.wrong("cut short: it ends", self.at)),
        }
    }

    fn wrong(&self, what: &str, at: u64) -> Error {
        Error::input(self.source.name(), format!("{what} at byte {at}"))
            .with_hint("compare the tar's size with the original; a packed one must be unpacked first")
    }

    /// The next regular file; `None` at the end.
    fn next(&mut self) -> Result<Option<Member>> {
        let begin = self.at;
        let (mut name, mut length) = (None, None);
        loop {
            // Two empty blocks end a tar; one that just stops at a block is whole as well.
            if self.at >= self.end {
                return Ok(None);
            }
            let at = self.at;
            let block = self.read(BLOCK)?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            if !sound(header) {
                return Err(self.wrong("no tar header", at));
            }
            let size = match length {
                Some(length) => length,
                None => header.entry_size().map_err(|_| self.wrong("a tar header without a size", at))?,
            };
            let (start, kind) = (self.at, header.entry_type());
            match kind {
                EntryType::GNULongName => name = Some(self.text(size)?.trim_end_matches('\0').to_owned()),
                EntryType::XHeader => (name, length) = pax(&self.text(size)?),
                _ => {}
            }
            let next = size.checked_next_multiple_of(BLOCK).and_then(|padded| start.checked_add(padded));
            let next = next.ok_or_else(|| self.wrong("a tar header without a size", at))?;
            if start.saturating_add(size) > self.end {
                return Err(self.wrong("cut short: it ends inside the member that begins", at));
            }
            if kind.is_file() {
                let name = name.unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
                self.go(next)?;
                return Ok(Some(Member { name, begin, start, length: size }));
            }
            self.go(next)?;
            if !matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
                (name, length) = (None, None);
            }
        }
    }

    /// The body of a header that says more about the next.
    fn text(&mut self, size: u64) -> Result<String> {
        match size <= LARGEST {
            true => Ok(String::from_utf8_lossy(&self.read(size)?).into_owned()),
            false => Err(self.wrong("a tar header of more than 16 MiB", self.at)),
        }
    }

    fn body(&mut self, member: &Member) -> Result<Vec<u8>> {
        let back = self.at;
        self.go(member.start)?;
        let bytes = self.read(member.length)?;
        self.go(back)?;
        Ok(bytes)
    }
}

/// By its checksum.
fn sound(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let sum: u32 = bytes[..148].iter().chain(&bytes[156..]).map(|byte| u32::from(*byte)).sum();
    header.cksum().is_ok_and(|stated| stated == sum + 8 * 32)
}

/// Name and size in a PAX header.
fn pax(text: &str) -> (Option<String>, Option<u64>) {
    let (mut name, mut length) = (None, None);
    for entry in PaxExtensions::new(text.as_bytes()).flatten() {
        match (entry.key(), entry.value()) {
            (Ok("path"), Ok(value)) => name = Some(value.to_owned()),
            (Ok("size"), Ok(value)) => length = value.parse().ok(),
            _ => {}
        }
    }
    (name, length)
}

/// Key and ending of a member; none for names that webdataset leaves out.
fn key_and_ending(name: &str) -> Option<(&str, &str)> {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = file + name[file..].find('.').filter(|dot| *dot > 0)?;
    Some((&name[..dot], &name[dot + 1..]))
}

/// The samples of a tar.
pub(super) struct Samples {
    members: Members,
    /// The first member of the next sample.
    ahead: Option<Member>,
    /// Whether texts are read; for counting they need not be.
    texts: bool,
}

impl Samples {
    pub(super) fn open(source: &Source, offset: u64) -> Result<Self> {
        Ok(Self { members: Members::open(source, offset)?, ahead: None, texts: true })
    }

    /// Without the texts, for counting.
    pub(super) fn bare(mut self) -> Self {
        self.texts = false;
        self
    }

    fn member(&mut self) -> Result<Option<Member>> {
        match self.ahead.take() {
            Some(member) => Ok(Some(member)),
            None => self.members.next(),
        }
    }

    fn add(&mut self, sample: &mut Sample, member: &Member, ending: &str) -> Result<()> {
        let ending = ending.to_ascii_lowercase();
        let readable = self.texts && member.length <= LARGEST;
        match ending.as_str() {
            "txt" if readable => sample.text = Some(text_of(&self.members.body(member)?)),
            "json" if readable => sample.json = json_of(&self.members.body(member)?),
            _ if matches!(sample.image, Stored::Missing)
                && is_image(&format!(".{ending}"))
                && !ending.contains('.') =>
            {
                sample.name.clone_from(&member.name);
                sample.image = Stored::Part {
                    source: self.members.source.clone(),
                    start: member.start,
                    length: member.length,
                };
            }
            _ => {}
        }
        Ok(())
    }
}

impl Records for Samples {
    type Record = Sample;

    fn next(&mut self) -> Result<Option<(u64, Sample)>> {
        let mut found: Option<(u64, Sample)> = None;
        while let Some(member) = self.member()? {
            let Some((key, ending)) = key_and_ending(&member.name) else { continue };
            match &mut found {
                Some((_, sample)) if sample.key != key => {
                    self.ahead = Some(member);
                    break;
                }
                Some((_, sample)) => self.add(sample, &member, ending)?,
                None => {
                    let (key, name) = (key.to_owned(), member.name.clone());
                    let mut sample = Sample { name, key, image: Stored::Missing, text: None, json: None };
                    self.add(&mut sample, &member, ending)?;
                    found = Some((member.begin, sample));
                }
            }
        }
        Ok(found)
    }

    fn seekable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_of_the_file_name() {
        for (name, expected) in [
            ("000000001.jpg", Some(("000000001", "jpg"))),
            ("a.b/c.d/e.seg.png", Some(("a.b/c.d/e", "seg.png"))),
            ("a/.hidden.jpg", None),
            ("README", None),
            ("./7.jpg", Some(("./7", "jpg"))),
        ] {
            assert_eq!(key_and_ending(name), expected, "{name}");
        }
    }

    fn tar_of(members: &[(&str, &[u8])]) -> (tempfile::TempDir, Source) {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        stored(&tar.into_inner().unwrap())
    }

    fn stored(bytes: &[u8]) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        crate::atomic::write(&path, bytes).unwrap();
        (folder, Source::File(path))
    }

    fn all(source: &Source, offset: u64) -> Result<Vec<(u64, Sample)>> {
        let mut samples = Samples::open(source, offset)?;
        std::iter::from_fn(|| samples.next().transpose()).collect()
    }

    #[test]
    fn samples_are_read_from_the_byte_of_any_of_them() {
        let long = format!("{}/b.jpg", "deep".repeat(60));
        let (_folder, source) = tar_of(&[
            ("a.jpg", b"one"),
            ("a.txt", b"first\n"),
            ("a.json", br#"{"url": "http://h/a"}"#),
            (&long, b"two"),
            ("c.txt", b"alone"),
            ("d.seg.png", b"mask"),
            ("d.png", b"three"),
            ("d.jpg", b"later"),
        ]);
        let found = all(&source, 0).unwrap();
        let names: Vec<_> = found.iter().map(|(_, sample)| sample.name.as_str()).collect();
        assert_eq!(names, ["a.jpg", &long, "c.txt", "d.png"]);
        assert_eq!(found[0].1.text.as_deref(), Some("first"));
        assert!(found[0].1.json.as_ref().unwrap().contains_key("url"));
        assert!(matches!(found[2].1.image, Stored::Missing));
        assert!(matches!(found[3].1.image, Stored::Part { length: 5, .. }));
        for (i, (begin, _)) in found.iter().enumerate() {
            let rest = all(&source, *begin).unwrap();
            let rest: Vec<_> = rest.iter().map(|(_, sample)| sample.name.as_str()).collect();
            assert_eq!(rest, names[i..]);
        }
    }

    #[test]
    fn a_cut_tar_and_a_foreign_file_are_errors_that_name_the_byte() {
        let (_folder, whole) = tar_of(&[("a.jpg", &[1; 700]), ("b.jpg", &[2; 2000])]);
        let Source::File(path) = whole else { panic!() };
        let bytes = std::fs::read(path).unwrap();
        for (cut, message) in [
            (2048 + 100, "cut short: it ends inside the member that begins at byte 1536"),
            (1536 + 100, "cut short: it ends at byte 1636"),
        ] {
            let (_folder, source) = stored(&bytes[..cut]);
            let error = all(&source, 0).unwrap_err().to_string();
            assert!(error.ends_with(message), "{error}");
        }
        let (_folder, source) = stored(&[7; 2000]);
        assert!(all(&source, 0).unwrap_err().to_string().ends_with("no tar header at byte 0"));
        // Without the empty blocks at its end it is whole.
        let (_folder, source) = stored(&bytes[..1536]);
        assert_eq!(all(&source, 0).unwrap().len(), 1);
    }
}
