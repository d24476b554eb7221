//! One step on each parameter of a module.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::adamw::{Moments, Scales};
use super::operator::{Operator, State};
use super::place::Place;
use super::{Numbers, OptimConfig};

/// Applies one step to each parameter of a module.
pub(super) struct Update<'a> {
    pub(super) place: Place,
    pub(super) grads: GradientsParams,
    pub(super) lr: f64,
    /// The step's number, counted from 1.
    pub(super) step: u64,
    pub(super) config: &'a OptimConfig,
    pub(super) scales: Scales,
    pub(super) states: &'a mut BTreeMap<String, State>,
}

impl Update<'_> {
    /// AdamW's numbers for one parameter: vectors and everything inside an embedding keep their weights.
    fn scales(&self, dims: usize, rate: f64) -> Scales {
        let mut scales = self.scales;
        scales.keep = self.keep(dims, rate);
        scales.rate *= rate as f32;
        if self.place.in_embedding() {
            scales.rate *= self.config.embedding_rate as f32;
        }
        scales
    }

    /// What weights are multiplied by: the decay.
    fn keep(&self, dims: usize, rate: f64) -> f32 {
        if dims < 2 || self.place.in_embedding() {
            return 1.0;
        }
        1.0 - rate as f32 * (1.0 - self.scales.keep)
    }

    /// The numbers of the other kinds for one parameter.
    fn numbers(&self, dims: usize, rate: f64) -> Numbers {
        let embedding = if self.place.in_embedding() { self.config.embedding_rate } else { 1.0 };
        let lr = self.lr * rate * embedding;
        Numbers { lr, keep: self.keep(dims, rate), gradient: self.scales.gradient }
    }

    /// One parameter's new weights; its state is updated on the way.
    fn apply<const D: usize>(&mut self, path: String, weights: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let rate = self.config.rate(&path);
        if rate == 0.0 {
            return weights;
        }
        let old = self.states.remove(&path);
        let zeros = || Tensor::zeros([grad.shape().num_elements()], &grad.device());
        let (weights, state) = match self.config.operator(D, &self.place, &path) {
            Operator::AdamW => {
                let moments = match old {
                    Some(State::AdamW(moments)) => moments,
                    _ => Moments::zeros(&grad),
                };
                let (weights, moments) = moments.step(self.scales(D, rate), weights, grad);
                (weights, State::AdamW(moments))
            }
            Operator::Lion(config) => {
                let momentum = if let Some(State::Lion(momentum)) = old { momentum } else { zeros() };
                let (weights, momentum) = config.update(self.numbers(D, rate), weights, grad, momentum);
                (weights, State::Lion(momentum))
            }
            Operator::Adafactor(config) => {
                let old = if let Some(State::Adafactor(squares)) = old { Some(squares) } else { None };
                let numbers = self.numbers(D, rate);
                let (weights, squares) = config.update(numbers, self.step, weights, grad, old);
                (weights, State::Adafactor(squares))
            }
            Operator::Muon(config) => {
                let velocity = if let Some(State::Muon(velocity)) = old { velocity } else { zeros() };
                let shape = grad.shape();
                let flat = |x: Tensor<D>| x.reshape([shape[0], shape[1]]);
                let grad = flat(grad) * self.scales.gradient;
                let keep = self.keep(D, rate);
                let (weights, velocity) = config.update(self.lr * rate, keep, flat(weights), grad, velocity);
                (weights.reshape(shape), State::Muon(velocity))
            }
        };
        self.states.insert(path, state);
        weights
    }
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let (device, tracked) = (tensor.device(), tensor.is_require_grad());
        let weights = self.apply(self.place.path(), tensor.inner(), grad);
        // The strategy for recomputing activations belongs to the device that the parameter was made on.
        let strategy = device.gradient_checkpointing_strategy();
        let weights = match strategy {
            Some(strategy) => weights.autodiff().with_gradient_checkpointing_strategy(strategy),
            None => weights,
        };
        Param::from_mapped_value(id, if tracked { weights.require_grad() } else { weights }, mapper)
    }
}
