//! What a case's folder holds, compared with its model before it is used: a malformed folder is an error, not a panic.

use tokenize::parity::Case;

use super::core;
use crate::Result;
use crate::gpt::GptConfig;
use crate::objective::LossLayout;

/// An error that names the case.
pub(super) fn refuse<T>(case: &Case, why: impl AsRef<str>) -> Result<T> {
    Err(case.fault(why.as_ref()).into())
}

/// A configuration that a model can have.
pub(super) fn model(case: &Case, config: GptConfig) -> Result<GptConfig> {
    match config.validate() {
        Ok(()) => Ok(config),
        Err(error) => refuse(case, format!("config: {error}")),
    }
}

/// A number of `case.json` that is not above `most`.
pub(super) fn number(case: &Case, pointer: &str, most: usize) -> Result<usize> {
    match case.config::<usize>(pointer)? {
        number if number <= most => Ok(number),
        number => refuse(case, format!("{pointer} is {number}, more than {most}")),
    }
}

/// Refuses ids that a table of `limit` rows does not have.
fn below(case: &Case, name: &str, ids: &[i64], limit: usize) -> Result<()> {
    match ids.iter().find(|id| !usize::try_from(**id).is_ok_and(|id| id < limit)) {
        Some(id) => refuse(case, format!("{name:?} holds {id}, which is not in 0..{limit}")),
        None => Ok(()),
    }
}

/// Places below `limit`.
pub(super) fn places(case: &Case, name: &str, limit: usize) -> Result<Vec<usize>> {
    let places = case.integers(name)?.1;
    below(case, name, places, limit)?;
    Ok(places.iter().map(|&place| place as usize).collect())
}

/// At least one row, each of `length` ids below `limit`.
pub(super) fn rows(case: &Case, name: &str, length: usize, limit: usize) -> Result<Vec<Vec<i64>>> {
    let rows = core::rows(case, name)?;
    if rows.is_empty() {
        return refuse(case, format!("{name:?} is empty"));
    }
    for row in &rows {
        if row.len() != length {
            return refuse(case, format!("{name:?} has {} ids in a row, the model {length}", row.len()));
        }
        below(case, name, row, limit)?;
    }
    Ok(rows)
}

/// At least `least` whole sequences of ids that the model has vectors and logits for.
pub(super) fn sequences(
    case: &Case,
    name: &str,
    config: &GptConfig,
    layout: LossLayout,
    least: usize,
) -> Result<Vec<Vec<i64>>> {
    let segments = config.segments();
    let image = segments.image_range();
    let rows = rows(case, name, segments.total(), usize::MAX)?;
    if rows.len() < least {
        return refuse(case, format!("{name:?} has {} rows, at least {least} are needed", rows.len()));
    }
    for row in &rows {
        below(case, name, &row[..image.start], config.total_text())?;
        below(case, name, &row[image.clone()], config.total_image())?;
        below(case, name, &row[image.end..], config.total_text())?;
        // There the first code is a target among the text ids.
        if layout == LossLayout::V3 && config.left > 0 {
            let first = image.start..image.end.min(image.start + 1);
            below(case, name, &row[first], config.total_text())?;
        }
    }
    Ok(rows)
}
