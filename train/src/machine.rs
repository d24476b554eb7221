//! What this machine has, and what this process takes of it.

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor};

use crate::device::is_host;

/// Memory that is free for a process on the processor, where the system says it: the smaller of what the machine and the
/// control group have left. Bytes.
#[must_use]
pub fn free_memory() -> Option<u64> {
    let machine = available(&std::fs::read_to_string("/proc/meminfo").ok()?);
    match (machine, group_memory(Path::new("/sys/fs/cgroup"))) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

/// The most memory that this process has held, in bytes; `None` where the system does not tell.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    after(&status, "VmHWM").and_then(kilobytes)
}

/// Bytes in the unit that suits them.
#[must_use]
pub fn in_words(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1000.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

/// The value of the first `name: value` line.
pub(crate) fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// `1234 kB` in bytes.
pub(crate) fn kilobytes(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

fn available(meminfo: &str) -> Option<u64> {
    after(meminfo, "MemAvailable").and_then(kilobytes)
}

/// What a control group of version 2 has left, if it has a limit: a container's.
fn group_memory(group: &Path) -> Option<u64> {
    let number = |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    // Pages of files are given back when a process asks for memory.
    let cached = std::fs::read_to_string(group.join("memory.stat")).ok().and_then(|stat| {
        stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok())
    });
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

/// Floating-point operations a second in a large matrix product, the best of a few: what a model's speed is held against
/// where the device's own figure is not given.
#[must_use]
pub fn product_speed(device: &Device) -> f64 {
    let device = device.clone().without_autodiff();
    let side: usize = if is_host(&device) { 1024 } else { 8192 };
    let (a, b) = (Tensor::<2>::ones([side, side], &device), Tensor::<2>::ones([side, side], &device));
    let once = || {
        let began = Instant::now();
        // Reading one number waits for the device.
        let corner = a.clone().matmul(b.clone()).narrow(0, 0, 1).narrow(1, 0, 1);
        drop(corner.into_data());
        2.0 * (side as f64).powi(3) / began.elapsed().as_secs_f64().max(1e-9)
    };
    (0..4).map(|_| once()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read() {
        let text = "MemTotal:       24576000 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nVmHWM:\t  2048 kB\n";
        assert_eq!(after(text, "VmHWM").and_then(kilobytes), Some(2 << 20));
        assert_eq!(after(text, "model name"), Some("Some CPU @ 2.0GHz"));
    }

    #[test]
    fn a_container_has_what_its_limit_leaves() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(group_memory(dir.path()), None);
        for (name, text) in [
            ("memory.max", "1000\n"),
            ("memory.current", "700\n"),
            ("memory.stat", "anon 5\ninactive_file 100\n"),
        ] {
            pipeline::atomic::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(group_memory(dir.path()), Some(400));
        pipeline::atomic::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(group_memory(dir.path()), None);
    }

    #[test]
    fn a_product_takes_some_time() {
        let speed = product_speed(&Device::flex());
        assert!(speed > 1e6 && speed.is_finite(), "{speed}");
    }

    #[test]
    fn bytes_are_said_in_the_unit_that_suits() {
        assert_eq!([in_words(1 << 19), in_words(3 << 30)], ["0.5 MiB", "3.00 GiB"]);
    }
}
