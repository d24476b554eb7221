//! `train show`: a configuration as it will be run, a run as it stands and how it went, or a model.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::settings;
use pipeline::terminal::Screen;
use serde_json::Value;

use super::show_model;
use super::start::run_config;
use crate::bundle;
use crate::curves::{self, Curves, Report, curves_of};
use crate::image_gpt_task::ImageGptTask;
use crate::presets::PRESETS;
use crate::run::{Checkpoints, Kind, ROWS, Task};
use crate::token_task::{DalleTask, RudolphTask};
use crate::vqgan::VqGanTask;
use crate::{Error, Result};

#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// A configuration file, a run folder or a model folder
    #[arg(value_name = "RUN|MODEL|CONFIG.toml", required_unless_present = "models")]
    pub(super) path: Option<PathBuf>,
    /// List the published models that `train convert --model` takes
    #[arg(long, conflicts_with = "path")]
    models: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn show(args: &ShowArgs) -> Result<u8> {
    let Some(path) = &args.path else { return models(args.common.json) };
    if bundle::is_model(path) {
        show_model::show(path, args.common.json)?;
    } else if path.is_dir() {
        show_run(path, &args.common)?;
    } else {
        print(effective(path, &args.common)?.trim_end())?;
    }
    Ok(0)
}

/// A run as it stands: a table and its curves here, everything on a page in its folder.
fn show_run(path: &Path, common: &Common) -> Result<()> {
    let config = run_config(path)?;
    let run = Standing::read(path)?;
    if common.json {
        return Ok(print(&run.json(&config)?)?);
    }
    let curves = curves_of(&run.curves, Screen::stdout());
    print([run.text(path), curves].join("\n\n").trim_end())?;
    match Report::read(path).and_then(|report| report.write()) {
        Ok(page) => common.say(&format!("the whole report is {}", page.display())),
        // Somebody else's run is there to be looked at as well.
        Err(error) => common.say(&format!("no report written: {error}")),
    }
    Ok(())
}

/// The presets, one line each.
fn models(json: bool) -> Result<u8> {
    let width = PRESETS.iter().map(|preset| preset.name.len()).max().unwrap_or_default();
    for preset in &PRESETS {
        let (name, about) = (preset.name, preset.about());
        if json {
            let record = serde_json::json!({"type": "preset", "version": 1, "name": name, "about": about});
            print(&record.to_string())?;
        } else {
            print(&format!("{name:width$}  {about}"))?;
        }
    }
    Ok(0)
}

/// The configuration with every default written out, as TOML or as a line of JSON.
fn effective(path: &Path, common: &Common) -> Result<String> {
    fn written<T: Task>(path: &Path, common: &Common) -> Result<String> {
        let task = settings::load::<T>(Some(path), &common.sets)?.complete()?;
        if !common.json {
            return Ok(settings::to_toml(&task)?);
        }
        let config = serde_json::to_value(&task)
            .map_err(|error| Error::config(format!("{}: {error}", path.display())))?;
        Ok(serde_json::json!({"type": "config", "version": 1, "config": config}).to_string())
    }
    match Kind::of(path)? {
        Kind::Rudolph => written::<RudolphTask>(path, common),
        Kind::Dalle => written::<DalleTask>(path, common),
        Kind::ImageGpt => written::<ImageGptTask>(path, common),
        Kind::Vqgan => written::<VqGanTask>(path, common),
    }
}

/// A run's metrics and what lies in its folder.
struct Standing {
    curves: Curves,
    checkpoints: Vec<u64>,
    finished: bool,
}

impl Standing {
    fn read(run: &Path) -> Result<Self> {
        Ok(Self {
            curves: Curves::read(run)?,
            checkpoints: Checkpoints::list_in(&run.join("checkpoints"))?
                .iter()
                .map(|(step, _)| *step)
                .collect(),
            finished: run.join("model").is_dir(),
        })
    }

    fn text(&self, run: &Path) -> String {
        let mut out = format!("{}\n", run.display());
        let model = if self.finished { "model/ (train sample, train caption)" } else { "not written yet" };
        let steps: Vec<_> = self.checkpoints.iter().map(|step| format!("step {step}")).collect();
        let checkpoints = if steps.is_empty() { "none".to_owned() } else { steps.join(", ") };
        let line = |line: &Option<Value>| line.as_ref().map_or_else(|| "none".into(), numbers);
        let rows = [
            ("last step", line(&self.curves.train)),
            ("held out", line(&self.curves.valid)),
            ("best", line(&self.curves.best)),
            ("checkpoints", checkpoints),
            ("model", model.into()),
        ];
        out.extend(rows.map(|(name, value)| format!("{name:>12}  {value}\n")));
        out.trim_end().to_owned()
    }

    fn json(&self, config: &Path) -> Result<String> {
        let text = std::fs::read_to_string(config).map_err(Error::io(config))?;
        let config: toml::Table =
            toml::from_str(&text).map_err(|error| Error::weights(config, error.message()))?;
        let value = serde_json::json!({
            "type": "run", "version": 1, "config": config, "train": self.curves.train, "valid": self.curves.valid,
            "best": self.curves.best, "checkpoints": self.checkpoints, "finished": self.finished,
        });
        Ok(value.to_string())
    }
}

/// `step 200  loss 4.123  image 3.987`.
fn numbers(line: &Value) -> String {
    let hidden = ["type", "version", "seconds", "steps_per_second", "stall", "checkpoint_stall", "memory"];
    let shown = |name: &str| !hidden.contains(&name) && !name.starts_with(ROWS);
    let fields = line.as_object().into_iter().flatten().filter(|(name, _)| shown(name));
    let number = |(name, value): (&String, &Value)| match (name.as_str(), value.as_f64()) {
        ("step", _) | (_, None) => format!("{name} {value}"),
        ("lr", Some(value)) => format!("lr {value:.2e}"),
        (_, Some(value)) if value.abs() >= 1e4 => format!("{name} {}", curves::number(value)),
        (_, Some(value)) => format!("{name} {value:.3}"),
    };
    fields.map(number).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_progress_is_read_without_its_torn_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "{\"type\":\"train\",\"version\":1,\"step\":10,\"loss\":5.5,\"lr\":0.001,\"seconds\":1.0}\n\
                     {\"type\":\"valid\",\"version\":1,\"step\":10,\"loss\":5.25}\n\
                     {\"type\":\"valid\",\"version\":1,\"step\":20,\"loss\":6.0}\n{\"type\":\"tr";
        pipeline::atomic::write(dir.path().join("metrics.jsonl"), lines).unwrap();
        std::fs::create_dir_all(dir.path().join("checkpoints/step-0000020")).unwrap();
        let text = Standing::read(dir.path()).unwrap().text(Path::new("runs/a"));
        insta::assert_snapshot!(text, @"
        runs/a
           last step  step 10  loss 5.500  lr 1.00e-3
            held out  step 20  loss 6.000
                best  step 10  loss 5.250
         checkpoints  step 20
               model  not written yet
        ");
    }
}
