//! The loss of a run in progress, drawn above the progress line.
//!
//! It is text like the line itself: no raw mode and no second screen, so that Ctrl-C stays a signal, a killed process
//! leaves a usable terminal, and whatever was said stays in the scrollback.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::terminal::Screen;

use super::read::{Curves, HELD_OUT, Points, TRAIN};
use super::text::{Plot, WIDEST, loss};

/// Below this many lines a terminal belongs to the notes.
const FEWEST_ROWS: usize = 15;
/// Lines of the drawing.
const TALLEST: usize = 12;
/// A narrower plot shows nothing.
const NARROWEST: usize = 30;

#[derive(Debug, Default)]
struct Losses {
    train: Points,
    held_out: Points,
}

/// The losses so far; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<Losses>>);

impl Live {
    /// The losses of a run up to the step from which it continues. What cannot be read is not shown.
    #[must_use]
    pub fn resume(run: &Path, step: u64) -> Self {
        let curves = Curves::read(run).unwrap_or_default();
        let until = |kind| {
            let points = curves.points(kind, "loss").iter().copied();
            // Lines past the checkpoint are about to be cut off and made anew.
            points.filter(|(at, _)| *at <= step as f64).collect()
        };
        Self(Arc::new(Mutex::new(Losses { train: until(TRAIN), held_out: until(HELD_OUT) })))
    }

    /// Adds a loss on training batches.
    pub fn train(&self, step: u64, loss: f64) {
        self.change(|losses| losses.train.push((step as f64, loss)));
    }

    /// Adds a loss on held-out data.
    pub fn held_out(&self, step: u64, loss: f64) {
        self.change(|losses| losses.held_out.push((step as f64, loss)));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Losses) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The plot for a terminal of this size; empty where there is no room or no loss yet.
    #[must_use]
    pub fn draw(&self, screen: Screen) -> String {
        if screen.rows < FEWEST_ROWS || screen.columns < NARROWEST {
            return String::new();
        }
        // A line that fills the last column would make some terminals begin another.
        let width = screen.columns.min(WIDEST) - 1;
        let height = (screen.rows / 3).min(TALLEST);
        let lines = self.change(|losses| {
            let curves = loss(&losses.train, &losses.held_out);
            Plot { title: "loss", curves, width, height, colour: screen.colour }.lines()
        });
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_begins_with_what_its_checkpoint_knows() {
        let dir = tempfile::tempdir().unwrap();
        let line = |kind: &str, step| format!("{{\"type\":\"{kind}\",\"step\":{step},\"loss\":{step}.5}}\n");
        let text = [line("train", 10), line("valid", 10), line("train", 20), line("train", 30)].concat();
        pipeline::atomic::write(dir.path().join("metrics.jsonl"), text).unwrap();
        let live = Live::resume(dir.path(), 20);
        live.train(21, 1.0);
        live.held_out(21, 2.0);
        let losses = live.change(std::mem::take);
        assert_eq!(losses.train, [(10.0, 10.5), (20.0, 20.5), (21.0, 1.0)]);
        assert_eq!(losses.held_out, [(10.0, 10.5), (21.0, 2.0)]);
        assert_eq!(Live::resume(&dir.path().join("nowhere"), 20).draw(Screen::PLAIN), "");
    }

    #[test]
    fn a_plot_leaves_room_for_the_notes() {
        let live = Live::default();
        (1..100).for_each(|step| live.train(step, 100.0 / step as f64));
        let lines = |rows, columns| live.draw(Screen { rows, columns, colour: false }).lines().count();
        assert_eq!([lines(50, 100), lines(24, 80), lines(15, 30)], [15, 11, 8]);
        assert_eq!([lines(14, 80), lines(24, 29)], [0, 0]);
    }
}
