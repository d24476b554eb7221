//! Curves over numbered axes, as lines of text.

use super::super::columns::columns;
use super::super::scale::{Extent, ticks};
use super::canvas::{Canvas, coloured};

/// Signs that tell curves apart where there are no colours; the first curve is drawn in dots.
const MARKS: [char; 7] = ['●', '○', '×', '+', '◆', '△', '*'];

/// One curve of a plot.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Curve<'a> {
    pub(in super::super) name: &'a str,
    pub(in super::super) points: &'a [(f64, f64)],
    /// Drawn as signs in any case: for few points that mean more than the line between them.
    pub(in super::super) marked: bool,
}

/// A plot: its heading with the legend, its curves, its axes.
#[derive(Clone, Debug)]
pub(in super::super) struct Plot<'a> {
    pub(in super::super) title: &'a str,
    pub(in super::super) curves: Vec<Curve<'a>>,
    /// Characters in all.
    pub(in super::super) width: usize,
    /// Lines of the drawing, to which the heading and two lines of the axis come.
    pub(in super::super) height: usize,
    pub(in super::super) colour: bool,
}

impl Plot<'_> {
    /// The lines; none without points.
    pub(in super::super) fn lines(&self) -> Vec<String> {
        let Some(extent) = Extent::of(self.curves.iter().map(|curve| curve.points)) else {
            return Vec::new();
        };
        let extent = extent.with_room();
        let labels = self.labels(&extent);
        let margin = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        // A space before the numbers and one behind them, then the axis.
        let mut canvas = Canvas::new(self.width.saturating_sub(margin + 3), self.height);
        for (index, curve) in self.curves.iter().enumerate() {
            match self.mark(index, curve) {
                Some(sign) => marks(&mut canvas, &extent, curve.points, sign, index),
                None => trace(&mut canvas, &extent, curve.points, index),
            }
        }
        let row = |(label, drawn): (&String, String)| {
            let axis = if label.is_empty() { '│' } else { '┤' };
            format!(" {label:>margin$} {axis}{drawn}").trim_end().to_owned()
        };
        let mut lines = vec![self.heading(&extent)];
        lines.extend(labels.iter().zip(canvas.lines(self.colour)).map(row));
        lines.extend(steps(&extent, margin, canvas.size().0 / 2));
        lines
    }

    fn heading(&self, extent: &Extent) -> String {
        let legend = self.curves.iter().enumerate().filter(|(_, curve)| !curve.points.is_empty());
        let entry = |(index, curve): (usize, &Curve)| {
            let sign = self.mark(index, curve).map_or_else(|| "⠒⠒".to_owned(), String::from);
            format!("{} {}", coloured(&sign, index, self.colour), curve.name)
        };
        let beyond = extent.beyond().map(|told| format!("({told})"));
        let parts = std::iter::once(self.title.to_owned()).chain(legend.map(entry)).chain(beyond);
        parts.collect::<Vec<_>>().join("   ")
    }

    fn mark(&self, index: usize, curve: &Curve) -> Option<char> {
        let sign = MARKS[index.saturating_sub(1) % MARKS.len()];
        (curve.marked || (!self.colour && index > 0)).then_some(sign)
    }

    /// A number for each line, or nothing.
    fn labels(&self, extent: &Extent) -> Vec<String> {
        let mut labels = vec![String::new(); self.height];
        for (value, label) in ticks(extent.y.0, extent.y.1, self.height / 2) {
            if let Some(place) = labels.get_mut(height(extent, value, 4 * self.height) / 4) {
                *place = label;
            }
        }
        labels
    }
}

/// The dot of a value, counted from the top; what is off the chart lies on its edge.
pub(super) fn height(extent: &Extent, value: f64, dots: usize) -> usize {
    let (low, high) = extent.y;
    let share = ((high - value) / (high - low)).clamp(0.0, 1.0);
    (share * dots.saturating_sub(1) as f64).round() as usize
}

/// A curve in dots: from the lowest to the highest value of each column, and on to the next column that has points.
pub(super) fn trace(canvas: &mut Canvas, extent: &Extent, points: &[(f64, f64)], curve: usize) {
    let (width, dots) = canvas.size();
    let mut before: Option<(usize, usize)> = None;
    for (x, column) in columns(points, extent.x, width).into_iter().enumerate() {
        let Some(column) = column else { continue };
        let at = |value| height(extent, value, dots);
        canvas.dots(x, at(column.high), at(column.low), curve);
        if let Some(before) = before {
            join(canvas, before, (x, at(column.first)), curve);
        }
        before = Some((x, at(column.last)));
    }
}

/// A straight line of dots without gaps, without its two ends.
fn join(canvas: &mut Canvas, from: (usize, usize), to: (usize, usize), curve: usize) {
    let steps = to.0 - from.0;
    let at = |x: usize| {
        let share = x as f64 / steps as f64;
        (from.1 as f64 + share * (to.1 as f64 - from.1 as f64)).round() as usize
    };
    // Steep lines are made of upright pieces.
    (1..=steps).for_each(|x| canvas.dots(from.0 + x, at(x - 1), at(x), curve));
}

/// A curve in signs, one for each character that it passes.
fn marks(canvas: &mut Canvas, extent: &Extent, points: &[(f64, f64)], sign: char, curve: usize) {
    let (width, dots) = canvas.size();
    for (x, column) in columns(points, extent.x, width / 2).into_iter().enumerate() {
        let Some(column) = column else { continue };
        for y in height(extent, column.high, dots) / 4..=height(extent, column.low, dots) / 4 {
            canvas.mark(x, y, sign, curve);
        }
    }
}

/// The axis of steps and the numbers below it.
fn steps(extent: &Extent, margin: usize, width: usize) -> [String; 2] {
    let mut axis = vec!['─'; width];
    let mut numbers = String::new();
    let last = width.saturating_sub(1);
    for (step, label) in ticks(extent.x.0, extent.x.1, width / 12) {
        let place = ((step / extent.x.1) * last as f64).round() as usize;
        let start = place.saturating_sub(label.len() / 2).min(width.saturating_sub(label.len()));
        let end = numbers.len();
        // Two numbers do not touch.
        if start > end || end == 0 {
            if let Some(sign) = axis.get_mut(place) {
                *sign = '┬';
            }
            numbers += &" ".repeat(start - end.min(start));
            numbers += &label;
        }
    }
    let indent = " ".repeat(margin + 2);
    [format!("{indent}└{}", axis.into_iter().collect::<String>()), format!("{indent} {numbers}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve<'a>(name: &'a str, points: &'a [(f64, f64)]) -> Curve<'a> {
        Curve { name, points, marked: false }
    }

    fn plot(curves: Vec<Curve>, colour: bool) -> String {
        Plot { title: "loss", curves, width: 40, height: 6, colour }.lines().join("\n")
    }

    fn falling() -> Vec<(f64, f64)> {
        (1..=1000).map(|i| (f64::from(i) * 10.0, 6.0 / f64::from(i).sqrt())).collect()
    }

    #[test]
    fn no_points_no_plot() {
        assert_eq!(plot(vec![curve("train", &[])], true), "");
    }

    #[test]
    fn a_plot_is_as_wide_as_it_is_told() {
        let points = falling();
        let text = plot(vec![curve("train", &points), curve("held out", &points[400..])], false);
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 40), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(plot(vec![curve("train", &points)], true).contains("\u{1b}[36m"));
    }
}
