//! `tokenize shards`: pairs → tokens.

use tokenize::shards::{RunOptions, run};

use super::super::report::thousands;
use super::{Done, Road};
use crate::Result;

impl Road {
    /// Pictures through the codec, captions through the vocabulary. Returns the rows written.
    pub(super) fn tokens(&mut self) -> Result<u64> {
        let command = self.settings.tokens.command(&["tokenize", "shards"]);
        self.stage("tokens", "pictures to codes, captions to ids", command, |road| {
            let options = RunOptions {
                fresh: road.fresh,
                style: road.common.progress_style(),
                interrupt: road.interrupt.clone(),
                ..RunOptions::default()
            };
            let summary = run(&road.settings.tokens.config, &options)?;
            let said = format!(
                "{} rows, one for each caption of {} pictures",
                thousands(summary.rows),
                thousands(summary.pictures())
            );
            Ok(Done { value: summary.rows, worked: summary.already_done < summary.units, said })
        })
    }
}
