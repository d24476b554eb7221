//! An object read by ranges: blocks of a mebibyte, the latest of them kept, so that the columns of a Parquet file can be
//! read side by side without a request for every page.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::Object;
use crate::store::wait;

/// Bytes that are asked for at a time.
const BLOCK: u64 = 1 << 20;
/// Blocks that are kept: more than a link list has columns to carry.
const KEPT: usize = 24;

/// The blocks of one object.
#[derive(Debug)]
pub(super) struct Blocks {
    object: Object,
    /// The latest used last.
    kept: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Blocks {
    pub(super) fn new(object: Object) -> Arc<Self> {
        Arc::new(Self { object, kept: Mutex::default() })
    }

    /// The bytes from `at` to the end of its block; none at the end of the object.
    fn from(&self, at: u64) -> io::Result<Bytes> {
        if at >= self.object.bytes {
            return Ok(Bytes::new());
        }
        let index = at / BLOCK;
        let block = match self.take(index) {
            Some(block) => block,
            None => self.fetch(index)?,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((index, block.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        let skip = usize::try_from(at % BLOCK).unwrap_or(usize::MAX);
        match skip < block.len() {
            true => Ok(block.slice(skip..)),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn take(&self, index: u64) -> Option<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(i, _)| *i == index)?;
        kept.remove(place).map(|(_, block)| block)
    }

    fn fetch(&self, index: u64) -> io::Result<Bytes> {
        let object = &self.object;
        let range = index * BLOCK..((index + 1) * BLOCK).min(object.bytes);
        wait(async { object.objects.get_range(&object.path, range).await }).map_err(io::Error::other)
    }
}

/// A place in the blocks of an object.
#[derive(Debug)]
pub(crate) struct BlockReader {
    blocks: Arc<Blocks>,
    at: u64,
}

impl BlockReader {
    pub(super) fn new(blocks: Arc<Blocks>) -> Self {
        Self { blocks, at: 0 }
    }

    /// Another place in the same blocks.
    pub(super) fn at(&self, at: u64) -> Self {
        Self { blocks: Arc::clone(&self.blocks), at }
    }

    pub(super) fn len(&self) -> u64 {
        self.blocks.object.bytes
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.blocks.from(self.at)?;
        let n = bytes.len().min(buffer.len());
        buffer[..n].copy_from_slice(&bytes[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for BlockReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::path::Path as ObjectPath;
    use proptest::prelude::*;

    use super::super::Source;
    use super::*;
    use crate::store::Store;

    fn stored(content: &[u8]) -> Source {
        let store = Store::over(Arc::new(InMemory::new()), ObjectPath::from("lists"), "memory://lists");
        store.put("a.bin", content.to_vec()).unwrap();
        Source::of(&store, "a.bin").unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_part_of_an_object_is_the_part_of_its_bytes(
            size in 0_usize..4_000_000, places in proptest::collection::vec((0_usize..4_000_000, 0_usize..50_000), 1..20),
        ) {
            let content: Vec<u8> = (0..size).map(|i| ((i * 31) >> 3).to_le_bytes()[0]).collect();
            let mut reader = stored(&content).open().unwrap();
            for (at, length) in places {
                let mut part = Vec::new();
                reader.seek(SeekFrom::Start(at as u64)).unwrap();
                Read::by_ref(&mut reader).take(length as u64).read_to_end(&mut part).unwrap();
                prop_assert_eq!(&part[..], &content[at.min(size)..(at + length).min(size)]);
            }
        }
    }

    #[test]
    fn a_digest_is_that_of_the_same_bytes_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let content = vec![5; 2_500_000];
        crate::atomic::write(&path, &content).unwrap();
        assert_eq!(stored(&content).digest().unwrap(), crate::unit::digest_file(&path).unwrap());
    }
}
