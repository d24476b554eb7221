//! The parts of the page in words and tables.

use maud::{Markup, html};
use pipeline::page::thousands;
use pipeline::progress::clock;
use toml::Value;

use super::super::page::table;
use super::super::read::HELD_OUT;
use super::super::scale::number;
use super::Report;
use crate::run::flat;

impl Report {
    /// What the reader is looking at, and the figures that matter most.
    pub(super) fn first(&self) -> Markup {
        let kind = self.config.get("kind").and_then(Value::as_str).unwrap_or("unknown");
        let sentence = match self.model.is_empty() {
            false => "It is finished: the model is in the folder model.",
            true => "It has not come to its end yet.",
        };
        html! {
            p.text { "A training run of kind " strong { (kind) } ", in the folder " code { (self.run.display()) } ". " (sentence) }
            div.tiles { @for (value, what) in self.tiles() { div.tile { b { (value) } span { (what) } } } }
        }
    }

    fn tiles(&self) -> Vec<(String, String)> {
        let curves = &self.curves;
        let step =
            curves.series().iter().filter_map(|series| series.points.last()).map(|(step, _)| *step as u64);
        let made = step.max().unwrap_or(0);
        let steps = self.config.get("run").and_then(|run| run.get("steps")).and_then(Value::as_integer);
        let of =
            steps.map_or_else(|| "steps".to_owned(), |steps| format!("of {} steps", thousands(steps as u64)));
        let mut tiles = vec![(thousands(made), of)];
        if let Some(loss) = curves.last("loss") {
            tiles.push((number(loss), "training loss at the end".to_owned()));
        }
        let best = curves.points(HELD_OUT, "loss").iter().min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((step, loss)) = best {
            let at = thousands(*step as u64);
            tiles.push((number(*loss), format!("lowest held-out loss, at step {at}")));
        }
        if curves.seconds > 0.0 {
            tiles.push((clock(curves.seconds as u64), "of training".to_owned()));
        }
        if let Some((speed, what)) = curves.speed() {
            tiles.push((number(speed), format!("{what} at the end")));
        }
        tiles
    }

    /// Paths of the data, and the hashes by which it can be told from other data.
    pub(super) fn data(&self) -> Markup {
        let keys = flat(&self.text).unwrap_or_default().into_iter();
        let mut rows: Vec<_> = keys.filter(|(key, _)| key.starts_with("data.") || key == "from").collect();
        let state = self.checkpoints.iter().rev().find_map(|kept| kept.state.as_ref());
        let fingerprint =
            state.map(|state| ("hash of the training data".to_owned(), state.fingerprint.clone()));
        let hashes = self
            .model
            .iter()
            .filter_map(|file| Some((format!("sha256 of model/{}", file.name), file.sha256.clone()?)));
        rows.extend(fingerprint);
        rows.extend(hashes);
        table(&rows)
    }

    /// The whole configuration.
    pub(super) fn how(&self) -> Markup {
        html! {
            p.text { "The effective configuration, " code { "run.toml" } ": every key, those at their defaults too. To do the same again: "
                code { "train run.toml --set run.out=DIR" } "." }
            pre.config { (self.text) }
        }
    }

    /// Checkpoints and the model.
    pub(super) fn files(&self) -> Markup {
        let seconds = |seconds: f64| clock(seconds as u64);
        html! {
            @if self.checkpoints.is_empty() { p.text { "No checkpoint." } } @else {
                div.scroll { table.numbers {
                    thead { tr { th { "checkpoint" } th { "held-out loss" } th { "after" } th { "size" } } }
                    @for kept in &self.checkpoints {
                        @let state = kept.state.as_ref();
                        tr {
                            th scope="row" { "step " (thousands(kept.step)) }
                            td { (state.and_then(|state| state.validation).map_or_else(|| "–".to_owned(), number)) }
                            td { (state.map(|state| seconds(state.seconds)).unwrap_or_default()) }
                            td { (size(kept.bytes)) }
                        }
                    }
                } }
            }
            @if !self.model.is_empty() {
                p.text { "The finished model needs nothing else:" }
                (table(&self.model.iter().map(|file| (format!("model/{}", file.name), size(file.bytes))).collect::<Vec<_>>()))
            }
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB", b / 1e3),
        _ => format!("{bytes} B"),
    }
}
