//! How often values occur.

use std::collections::HashMap;

use super::record::{Count, Counted};

/// Characters of a value that are told apart: a hostile page may call a novel its licence.
const LONGEST: usize = 200;

/// A value without the space around it, as far as values are told apart.
pub(super) fn trimmed(value: &str) -> &str {
    let value = value.trim();
    let end = value.char_indices().nth(LONGEST).map_or(value.len(), |(end, _)| end);
    &value[..end]
}

/// Values with their rows, for columns of few different ones: all of them are in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    values: HashMap<Box<str>, u64>,
    rows: u64,
}

impl Counts {
    /// One more row with this value; a blank one is none.
    pub(super) fn add(&mut self, value: &str) {
        let value = trimmed(value);
        self.count(value, u64::from(!value.is_empty()));
    }

    /// So many more rows with this value.
    pub(super) fn count(&mut self, value: &str, rows: u64) {
        if rows == 0 {
            return;
        }
        self.rows += rows;
        match self.values.get_mut(value) {
            Some(count) => *count += rows,
            None => drop(self.values.insert(value.into(), rows)),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        other.values.iter().for_each(|(value, rows)| self.count(value, *rows));
    }

    /// The same for values that `name` makes of these.
    pub(super) fn by(&self, name: impl Fn(&str) -> &str) -> Self {
        let mut counts = Self::default();
        self.values.iter().for_each(|(value, rows)| counts.count(name(value), *rows));
        counts
    }

    /// The figures, with the `most` frequent values; those of as many rows in the order of their letters.
    pub(super) fn close(self, most: usize) -> Counted {
        let (rows, different) = (self.rows, self.values.len() as u64);
        let mut top: Vec<Count> =
            self.values.into_iter().map(|(value, rows)| Count { value: value.into(), rows }).collect();
        top.sort_by(|a, b| (b.rows, &a.value).cmp(&(a.rows, &b.value)));
        top.truncate(most);
        Counted { rows, different, top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_ties_by_letter() {
        let mut counts = Counts::default();
        ["b", "a", " b ", "", "c", "\n"].into_iter().for_each(|value| counts.add(value));
        let mut more = Counts::default();
        more.add(&"я".repeat(300));
        more.add("c");
        counts.merge(more);
        let counted = counts.by(|value| if value == "a" { "d" } else { value }).close(3);
        assert_eq!((counted.rows, counted.different), (6, 4));
        let top: Vec<_> = counted.top.iter().map(|count| (count.value.as_str(), count.rows)).collect();
        assert_eq!(top, [("b", 2), ("c", 2), ("d", 1)]);
        assert_eq!(counts_of_long(), 200);
    }

    fn counts_of_long() -> usize {
        let mut counts = Counts::default();
        counts.add(&"я".repeat(300));
        counts.close(1).top[0].value.chars().count()
    }
}
