//! The gradients of a module as one row of numbers, parameter after parameter.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// How many numbers each parameter of a module has, in the order in which it is visited.
pub(super) fn sizes<M: Module>(module: &M) -> Vec<usize> {
    let mut sizes = Sizes(Vec::new());
    module.visit(&mut sizes);
    sizes.0
}

struct Sizes(Vec<usize>);

impl ModuleVisitor for Sizes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.lazy_shape().num_elements());
    }
}

/// Writes all gradients into `row`, and says which parameters have one. The others' places keep what they held.
pub(super) fn pack<M: Module>(module: &M, grads: GradientsParams, row: &mut [f32]) -> Vec<bool> {
    let mut pack = Pack { grads, row, at: 0, present: Vec::new() };
    module.visit(&mut pack);
    pack.present
}

struct Pack<'a> {
    grads: GradientsParams,
    row: &'a mut [f32],
    at: usize,
    present: Vec<bool>,
}

impl ModuleVisitor for Pack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let place = self.at..self.at + param.lazy_shape().num_elements();
        self.at = place.end;
        let grad = self.grads.remove::<D>(param.id);
        self.present.push(grad.is_some());
        if let Some(grad) = grad {
            let data = grad.into_data().convert::<f32>();
            self.row[place].iter_mut().zip(data.iter::<f32>()).for_each(|(to, from)| *to = from);
        }
    }
}

/// The gradients that [`pack`] wrote, of the parameters that have one, on a device.
pub(super) fn unpack<M: Module>(
    module: &M,
    row: &[f32],
    present: &[bool],
    device: &Device,
) -> GradientsParams {
    let device = device.clone().without_autodiff();
    let mut unpack = Unpack { grads: GradientsParams::new(), row, present: present.iter(), device };
    module.visit(&mut unpack);
    unpack.grads
}

struct Unpack<'a> {
    grads: GradientsParams,
    row: &'a [f32],
    present: std::slice::Iter<'a, bool>,
    device: Device,
}

impl ModuleVisitor for Unpack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape();
        let (mine, rest) = self.row.split_at(shape.num_elements());
        self.row = rest;
        if self.present.next() == Some(&true) {
            let data = TensorData::new(mine.to_vec(), shape);
            self.grads.register(param.id, Tensor::<D>::from_data(data, &self.device));
        }
    }
}
