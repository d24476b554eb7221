//! What the figures were measured on: processor, memory, versions.

use std::path::Path;

use serde::Serialize;

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

/// The most memory that this process has held, in bytes; `None` where the system does not tell.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    after(&status, "VmHWM").and_then(kilobytes)
}

/// The value of the first `name: value` line.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// `1234 kB` in bytes.
fn kilobytes(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
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
    fn values_are_found_behind_their_names() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nVmHWM:\t  2048 kB\n";
        assert_eq!(after(text, "model name"), Some("Some CPU @ 2.0GHz"));
        assert_eq!(after(text, "VmHWM").and_then(kilobytes), Some(2 << 20));
        assert_eq!(after(text, "absent"), None);
    }

    #[test]
    fn the_locked_version_is_read() {
        let lock = "[[package]]\nname = \"burn-core\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"burn\"\nversion = \"0.22.1\"\n";
        assert_eq!(locked_version(lock, "burn").as_deref(), Some("0.22.1"));
        assert_eq!(locked_version(lock, "ash"), None);
    }
}
