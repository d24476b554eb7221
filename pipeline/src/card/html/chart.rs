//! Histograms as inline SVG.

use maud::{Markup, html};

use super::super::distribution::{Bin, Distribution, Scale};
use crate::page::{percent, thousands};

/// Size of the drawing in its own units; the page scales it.
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 140.0;
/// Room around the bars.
const TOP: f64 = 18.0;
const BOTTOM: f64 = 22.0;
const MARGIN: f64 = 16.0;
/// The widest bar.
const BAR: f64 = 44.0;
/// About the width of a character of a label, and the room between two of those.
const CHARACTER: f64 = 6.8;
const GAP: f64 = 8.0;

/// A value as people read it.
pub(super) fn value(scale: Scale, value: u64) -> String {
    match scale {
        Scale::Side => format!("{} px", thousands(value)),
        Scale::Area => format!("{} MP", digits(value as f64 / 1e6)),
        Scale::Aspect => digits(value as f64 / 1000.0),
        Scale::Bytes => bytes(value),
        Scale::Characters | Scale::Words => thousands(value),
    }
}

fn bytes(value: u64) -> String {
    match value {
        0..1000 => format!("{value} B"),
        1000..1_000_000 => format!("{} kB", digits(value as f64 / 1e3)),
        _ => format!("{} MB", digits(value as f64 / 1e6)),
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    let decimals = match value {
        ..0.1 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A histogram under its title, and below it the sentence that says the same; a single value is a sentence alone.
pub(super) fn chart(title: &str, distribution: &Distribution) -> Markup {
    let Distribution { scale, p05, p50, p95, bins, .. } = distribution;
    let say = |number: u64| value(*scale, number);
    let summary = match distribution.single() {
        Some(single) => format!("all of them {}", say(single)),
        None => format!("half at most {}, nine of ten from {} to {}", say(*p50), say(*p05), say(*p95)),
    };
    html! {
        figure.chart {
            h3 { (title) }
            @if distribution.single().is_none() { (drawing(*scale, bins, &format!("{title}: {summary}"))) }
            p.note { (summary) }
        }
    }
}

fn drawing(scale: Scale, bins: &[Bin], told: &str) -> Markup {
    let all: u64 = bins.iter().map(|bin| bin.count).sum();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    let pitch = ((WIDTH - 2.0 * MARGIN) / bins.len().max(1) as f64).min(BAR);
    let left = (WIDTH - pitch * bins.len() as f64) / 2.0;
    let floor = HEIGHT - BOTTOM;
    let share = |count: u64| count as f64 / all.max(1) as f64;
    let labels = bins.iter().map(|bin| label(scale, bin).chars().count()).max().unwrap_or(0);
    let every = ((labels as f64 * CHARACTER + GAP) / pitch).ceil().max(1.0) as usize;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(told) {
            line.grid x1=(MARGIN) x2=(WIDTH - MARGIN) y1=(TOP) y2=(TOP) {}
            text x=(MARGIN) y=(TOP - 5.0) { (percent(share(most))) " of them" }
            @for (i, bin) in bins.iter().enumerate() {
                @let x = left + pitch * i as f64;
                @let height = (floor - TOP) * bin.count as f64 / most as f64;
                rect x=(tenths(x + 1.0)) y=(tenths(floor - height)) width=(tenths(pitch - 2.0)) height=(tenths(height)) {
                    title { (range(scale, bin)) ": " (thousands(bin.count)) " (" (percent(share(bin.count))) ")" }
                }
                @if let Some((at, text)) = tick(scale, bin, i, every) {
                    text.x x=(tenths(x + pitch * at)) y=(HEIGHT - 6.0) { (text) }
                }
            }
            line.axis x1=(MARGIN) x2=(WIDTH - MARGIN) y1=(floor) y2=(floor) {}
        }
    }
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

/// `256 px to 384 px`; of counts `6–7`, as below the bars.
fn range(scale: Scale, bin: &Bin) -> String {
    match bin.to {
        _ if matches!(scale, Scale::Characters | Scale::Words) => label(scale, bin),
        Some(to) => format!("{} to {}", value(scale, bin.from), value(scale, to)),
        None => format!("{} and more", value(scale, bin.from)),
    }
}

/// The label of a bin, and where across it that stands: at its beginning, of counts in the middle. Of ratios those that
/// have a name have one.
fn tick(scale: Scale, bin: &Bin, number: usize, every: usize) -> Option<(f64, String)> {
    if scale == Scale::Aspect {
        let named = [(250, "1:4"), (500, "1:2"), (1000, "1:1"), (2000, "2:1"), (4000, "4:1")];
        let inside = |(ratio, _): &&(u64, &str)| bin.from <= *ratio && bin.to.is_some_and(|to| *ratio < to);
        return named.iter().find(inside).map(|(_, name)| (0.5, (*name).to_owned()));
    }
    let counted = matches!(scale, Scale::Characters | Scale::Words);
    number.is_multiple_of(every).then(|| (if counted { 0.5 } else { 0.0 }, label(scale, bin)))
}

/// Where a bin begins, in the unit that the title of the chart has; of counts what lies in it, as in `6–7`.
fn label(scale: Scale, Bin { from, to, .. }: &Bin) -> String {
    match (scale, to) {
        (Scale::Side, _) => from.to_string(),
        (Scale::Area, _) => digits(*from as f64 / 1e6),
        (Scale::Characters | Scale::Words, Some(to)) if *to > from + 1 => format!("{from}–{}", to - 1),
        (Scale::Characters | Scale::Words, None) => format!("{from}+"),
        _ => value(scale, *from),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::distribution::Recorder;
    use super::*;

    fn of(scale: Scale, values: &[u64]) -> Distribution {
        let mut recorder = Recorder::new(scale);
        values.iter().for_each(|value| recorder.record(*value));
        recorder.close().unwrap()
    }

    #[test]
    fn values_have_their_units() {
        assert_eq!(value(Scale::Side, 1024), "1,024 px");
        assert_eq!([999, 1500, 34_200, 2_000_000].map(bytes), ["999 B", "1.5 kB", "34.2 kB", "2 MB"]);
        assert_eq!([65_536, 10_000_000].map(|area| value(Scale::Area, area)), ["0.066 MP", "10 MP"]);
        assert_eq!([1333, 500, 10_000].map(|ratio| value(Scale::Aspect, ratio)), ["1.33", "0.5", "10"]);
        assert_eq!(value(Scale::Words, 1200), "1,200");
    }

    #[test]
    fn every_bar_stays_on_the_drawing() {
        let edges = Scale::Characters.edges();
        let html = chart("length", &of(Scale::Characters, edges)).into_string();
        assert_eq!(html.matches("<rect").count(), edges.len());
        assert!((2..=7).contains(&html.matches("<text class=\"x\"").count()), "{html}");
        for part in html.split("<rect ").skip(1) {
            let number = |name: &str| {
                let value = part.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
                value.parse::<f64>().ok()
            };
            let [x, y, width, height] = ["x", " y", "width", "height"].map(|name| number(name).unwrap());
            assert!(x >= 0.0 && x + width <= WIDTH && y >= TOP && y + height <= HEIGHT, "{part}");
        }
        assert!(
            html.contains("<title>384–511: 1 (4.8%)</title>") && html.contains(">64–95</text>"),
            "{html}"
        );
    }

    #[test]
    fn a_single_value_is_told_in_words() {
        let html = chart("width", &of(Scale::Side, &[256, 256])).into_string();
        assert_eq!(
            html,
            "<figure class=\"chart\"><h3>width</h3><p class=\"note\">all of them 256 px</p></figure>"
        );
    }

    #[test]
    fn squares_are_named_below_their_bar() {
        let html = chart("shape", &of(Scale::Aspect, &[1000, 2000, 700])).into_string();
        assert!(html.contains(">1:1</text>") && html.contains(">2:1</text>") && !html.contains(">4:1<"));
    }
}
