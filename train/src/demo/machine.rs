//! What the figures were measured on: processor, memory, versions.

use std::path::Path;

use serde::Serialize;

use crate::machine::{after, kilobytes};

/// Where and with what the demo ran. Empty and 0 where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_bytes: u64,
    pub(super) system: String,
    pub(super) troika: String,
    pub(super) burn: String,
}

impl Machine {
    /// Asks the system.
    pub(super) fn here(lock_file: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let lock = std::fs::read_to_string(lock_file).unwrap_or_default();
        Self {
            processor: after(&read("/proc/cpuinfo"), "model name").unwrap_or_default().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: after(&read("/proc/meminfo"), "MemTotal").and_then(kilobytes).unwrap_or(0),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            troika: env!("CARGO_PKG_VERSION").to_owned(),
            burn: locked_version(&lock, "burn").unwrap_or_default(),
        }
    }
}

/// The version of a package in a `Cargo.lock`.
fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_read() {
        let lock = "[[package]]\nname = \"burn-core\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"burn\"\nversion = \"0.22.1\"\n";
        assert_eq!(locked_version(lock, "burn").as_deref(), Some("0.22.1"));
        assert_eq!(locked_version(lock, "ash"), None);
    }
}
