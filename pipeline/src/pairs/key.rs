//! Keys: which row of which shard a row is.

/// Makes the keys of a shard.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    label: String,
    /// Digits of a row's number.
    digits: usize,
}

impl Keys {
    /// Keys of the shard that is numbered `label` in file names.
    pub(crate) fn new(label: &str, rows_per_unit: u64) -> Self {
        let digits = rows_per_unit.saturating_sub(1).checked_ilog10().map_or(0, |n| n as usize + 1);
        Self { label: label.to_owned(), digits }
    }

    /// The shard's number, then the row in as many digits as the largest one needs: `000010005`.
    pub(crate) fn key(&self, row: usize) -> String {
        match self.digits {
            0 => self.label.clone(),
            digits => format!("{}{row:0digits$}", self.label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbered_as_in_img2dataset() {
        let key = |label: &str, row, rows_per_unit| Keys::new(label, rows_per_unit).key(row);
        assert_eq!(key("00001", 5, 10_000), "000010005");
        assert_eq!(key("00003", 7, 100), "0000307");
        assert_eq!(key("00000", 39, 40), "0000039");
        assert_eq!(key("00012", 0, 1), "00012");
        assert_eq!(key("012", 1, 2), "0121");
    }
}
