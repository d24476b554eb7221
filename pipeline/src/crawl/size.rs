//! Sizes as people write them: `33554432`, `"32 MiB"`, `"1.5 GB"`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("KB", 1000),
    ("B", 1),
];

impl ByteSize {
    /// `n` times 1,048,576 bytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// Three digits and a binary unit, for people.
    pub fn human(self) -> String {
        let unit = UNITS[..3].iter().find(|(_, size)| self.0 >= *size);
        match unit {
            Some((name, size)) => format!("{:.1} {name}", self.0 as f64 / *size as f64),
            None => format!("{} B", self.0),
        }
    }
}

impl fmt::Display for ByteSize {
    /// Exact: the largest unit that divides the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS[..3].iter().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size));
        match unit {
            Some((name, size)) => write!(f, "{} {name}", self.0 / size),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text[..split].trim(), text[split..].trim());
        let size = match unit {
            "" => Some(1),
            _ => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size),
        };
        match (number.parse::<f64>(), size) {
            (Ok(number), Some(size)) if number >= 0.0 => Ok(Self((number * size as f64).round() as u64)),
            _ => Err(format!("`{text}` is no size; write it like \"512 MiB\"")),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes or a size like \"512 MiB\"")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        assert_eq!(read("32 MiB"), Ok(32 << 20));
        assert_eq!(read("1.5GB"), Ok(1_500_000_000));
        assert_eq!(read("77"), Ok(77));
        assert!(read("many").is_err() && read("1 TiX").is_err() && read("-1 MB").is_err());
        assert_eq!(ByteSize(1_600_000).human(), "1.5 MiB");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes in 0_u64..1 << 50) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap().0, bytes);
        }
    }
}
