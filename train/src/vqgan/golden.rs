//! The fixture `train/tests/golden/vqgan-losses`: numbers of the published PyTorch code.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::LpipsConfig;

/// The fixture in memory, on a device that tracks gradients.
pub(super) struct Golden {
    pub(super) device: Device,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vqgan-losses")
}

impl Golden {
    pub(super) fn open() -> Self {
        let bytes = std::fs::read(folder().join("io.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            let number = |bytes: &[u8]| -> f32 {
                let bytes = bytes.try_into().unwrap();
                match view.dtype() {
                    Dtype::I32 => i32::from_le_bytes(bytes) as f32,
                    _ => f32::from_le_bytes(bytes),
                }
            };
            (name, (view.shape().to_vec(), view.data().chunks_exact(4).map(number).collect()))
        });
        Self { device: Device::flex().autodiff(), tensors: tensors.collect() }
    }

    /// Values of a tensor, where the fixture has it.
    pub(super) fn find(&self, name: &str) -> Option<Vec<f32>> {
        self.tensors.get(name).map(|(_, values)| values.clone())
    }

    pub(super) fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (shape, values) = &self.tensors[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), &self.device)
    }

    pub(super) fn codes(&self, name: &str) -> Tensor<3, Int> {
        self.get::<3>(name).int()
    }

    /// LPIPS' weights at reduced widths, in the published containers.
    pub(super) fn lpips(&self) -> LpipsConfig {
        LpipsConfig { weights: folder().join("vgg16.pth"), linear: folder().join("lpips.pth"), weight: 1.0 }
    }

    /// Panics where `found` differs from the tensor `name` by more than `tolerance`, relative to the largest number.
    pub(super) fn close<const D: usize>(&self, name: &str, found: &Tensor<D>, tolerance: f32) {
        let (_, expected) = &self.tensors[name];
        let found: Vec<f32> = found.clone().into_data().iter().collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        let scale = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance * scale, "{name}: off by {worst} of {scale}");
    }
}

/// The module with the parameters that `find` knows by their path.
pub(super) fn filled<M: Module>(module: M, find: impl Fn(&str) -> Option<Vec<f32>>) -> M {
    struct Fill<F> {
        path: Vec<String>,
        find: F,
    }
    impl<F: Fn(&str) -> Option<Vec<f32>>> ModuleMapper for Fill<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(values) = (self.find)(&self.path.join(".")) else { return param };
            param.map(|old| {
                let new = Tensor::from_data(TensorData::new(values, old.dims()), &old.device());
                new.set_require_grad(old.is_require_grad())
            })
        }
    }
    module.map(&mut Fill { path: Vec::new(), find })
}
