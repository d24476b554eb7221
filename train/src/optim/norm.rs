//! The norm of all gradients together, by which they are clipped.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::in_place;

/// Adds up the squares of all gradients. On the host in f64 and in a fixed order, so that the sum does not depend on threads.
pub(super) struct SquareSum<'a> {
    grads: &'a mut GradientsParams,
    host: f64,
    device: Option<Tensor<1>>,
}

impl<'a> SquareSum<'a> {
    pub(super) fn of(grads: &'a mut GradientsParams) -> Self {
        Self { grads, host: 0.0, device: None }
    }

    pub(super) fn norm(self) -> f64 {
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
