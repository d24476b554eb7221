//! Sums of squares whose order does not depend on threads: the norm of all gradients, and those of single matrices.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::in_place;
use crate::device;

/// From so many numbers on, burn's sum on the host adds parts up in the order in which its threads end.
const UNORDERED: usize = 1 << 22;

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
