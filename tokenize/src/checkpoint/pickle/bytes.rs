//! A cursor over a pickle's bytes.

use super::Fault;

/// What is left of a pickle. Every length is checked against it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bytes<'a>(pub(in super::super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("the pickle ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| "the pickle ends too early".to_owned())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    /// A little-endian length of `N` ≤ 8 bytes.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize, Fault> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "the pickle ends too early".to_owned())
    }

    /// Up to the next line feed.
    pub(super) fn line(&mut self) -> Result<String, Fault> {
        let end = self.0.iter().position(|byte| *byte == b'\n').ok_or("the pickle ends too early")?;
        let line = self.take(end + 1)?;
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    pub(super) fn text(&mut self, length: usize) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}
