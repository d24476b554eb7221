//! Plain ustar (POSIX.1-1988): what `webdataset` reads, without the kilobyte of PAX header that its own writer spends on
//! each member. A member costs its header of 512 bytes and the padding of its content.
//!
//! The same members give the same bytes: mode 0444, owner 0, time 0.

use std::io::{self, ErrorKind, Read, Write};

/// Everything in a tar comes in blocks.
const BLOCK: usize = 512;

/// Writes members one after the other.
pub struct TarWriter<W> {
    target: W,
}

impl<W: Write> TarWriter<W> {
    /// Starts an archive.
    pub fn new(target: W) -> Self {
        Self { target }
    }

    /// Appends a file.
    ///
    /// # Errors
    /// A name over 100 bytes, content of 8 GiB or more, or what the target says.
    pub fn append(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.target.write_all(&header(name, content.len())?)?;
        self.target.write_all(content)?;
        self.target.write_all(&[0; BLOCK][..padding(content.len())])
    }

    /// Ends the archive with two blocks of zeros and gives the target back.
    pub fn finish(mut self) -> io::Result<W> {
        self.target.write_all(&[0; 2 * BLOCK])?;
        Ok(self.target)
    }
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(BLOCK) - length
}

fn header(name: &str, size: usize) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    if name.len() > 100 || size >= 1 << 33 {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{name}: too long for a tar member")));
    }
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000444");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(156, "0");
    put(257, "ustar\x0000");
    put(329, "0000000");
    put(337, "0000000");
    let sum = checksum(&header);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

/// Reads the files of an archive in order: ustar, and what GNU tar and Python's `tarfile` write for short names.
pub struct TarReader<R> {
    source: R,
}

impl<R: Read> TarReader<R> {
    /// Starts at the beginning of an archive.
    pub fn new(source: R) -> Self {
        Self { source }
    }

    /// Name and content of the next file, `None` at the end. Extended headers are passed over.
    pub fn next_file(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut header = [0; BLOCK];
        loop {
            if !self.block(&mut header)? || header == [0; BLOCK] {
                return Ok(None);
            }
            let size = checked_size(&header)?;
            let mut content = Vec::new();
            let padded = size.next_multiple_of(BLOCK as u64);
            let read = self.source.by_ref().take(padded).read_to_end(&mut content)? as u64;
            if read < padded {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            content.truncate(usize::try_from(size).unwrap_or(usize::MAX));
            if matches!(header[156], b'0' | 0) {
                return Ok(Some((text(&header[..100]), content)));
            }
        }
    }

    /// Whether there was another block; an archive may end without its zeros.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        match self.source.read_exact(block) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The size in a header whose checksum is right.
fn checked_size(header: &[u8; BLOCK]) -> io::Result<u64> {
    match octal(&header[148..156])? == u64::from(checksum(header)) {
        true => octal(&header[124..136]),
        false => Err(io::Error::new(ErrorKind::InvalidData, "a damaged tar header")),
    }
}

/// The sum of a header's bytes, those of the sum itself taken as spaces.
fn checksum(header: &[u8; BLOCK]) -> u32 {
    let outside = header[..148].iter().chain(&header[156..]).map(|byte| u32::from(*byte));
    outside.sum::<u32>() + 8 * u32::from(b' ')
}

fn octal(field: &[u8]) -> io::Result<u64> {
    let digits = text(field);
    let number = u64::from_str_radix(digits.trim(), 8);
    number.map_err(|_| io::Error::new(ErrorKind::InvalidData, "not a tar archive"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new());
        for (name, content) in members {
            tar.append(name, content).unwrap();
        }
        tar.finish().unwrap()
    }

    proptest! {
        #[test]
        fn members_come_back_and_cost_a_header_and_padding(
            members in proptest::collection::vec(
                ("[0-9]{9}\\.(jpg|json|txt)", proptest::collection::vec(any::<u8>(), 0..1500)), 0..8),
        ) {
            let bytes = archive(&members);
            let padded: usize = members.iter().map(|(_, content)| content.len().next_multiple_of(512)).sum();
            prop_assert_eq!(bytes.len(), padded + 512 * members.len() + 1024);
            let mut tar = TarReader::new(bytes.as_slice());
            for member in members {
                prop_assert_eq!(tar.next_file().unwrap(), Some(member));
            }
            prop_assert_eq!(tar.next_file().unwrap(), None);
        }
    }

    #[cfg(feature = "crawl")]
    #[test]
    fn another_reader_agrees() {
        let bytes = archive(&[("000000001.jpg".into(), vec![7; 700]), ("000000001.txt".into(), vec![])]);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert!(header.as_ustar().is_some());
                let numbers = (header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap());
                assert_eq!(numbers, (0o444, 0, 0));
                (entry.path().unwrap().to_str().unwrap().to_owned(), entry.size())
            })
            .collect();
        assert_eq!(found, [("000000001.jpg".to_owned(), 700), ("000000001.txt".to_owned(), 0)]);
    }

    #[cfg(feature = "crawl")]
    #[test]
    fn extended_headers_are_passed_over() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("mtime", b"1.5".as_slice())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(3);
        header.set_mode(0o444);
        builder.append_data(&mut header, "7.jpg", b"abc".as_slice()).unwrap();
        let bytes = builder.into_inner().unwrap();
        let mut tar = TarReader::new(bytes.as_slice());
        assert_eq!(tar.next_file().unwrap(), Some(("7.jpg".to_owned(), b"abc".to_vec())));
        assert_eq!(tar.next_file().unwrap(), None);
    }

    #[test]
    fn what_is_no_tar_or_cut_short_is_an_error() {
        assert!(TarReader::new([b'x'; 600].as_slice()).next_file().is_err());
        let bytes = archive(&[("1.jpg".into(), vec![7; 700])]);
        assert!(TarReader::new(&bytes[..900]).next_file().is_err());
        let mut flipped = bytes;
        flipped[3] ^= 1;
        assert!(TarReader::new(flipped.as_slice()).next_file().is_err(), "a checksum that does not fit");
        assert!(TarWriter::new(Vec::new()).append(&"x".repeat(101), b"").is_err());
    }
}
