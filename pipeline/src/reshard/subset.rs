//! A list of rows to keep or to drop, held as sorted 128-bit numbers: uids themselves, of other texts the first half of
//! their SHA-256. Ten million entries are 160 MB, whatever their length.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::config::SubsetConfig;
use super::npy;
use crate::Result;
use crate::crawl::list_column;
use crate::unit::hex;

/// What the entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// 128-bit numbers, written as hexadecimal text in the shards.
    Uids,
    /// Texts, equal byte for byte.
    Texts,
}

/// The rows that a list names.
#[derive(Debug)]
pub(super) struct Subset {
    /// Sorted; one that is listed several times stands here as often.
    entries: Vec<u128>,
    kind: Kind,
    keeps: bool,
    repeat: bool,
    /// Column of the shards.
    pub(super) column: String,
    /// The list, for messages.
    pub(super) path: String,
    /// Key of the config that names the list.
    pub(super) key: &'static str,
    /// Hash of the entries; their order in the list does not matter.
    pub(super) digest: String,
}

impl Subset {
    /// Reads the list of the config; `None` without one.
    pub(super) fn load(config: &SubsetConfig) -> Result<Option<Self>> {
        let (path, keeps, key) = match (config.keep.as_str(), config.drop.as_str()) {
            ("", "") => return Ok(None),
            ("", path) => (path, false, "subset.drop"),
            (path, _) => (path, true, "subset.keep"),
        };
        let numpy = Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        let column = match (config.column.as_str(), numpy) {
            ("", true) => "uid",
            ("", false) => "key",
            (column, _) => column,
        };
        let (kind, mut entries) = match numpy {
            true => (Kind::Uids, npy::uids(Path::new(path))?),
            false => (Kind::Texts, texts(path, config, column)?),
        };
        entries.sort_unstable();
        let (column, path, repeat) = (column.to_owned(), path.to_owned(), config.repeat);
        let digest = digest(&entries);
        Ok(Some(Self { entries, kind, keeps, repeat, column, path, key, digest }))
    }

    /// Entries of the list.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How often a row is written whose column holds `value`.
    pub(super) fn copies(&self, value: Option<&str>) -> u32 {
        let listed = value.and_then(|value| self.entry(value)).map_or(0, |entry| self.count(entry));
        match (self.keeps, self.repeat) {
            (true, true) => listed,
            (true, false) => u32::from(listed > 0),
            (false, _) => u32::from(listed == 0),
        }
    }

    /// A value as an entry; a text that is no uid is in no list of uids.
    fn entry(&self, value: &str) -> Option<u128> {
        match self.kind {
            Kind::Texts => Some(half_hash(value)),
            Kind::Uids if value.bytes().all(|b| b.is_ascii_hexdigit()) => {
                u128::from_str_radix(value, 16).ok()
            }
            Kind::Uids => None,
        }
    }

    fn count(&self, entry: u128) -> u32 {
        let first = self.entries.partition_point(|other| *other < entry);
        let same = self.entries[first..].iter().take_while(|other| **other == entry).count();
        u32::try_from(same).unwrap_or(u32::MAX)
    }
}

fn texts(path: &str, config: &SubsetConfig, column: &str) -> Result<Vec<u128>> {
    let column = if config.list_column.is_empty() { column } else { &config.list_column };
    let mut entries = Vec::new();
    list_column(path, column, "subset.list_column", &mut |text| entries.push(half_hash(text)))?;
    Ok(entries)
}

fn digest(entries: &[u128]) -> String {
    let mut hash = Sha256::new();
    for entry in entries {
        hash.update(entry.to_be_bytes());
    }
    hex(&hash.finalize())
}

/// Two of ten million texts have the same first half with a probability of 10^-25.
fn half_hash(text: &str) -> u128 {
    let hash = Sha256::digest(text.as_bytes());
    hash[..16].iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subset(files: &[(&str, &[u8])], config: &SubsetConfig) -> Subset {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| match name {
            "" => String::new(),
            name => folder.path().join(name).display().to_string(),
        };
        for (name, content) in files {
            crate::atomic::write(folder.path().join(name), content).unwrap();
        }
        let config = SubsetConfig { keep: place(&config.keep), drop: place(&config.drop), ..config.clone() };
        Subset::load(&config).unwrap().unwrap()
    }

    #[test]
    fn lines_columns_and_packed_lists_name_the_same_rows() {
        let keep = |name: &str| SubsetConfig { keep: name.into(), ..SubsetConfig::default() };
        let csv = b"score,key\n1,b\n2,a\n".as_slice();
        let lists = [
            subset(&[("keys.txt", b"a\nb\n\n")], &keep("keys.txt")),
            subset(&[("keys", b"b\r\na")], &keep("keys")),
            subset(&[("keys.csv", csv)], &keep("keys.csv")),
            subset(&[("keys.csv.zst", &zstd::encode_all(csv, 0).unwrap())], &keep("keys.csv.zst")),
        ];
        for list in lists {
            assert_eq!((list.len(), list.column.as_str()), (2, "key"));
            assert_eq!(["a", "b", "c", ""].map(|key| list.copies(Some(key))), [1, 1, 0, 0]);
            assert_eq!(list.copies(None), 0);
        }
    }

    #[test]
    fn dropping_keeps_all_others_and_repeating_counts() {
        let list = [("urls.txt", b"x\ny\ny\n".as_slice())];
        let drop = SubsetConfig { drop: "urls.txt".into(), column: "url".into(), ..SubsetConfig::default() };
        let dropped = subset(&list, &drop);
        assert_eq!([Some("x"), Some("z"), None].map(|url| dropped.copies(url)), [0, 1, 1]);
        let keep = SubsetConfig { keep: "urls.txt".into(), repeat: true, ..SubsetConfig::default() };
        let kept = subset(&list, &keep);
        assert_eq!(["x", "y", "z"].map(|key| kept.copies(Some(key))), [1, 2, 0]);
        assert_eq!(kept.digest, subset(&[("urls.txt", b"y\nx\ny\n")], &keep).digest);
        assert_ne!(kept.digest, subset(&[("urls.txt", b"y\nx\n")], &keep).digest);
    }

    #[test]
    fn uids_are_numbers_in_whatever_case() {
        let uids = Subset {
            entries: vec![7, 0xab00_0000_0000_0000_0000_0000_0000_0001],
            kind: Kind::Uids,
            keeps: true,
            repeat: false,
            column: "uid".into(),
            path: String::new(),
            key: "subset.keep",
            digest: String::new(),
        };
        let copies = |uid: &str| uids.copies(Some(uid));
        let whole = ["ab000000000000000000000000000001", "AB000000000000000000000000000001", "7", "0007"];
        assert_eq!(whole.map(copies), [1; 4]);
        assert_eq!(["8", "", "+7", "0x7", "g", "1ab000000000000000000000000000001"].map(copies), [0; 6]);
    }
}
