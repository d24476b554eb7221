//! What the stages that make shards from shards tell at their end.

use pipeline::crawl::ByteSize;
use pipeline::progress::clock;
use pipeline::unit::StageSummary;

/// Units, rows and bytes, for people.
pub(crate) fn text(summary: &StageSummary) -> String {
    let StageSummary { units, units_before, units_done, units_missing, rows_done, rows, rows_read, .. } =
        summary;
    let first = match (summary.already_done(), units_missing) {
        (true, 0) => format!("all {units} units already done"),
        (true, missing) => format!("{units_before} units already done, {missing} missing"),
        (false, _) => {
            let rate = *rows_done as f64 / summary.seconds.max(1e-3);
            let took = clock(summary.seconds.round() as u64);
            format!("{units_done} units in {took}, {rate:.0} rows/s")
        }
    };
    let bytes = ByteSize(summary.bytes).human();
    format!("{first}\n{rows} of {rows_read} rows, {bytes} in {}", summary.output)
}
