//! One function per subcommand; each returns the exit code.

use std::path::Path;

use pipeline::cli::{self, Common, print};
use pipeline::crawl::{self, ByteSize, CrawlConfig, CrawlSummary, RunOptions};
use pipeline::progress::clock;
use pipeline::reason::Reason;
use pipeline::settings::{self, suggest};
use pipeline::store::Store;
use pipeline::unit::{Plan, Selection, committed, finish};
use pipeline::{Error, Result, interrupt};
use serde_json::{Value, json};

use crate::args::{Arguments, Command, Crawl, Explain, Folder};
use crate::doctor::doctor;
use crate::show::{show, tell};

pub(crate) fn run(command: Command) -> Result<u8> {
    match command {
        Command::Crawl(args) if args.dry_run => plan(&args),
        Command::Crawl(args) => crawl(&args),
        Command::Plan(args) => plan(&args),
        #[cfg(feature = "card")]
        Command::Card(args) => crate::card::card(&args).map(|()| 0),
        Command::Show(args) => show(&args).map(|()| 0),
        Command::Status(args) => status(&args).map(|()| 0),
        Command::Finish(args) => finish_folder(&args),
        Command::Explain(args) => explain(&args).map(|()| 0),
        Command::Doctor(args) => doctor(&args),
        Command::Completions { shell } => cli::completions::<Arguments>(shell).map(|()| 0),
    }
}

fn load(args: &Crawl) -> Result<CrawlConfig> {
    args.img2dataset.check()?;
    settings::load(args.config_file(), &args.sets())
}

fn crawl(args: &Crawl) -> Result<u8> {
    let config = load(args)?;
    args.img2dataset.notes().iter().for_each(|note| args.common.say(note));
    let options = RunOptions {
        selection: args.unit.unwrap_or(Selection::All),
        fresh: args.fresh(),
        style: args.common.progress_style(),
        verbose: args.common.verbose,
        interrupt: interrupt::install(),
    };
    let summary = crawl::run(&config, &options)?;
    conclude(&args.common, &summary)?;
    Ok(u8::from(!summary.good_enough))
}

fn conclude(common: &Common, summary: &CrawlSummary) -> Result<()> {
    if common.json {
        return record("summary", json!(summary));
    }
    common.say(&summary.text());
    if summary.units_missing == 0 {
        common.say(&format!("next: {}", crawl::next_command(Path::new(&summary.output))));
    } else {
        common.say(&format!(
            "{} units are missing: see `pipeline status {}`",
            summary.units_missing, summary.output
        ));
    }
    Ok(())
}

/// A versioned JSON line.
pub(crate) fn record(kind: &str, mut value: Value) -> Result<()> {
    if let Some(object) = value.as_object_mut() {
        let mut line = serde_json::Map::new();
        line.insert("type".to_owned(), kind.into());
        line.insert("version".to_owned(), 1.into());
        line.append(object);
        return print(&Value::from(line).to_string());
    }
    print(&value.to_string())
}

fn plan(args: &Crawl) -> Result<u8> {
    let config = load(args)?;
    let (plan, estimate) = crawl::outlook(&config)?;
    if args.common.json {
        let mut plan = json!(plan);
        plan["estimate"] = json!(estimate);
        record("plan", plan)?;
        return Ok(0);
    }
    let done = estimate.from_units;
    let (rows, units) = (plan.rows(), plan.units.len());
    let mut lines = vec![format!("plan {}: {rows} rows in {units} units, {done} done", plan.plan_id)];
    for input in &plan.inputs {
        lines.push(format!("  {}: {} rows, {}", input.path, input.rows, ByteSize(input.bytes).human()));
    }
    if estimate.hosts > 0 {
        let (hosts, sampled, largest) = (estimate.hosts, estimate.sampled_rows, estimate.largest_hosts());
        lines.push(format!("  {hosts} hosts in {sampled} rows of it; most rows: {largest}"));
    }
    let basis = match done {
        0 => "by typical values: expect the order of magnitude".to_owned(),
        units => format!("by the {units} units that are done"),
    };
    let (bytes, time) = (ByteSize(estimate.shard_bytes).human(), clock(estimate.seconds.ceil() as u64));
    lines.push(format!("  about {bytes} of shards, {time} to go, {basis}"));
    print(&lines.join("\n"))?;
    Ok(0)
}

fn status(args: &Folder) -> Result<()> {
    let store = Store::open(&args.folder)?;
    let plan = Plan::load(&store)?;
    let commits = committed(&store)?;
    let missing: Vec<usize> = plan
        .units
        .iter()
        .map(|unit| unit.index)
        .filter(|index| !commits.iter().any(|c| c.unit == *index))
        .collect();
    let rows: u64 = commits.iter().map(|commit| commit.rows).sum();
    if args.common.json {
        let (done, units) = (commits.len(), plan.units.len());
        return record("status", json!({"units": units, "done": done, "rows": rows, "missing": missing}));
    }
    let done =
        format!("{} of {} units done, {rows} of {} rows", commits.len(), plan.units.len(), plan.rows());
    match missing.is_empty() {
        true => print(&done),
        false => print(&format!("{done}\nmissing: {}", ranges(&missing))),
    }
}

/// `0-3, 7, 9-12`.
fn ranges(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn finish_folder(args: &Folder) -> Result<u8> {
    let manifest = finish(&Store::open(&args.folder)?)?;
    let missing = !manifest.missing.is_empty();
    if args.common.json {
        record("manifest", json!(manifest))?;
    } else {
        let done = manifest.units - manifest.missing.len();
        args.common.say(&format!(
            "{done} of {} units, {} rows, {}",
            manifest.units,
            manifest.rows,
            tell(&manifest.counts)
        ));
        if missing {
            args.common.say(&format!("missing: {}", ranges(&manifest.missing)));
        }
    }
    Ok(u8::from(missing))
}

fn explain(args: &Explain) -> Result<()> {
    let reasons: Vec<Reason> = match &args.code {
        Some(code) => vec![code.parse().map_err(|e: String| unknown_reason(code, &e))?],
        None => Reason::ALL.to_vec(),
    };
    for reason in reasons {
        let (code, status, text, hint) =
            (reason.code(), reason.status().code(), reason.text(), reason.hint());
        if args.json {
            record("reason", json!({"code": code, "status": status, "text": text, "hint": hint}))?;
        } else {
            print(&format!("{code} ({status})\n  {text}\n  {hint}"))?;
        }
    }
    Ok(())
}

fn unknown_reason(code: &str, message: &str) -> Error {
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let error = Error::config("explain", message);
    match suggest(code, &codes) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("`pipeline explain` lists all of them"),
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7, 9, 10]), "0-3, 7, 9-10");
        assert_eq!(ranges(&[]), "");
    }
}
