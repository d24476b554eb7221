//! `status`: whether the row has a picture at all.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Site, Trouble, bad_texts};
use crate::filter::judge::Catcher;
use crate::reason::Status;

/// Keeps rows whose status is one of those named. Rows without a picture have nothing else to judge, so that no other
/// rule is asked about them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusRule {
    /// The column: `status`, or `reason` for the cause.
    pub column: String,
    /// The values that are kept, `success` by default.
    pub keep: BTreeSet<String>,
}

impl Default for StatusRule {
    /// Successes.
    fn default() -> Self {
        Self { column: "status".to_owned(), keep: [Status::Success.code().to_owned()].into() }
    }
}

impl StatusRule {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let keep = self.keep.clone();
        Ok(bad_texts(site.columns.text(&self.column)?, move |status| !keep.contains(status)))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{caught, texts};

    #[test]
    fn successes_stay_or_the_reasons_that_are_named() {
        let table = texts(&[
            ("status", &[Some("success"), Some("failed_to_download"), None]),
            ("reason", &[Some("ok"), Some("dns"), Some("timeout")]),
        ]);
        assert_eq!(caught("kind = \"status\"", &table), [1, 2]);
        let reasons = "kind = \"status\"\ncolumn = \"reason\"\nkeep = [\"ok\", \"timeout\"]";
        assert_eq!(caught(reasons, &table), [1]);
    }
}
