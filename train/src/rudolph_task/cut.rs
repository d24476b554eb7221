//! Captions that are longer than the segment they go into: they are cut, and the reader is told how many.

use super::RudolphTask;
use crate::data::Tokens;
use crate::gpt::frame;
use crate::rudolph::Task;

/// A line for each segment that cuts some of the training captions in the tasks that are practised.
pub(super) fn notes(task: &RudolphTask, train: &Tokens) -> Vec<String> {
    let model = &task.model;
    let segments = [
        ("left", task.tasks.text_to_image, model.left_token(Task::TextToImage), model.left),
        ("right", task.tasks.image_to_text, model.right_token(), model.right),
    ];
    let line = |(name, share, token, len): (&str, f64, Option<u32>, usize)| {
        let fits = |row: &usize| !frame(train.text(*row), token, len).truncated;
        let cut = train.len() - (0..train.len()).filter(fits).count();
        (share > 0.0 && cut > 0).then(|| {
            format!(
                "{cut} of {} training captions do not fit into model.{name} = {len} and are cut",
                train.len()
            )
        })
    };
    segments.into_iter().filter_map(line).collect()
}
