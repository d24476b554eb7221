//! Losses over token shards, and zero-shot accuracy where they have labels.

use std::path::Path;

use burn::tensor::Device;
use pipeline::progress::Progress;

use super::ScoreArgs;
use crate::bundle::Bundle;
use crate::data::Expected;
use crate::draw::Draws;
use crate::evaluate::batches;
use crate::evaluate::rows::{self, Placed};
use crate::evaluate::summary::Sums;
use crate::evaluate::table::Table;
use crate::evaluate::tokens::{self, Item};
use crate::evaluate::zero_shot::{Classes, Confusion, classify};
use crate::model::Model;
use crate::rudolph::Task;
use crate::{Error, Result, device};

/// What a model asks of the shards that it is scored on.
pub(super) fn expected(bundle: &Bundle, run: &Path) -> Expected {
    let config = bundle.model.gpt().config();
    let has_text = config.total_text() > 0;
    Expected {
        codec: Some((run.to_owned(), bundle.codec.sha256.clone())),
        bpe: bundle.bpe.as_ref().map(|bpe| (run.to_owned(), bpe.sha256().to_owned())),
        grid: config.grid,
        codebook_size: config.image_vocab,
        // A model without text reads none of the ids.
        vocab_size: if has_text { config.text_vocab } else { usize::MAX },
    }
}

pub(super) fn score(args: &ScoreArgs) -> Result<()> {
    let (run, device) = (args.run()?, device::open(&args.device)?);
    args.common.say(&format!("scoring with {}", run.display()));
    let bundle = Bundle::open(run, &device)?;
    if args.zero_shot.label_column.is_some() {
        return zero_shot(args, bundle);
    }
    let mut sums = Sums::default();
    let mut table = args.what.out.as_ref().map(|_| Table::default());
    losses(args, &bundle, &device, &mut sums, &mut table)?;
    if let (Some(table), Some(out)) = (table, &args.what.out) {
        table.write(out)?;
    }
    let summary = sums.finish(bundle.codec.downsampling());
    args.tell("score", &summary, &summary.table())
}

fn losses(
    args: &ScoreArgs,
    bundle: &Bundle,
    device: &Device,
    sums: &mut Sums,
    table: &mut Option<Table>,
) -> Result<()> {
    let Some(path) = &args.what.tokens else { return Ok(()) };
    let task = Task::from(args.what.task);
    let batch = args.batch.unwrap_or_else(|| batches::fitting(bundle.model.gpt().config()));
    let expected = expected(bundle, args.run()?);
    let mut rows = rows::read(path, &args.filter()?, &expected, args.what.rows)?;
    let needs_picture = !(task == Task::TextToText && matches!(bundle.model, Model::Rudolph(_)));
    let progress = Progress::start(args.common.progress_style(), "row", None, 0);
    loop {
        let taken = rows.by_ref().take(batch).collect::<Result<Vec<_>>>()?;
        if taken.is_empty() {
            break;
        }
        let read = taken.len();
        let taken: Vec<_> =
            taken.into_iter().filter(|placed| !needs_picture || placed.row.codes.is_some()).collect();
        sums.without_picture += (read - taken.len()) as u64;
        score_batch(bundle, task, &taken, device, sums, table)?;
        progress.set(sums.rows + sums.without_picture);
    }
    progress.finish();
    match sums.rows {
        0 => Err(Error::data(path, format!("no rows to score; {} have no picture", sums.without_picture))),
        _ => Ok(()),
    }
}

fn score_batch(
    bundle: &Bundle,
    task: Task,
    rows: &[Placed],
    device: &Device,
    sums: &mut Sums,
    table: &mut Option<Table>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let config = bundle.model.gpt().config();
    let mut items = Vec::with_capacity(rows.len());
    for placed in rows {
        let text = placed.row.text_ids.clone().unwrap_or_default();
        let codes = placed.row.codes.clone().unwrap_or_default();
        if config.total_text() > 0 {
            config.check_text(&text).map_err(|error| placed.fault(error))?;
        }
        if !codes.is_empty() {
            config.check_codes(&codes).map_err(|error| placed.fault(error))?;
        }
        items.push(Item { text, codes, right: None });
    }
    let (scores, cut) = tokens::score(&bundle.model, task, &items, device)?;
    sums.cut += cut as u64;
    for (placed, score) in rows.iter().zip(&scores) {
        if let Some(segment) = score.broken() {
            return Err(
                placed.fault(format!("the loss of its {segment} is not finite: the model's weights are"))
            );
        }
        sums.add(score);
        if let Some(table) = table {
            table.push(placed.row.key.clone(), *score);
        }
    }
    Ok(())
}

fn zero_shot(args: &ScoreArgs, bundle: Bundle) -> Result<()> {
    let (Some(path), Some(column), Some(file)) =
        (&args.what.tokens, &args.zero_shot.label_column, &args.zero_shot.classes)
    else {
        return Ok(());
    };
    let expected = expected(&bundle, args.run()?);
    let bundle = bundle.rudolph("classify")?;
    let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let classes = Classes::new(names, &args.zero_shot.templates, |text| bundle.ids(text))?;
    let batch = args.batch.unwrap_or_else(|| batches::fitting(bundle.model.gpt().config()));
    let mut confusion = Confusion::new(&classes);
    let progress = Progress::start(args.common.progress_style(), "picture", None, 0);
    let mut pictures = 0;
    for placed in rows::read(path, &args.filter()?, &expected, args.what.rows)? {
        let placed = placed?;
        let Some(codes) = &placed.row.codes else { continue };
        let label = label(&placed, column)?;
        let Some(class) = classes.place(&label) else {
            return Err(placed.fault(format!("label {label:?} is no class of {}", file.display())));
        };
        let found = classify(&bundle.model, &classes, codes, batch);
        confusion.add(class, found.map_err(|error| placed.fault(error))?);
        pictures += 1;
        progress.set(pictures);
    }
    progress.finish();
    if pictures == 0 {
        return Err(Error::data(path, "no rows with a picture to classify"));
    }
    if let Some(out) = &args.zero_shot.confusion {
        pipeline::atomic::write(out, confusion.table() + "\n")?;
    }
    let found = confusion.accuracy(&args.zero_shot.templates);
    let text = format!(
        "zero-shot accuracy: {:.2} % of {pictures} pictures, {} classes (chance {:.2} %)\n\
         protocol: lowest mean(exp loss) of the class text after the picture (RuDOLPH zs_clf), templates {:?}",
        100.0 * found.accuracy_top_1,
        classes.names.len(),
        100.0 * found.chance,
        found.templates,
    );
    args.tell("zero_shot", &found, &text)
}

/// The label of a row, as text.
fn label(placed: &Placed, column: &str) -> Result<String> {
    let Some(value) = placed.row.extra.get(column) else {
        let known = placed.row.extra.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(placed.fault(format!("no value in column `{column}`; columns with one: {known}")));
    };
    match (value.as_text(), value.as_int()) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(number)) => Ok(number.to_string()),
        (None, None) => Err(placed.fault(format!("column `{column}` holds neither names nor integers"))),
    }
}
