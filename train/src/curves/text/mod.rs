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

    #[test]
    fn curves_look_like_this() {
        let line = |kind: &str, step: u32, loss: f64, lr: f64| {
            format!("{{\"type\":\"{kind}\",\"step\":{step},\"loss\":{loss},\"lr\":{lr},\"seconds\":1}}\n")
        };
        let train = (1..=40).map(|i| line("train", 100 * i, 2.0 + 8.0 / f64::from(i), 3e-4));
        let valid = (1..=4).map(|i| line("valid", 1000 * i, 4.0 - 0.25 * f64::from(i), 1.0));
        insta::assert_snapshot!(shown(&train.chain(valid).collect::<String>()), @"
        loss   ⠒⠒ train   ● held out
         10 ┤ ⢤
            │ ⢸
            │ ⠘⡆
          8 ┤  ⡇
            │  ⢳
            │  ⢸
          6 ┤  ⠈⢧
            │   ⠘⣆
          4 ┤    ⠈⢧⡀
            │      ⠙⠦⣄⡀   ●             ●             ●
            │         ⠉⠉⠙⠒⠦⠤⠤⠤⣄⣀⣀⣀⣀⣀⣀⡀                             ●
          2 ┤                        ⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠓⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒
            └┬─────────────┬────────────┬─────────────┬────────────┬
             0            1k           2k            3k           4k

              lr                                3.00e-4
           train  ⠈⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉
              lr                                1
        held out         ⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉
        ");
    }
}
