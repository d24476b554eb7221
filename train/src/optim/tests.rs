use super::*;
use adamw::Moments;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Int, TensorData, Tolerance};

#[derive(Module, Debug)]
struct Net {
    words: Embedding,
    layer: Linear,
}

fn net(device: &Device) -> Net {
    let mut net =
        Net { words: EmbeddingConfig::new(5, 4).init(device), layer: LinearConfig::new(4, 3).init(device) };
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

/// Writes the state as a checkpoint does.
fn save(optim: &Optimizer, path: &Path) {
    let name = "optimizer.safetensors";
    assert_eq!(path.file_name().unwrap(), name);
    optim.snapshot(Snapshot::new(), name).write(path.parent().unwrap()).unwrap();
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
    let mut reference =
        burn::optim::AdamWConfig::new().with_beta_2(0.96).with_epsilon(1e-8).with_weight_decay(0.0).init();
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
        let mut optim = Optimizer::new(OptimConfig { rates, weight_decay: 0.3, ..OptimConfig::default() });
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
        _ => 0.0,
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

/// Every kind, those with options that change what is remembered as well.
fn kinds() -> Vec<OptimConfig> {
    let of = |kind| OptimConfig { kind, ..OptimConfig::default() };
    let adafactor = AdafactorConfig { momentum: 0.9, scale_by_rms: true, ..AdafactorConfig::default() };
    vec![
        of(OptimKind::AdamW),
        of(OptimKind::Lion),
        of(OptimKind::Adafactor),
        OptimConfig { adafactor, ..of(OptimKind::Adafactor) },
        muon(),
        OptimConfig { kind: OptimKind::Lion, ..muon() },
    ]
}

#[test]
fn a_saved_state_continues_bit_for_bit() {
    let device = Device::flex().autodiff();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("optimizer.safetensors");
    for config in kinds() {
        let mut straight = Optimizer::new(config.clone());
        let half = train(&mut straight, net(&device), 3, &device);
        save(&straight, &path);
        let mut resumed = Optimizer::new(config.clone());
        resumed.load(&path, &device).unwrap();
        let a = train(&mut straight, half.clone(), 3, &device);
        let b = train(&mut resumed, half.clone(), 3, &device);
        let weights = |net: &Net| {
            let bias = net.layer.bias.as_ref().map(|bias| bias.val().into_data());
            (net.words.weight.val().into_data(), net.layer.weight.val().into_data(), bias)
        };
        assert_eq!(weights(&a), weights(&b), "{config:?}");
        assert_ne!(weights(&a), weights(&half), "{config:?}");
    }
}

#[test]
fn the_state_takes_as_many_bytes_as_are_saved() {
    let device = Device::flex().autodiff();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("optimizer.safetensors");
    let frozen = OptimConfig { rates: [("words".to_owned(), 0.0)].into(), ..OptimConfig::default() };
    let mut expected = [2 * 35, 35, 9 + 7 + 3, 9 + 7 + 3 + 35, 2 * 23 + 12, 35, 2 * 15].into_iter();
    for config in kinds().into_iter().chain([frozen]) {
        let mut optim = Optimizer::new(config.clone());
        let net = train(&mut optim, net(&device), 1, &device);
        save(&optim, &path);
        let bytes = std::fs::read(&path).unwrap();
        let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let saved: usize = stored.iter().map(|(_, tensor)| tensor.data().len()).sum();
        assert_eq!(optim.state_bytes(&net), saved as u64, "{config:?}");
        assert_eq!(saved / 4, expected.next().unwrap(), "{config:?}");
    }
}

#[test]
fn every_kind_learns_and_decays_by_the_same_groups() {
    let device = Device::flex().autodiff();
    for config in kinds() {
        let with = |weight_decay| OptimConfig { weight_decay, ..config.clone() };
        let [without, with] =
            [0.0, 0.5].map(|decay| train(&mut Optimizer::new(with(decay)), net(&device), 1, &device));
        assert_eq!(without.words.weight.val().into_data(), with.words.weight.val().into_data(), "{config:?}");
        assert_ne!(without.layer.weight.val().into_data(), with.layer.weight.val().into_data(), "{config:?}");
        let loss = |net: &Net| {
            let ids = Tensor::<2, Int>::from_data([[0, 1, 4]], &device);
            net.layer.forward(net.words.forward(ids)).powi_scalar(2).sum().into_scalar::<f32>()
        };
        let after = train(&mut Optimizer::new(config.clone()), net(&device), 20, &device);
        assert!(loss(&after) < 0.9 * loss(&net(&device)), "{config:?}");
    }
}

#[test]
fn a_frozen_parameter_has_no_gradient_and_stays() {
    let device = Device::flex().autodiff();
    let rates = [("*.weight".to_owned(), 0.0)].into();
    let config = OptimConfig { rates, ..OptimConfig::default() };
    let start = net(&device);
    let net = config.prepare(start.clone()).unwrap();
    let of = grads(&net.clone().fork(&device), &device);
    assert!(of.get::<2>(net.words.weight.id).is_none() && of.get::<2>(net.layer.weight.id).is_none());
    let (after, norm) = Optimizer::new(config).step(1e-2, net, of);
    assert!(norm > 0.0);
    assert_eq!(after.layer.weight.val().into_data(), start.layer.weight.val().into_data());
    assert_ne!(after.layer.bias.unwrap().val().into_data(), start.layer.bias.unwrap().val().into_data());
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
    let (net, step) = optim.learn(1e-2, net, GradientsParams::new(), Metrics::new().with("loss", f64::NAN));
    assert_eq!((step.bad, optim.steps), (None, 0), "a loss alone is reason enough");
    assert_eq!(net.layer.weight.val().into_data(), before);
}
