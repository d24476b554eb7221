//! The whole of `rudolph.toml` and of `dalle.toml`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::exercise::Plan;
use super::mix::TaskMix;
use super::{DataConfig, ModelTable, TextImageConfig, TokenLearner};
use crate::average::AverageConfig;
use crate::bundle::model_files;
use crate::model::ModelConfig;
use crate::optim::OptimConfig;
use crate::run::{Kind, RunConfig, Task};
use crate::sampling::SamplingConfig;
use crate::schedule::Schedule;
use crate::{Error, Result};

/// Configuration of the training of a model of texts and images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "")]
pub struct TokenTask<C: TextImageConfig> {
    /// `rudolph` or `dalle`.
    pub kind: Kind,
    /// Weights to start from, published or own, for fine-tuning: a file, or a model's folder, which `[model]` is then taken
    /// from. Without them they are random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Where, how long, and what now and then.
    pub run: RunConfig,
    /// What is learned from.
    pub data: DataConfig,
    /// The model.
    pub model: ModelTable<C>,
    /// What is practised, and how often.
    pub tasks: TaskMix,
    /// How weights are updated.
    pub optim: OptimConfig,
    /// How fast.
    pub schedule: Schedule,
    /// The running mean of the weights.
    #[serde(skip_serializing_if = "AverageConfig::is_off")]
    pub average: AverageConfig,
    /// What is drawn while training.
    pub samples: SampleConfig,
}

/// Pictures drawn while training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// One row of the picture each. Without any, the first captions of the held-out rows.
    pub prompts: Vec<String>,
    /// Pictures in a row; 0 means four.
    pub columns: usize,
    /// How they are drawn.
    pub sampling: SamplingConfig,
}

impl<C: TextImageConfig> Default for TokenTask<C> {
    fn default() -> Self {
        Self {
            kind: C::KIND,
            from: None,
            run: RunConfig { out: format!("runs/{}", C::KIND.name()).into(), ..RunConfig::default() },
            data: DataConfig::default(),
            model: ModelTable::from(C::default()),
            tasks: C::usual_tasks(),
            optim: OptimConfig::default(),
            schedule: Schedule::default(),
            average: AverageConfig::default(),
            samples: SampleConfig::default(),
        }
    }
}

impl<C: TextImageConfig> TokenTask<C> {
    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        self.model.check()?;
        self.samples.sampling.validate()?;
        self.optim.check()?;
        self.schedule.check()?;
        self.average.check()?;
        self.data.check()?;
        self.tasks.check()?;
        self.plans().map(drop)
    }

    /// Every task of the mix, made out for the model.
    pub(super) fn plans(&self) -> Result<Vec<Plan>> {
        self.tasks.0.iter().map(|(name, practice)| Plan::new(&*self.model, name, practice)).collect()
    }

    /// The model that training begins with.
    pub(super) fn first_model(&self, device: &Device) -> Result<C::Model> {
        let Some(from) = &self.from else { return Ok(self.model.new_model(device)) };
        let weights = if from.is_dir() { folder(from)?.1 } else { from.clone() };
        self.model.read_model(&weights, device)
    }
}

/// Configuration and weights in a model's folder.
fn folder(path: &std::path::Path) -> Result<(PathBuf, PathBuf)> {
    model_files(path).ok_or_else(|| {
        Error::config(format!("from: {}: neither a model's folder nor a run with one", path.display()))
            .with_hint("give a folder with model.toml in it, or the file with the weights")
    })
}

impl<C: TextImageConfig> Task for TokenTask<C> {
    type Learner = TokenLearner<C>;

    fn run(&self) -> &RunConfig {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunConfig {
        &mut self.run
    }

    /// Takes what `[model]` leaves out from the folder that the run starts from.
    fn complete(mut self) -> Result<Self> {
        if let Some(from) = self.from.as_ref().filter(|from| from.is_dir()) {
            let (config, _) = folder(from)?;
            let base = ModelConfig::read(&config)?;
            let kind = base.kind().name();
            let base = C::of(base).ok_or_else(|| {
                let wanted = C::KIND.name();
                Error::config(format!("from: {}: a model of kind {kind}, not {wanted}", from.display()))
            })?;
            self.model = self.model.filled(&base, from)?;
        }
        Ok(self)
    }

    fn learner(&self, device: &Device) -> Result<Self::Learner> {
        TokenLearner::new(self, device)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DalleTask, RudolphTask};
    use super::*;
    use crate::rudolph::RudolphConfig;
    use crate::token_task::{Practice, TaskKind};

    #[test]
    fn faults_name_their_key() {
        let fault = |change: fn(&mut RudolphTask)| {
            let mut task = RudolphTask::default();
            change(&mut task);
            task.check().unwrap_err().to_string()
        };
        assert!(fault(|t| t.data.batch_size = 0).starts_with("data.batch_size"));
        assert!(fault(|t| t.tasks.0.clear()).starts_with("tasks"));
        assert!(fault(|t| t.model.right = 0).starts_with("tasks.image_to_text"));
        assert!(RudolphTask::default().check().is_ok() && DalleTask::default().check().is_ok());
        let mut task = DalleTask::default();
        task.tasks.0.insert("image_to_text".into(), Practice::default());
        let error = task.check().unwrap_err().to_string();
        assert_eq!(error, "tasks.image_to_text: the model has no right text");
    }

    #[test]
    fn the_configuration_survives_its_own_toml() {
        let mut task = RudolphTask { from: Some("a.bin".into()), ..RudolphTask::default() };
        let question = Practice { kind: Some(TaskKind::TextQuestion), ..Practice::default() };
        task.tasks.0.insert("sberquad".into(), question);
        let text = pipeline::settings::to_toml(&task).unwrap();
        assert_eq!(toml::from_str::<RudolphTask>(&text).unwrap(), task);
    }

    #[test]
    fn the_shipped_configurations_run_as_they_stand() {
        let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let path = |name: &str| configs.join(format!("{name}.toml"));
        for name in ["rudolph", "rudolph-finetune", "demo/rudolph"] {
            let task: RudolphTask = pipeline::settings::load(Some(&path(name)), &[]).unwrap();
            task.check().unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
        for name in ["dalle", "demo/dalle"] {
            let task: DalleTask = pipeline::settings::load(Some(&path(name)), &[]).unwrap();
            task.check().unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }

    #[test]
    fn the_model_comes_from_the_folder_that_a_run_starts_from() {
        let dir = tempfile::tempdir().unwrap();
        let base = ModelConfig::Rudolph(RudolphConfig { layers: 3, ..RudolphConfig::default() });
        pipeline::atomic::write(dir.path().join("model.toml"), base.to_toml().unwrap()).unwrap();
        let from = Some(dir.path().to_owned());
        let task = RudolphTask { from: from.clone(), ..RudolphTask::default() };
        assert_eq!(task.complete().unwrap().model.layers, 3);
        let error = DalleTask { from, ..DalleTask::default() }.complete().unwrap_err().to_string();
        assert!(error.ends_with("a model of kind rudolph, not dalle"), "{error}");
    }
}
