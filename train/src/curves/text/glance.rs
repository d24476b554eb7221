//! A curve in two lines: its name, its shape, its last value and its range.

use super::super::read::{Series, about};
use super::super::scale::{Extent, number};
use super::canvas::Canvas;
use super::plot::trace;

/// Characters for the numbers on the right.
const NUMBERS: usize = 24;
/// Longer names are cut.
const NAME: usize = 24;

/// Two lines for each series.
pub(super) fn lines(series: &[&Series], width: usize, colour: bool) -> Vec<String> {
    let name = series.iter().map(|series| series.metric.chars().count().clamp(8, NAME)).max().unwrap_or(0);
    series.iter().flat_map(|series| two(series, name, width.saturating_sub(name + NUMBERS), colour)).collect()
}

fn two(series: &Series, name: usize, width: usize, colour: bool) -> Vec<String> {
    let Some(extent) = Extent::of(std::iter::once(&series.points[..])) else { return Vec::new() };
    let mut canvas = Canvas::new(width, 2);
    trace(&mut canvas, &extent.with_room(), &series.points, 0);
    let last = series.points.last().map(|(_, value)| number(*value)).unwrap_or_default();
    let values = || series.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let range = match (values().reduce(f64::min), values().reduce(f64::max)) {
        (Some(low), Some(high)) if low < high => format!("{} to {}", number(low), number(high)),
        _ => String::new(),
    };
    let metric: String = match series.metric.chars().count() > NAME {
        true => series.metric.chars().take(NAME - 1).chain(['…']).collect(),
        false => series.metric.clone(),
    };
    let words = [(metric, last), (about(&series.kind).to_owned(), range)];
    let line = |((left, right), drawn): ((String, String), String)| {
        format!("{left:>name$}  {drawn}  {right}").trim_end().to_owned()
    };
    words.into_iter().zip(canvas.lines(colour)).map(line).collect()
}
