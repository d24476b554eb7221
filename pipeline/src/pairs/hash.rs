//! The hash column: which function, and what it says of the bytes as they were downloaded.

use clap::ValueEnum;
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};

use crate::unit::hex;

/// The hash functions that img2dataset offers as `compute_hash`; each names its column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum HashKind {
    /// No column.
    None,
    /// MD5 (RFC 1321): known collisions, still what many lists carry.
    Md5,
    /// SHA-256 (FIPS 180-4), img2dataset's default.
    #[default]
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl HashKind {
    /// The name of the column, `None` without one.
    pub fn column(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Md5 => Some("md5"),
            Self::Sha256 => Some("sha256"),
            Self::Sha512 => Some("sha512"),
        }
    }

    /// The hash in lower-case hex, as Python's `hexdigest` gives it.
    pub fn digest(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::None => None,
            Self::Md5 => Some(hex(&Md5::digest(bytes))),
            Self::Sha256 => Some(hex(&Sha256::digest(bytes))),
            Self::Sha512 => Some(hex(&Sha512::digest(bytes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 1321 and FIPS 180-4 for `abc`.
    #[test]
    fn published_vectors() {
        assert_eq!(HashKind::Md5.digest(b"abc").unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert!(HashKind::Sha256.digest(b"abc").unwrap().starts_with("ba7816bf8f01cfea414140de5dae2223"));
        assert!(HashKind::Sha512.digest(b"abc").unwrap().starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(HashKind::None.digest(b"abc"), None);
    }
}
