//! Line charts as inline SVG: axes with round numbers, one line per series, horizontal reference lines.

use super::html::escape;

/// Size of the drawing in its own units; the page scales it.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 230.0;
/// Room for the axes: left, top, right, bottom.
const LEFT: f64 = 40.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 12.0;
const BOTTOM: f64 = 36.0;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    /// Class of the line and of its legend: `train`, `held-out`.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) series: Vec<Series>,
    /// A named height, drawn dashed.
    pub(super) reference: Option<(String, f64)>,
}

/// Where values land on the drawing.
struct Scale {
    x: (f64, f64),
    y: (f64, f64),
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        LEFT + (value - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (value - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - TOP - BOTTOM)
    }
}

impl Chart {
    /// The chart with its title and legend, as HTML.
    pub(super) fn html(&self) -> String {
        format!(
            "<figure class=\"chart\">\n<h3>{}</h3>\n<div class=\"legend\">{}</div>\n{}</figure>\n",
            escape(&self.title),
            self.legend(),
            self.svg()
        )
    }

    fn legend(&self) -> String {
        let entry =
            |class: &str, name: &str| format!("<span><i class=\"{class}\"></i>{}</span>", escape(name));
        let series = self.series.iter().map(|series| entry(series.class, &series.name));
        series
            .chain(
                self.reference.iter().map(|(name, value)| entry("reference", &format!("{name} {value:.3}"))),
            )
            .collect()
    }

    fn svg(&self) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.title)
        );
        match self.scale() {
            Some(scale) => self.draw(&scale, &mut svg),
            None => svg += &text("none", WIDTH / 2.0, HEIGHT / 2.0, "no data"),
        }
        svg + "</svg>\n"
    }

    fn draw(&self, scale: &Scale, svg: &mut String) {
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in ticks(scale.y.0, scale.y.1, 5) {
            let y = scale.y(tick);
            *svg +=
                &format!("<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
            *svg += &text("y", left - 6.0, y + 4.0, &label(tick));
        }
        for tick in ticks(scale.x.0, scale.x.1, 5) {
            *svg += &text("x", scale.x(tick), bottom + 16.0, &label(tick));
        }
        *svg += &text("x", (left + right) / 2.0, HEIGHT - 4.0, &self.x_label);
        *svg +=
            &format!("<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\n");
        if let Some((_, value)) = self.reference {
            let y = scale.y(value);
            *svg += &format!(
                "<line class=\"reference\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n"
            );
        }
        for series in &self.series {
            let at = |(x, y): &(f64, f64)| format!("{:.1},{:.1}", scale.x(*x), scale.y(*y));
            let points = series.points.iter().map(at).collect::<Vec<_>>().join(" ");
            *svg += &format!("<polyline class=\"{}\" points=\"{points}\"/>\n", series.class);
            if let ([point], class) = (series.points.as_slice(), series.class) {
                let (x, y) = (scale.x(point.0), scale.y(point.1));
                *svg += &format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>\n");
            }
        }
    }

    /// From 0 to the last step, and over all values with a little room.
    fn scale(&self) -> Option<Scale> {
        let points = || {
            self.series
                .iter()
                .flat_map(|series| &series.points)
                .filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        let last = points().map(|(x, _)| *x).reduce(f64::max)?;
        let values = || points().map(|(_, y)| *y).chain(self.reference.iter().map(|(_, value)| *value));
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        let room = ((high - low) * 0.05).max(1e-3);
        Some(Scale { x: (0.0, last.max(1.0)), y: ((low - room).max(0.0_f64.min(low)), high + room) })
    }
}

fn text(class: &str, x: f64, y: f64, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escape(text))
}

/// At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) between two values.
fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let raw = (high - low) / most as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// `1500` as `1.5k`, `0.25` as it is.
fn label(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return format!("{}k", trimmed(value / 1000.0));
    }
    trimmed(value)
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1500.0, 5), [0.0, 500.0, 1000.0, 1500.0]);
        assert_eq!(
            ticks(3.9, 7.1, 5).iter().map(|tick| label(*tick)).collect::<Vec<_>>(),
            ["4", "5", "6", "7"]
        );
        assert_eq!([0.25, 1500.0, 20_000.0].map(label), ["0.25", "1.5k", "20k"]);
    }

    #[test]
    fn every_line_stays_on_the_drawing() {
        let series = Series { name: "a & b".into(), class: "train", points: vec![(10.0, 7.0), (20.0, 4.0)] };
        let chart = Chart {
            title: "loss".into(),
            x_label: "step".into(),
            series: vec![series],
            reference: Some(("baseline".into(), 5.5)),
        };
        let html = chart.html();
        assert!(html.contains("a &amp; b") && html.contains("baseline 5.500"));
        let line = html.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(line.split(' ').count(), 2);
        let numbers = line.split([' ', ',']).map(|number| number.parse::<f64>().unwrap());
        assert!(numbers.into_iter().all(|number| (0.0..=WIDTH).contains(&number)), "{line}");
        let reference = html.split("class=\"reference\" x1").count();
        assert_eq!(reference, 2);
    }

    #[test]
    fn a_chart_without_points_says_so() {
        assert!(Chart::default().html().contains("no data"));
    }
}
