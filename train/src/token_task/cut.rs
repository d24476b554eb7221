//! Texts that are longer than the segment they go into: they are cut, and the reader is told how many.

use super::exercise::Exercise;
use crate::data::Tokens;

/// A line for each segment that cuts some of the training texts of a task; `keys` name the two lengths.
pub(super) fn notes<'a>(
    exercises: impl Iterator<Item = &'a Exercise>,
    train: &Tokens,
    keys: [&str; 2],
) -> Vec<String> {
    let mut lines = Vec::new();
    for exercise in exercises {
        let rows = exercise.takes(train);
        let cuts: Vec<_> = rows.into_iter().map(|row| exercise.example(train, row, false).1).collect();
        for (side, (sides, key)) in exercise.sides().into_iter().zip(keys).enumerate() {
            let count = cuts.iter().filter(|cut| cut[side]).count();
            if let Some((template, len)) = sides.filter(|_| count > 0) {
                let texts = match (template.is_caption(), side) {
                    (true, _) => "training captions".to_owned(),
                    (false, 0) => format!("left texts of the task {}", exercise.plan.name),
                    (false, _) => format!("right texts of the task {}", exercise.plan.name),
                };
                lines.push(format!(
                    "{count} of {} {texts} do not fit into {key} = {len} and are cut",
                    cuts.len()
                ));
            }
        }
    }
    lines.dedup();
    lines
}
