//! Tests of a run that several ranks make: one writes, all stop alike, any number of them continues.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use pipeline::interrupt::Interrupt;

use super::*;
use crate::optim::{OptimConfig, Optimizer};
use crate::ranks::Ranks;
use crate::ranks::threads::together;
use crate::run::{Said, Snapshot, in_parts, load_module};

/// A layer that learns to be 0.
struct Layer {
    layer: Linear,
    optimizer: Optimizer,
    team: Team,
    /// The step whose last part says NaN.
    bad: Option<u64>,
    /// The fingerprint of its data.
    data: &'static str,
}

impl Layer {
    fn new(team: &Team) -> Self {
        let device = team.device();
        let weight = Tensor::<2>::from_data([[0.3, -0.4], [0.5, 0.1], [-0.2, 0.7]], device);
        let layer = LinearConfig::new(3, 2).with_bias(false).init(device);
        let layer = Linear { weight: layer.weight.map(|_| weight.require_grad()), ..layer };
        Self {
            layer,
            optimizer: Optimizer::new(OptimConfig::default()),
            team: team.clone(),
            bad: None,
            data: "data",
        }
    }
}

impl Learner for Layer {
    fn step(&mut self, step: u64) -> Result<Step> {
        let bad = self.bad == Some(step);
        let job = |part: u64, layer: Linear, device: &Device| {
            let layer = layer.fork(device);
            let x = Tensor::<2>::from_data([[1.0, part as f32, step as f32 * 0.1]], device);
            let x = if bad && part == 3 { x / 0.0 * 0.0 } else { x };
            let loss = layer.forward(x).powi_scalar(2).mean();
            let said = vec![("loss".to_owned(), f64::from(loss.clone().into_scalar::<f32>()))];
            Ok((GradientsParams::from_grads(loss.backward(), &layer), Said { rows: 1.0, losses: said }))
        };
        let (grads, said) = in_parts(&self.layer, (0..4).collect(), &self.team, true, job)?;
        let (layer, made) = self.optimizer.learn(1e-2, self.layer.clone(), grads, Said::means(&said));
        self.layer = layer;
        Ok(made)
    }

    fn validate(&mut self) -> Result<Metrics> {
        assert!(self.team.ranks().is_first());
        Ok(Metrics::new().with("loss", 1.0))
    }

    fn sample(&mut self, _dir: &Path, _step: u64) -> Result<()> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Ok(self.optimizer.snapshot(Snapshot::new().module("layer", &self.layer), "optimizer"))
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.layer = load_module(self.layer.clone(), &dir.join("layer"))?;
        self.optimizer.load(&dir.join("optimizer"), self.team.device())
    }

    fn export(&self, dir: &Path) -> Result<()> {
        Snapshot::new().module("layer", &self.layer).write(dir)
    }

    fn facts(&self) -> Facts {
        Facts { fingerprint: self.data.into(), ..Facts::default() }
    }
}

/// What disturbs a run.
#[derive(Clone, Copy, Default)]
struct Trouble {
    /// After this step the last rank gets a signal.
    signal: u64,
    /// This step's last part is NaN.
    bad: Option<u64>,
    /// The last rank reads other data.
    data: bool,
}

/// How a run ended, and the hash of its weights and moments.
type Told = (Result<Outcome>, String);

fn run(ranks: &Ranks, dir: &Path, trouble: Trouble) -> Told {
    let config = RunConfig {
        out: dir.into(),
        steps: 8,
        validate_every: 4,
        checkpoint_every: 4,
        ..RunConfig::default()
    };
    let team = Team::open(ranks, config.devices()).unwrap();
    let folder = if ranks.is_first() {
        Folder::open(dir, "kind = 'layer'", &Opening::default()).unwrap()
    } else {
        Folder::follow(dir, "kind = 'layer'")
    };
    let last = ranks.rank() + 1 == ranks.world();
    let data = if trouble.data && last { "other" } else { "data" };
    let (mut learner, interrupt) =
        (Layer { bad: trouble.bad, data, ..Layer::new(&team) }, Interrupt::never());
    let mut watch = |event: &Event| {
        if matches!(event, Event::Stepped { step } if last && *step == trouble.signal) {
            interrupt.set(143);
        }
        Ok(())
    };
    let outcome =
        Run { learner: &mut learner, folder: &folder, config: &config, team: &team, interrupt: &interrupt }
            .train(&mut watch);
    (outcome, learner.snapshot().unwrap().sha256())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = dir.read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_signal_to_one_rank_stops_all_and_any_number_of_ranks_goes_on_to_the_same_bits() {
    let [alone, shared] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (_, expected) = run(&Ranks::alone(), &alone.path().join("run"), Trouble::default());
    let dir = shared.path().join("run");
    let stop = Trouble { signal: 5, ..Trouble::default() };
    for (outcome, _) in together(4, |ranks| run(&ranks, &dir, stop)) {
        assert_eq!(outcome.unwrap(), Outcome::Interrupted);
    }
    assert_eq!(names(&dir.join("checkpoints")), ["step-0000004", "step-0000005"]);
    for (outcome, weights) in together(2, |ranks| run(&ranks, &dir, Trouble::default())) {
        assert_eq!((outcome.unwrap(), &weights), (Outcome::Finished, &expected));
    }
    assert_eq!(names(&dir.join("model")), ["layer"]);
}

#[test]
fn a_loss_that_is_not_finite_on_one_rank_ends_all_at_the_same_step() {
    let dir = tempfile::tempdir().unwrap();
    let bad = Trouble { bad: Some(6), ..Trouble::default() };
    let ended = together(2, |ranks| run(&ranks, &dir.path().join("run"), bad));
    let told: Vec<_> = ended.iter().map(|(end, _)| end.as_ref().unwrap_err().to_string()).collect();
    assert!(told[0].starts_with("step 7: loss is NaN"), "{told:?}");
    assert_eq!(told[1], format!("process 0: {}", told[0]));
    assert_eq!(ended[0].1, ended[1].1);
    assert_eq!(names(&dir.path().join("run/checkpoints")), ["step-0000004"]);
}

#[test]
fn ranks_with_different_data_do_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let other = Trouble { data: true, ..Trouble::default() };
    let ended = together(3, |ranks| run(&ranks, &dir.path().join("run"), other));
    let error = ended[0].0.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "rank 2 has other data than rank 0 at step 0");
    assert!(ended.iter().all(|(end, _)| end.as_ref().unwrap_err().exit_code() == 2));
}
