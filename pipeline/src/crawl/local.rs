//! Images that are there already: files, members of tars, cells of tables. No network, the same budgets.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;

use super::budget::{Bodies, Held};
use super::fetch::{Body, Failure};
use super::list::Source;
use crate::Result;
use crate::reason::Reason;

/// Where the image of a row lies.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    /// A file of its own.
    File(Source),
    /// Bytes `start` to `start + length` of a file.
    Part { source: Source, start: u64, length: u64 },
    /// In memory.
    Bytes(Bytes),
    /// The row has none.
    Missing,
}

impl Stored {
    /// Reads the image; none larger than `most` bytes.
    pub(super) async fn read(self, bodies: &Bodies, mut held: Held, most: u64) -> Result<Body, Failure> {
        let measured = tokio::task::spawn_blocking(move || (self.length(), self));
        let (length, stored) = measured.await.map_err(|_| Reason::FileUnreadable)?;
        let length = length?;
        if length > most {
            return Err(Reason::TooLarge.into());
        }
        bodies.grow(&mut held, length).await.ok_or(Reason::FileUnreadable)?;
        let read = tokio::task::spawn_blocking(move || stored.bytes(length));
        let bytes = read.await.map_err(|_| Reason::FileUnreadable)??;
        held.shrink(bytes.len() as u64);
        Ok(Body { bytes, held })
    }

    /// Reads the image here and now, whatever its size.
    pub(super) fn now(self) -> Result<Bytes, Failure> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn length(&self) -> Result<u64, Failure> {
        match self {
            Self::File(source) => source.bytes().map_err(unreadable),
            Self::Part { length, .. } => Ok(*length),
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::Missing => Err(Reason::NoImage.into()),
        }
    }

    fn bytes(self, length: u64) -> Result<Bytes, Failure> {
        match self {
            Self::File(source) => part(&source, 0, length),
            Self::Part { source, start, length } => part(&source, start, length),
            Self::Bytes(bytes) => Ok(bytes),
            Self::Missing => Err(Reason::NoImage.into()),
        }
    }
}

fn part(source: &Source, start: u64, length: u64) -> Result<Bytes, Failure> {
    let mut reader = source.open().map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut read = || {
        reader.seek(SeekFrom::Start(start))?;
        Read::by_ref(&mut reader).take(length).read_to_end(&mut bytes)
    };
    read().map_err(|e| unreadable(format!("{}: {e}", source.name())))?;
    Ok(bytes.into())
}

/// The file and what the system said go into the row's message.
fn unreadable(error: impl ToString) -> Failure {
    Failure { message: Some(error.to_string()), ..Failure::from(Reason::FileUnreadable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(stored: Stored, most: u64) -> Result<Bytes, Reason> {
        let bodies = Bodies::new(1 << 20, 4, 1 << 18);
        let held = bodies.start().await.unwrap();
        stored.read(&bodies, held, most).await.map(|body| body.bytes).map_err(|failure| failure.reason)
    }

    #[tokio::test]
    async fn files_parts_and_bytes_are_read_and_capped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        crate::atomic::write(&path, "0123456789").unwrap();
        let file = || Source::File(path.clone());
        let part = |start, length| Stored::Part { source: file(), start, length };
        assert_eq!(read(Stored::File(file()), 10).await.unwrap(), "0123456789");
        assert_eq!(read(part(3, 4), 4).await.unwrap(), "3456");
        assert_eq!(read(Stored::Bytes("abc".into()), 3).await.unwrap(), "abc");
        for (stored, reason) in [
            (Stored::File(file()), Reason::TooLarge),
            (part(0, 3), Reason::TooLarge),
            (Stored::Missing, Reason::NoImage),
            (Stored::File(Source::File(folder.path().join("absent.jpg"))), Reason::FileUnreadable),
            (Stored::File(Source::File(folder.path().join("a.jpg/b.jpg"))), Reason::FileUnreadable),
        ] {
            assert_eq!(read(stored, 2).await, Err(reason));
        }
    }

    #[tokio::test]
    async fn an_unreadable_file_is_named() {
        let bodies = Bodies::new(1 << 20, 4, 1 << 18);
        let held = bodies.start().await.unwrap();
        let stored = Stored::File(Source::File("/absent/a.jpg".into()));
        let message = stored.read(&bodies, held, 10).await.unwrap_err().message.unwrap();
        assert!(message.starts_with("/absent/a.jpg: "), "{message}");
    }
}
