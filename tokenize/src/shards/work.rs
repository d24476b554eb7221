//! One unit of work: a row range of a pair shard becomes a token shard in every grid that has none yet.
//!
//! Three stages overlap: reading and preparing on the thread pool, the codec in this thread, writing in another. What
//! passes between them is bounded, so the fastest waits and memory does not grow.

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use pipeline::pairs;
use pipeline::reason::Reason;
use pipeline::unit::{Attempt, Produced, Unit};

use super::ShardsConfig;
use super::batch::{Batches, Coded};
use super::columns::TextReader;
use super::prepare::{Outcome, Prepared, prepare_all};
use super::talk::Talk;
use super::time::Clocks;
use super::write::{Output, write_all};
use crate::bpe::Bpe;
use crate::codec::Codec;
use crate::tokens::{Column, TokenMeta, TokenWriter};
use crate::{Error, Result};

/// Chunks of pairs that may wait for the next stage.
const AHEAD: usize = 2;

/// What a unit needs to know.
pub(super) struct Job<'a> {
    pub(super) config: &'a ShardsConfig,
    pub(super) bpe: Option<&'a Bpe>,
    /// The grids that the unit is missing in.
    pub(super) metas: Vec<&'a TokenMeta>,
    /// The columns passed through, as they are in the pairs.
    pub(super) columns: &'a [Column],
    /// The columns of the token shards after the format's own.
    pub(super) written: &'a [Column],
    /// Whether the pair shard has pictures at all; without them its rows are texts.
    pub(super) has_pictures: bool,
    pub(super) clocks: &'a Clocks,
}

/// Tokenizes one unit into a data file of each attempt.
///
/// # Errors
/// A damaged pair shard, a codec that fails, a full disk, Ctrl-C.
pub(super) fn unit(
    attempts: &[Attempt<'_>],
    outs: &[&str],
    codec: Option<&Codec>,
    job: &Job<'_>,
    talk: &Talk<'_>,
) -> Result<Vec<Produced>> {
    let Some(first) = attempts.first() else { return Ok(Vec::new()) };
    let outputs = attempts.iter().zip(outs).zip(&job.metas).map(|((attempt, out), meta)| {
        let name = PathBuf::from(out).join(format!("{}.parquet", attempt.label()));
        Ok(Output::new(TokenWriter::new(attempt.shard("parquet")?, name, meta, job.written)?))
    });
    let outputs = run(first.unit, codec, job, outputs.collect::<Result<_>>()?, |prepared| {
        first.check()?;
        for pair in prepared {
            talk.outcome(&pair.key, code(pair));
        }
        talk.done(prepared.len() as u64);
        Ok(())
    })?;
    let produced = outputs.into_iter().map(|output| {
        let shard = output.writer.finish()?;
        Ok(shard.finish(output.rows, output.counts, serde_json::Value::Null)?)
    });
    produced.collect()
}

/// The outcome that is told while working: that of the first grid.
fn code(pair: &Prepared) -> &'static str {
    match pair.grids.first() {
        Some(Outcome::Reason(code)) => code,
        _ => Reason::Ok.code(),
    }
}

/// Runs the three stages; `step` is told of every chunk before it goes to the codec.
fn run<W: Write + Send>(
    unit: &Unit,
    codec: Option<&Codec>,
    job: &Job<'_>,
    outputs: Vec<Output<W>>,
    step: impl Fn(&[Prepared]) -> Result<()>,
) -> Result<Vec<Output<W>>> {
    let pairs = pairs::open(&unit.file)?.range(unit.start, unit.rows);
    let texts = TextReader::open(&unit.file, (unit.start, unit.rows), job.config, job.columns)?;
    std::thread::scope(|scope| {
        let (to_codec, prepared) = sync_channel(AHEAD);
        let (to_writer, coded) = sync_channel(AHEAD);
        scope.spawn(move || prepare_all(pairs, texts, job, &to_codec));
        let writer = scope.spawn(move || write_all(outputs, job, coded));
        let batches = Batches::new(codec, job.metas.len(), job.config.batch, &job.clocks.codec);
        let worked = encode_all(prepared, batches, to_writer, step);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        worked.and(written)
    })
}

/// Takes the channels, so that returning ends the stages before and behind.
fn encode_all(
    prepared: Receiver<Result<Vec<Prepared>>>,
    mut batches: Batches<'_>,
    to_writer: SyncSender<Vec<Coded>>,
    step: impl Fn(&[Prepared]) -> Result<()>,
) -> Result<()> {
    for chunk in prepared {
        let chunk = chunk?;
        step(&chunk)?;
        for pair in chunk {
            batches.push(pair)?;
        }
        // A writer that is gone has met an error, which joining it brings.
        if to_writer.send(batches.ready()).is_err() {
            return Ok(());
        }
    }
    batches.flush()?;
    drop(to_writer.send(batches.ready()));
    Ok(())
}

/// Whether the pairs of a shard have pictures: in a column, or beside the table, where reading finds them.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn has_pictures(file: &str) -> Result<bool> {
    let schema = pairs::open(file)?.schema()?;
    Ok(pairs::image_column(&schema).is_some())
}

/// Tells the runner, which speaks the pipeline's errors, that ours is kept elsewhere.
pub(super) fn lost(error: Error, failure: &std::cell::RefCell<Option<Error>>) -> pipeline::Error {
    match error {
        Error::Pipeline(error) => error,
        other => {
            failure.replace(Some(other));
            pipeline::Error::Lost { what: "tokenizing" }
        }
    }
}
