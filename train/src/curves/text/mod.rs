//! Curves as text: the loss large, everything else at a glance.

mod canvas;
mod glance;
mod plot;

use pipeline::terminal::Screen;

use super::read::{Curves, HELD_OUT, TRAIN, about};
pub(super) use plot::{Curve, Plot};

/// Wider plots show no more.
pub(super) const WIDEST: usize = 160;
/// Lines of the large plot.
const TALL: usize = 12;

/// The loss on training batches and, on top, on held-out data.
pub(super) fn loss<'a>(train: &'a [(f64, f64)], held_out: &'a [(f64, f64)]) -> Vec<Curve<'a>> {
    vec![
        Curve { name: TRAIN, points: train, marked: false },
        Curve { name: about(HELD_OUT), points: held_out, marked: true },
    ]
}

/// All curves of a run for a screen; empty before its first line.
#[must_use]
pub fn curves_of(curves: &Curves, screen: Screen) -> String {
    let width = screen.columns.min(WIDEST);
    let (train, held_out) = (curves.points(TRAIN, "loss"), curves.points(HELD_OUT, "loss"));
    let plot =
        Plot { title: "loss", curves: loss(train, held_out), width, height: TALL, colour: screen.colour };
    let mut lines = plot.lines();
    let others: Vec<_> = curves.in_order().filter(|series| series.metric != "loss").collect();
    if !others.is_empty() && !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(glance::lines(&others, width, screen.colour));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &str) -> String {
        curves_of(&Curves::parse(lines.as_bytes()), Screen { columns: 60, ..Screen::PLAIN })
    }

    #[test]
    fn a_run_without_lines_shows_nothing() {
        assert_eq!(shown(""), "");
        assert_eq!(shown("{\"type\":\"tr"), "");
    }
}
