//! Which texts more than so many rows have, counted exactly by a 64-bit hash.

use std::collections::HashSet;
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

use super::columns::Text;
use crate::Result;
use crate::tally::Tally;

/// The frequent texts of one column, once they are counted.
#[derive(Debug)]
pub(super) struct Repeats {
    pub(super) column: Text,
    /// The step that asks: what the steps before it rewrite is counted as they leave it.
    pub(super) step: usize,
    max: u64,
    numbers: bool,
    frequent: OnceLock<HashSet<u64>>,
}

impl Repeats {
    pub(super) fn new(column: Text, step: usize, max: u64, numbers: bool) -> Self {
        Self { column, step, max, numbers, frequent: OnceLock::new() }
    }

    pub(super) fn are_counted(&self) -> bool {
        self.frequent.get().is_some()
    }

    /// Whether too many rows have this text; `template` is room to write in.
    pub(super) fn is_frequent(&self, text: &str, template: &mut String) -> bool {
        let hash = self.hash(text, template);
        self.frequent.get().zip(hash).is_some_and(|(frequent, hash)| frequent.contains(&hash))
    }

    /// The hash of a text's template; of an empty text none.
    pub(super) fn hash(&self, text: &str, template: &mut String) -> Option<u64> {
        template.clear();
        write_template(text, self.numbers, template);
        (!template.is_empty()).then(|| xxh3_64(template.as_bytes()))
    }

    /// Ends the counting.
    pub(super) fn settle(&self, tally: Tally) -> Result<()> {
        let mut frequent = HashSet::new();
        tally.close(|hash, rows| {
            if rows > self.max {
                frequent.insert(hash);
            }
        })?;
        self.frequent.get_or_init(|| frequent);
        Ok(())
    }
}

/// The text in lower case, each run of spaces one space and, if so wished, each number a 0.
fn write_template(text: &str, numbers: bool, template: &mut String) {
    let mut before = None;
    for c in text.trim().chars() {
        let c = match c {
            c if numbers && c.is_numeric() => '0',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        let again = before == Some(c) && (c == ' ' || (numbers && c == '0'));
        match c.is_ascii() {
            _ if again => {}
            true => template.push(c.to_ascii_lowercase()),
            false => template.extend(c.to_lowercase()),
        }
        before = Some(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, numbers: bool) -> String {
        let mut template = String::new();
        write_template(text, numbers, &mut template);
        template
    }

    #[test]
    fn templates_forget_case_spaces_and_numbers() {
        assert_eq!(template("  Picture 12 of\n 340 ", true), "picture 0 of 0");
        assert_eq!(template("Picture 12", false), "picture 12");
        assert_eq!(template("КОТ №5", true), "кот №0");
    }
}
