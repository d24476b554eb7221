//! Line charts as inline SVG: axes with round numbers, one line per series, horizontal reference lines.

use maud::{Markup, html};

use super::columns::{Column, columns};
use super::scale::{Extent, ticks};

/// The look of the charts; a page has it after [`pipeline::page::STYLE`].
pub(crate) const STYLE: &str = include_str!("chart.css");

/// Size of the drawing in its own units; the page scales it.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 230.0;
/// Room for the axes: left, top, right, bottom.
const LEFT: f64 = 44.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 36.0;

/// Where a line has more points than this, it shows the mean of each column, within a band from the lowest to the highest.
const COLUMNS: usize = 150;
/// Lines with at most this many points show them.
const DOTS: usize = 30;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Decides the colour of the line and of its legend: `train`, `held-out`, `curve-0`.
    pub(crate) class: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
    /// A named height, drawn dashed.
    pub(crate) reference: Option<(String, f64)>,
}

/// Where values land on the drawing.
struct Scale(Extent);

impl Scale {
    fn x(&self, value: f64) -> f64 {
        let (low, high) = self.0.x;
        LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    }

    /// What is off the chart lies on its edge.
    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.0.y;
        HEIGHT - BOTTOM - (value.clamp(low, high) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    }

    fn at(&self, (x, y): (f64, f64)) -> String {
        format!("{:.1},{:.1}", self.x(x), self.y(y))
    }
}

impl Chart {
    /// The chart with its title and legend.
    pub(crate) fn markup(&self) -> Markup {
        let scale = self.scale();
        html! {
            figure.chart {
                h3 { (self.title) }
                div.legend {
                    @for line in &self.lines { span { i.(line.class) {} (line.name) } }
                    @if let Some((name, value)) = &self.reference {
                        span { i.reference {} (name) " " (format!("{value:.3}")) }
                    }
                    @if let Some(told) = scale.as_ref().and_then(|scale| scale.0.beyond()) { span { (told) } }
                }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.title) {
                    @match scale {
                        Some(scale) => (self.drawing(&scale)),
                        None => text.none x=(WIDTH / 2.0) y=(HEIGHT / 2.0) { "no data" },
                    }
                }
            }
        }
    }

    fn drawing(&self, scale: &Scale) -> Markup {
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        let (x, y) = (scale.0.x, scale.0.y);
        html! {
            @for (value, label) in ticks(y.0, y.1, 5) {
                line.grid x1=(left) x2=(right) y1=(one(scale.y(value))) y2=(one(scale.y(value))) {}
                text.y x=(left - 6.0) y=(one(scale.y(value) + 4.0)) { (label) }
            }
            @for (value, label) in ticks(x.0, x.1, 5) {
                text.x x=(one(scale.x(value))) y=(bottom + 16.0) { (label) }
            }
            text.x x=((left + right) / 2.0) y=(HEIGHT - 4.0) { "step" }
            line.axis x1=(left) x2=(right) y1=(bottom) y2=(bottom) {}
            @if let Some((_, value)) = self.reference {
                line.reference x1=(left) x2=(right) y1=(one(scale.y(value))) y2=(one(scale.y(value))) {}
            }
            @for line in &self.lines { (curve(line, scale)) }
        }
    }

    fn scale(&self) -> Option<Scale> {
        let mut extent = Extent::of(self.lines.iter().map(|line| &line.points[..]))?;
        if let Some((_, value)) = self.reference {
            extent.y = (extent.y.0.min(value), extent.y.1.max(value));
        }
        Some(Scale(extent.with_room()))
    }
}

/// A line, with a band around it where each of its places stands for several points.
fn curve(line: &Line, scale: &Scale) -> Markup {
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        points.map(|point| scale.at(point)).collect::<Vec<_>>().join(" ")
    };
    if line.points.len() <= COLUMNS {
        let dots = if line.points.len() <= DOTS { &line.points[..] } else { &[] };
        return html! {
            polyline.(line.class) points=(path(&mut line.points.iter().copied())) {}
            @for (x, y) in dots { circle.(line.class) cx=(one(scale.x(*x))) cy=(one(scale.y(*y))) r="2.5" {} }
        };
    }
    let (from, to) = scale.0.x;
    let middle = |place: usize| from + (place as f64 + 0.5) / COLUMNS as f64 * (to - from);
    let columns: Vec<(f64, Column)> = (0..)
        .zip(columns(&line.points, scale.0.x, COLUMNS))
        .filter_map(|(place, column)| Some((middle(place), column?)))
        .collect();
    let upper = columns.iter().map(|(x, column)| (*x, column.high));
    let lower = columns.iter().rev().map(|(x, column)| (*x, column.low));
    html! {
        polygon.(line.class) points=(path(&mut upper.chain(lower))) {}
        polyline.(line.class) points=(path(&mut columns.iter().map(|(x, column)| (*x, column.mean)))) {}
    }
}

/// A tenth of a unit is finer than any screen.
fn one(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> String {
        let line = Line { name: "a & b".into(), class: "train", points };
        let reference = Some(("baseline".into(), 5.5));
        Chart { title: "loss".into(), lines: vec![line], reference }.markup().into_string()
    }

    fn points(html: &str) -> Vec<f64> {
        let line = html.split("<polyline class=\"train\" points=\"").nth(1).unwrap();
        line.split('"').next().unwrap().split([' ', ',']).map(|number| number.parse().unwrap()).collect()
    }

    #[test]
    fn every_line_stays_on_the_drawing() {
        let html = chart(vec![(10.0, 7.0), (20.0, 4.0)]);
        assert!(html.contains("a &amp; b") && html.contains("baseline 5.500"), "{html}");
        let drawn = points(&html);
        assert_eq!(drawn.len(), 4);
        assert!(drawn.iter().all(|number| (0.0..=WIDTH).contains(number)), "{drawn:?}");
        assert_eq!(html.split("<line class=\"reference\"").count(), 2);
    }

    #[test]
    fn a_long_line_is_a_mean_within_a_band() {
        let html = chart((0..100_000).map(|i| (f64::from(i), f64::from(i % 7))).collect());
        assert_eq!(points(&html).len(), 2 * COLUMNS);
        assert!(html.contains("<polygon") && html.len() < 20_000, "{}", html.len());
    }

    #[test]
    fn a_chart_without_points_says_so() {
        assert!(Chart::default().markup().into_string().contains("no data"));
    }
}
