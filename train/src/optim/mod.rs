//! AdamW, Lion, Adafactor and Muon over any burn module: parameter groups, clipping by one global norm, a state that is
//! saved exactly.
//!
//! burn's own optimizers clip each tensor by itself and key their state by random ids; a month-long run needs the norm
//! over all parameters and a state that another process can read. On the CPU one fused pass of AdamW and Lion updates
//! weights and moments in place; on other devices the same formulas run as tensor operations.
//!
//! `config` is the table `[optim]`, `rates` its part about single parameters. A step is `norm`, then `update` on each
//! parameter, where `place` is where it stands and `operator` says which of `adamw`, `lion`, `adafactor` and `muon` it is.

mod adafactor;
mod adamw;
mod config;
mod lion;
mod muon;
mod norm;
mod operator;
mod owned;
mod place;
mod rates;
#[cfg(test)]
mod tests;
mod update;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};

pub use adafactor::AdafactorConfig;
pub use config::{OptimConfig, OptimKind};
pub use lion::LionConfig;
pub use muon::MuonConfig;
pub use owned::taken;
pub(crate) use rates::paths;

use crate::run::tensors::{self, Stored};
use crate::run::{Metrics, Snapshot, Step};
use crate::{Error, Result, device};
use adamw::Scales;
use operator::State;
use place::Place;
use update::Update;

/// The optimizer with its state for each parameter, known by the parameter's path in the module.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimConfig,
    steps: u64,
    states: BTreeMap<String, State>,
}

/// What Lion and Adafactor ask about one parameter's step.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    lr: f64,
    /// Weights are multiplied by this: the decay.
    keep: f32,
    /// Gradients are multiplied by this: the clipping.
    gradient: f32,
}

impl Optimizer {
    /// An optimizer that has made no step.
    #[must_use]
    pub fn new(config: OptimConfig) -> Self {
        Self { config, steps: 0, states: BTreeMap::new() }
    }

    /// One step of training on these gradients: `metrics` are the losses that they belong to, the gradients' norm and the
    /// rate join them. Where any of these is not finite the module stays as it was, and the first bad gradient is named.
    pub fn learn<M: Module>(
        &mut self,
        lr: f64,
        module: M,
        mut grads: GradientsParams,
        metrics: Metrics,
    ) -> (M, Step) {
        let norm = norm::of(&module, &mut grads);
        let metrics = metrics.with("grad_norm", norm).with("lr", lr);
        if metrics.not_finite().is_some() {
            let bad = norm::first_bad(&module, &grads);
            return (module, Step { metrics, bad, ..Step::default() });
        }
        (self.apply(lr, norm, module, grads), metrics.into())
    }

    /// Updates every parameter that has a gradient and returns the module with the norm of all gradients before
    /// clipping. A norm that is not finite leaves the module and the state as they were: the caller decides.
    pub fn step<M: Module>(&mut self, lr: f64, module: M, mut grads: GradientsParams) -> (M, f64) {
        let norm = norm::of(&module, &mut grads);
        if !norm.is_finite() {
            return (module, norm);
        }
        (self.apply(lr, norm, module, grads), norm)
    }

    fn apply<M: Module>(&mut self, lr: f64, norm: f64, module: M, grads: GradientsParams) -> M {
        self.steps += 1;
        let mut update = Update {
            place: Place::default(),
            grads,
            lr,
            step: self.steps,
            config: &self.config,
            scales: self.scales(lr, norm),
            states: &mut self.states,
        };
        module.map(&mut update)
    }

    fn scales(&self, lr: f64, norm: f64) -> Scales {
        let [beta1, beta2] = self.config.betas;
        // Past this many steps both corrections are 1 to the last bit.
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let clip =
            if self.config.clip > 0.0 && norm > self.config.clip { self.config.clip / norm } else { 1.0 };
        Scales {
            betas: [beta1 as f32, beta2 as f32],
            epsilon: self.config.epsilon as f32,
            gradient: clip as f32,
            rate: (lr / (1.0 - beta1.powi(steps))) as f32,
            root: (1.0 / (1.0 - beta2.powi(steps)).sqrt()) as f32,
            keep: (1.0 - lr * self.config.weight_decay) as f32,
        }
    }

    /// Bytes that the state takes once every parameter of the module that is not frozen has had a gradient.
    #[must_use]
    pub fn state_bytes<M: Module>(&self, module: &M) -> u64 {
        let mut count = Count { place: Place::default(), config: &self.config, floats: 0 };
        module.visit(&mut count);
        (count.floats * size_of::<f32>()) as u64
    }

    /// Adds the state as f32, by the parameters' paths: `PATH.first` and `PATH.second` for AdamW, `PATH.momentum` for
    /// Lion, `PATH.rows` and `PATH.columns` or `PATH.squares` for Adafactor, `PATH.velocity` for Muon; the step count as
    /// metadata.
    #[must_use]
    pub fn snapshot(&self, snapshot: Snapshot, name: &'static str) -> Snapshot {
        let parts = self.states.iter().flat_map(|(path, state)| {
            state.parts().into_iter().map(move |(part, tensor)| (format!("{path}.{part}"), tensor))
        });
        snapshot.tensors(name, parts.collect(), Some(self.steps))
    }

    /// Reads a state that [`Optimizer::snapshot`] held to `device`.
    ///
    /// # Errors
    /// The file is missing, truncated or not such a state.
    pub fn load(&mut self, path: &Path, device: &Device) -> Result<()> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let stored = Stored::parse(path, &bytes)?;
        let device = device.clone().without_autodiff();
        let mut states = BTreeMap::new();
        for name in stored.names() {
            let Some((name, part)) = name.rsplit_once('.') else { continue };
            if let Some(state) = State::read(&stored, name, part, &device)? {
                states.insert(name.to_owned(), state);
            }
        }
        self.states = states;
        self.steps = tensors::stored_step(path, &bytes)?;
        Ok(())
    }
}

/// Whether a tensor's numbers can be changed where they lie.
fn in_place<const D: usize>(tensor: &Tensor<D>) -> bool {
    device::is_host(&tensor.device()) && tensor.dtype() == DType::F32
}

/// Adds up the numbers that are remembered.
struct Count<'a> {
    place: Place,
    config: &'a OptimConfig,
    floats: usize,
}

impl ModuleVisitor for Count<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.place.path();
        if self.config.rate(&path) != 0.0 {
            let operator = self.config.operator(D, &self.place, &path);
            self.floats += operator.floats(&param.val().dims());
        }
    }
}
