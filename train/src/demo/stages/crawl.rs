//! `pipeline crawl`: links → pairs, from a host inside this process.

use pipeline::crawl::{RunOptions, run};

use super::super::data::{Data, HOST};
use super::super::report::thousands;
use super::super::serve::Server;
use super::{Done, Road};
use crate::Result;

impl Road {
    /// Serves the pictures, writes the link list and crawls it.
    ///
    /// The list names a host instead of a port, and `net.resolve`, which is no part of the plan, says where it is: so
    /// a later run finds the same list and the same plan.
    pub(super) fn crawl(&mut self, data: &Data) -> Result<()> {
        let server = Server::start(data)?;
        let links = self.place.out("links.tsv");
        pipeline::atomic::write(&links, data.links())?;
        self.settings.crawl.set(format!("net.resolve=[\"{HOST}={}\"]", server.address()))?;
        let what = format!(
            "{} links, served by this process at {}",
            thousands(data.emoji.len() as u64),
            server.address()
        );
        let command = self.settings.crawl.command(&["pipeline", "crawl"]);
        self.stage("crawl", &what, command, |road| {
            let options = RunOptions {
                fresh: road.fresh,
                style: road.common.progress_style(),
                verbose: road.common.verbose,
                interrupt: road.interrupt.clone(),
                ..RunOptions::default()
            };
            let summary = run(&road.settings.crawl.config, &options)?;
            let said = format!(
                "{} of {} rows have a picture",
                thousands(summary.successes()),
                thousands(summary.rows)
            );
            Ok(Done { value: (), worked: !summary.already_done(), said })
        })
    }
}
