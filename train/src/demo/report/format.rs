//! Numbers as people read them.

/// Seconds as `4.2 s`, `3 min 05 s` or `1 h 02 min`.
pub(in super::super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Bytes as `512 MiB` or `1.25 GiB`.
pub(in super::super) fn bytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.2} GiB", mebibytes / 1024.0) }
}

/// A loss or `–`.
pub(super) fn loss(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([4.24, 185.0, 3720.0].map(duration), ["4.2 s", "3 min 05 s", "1 h 02 min"]);
        assert_eq!([300 << 20, 5 << 28].map(bytes), ["300 MiB", "1.25 GiB"]);
        assert_eq!([Some(1.23456), None].map(loss), ["1.235", "–"]);
    }
}
