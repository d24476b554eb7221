//! Sums of squares whose order does not depend on threads: the norm of all gradients, by which they are clipped, and those
//! of single matrices. And which gradient is to blame where there is no norm.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::in_place;
use super::place::Place;
use crate::device;

/// From so many numbers on, burn's sum on the host adds parts up in the order in which its threads end.
const UNORDERED: usize = 1 << 22;

/// The norm of all gradients of a module together.
pub(super) fn of<M: Module>(module: &M, grads: &mut GradientsParams) -> f64 {
    let mut sum = SquareSum { grads, host: 0.0, device: None };
    module.visit(&mut sum);
    let device = sum.device.map_or(0.0, |sum| sum.into_scalar::<f32>());
    (sum.host + f64::from(device)).sqrt()
}

/// The path of the first parameter whose gradient is not finite.
pub(super) fn first_bad<M: Module>(module: &M, grads: &GradientsParams) -> Option<String> {
    let mut search = FirstBad { grads, place: Place::default(), found: None };
    module.visit(&mut search);
    search.found
}

struct FirstBad<'a> {
    grads: &'a GradientsParams,
    place: Place,
    found: Option<String>,
}

impl ModuleVisitor for FirstBad<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id).filter(|_| self.found.is_none()) else { return };
        if !grad.abs().sum().into_scalar::<f32>().is_finite() {
            self.found = Some(self.place.path());
        }
    }
}

/// The sum of a matrix's squares.
pub(super) fn square_sum(matrix: Tensor<2>) -> Tensor<1> {
    let squares = matrix.square();
    if squares.shape().num_elements() >= UNORDERED && device::is_host(&squares.device()) {
        // Row by row, each from its beginning to its end.
        squares.sum_dim(1).sum()
    } else {
        squares.sum()
    }
}

/// Adds up the squares of all gradients. On the host in f64 and in a fixed order, so that the sum does not depend on threads.
struct SquareSum<'a> {
    grads: &'a mut GradientsParams,
    host: f64,
    device: Option<Tensor<1>>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn a_large_matrix_has_the_same_sum_each_time() {
        let matrix = Tensor::<2>::random([1 << 11, 1 << 11], Distribution::Normal(0.0, 1.0), &Device::flex());
        let sums = [(); 8].map(|()| square_sum(matrix.clone()).into_scalar::<f32>().to_bits());
        assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
        let expected: f64 = matrix.into_data().iter::<f64>().map(|x| x * x).sum();
        assert!((f64::from(f32::from_bits(sums[0])) / expected - 1.0).abs() < 1e-5, "{expected}");
    }
}
