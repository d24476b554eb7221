//! File names of a unit: the attempt's, `00017-0123456789abcdef.tar`, and the final one, `00017.tar`.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::hex;
use crate::atomic::TEMPORARY;

/// Ending of the file with a unit's removed rows, which lies beside its table.
pub const DROPPED: &str = "dropped.parquet";
/// Hex digits of an attempt's tag.
const TAG: usize = 16;

/// The name that a file or folder of the winning attempt gets: its own without the tag. Other names stay as they are.
pub fn final_name(name: &str) -> String {
    match split(name) {
        Some((unit, rest)) => format!("{unit}{rest}"),
        None => name.to_owned(),
    }
}

/// Whether a file holds removed rows: whoever reads a folder leaves it out.
pub fn is_dropped(name: &str) -> bool {
    name.strip_suffix(DROPPED).is_some_and(|stem| stem.ends_with('.'))
}

/// Unit number and ending of an attempt's name; a folder ends in `/`.
fn split(name: &str) -> Option<(&str, &str)> {
    let (unit, rest) = name.split_once('-')?;
    let (tag, ending) = rest.split_at_checked(TAG)?;
    let digits = !unit.is_empty() && unit.bytes().all(|b| b.is_ascii_digit());
    let tagged = tag.bytes().all(|b| b.is_ascii_hexdigit());
    (digits && tagged && (ending == "/" || ending.starts_with('.'))).then_some((unit, ending))
}

/// Whether a name is that of an attempt's file or folder, or the temporary of one: only such are ever swept.
pub(super) fn is_attempt(name: &str) -> bool {
    let temporary = name.strip_prefix('.').filter(|name| name.ends_with(TEMPORARY));
    split(temporary.unwrap_or(name)).is_some()
}

/// `00017_stats.json`.
pub(super) fn is_stats(name: &str) -> bool {
    name.strip_suffix("_stats.json").is_some_and(|unit| unit.bytes().all(|b| b.is_ascii_digit()))
}

/// The first of the `names` in a folder without a plan which a run would take for its own: img2dataset's, mostly.
pub(super) fn foreign(names: &BTreeSet<String>) -> Option<&str> {
    let numbered = |name: &str| {
        let stem = name.split(['.', '/']).next().unwrap_or_default();
        stem.len() >= 5 && stem.len() < name.len() && stem.bytes().all(|b| b.is_ascii_digit())
    };
    let taken = |name: &&String| is_stats(name) || numbered(name) || *name == "_tmp/";
    names.iter().find(taken).map(String::as_str)
}

/// 16 hex digits that differ between attempts, processes and machines.
pub(super) fn attempt_tag() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let seed = format!("{host} {} {} {serial}", std::process::id(), now.as_nanos());
    hex(&Sha256::digest(seed.as_bytes())[..TAG / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attempts_are_swept() {
        for name in [
            "00000-0123456789abcdef.parquet",
            ".123456-0123456789abcdef.parquet.77-0.tmp",
            "00000-0123456789abcdef/",
        ] {
            assert!(is_attempt(name), "{name}");
        }
        for name in [
            "00000.parquet",
            "00000_stats.json",
            "notes-0123456789abcdef.txt",
            "plan.json",
            ".plan.json.1-1.tmp",
            "00000-0123456789abcdef",
            "00000-0123456789abcdeфф.txt",
        ] {
            assert!(!is_attempt(name), "{name}");
        }
    }

    #[test]
    fn the_final_name_has_no_tag() {
        assert_eq!(final_name("00017-0123456789abcdef.tar"), "00017.tar");
        assert_eq!(final_name("00017-0123456789abcdef/"), "00017/");
        assert_eq!(final_name("00017.tar"), "00017.tar");
        assert_eq!(final_name(&format!("3-{}.tar", attempt_tag())), "3.tar");
    }

    #[test]
    fn what_img2dataset_leaves_is_recognised() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        for name in ["00000_stats.json", "00000.tar", "00000/", "_tmp/"] {
            assert_eq!(foreign(&names(&["notes.txt", name])), Some(name));
        }
        assert_eq!(foreign(&names(&["README", "2024/", "data/", "links.csv", ".git/"])), None);
    }
}
