//! What the pages of the programs have in common: their look, and numbers as people read them.

/// Colours in light and dark, and the elements that every page has: text, tiles, cards, tables, bars.
pub const STYLE: &str = include_str!("style.css");

/// `1369` as `1,369`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups =
        digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| digits[..first].to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// A share as `12.5%`; small ones keep two digits.
pub fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if value > 0.0 && value < 1.0 { format!("{value:.2}%") } else { format!("{value:.1}%") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([7, 1369, 12_345, 1_234_567].map(thousands), ["7", "1,369", "12,345", "1,234,567"]);
        assert_eq!([0.0, 0.00076, 0.125, 1.0].map(percent), ["0.0%", "0.08%", "12.5%", "100.0%"]);
    }
}
