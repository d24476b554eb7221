//! Fine-tuning of the golden DALL·E with parts of it frozen, and with a mean of its weights.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;

use super::golden::{Golden, dalle};
use super::{DalleTask, TokenLearner};
use crate::dalle::{Dalle, DalleConfig};
use crate::objective::LossLayout;
use crate::optim::OptimKind;
use crate::run::{Learner, Task, save_module};

/// A task whose steps depend on nothing but the weights.
fn task(golden: &Golden) -> DalleTask {
    let (model, data) = dalle(golden, LossLayout::V2);
    let mut task = golden.task(DalleConfig { dropout: 0.0, ..model }, "text_to_image = 1", data);
    task.optim.clip = 0.0;
    task
}

fn learner(task: &DalleTask) -> TokenLearner<DalleConfig> {
    task.learner(&Device::flex().autodiff()).unwrap()
}

/// Every tensor of a file, as bytes.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec())).collect()
}

/// The weights after a step.
fn stepped(task: &DalleTask) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let mut learner = learner(task);
    learner.step(0).unwrap();
    learner.snapshot().unwrap().write(dir.path()).unwrap();
    tensors(&dir.path().join("weights.safetensors"))
}

#[test]
fn frozen_parts_stay_and_the_others_learn_as_if_nothing_were_frozen() {
    let golden = Golden::open("rudalle-v2");
    let mut task = task(&golden);
    let free = stepped(&task);
    task.schedule.lr = 0.0;
    let start = stepped(&task);
    task.schedule.lr = 1e-3;
    for keys in [&["layers.*.attention", "*embeddings*"][..], &["layers.*.mlp", "*.bias"], &["to_logits"]] {
        task.optim.rates = keys.iter().map(|key| ((*key).to_owned(), 0.0)).collect();
        let frozen = |name: &str| task.optim.rate(name) == 0.0;
        let found = stepped(&task);
        assert!(found.keys().any(|name| frozen(name)) && !found.keys().all(|name| frozen(name)));
        for (name, bytes) in found {
            let expected = if frozen(&name) { &start } else { &free };
            assert!(bytes == expected[&name], "{keys:?}: {name}");
        }
    }
}

#[test]
fn a_rate_of_nothing_is_refused_before_the_first_step() {
    let golden = Golden::open("rudalle-v2");
    let mut task = task(&golden);
    task.optim.rates = [("layers.*.atention".to_owned(), 0.5)].into();
    let Err(error) = task.learner(&Device::flex().autodiff()) else { panic!("it was taken") };
    assert!(error.to_string().starts_with("optim.rates.\"layers.*.atention\": "), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean `layers.*.attention`?");
}

#[test]
fn with_a_mean_a_run_goes_on_bit_for_bit_and_exports_it() {
    let golden = Golden::open("rudalle-v2");
    let mut task = task(&golden);
    task.average.decay = 0.9;
    task.optim.kind = OptimKind::Adafactor;
    let [half, straight, resumed] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut one = learner(&task);
    (0..2).for_each(|step| drop(one.step(step).unwrap()));
    one.snapshot().unwrap().write(half.path()).unwrap();
    let mut other = learner(&task);
    other.load(half.path()).unwrap();
    for (learner, dir) in [(&mut one, &straight), (&mut other, &resumed)] {
        (2..4).for_each(|step| drop(learner.step(step).unwrap()));
        learner.snapshot().unwrap().write(dir.path()).unwrap();
    }
    for name in ["weights.safetensors", "mean.safetensors", "optimizer.safetensors"] {
        assert!(tensors(&straight.path().join(name)) == tensors(&resumed.path().join(name)), "{name}");
    }
    let mean = tensors(&straight.path().join("mean.safetensors"));
    assert!(mean != tensors(&straight.path().join("weights.safetensors")), "the mean lags behind");
    let exported = tempfile::tempdir().unwrap();
    one.export(exported.path()).unwrap();
    let weights = exported.path().join("weights.safetensors");
    let model = Dalle::load(&task.model, &weights, &Device::flex()).unwrap();
    save_module(&model, &exported.path().join("read.safetensors")).unwrap();
    assert!(tensors(&exported.path().join("read.safetensors")) == mean, "the mean is exported");
}
