//! From numbers to places and words: what a chart spans, the round numbers on its axes, numbers as people read them.

/// Curves with fewer points show all of them, however far apart.
const FEW: usize = 50;
/// How many times the usual spread a value may lie outside of it before the chart no longer bends to it: the steep fall
/// of the first steps and a loss of 1e9 would leave the rest of a month a flat line.
const FAR: f64 = 1.0;

/// What a chart spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    /// The first and the last step.
    pub(super) x: (f64, f64),
    /// The lowest and the highest value shown.
    pub(super) y: (f64, f64),
    /// The step and the value that lies farthest beyond them.
    pub(super) beyond: Option<(f64, f64)>,
}

impl Extent {
    /// From step 0 to the last, and over all usual values; none without points.
    pub(super) fn of<'a>(curves: impl Iterator<Item = &'a [(f64, f64)]>) -> Option<Self> {
        let finite = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
        let points: Vec<_> = curves.flatten().filter(finite).copied().collect();
        let last = points.iter().map(|(x, _)| *x).reduce(f64::max)?;
        let mut values: Vec<_> = points.iter().map(|(_, y)| *y).collect();
        let limits = usual(&mut values);
        let inside = |value: &f64| limits.is_none_or(|(low, high)| (low..=high).contains(value));
        let shown = || values.iter().copied().filter(inside);
        let y = (shown().reduce(f64::min)?, shown().reduce(f64::max)?);
        let outside = |value: f64| (value - y.1).max(y.0 - value);
        let beyond = points.into_iter().filter(|(_, value)| !inside(value));
        let beyond = beyond.max_by(|a, b| outside(a.1).total_cmp(&outside(b.1)));
        Some(Self { x: (0.0, last.max(1.0)), y, beyond })
    }

    /// The same with a little room above and below, so that no line lies on an edge.
    pub(super) fn with_room(mut self) -> Self {
        let (low, high) = self.y;
        let room = match (high - low) * 0.05 {
            // A curve that never changes runs through the middle.
            room if room <= 0.0 => {
                if high == 0.0 {
                    1.0
                } else {
                    high.abs() * 0.1
                }
            }
            room => room,
        };
        // What is never negative gets no negative axis.
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        self.y = ((low - room).max(floor), high + room);
        self
    }

    /// `9.9e9 at step 500 is off the chart`.
    pub(super) fn beyond(&self) -> Option<String> {
        self.beyond.map(|(step, value)| format!("{} at step {step} is off the chart", number(value)))
    }
}

/// Between which two a value is usual, judged by the bulk of them; none where they are few.
fn usual(values: &mut [f64]) -> Option<(f64, f64)> {
    if values.len() < FEW {
        return None;
    }
    let edge = values.len() / 50;
    let last = values.len() - 1 - edge;
    let low = *values.select_nth_unstable_by(edge, f64::total_cmp).1;
    let high = *values.select_nth_unstable_by(last, f64::total_cmp).1;
    let room = FAR * (high - low);
    // Values that hardly ever change have no spread to judge by.
    (room > 0.0).then_some((low - room, high + room))
}

/// Round numbers between two values: 1, 2 or 5 times a power of ten apart, about as many as asked for.
pub(super) fn ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let raw = (high - low) / most.max(1) as f64;
    if !(raw.is_finite() && raw > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(10.0 * power);
    // 3e-4 is 2.9999999999999996 steps of 1e-4.
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|i| i as f64 * step).map(|value| (value, label(value, step))).collect()
}

/// A number on an axis whose numbers are `step` apart: `1.5k`, `0.25`, `3e-4`.
fn label(value: f64, step: f64) -> String {
    let (unit, sign) = match value.abs() {
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e3 => (1e3, "k"),
        size if size < 1e-3 && size > 0.0 => return format!("{value:.1e}").replace(".0e", "e"),
        _ => (1.0, ""),
    };
    let decimals = (-(step / unit).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{}{sign}", trimmed(&format!("{:.decimals$}", value / unit)))
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A measured number: `5.123`, `3.00e-4`, `12.3k`, `4.56M`, `72.0G`.
#[must_use]
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size != 0.0 && !(1e-3..1e12).contains(&size) => format!("{value:.2e}"),
        size if size >= 1e9 => format!("{:.2}G", value / 1e9),
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        _ if value.fract() == 0.0 => format!("{value}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> Vec<String> {
        ticks(low, high, 5).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(labels(0.0, 1500.0), ["0", "500", "1k", "1.5k"]);
        assert_eq!(labels(3.9, 7.1), ["4", "5", "6", "7"]);
        assert_eq!(labels(0.0, 3e-4), ["0", "1e-4", "2e-4", "3e-4"]);
        assert_eq!(labels(4.0001, 4.0005).first().map(String::as_str), Some("4.0001"));
        assert_eq!(labels(0.0, 8e10).last().map(String::as_str), Some("80G"));
        assert!(labels(1.0, 1.0).is_empty() && labels(0.0, f64::INFINITY).is_empty());
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 3e-4, 5.12345, 17.0, 12_345.6, 4_560_000.0, -2.5, f64::NAN].map(number);
        assert_eq!(shown, ["0", "3.00e-4", "5.123", "17", "12.3k", "4.56M", "-2.500", "NaN"]);
    }

    #[test]
    fn one_absurd_value_is_told_and_not_drawn() {
        let mut points: Vec<_> = (0..1000).map(|i| (f64::from(i), 5.0 + f64::from(i % 10))).collect();
        points[700].1 = 1e9;
        let extent = Extent::of([&points[..]].into_iter()).unwrap();
        assert_eq!(extent.y, (5.0, 14.0));
        assert_eq!(extent.beyond().unwrap(), "1.00G at step 700 is off the chart");
        points[700].1 = 20.0;
        assert_eq!(Extent::of([&points[..]].into_iter()).unwrap().y, (5.0, 20.0), "a plain spike is drawn");
        assert_eq!(Extent::of([&points[695..705]].into_iter()).unwrap().beyond, None);
    }

    #[test]
    fn a_flat_curve_runs_through_the_middle() {
        let flat = |value: f64| Extent::of([&[(5.0, value)][..]].into_iter()).unwrap().with_room();
        assert_eq!((flat(0.0).y, flat(0.0).x), ((0.0, 1.0), (0.0, 5.0)));
        assert_eq!(flat(10.0).y, (9.0, 11.0));
        assert!(Extent::of([&[(1.0, f64::NAN)][..]].into_iter()).is_none());
    }
}
