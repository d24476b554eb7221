//! AdamW and Muon over any burn module: parameter groups, clipping by one global norm, a state that is saved exactly.
//!
//! burn's own optimizers clip each tensor by itself and key their state by random ids; a month-long run needs the norm
//! over all parameters and a state that another process can read. On the CPU one fused pass updates weights and
//! moments in place; on other devices the same formulas run as tensor operations.

mod adamw;
mod muon;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use muon::MuonConfig;

use crate::run::tensors::{self, Lazy, Stored};
use crate::run::{Metrics, Snapshot, Step};
use crate::{Error, Result, device};
use adamw::{Moments, Scales};

/// Numbers of the [`Optimizer`]: AdamW (Loshchilov and Hutter, 2019, algorithm 2), and Muon where it is asked for.
///
/// The defaults are those of DALL·E (Ramesh et al., 2021, appendix B.2): betas 0.9 and 0.96, decay 4.5e-2; the clipping
/// norm 1.0 is that of RuDOLPH's notebooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimConfig {
    /// Decay of the running mean and of the running square of the gradients.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; never applied to vectors (biases, norms) and embeddings.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 turns clipping off.
    pub clip: f64,
    /// Embeddings learn this many times as fast. A row is updated only when its word or code is seen, so a short
    /// training leaves it near where it began.
    pub embedding_rate: f64,
    /// Factors of the learning rate by the name of a module or parameter on a parameter's path, such as `encoder`; 0
    /// freezes it. All factors on one path multiply.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// Hidden matrices by Muon; without it AdamW updates them as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.96],
            epsilon: 1e-8,
            weight_decay: 4.5e-2,
            clip: 1.0,
            embedding_rate: 1.0,
            rates: BTreeMap::new(),
            muon: None,
        }
    }
}

/// The optimizer with its state for each parameter, known by the parameter's path in the module.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimConfig,
    steps: u64,
    states: BTreeMap<String, State>,
}

/// What is remembered of one parameter's gradients, flat.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each parameter: hundreds, not millions")]
enum State {
    AdamW(Moments),
    /// Muon's running sum.
    Muon(Tensor<1>),
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
        let norm = norm_of(&module, &mut grads);
        let metrics = metrics.with("grad_norm", norm).with("lr", lr);
        if metrics.not_finite().is_some() {
            let bad = first_bad(&module, &mut grads);
            return (module, Step { metrics, bad, ..Step::default() });
        }
        (self.apply(lr, norm, module, grads), metrics.into())
    }

    /// Updates every parameter that has a gradient and returns the module with the norm of all gradients before
    /// clipping. A norm that is not finite leaves the module and the state as they were: the caller decides.
    pub fn step<M: Module>(&mut self, lr: f64, module: M, mut grads: GradientsParams) -> (M, f64) {
        let norm = norm_of(&module, &mut grads);
        if !norm.is_finite() {
            return (module, norm);
        }
        (self.apply(lr, norm, module, grads), norm)
    }

    fn apply<M: Module>(&mut self, lr: f64, norm: f64, module: M, grads: GradientsParams) -> M {
        self.steps += 1;
        let mut update = Update {
            path: Vec::new(),
            grads,
            lr,
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

    /// Adds the state as f32, by the parameters' paths: `PATH.first` and `PATH.second` for AdamW, `PATH.velocity` for
    /// Muon; the step count as metadata.
    #[must_use]
    pub fn snapshot(&self, snapshot: Snapshot, name: &'static str) -> Snapshot {
        let parts = |(name, state): (&String, &State)| match state {
            State::AdamW(moments) => vec![
                (format!("{name}.first"), Lazy::new(moments.first.clone())),
                (format!("{name}.second"), Lazy::new(moments.second.clone())),
            ],
            State::Muon(velocity) => vec![(format!("{name}.velocity"), Lazy::new(velocity.clone()))],
        };
        snapshot.tensors(name, self.states.iter().flat_map(parts).collect(), Some(self.steps))
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
        for part in stored.names() {
            let state = match part.rsplit_once('.') {
                Some((name, "first")) => {
                    let second = stored.get(&format!("{name}.second"), &device)?;
                    (name, State::AdamW(Moments { first: stored.get(part, &device)?, second }))
                }
                Some((name, "velocity")) => (name, State::Muon(stored.get(part, &device)?)),
                _ => continue,
            };
            states.insert(state.0.to_owned(), state.1);
        }
        self.states = states;
        self.steps = tensors::stored_step(path, &bytes)?;
        Ok(())
    }
}

/// The norm of all gradients of a module together.
pub(crate) fn norm_of<M: Module>(module: &M, grads: &mut GradientsParams) -> f64 {
    let mut sum = SquareSum { grads, host: 0.0, device: None };
    module.visit(&mut sum);
    sum.norm()
}

/// The path of the first parameter whose gradient is not finite.
pub(crate) fn first_bad<M: Module>(module: &M, grads: &mut GradientsParams) -> Option<String> {
    let mut search = FirstBad { grads, path: Vec::new(), found: None };
    module.visit(&mut search);
    search.found
}

struct FirstBad<'a> {
    grads: &'a mut GradientsParams,
    path: Vec<String>,
    found: Option<String>,
}

impl ModuleVisitor for FirstBad<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id).filter(|_| self.found.is_none()) else { return };
        if !grad.abs().sum().into_scalar::<f32>().is_finite() {
            self.found = Some(self.path.join("."));
        }
    }
}

/// Adds up the squares of all gradients. On the host in f64 and in a fixed order, so that the sum does not depend on threads.
struct SquareSum<'a> {
    grads: &'a mut GradientsParams,
    host: f64,
    device: Option<Tensor<1>>,
}

impl SquareSum<'_> {
    fn norm(self) -> f64 {
        let device = self.device.map_or(0.0, |sum| sum.into_scalar::<f32>());
        (self.host + f64::from(device)).sqrt()
    }
}

impl ModuleVisitor for SquareSum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let device = grad.device();
        if !in_place(&grad) {
            let sum = grad.clone().square().sum();
            self.device = Some(self.device.take().map_or_else(|| sum.clone(), |total| total + sum.clone()));
            self.grads.register(param.id, grad);
            return;
        }
        let data = grad.into_data();
        if let Ok(values) = data.as_slice::<f32>() {
            let parts: Vec<f64> = values
                .par_chunks(1 << 15)
                .map(|part| part.iter().map(|x| f64::from(*x) * f64::from(*x)).sum())
                .collect();
            self.host += parts.iter().sum::<f64>();
        }
        self.grads.register(param.id, Tensor::<D>::from_data(data, &device));
    }
}

/// Whether a tensor's numbers can be changed where they lie.
fn in_place<const D: usize>(tensor: &Tensor<D>) -> bool {
    device::is_host(&tensor.device()) && tensor.dtype() == DType::F32
}

/// Applies one step to each parameter of a module.
struct Update<'a> {
    /// Names of the modules on the way, and whether each is an embedding.
    path: Vec<(String, bool)>,
    grads: GradientsParams,
    lr: f64,
    config: &'a OptimConfig,
    scales: Scales,
    states: &'a mut BTreeMap<String, State>,
}

impl Update<'_> {
    fn path(&self) -> String {
        self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    fn in_embedding(&self) -> bool {
        self.path.iter().any(|(name, embedding)| *embedding || name.contains("embedding"))
    }

    /// AdamW's numbers for one parameter: vectors and everything inside an embedding keep their weights.
    fn scales(&self, dims: usize, rate: f64) -> Scales {
        let mut scales = self.scales;
        scales.keep =
            if dims < 2 || self.in_embedding() { 1.0 } else { 1.0 - rate as f32 * (1.0 - scales.keep) };
        scales.rate *= rate as f32;
        if self.in_embedding() {
            scales.rate *= self.config.embedding_rate as f32;
        }
        scales
    }

    /// What [`OptimConfig::rates`] makes of the learning rate of one parameter.
    fn rate(&self, path: &str) -> f64 {
        path.split('.').filter_map(|name| self.config.rates.get(name)).product()
    }

    /// Muon's numbers, where it is Muon that updates this parameter.
    fn muon(&self, dims: usize, path: &str) -> Option<&MuonConfig> {
        let muon = self.config.muon.as_ref()?;
        let excepted = muon.except.iter().any(|part| path.contains(part.as_str()));
        (dims == 2 && !self.in_embedding() && !excepted).then_some(muon)
    }

    /// One parameter's new weights; its state is updated on the way.
    fn apply<const D: usize>(&mut self, path: String, weights: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let rate = self.rate(&path);
        if rate == 0.0 {
            return weights;
        }
        let old = self.states.remove(&path);
        let (weights, state) = match (self.muon(D, &path), old) {
            (Some(muon), old) => {
                let shape = grad.shape();
                let velocity = match old {
                    Some(State::Muon(velocity)) => velocity,
                    _ => Tensor::zeros([shape.num_elements()], &grad.device()),
                };
                let flat = |x: Tensor<D>| x.reshape([shape[0], shape[1]]);
                let grad = flat(grad) * self.scales.gradient;
                let (weights, velocity) =
                    muon.update(self.lr * rate, self.scales(D, rate).keep, flat(weights), grad, velocity);
                (weights.reshape(shape), State::Muon(velocity))
            }
            (None, old) => {
                let moments = match old {
                    Some(State::AdamW(moments)) => moments,
                    _ => Moments::zeros(&grad),
                };
                let scales = self.scales(D, rate);
                let (weights, moments) = if in_place(&grad) && weights.dtype() == DType::F32 {
                    moments.update_in_place(scales, weights, grad)
                } else {
                    moments.update(scales, weights, grad)
                };
                (weights, State::AdamW(moments))
            }
        };
        self.states.insert(path, state);
        weights
    }
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container == "Struct:Embedding"));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let (device, tracked) = (tensor.device(), tensor.is_require_grad());
        let weights = self.apply(self.path(), tensor.inner(), grad);
        // The strategy for recomputing activations belongs to the device that the parameter was made on.
        let strategy = device.gradient_checkpointing_strategy();
        let weights = match strategy {
            Some(strategy) => weights.autodiff().with_gradient_checkpointing_strategy(strategy),
            None => weights,
        };
        Param::from_mapped_value(id, if tracked { weights.require_grad() } else { weights }, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
    use burn::tensor::{Int, TensorData, Tolerance};

    #[derive(Module, Debug)]
    struct Net {
        words: Embedding,
        layer: Linear,
    }

    fn net(device: &Device) -> Net {
        let mut net = Net {
            words: EmbeddingConfig::new(5, 4).init(device),
            layer: LinearConfig::new(4, 3).init(device),
        };
        // Written out, since other tests draw from the same generator.
        let ramp = |n: i64| Tensor::<1, Int>::arange(0..n, device).float() / n as f64 - 0.4;
        net.words.weight = Param::from_tensor(ramp(20).reshape([5, 4]).require_grad());
        net.layer.weight = Param::from_tensor(ramp(12).reshape([4, 3]).require_grad());
        net.layer.bias = Some(Param::from_tensor(ramp(3).require_grad()));
        net
    }

    fn grads(net: &Net, device: &Device) -> GradientsParams {
        let ids = Tensor::<2, Int>::from_data([[0, 1, 4]], device);
        let loss = net.layer.forward(net.words.forward(ids)).powi_scalar(2).sum();
        GradientsParams::from_grads(loss.backward(), net)
    }

    fn train(optim: &mut Optimizer, mut net: Net, steps: usize, device: &Device) -> Net {
        for _ in 0..steps {
            let grads = grads(&net, device);
            net = optim.step(1e-2, net, grads).0;
        }
        net
    }

    #[test]
    fn agrees_with_burns_adamw_when_nothing_is_clipped() {
        let device = Device::flex().autodiff();
        let config = OptimConfig { weight_decay: 0.0, clip: 0.0, ..OptimConfig::default() };
        let ours = train(&mut Optimizer::new(config), net(&device), 5, &device);
        let mut reference = burn::optim::AdamWConfig::new()
            .with_beta_2(0.96)
            .with_epsilon(1e-8)
            .with_weight_decay(0.0)
            .init();
        let mut theirs = net(&device);
        for _ in 0..5 {
            let grads = grads(&theirs, &device);
            theirs = reference.step(1e-2, theirs, grads);
        }
        let data = |net: &Net| net.layer.weight.val().into_data();
        data(&ours).assert_approx_eq::<f32>(&data(&theirs), Tolerance::absolute(1e-6));
    }

    #[test]
    fn tensor_operations_and_the_fused_pass_agree() {
        let device = Device::flex();
        let scales = Optimizer { steps: 3, ..Optimizer::new(OptimConfig::default()) }.scales(1e-2, 2.0);
        let [w, g, m, v] =
            [0.5, -0.25, 0.1, 0.3].map(|x| Tensor::<2>::from_data([[x, 2.0 * x], [-x, 0.7 * x]], &device));
        let moments = || Moments { first: m.clone().reshape([-1]), second: v.clone().abs().reshape([-1]) };
        let (fused, _) = moments().update_in_place(scales, w.clone(), g.clone());
        let (tensors, _) = moments().update(scales, w, g);
        fused.into_data().assert_approx_eq::<f32>(&tensors.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn decay_spares_vectors_and_embeddings() {
        let device = Device::flex().autodiff();
        let config = |weight_decay| OptimConfig { weight_decay, ..OptimConfig::default() };
        let [without, with] =
            [0.0, 0.5].map(|decay| train(&mut Optimizer::new(config(decay)), net(&device), 1, &device));
        let bias = |net: &Net| net.layer.bias.as_ref().map(|bias| bias.val().into_data());
        assert_eq!(bias(&without), bias(&with));
        assert_eq!(without.words.weight.val().into_data(), with.words.weight.val().into_data());
        assert_ne!(without.layer.weight.val().into_data(), with.layer.weight.val().into_data());
    }

    #[test]
    fn rates_follow_the_names_on_a_path() {
        let device = Device::flex().autodiff();
        let run = |rates: &[(&str, f64)], lr: f64| {
            let rates = rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
            let mut optim =
                Optimizer::new(OptimConfig { rates, weight_decay: 0.3, ..OptimConfig::default() });
            let net = net(&device);
            let grads = grads(&net, &device);
            let net = optim.step(lr, net, grads).0;
            (net.layer.weight.val().into_data(), net.words.weight.val().into_data())
        };
        let start = net(&device);
        let (frozen, words) = run(&[("layer", 0.0)], 1e-2);
        assert_eq!(frozen, start.layer.weight.val().into_data());
        assert_eq!(words, run(&[], 1e-2).1);
        let halved = run(&[("layer", 0.5), ("lay", 0.0)], 1e-2).0;
        halved.assert_approx_eq::<f32>(&run(&[], 5e-3).0, Tolerance::absolute(1e-6));
        assert_eq!(run(&[("layer", 0.25), ("weight", 0.0)], 1e-2).0, start.layer.weight.val().into_data());
    }

    #[test]
    fn clipping_scales_all_gradients_by_one_number() {
        let device = Device::flex().autodiff();
        let net = net(&device);
        let grads = grads(&net, &device);
        let square = |data: TensorData| data.iter::<f64>().map(|x| x * x).sum::<f64>();
        let expected = [
            grads.get::<2>(net.words.weight.id).map(Tensor::into_data),
            grads.get::<2>(net.layer.weight.id).map(Tensor::into_data),
            net.layer.bias.as_ref().and_then(|bias| grads.get::<1>(bias.id)).map(Tensor::into_data),
        ];
        let expected: f64 = expected.into_iter().flatten().map(square).sum();
        let mut optim = Optimizer::new(OptimConfig { clip: 0.5, ..OptimConfig::default() });
        let (_, norm) = optim.step(1e-2, net, grads);
        assert!((norm - expected.sqrt()).abs() < 1e-6 * norm, "{norm}");
        let first = |state: &State| match state {
            State::AdamW(moments) => square(moments.first.to_data()),
            State::Muon(_) => 0.0,
        };
        let first: f64 = optim.states.values().map(first).sum();
        assert!((first.sqrt() - 0.1 * 0.5).abs() < 1e-6, "moments hold the clipped gradient");
    }

    fn muon() -> OptimConfig {
        OptimConfig { muon: Some(MuonConfig::default()), ..OptimConfig::default() }
    }

    #[test]
    fn muon_takes_the_matrices_of_layers_and_nothing_else() {
        let device = Device::flex().autodiff();
        let mut optim = Optimizer::new(muon());
        train(&mut optim, net(&device), 1, &device);
        let kinds = optim.states.iter().map(|(name, state)| (name.as_str(), matches!(state, State::Muon(_))));
        let expected = [("layer.bias", false), ("layer.weight", true), ("words.weight", false)];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        let except = vec!["layer".to_owned()];
        let spared = MuonConfig { except, ..MuonConfig::default() };
        let mut optim = Optimizer::new(OptimConfig { muon: Some(spared), ..muon() });
        train(&mut optim, net(&device), 1, &device);
        assert!(optim.states.values().all(|state| matches!(state, State::AdamW(_))));
    }

    #[test]
    fn embeddings_learn_at_their_own_rate() {
        let device = Device::flex().autodiff();
        let moved = |embedding_rate| {
            let config = OptimConfig { embedding_rate, clip: 0.0, ..OptimConfig::default() };
            let after = train(&mut Optimizer::new(config), net(&device), 1, &device);
            let of = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
            let before = net(&device);
            [
                of(&after.words.weight.val(), &before.words.weight.val()),
                of(&after.layer.weight.val(), &before.layer.weight.val()),
            ]
        };
        let ([words, layer], [fast_words, same_layer]) = (moved(1.0), moved(10.0));
        assert!((fast_words / words - 10.0).abs() < 1e-2, "{fast_words} {words}");
        assert_eq!(layer, same_layer);
    }

    fn save(optim: &Optimizer, path: &Path) {
        let name = "optimizer.safetensors";
        optim.snapshot(Snapshot::new(), name).write(path.parent().unwrap()).unwrap();
        assert_eq!(path.file_name().unwrap(), name);
    }

    #[test]
    fn a_saved_state_continues_bit_for_bit() {
        let device = Device::flex().autodiff();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("optimizer.safetensors");
        let mut straight = Optimizer::new(muon());
        let half = train(&mut straight, net(&device), 3, &device);
        save(&straight, &path);
        let mut resumed = Optimizer::new(muon());
        resumed.load(&path, &device).unwrap();
        let a = train(&mut straight, half.clone(), 3, &device);
        let b = train(&mut resumed, half, 3, &device);
        assert_eq!(a.words.weight.val().into_data(), b.words.weight.val().into_data());
        assert_eq!(a.layer.weight.val().into_data(), b.layer.weight.val().into_data());
    }

    #[test]
    fn a_truncated_state_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("optimizer.safetensors");
        let device = Device::flex().autodiff();
        let mut optim = Optimizer::new(OptimConfig::default());
        train(&mut optim, net(&device), 1, &device);
        save(&optim, &path);
        let bytes = std::fs::read(&path).unwrap();
        pipeline::atomic::write(&path, &bytes[..bytes.len() - 7]).unwrap();
        let error = Optimizer::new(OptimConfig::default()).load(&path, &device).unwrap_err();
        assert!(error.to_string().contains("optimizer.safetensors"), "{error}");
    }

    #[test]
    fn a_norm_that_is_not_finite_changes_nothing() {
        let device = Device::flex().autodiff();
        let net = net(&device);
        let before = net.layer.weight.val().into_data();
        let mut grads = grads(&net, &device);
        grads.register(
            net.layer.weight.id,
            Tensor::<2>::full([4, 3], f32::NAN, &device.clone().without_autodiff()),
        );
        let mut optim = Optimizer::new(OptimConfig::default());
        let (net, step) = optim.learn(1e-2, net, grads, Metrics::new().with("loss", 1.0));
        assert!(step.metrics.get("grad_norm").unwrap().is_nan());
        assert_eq!(step.bad.as_deref(), Some("layer.weight"));
        assert_eq!(net.layer.weight.val().into_data(), before);
        assert_eq!(optim.steps, 0);
        let (net, step) =
            optim.learn(1e-2, net, GradientsParams::new(), Metrics::new().with("loss", f64::NAN));
        assert_eq!((step.bad, optim.steps), (None, 0), "a loss alone is reason enough");
        assert_eq!(net.layer.weight.val().into_data(), before);
    }
}
