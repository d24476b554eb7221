//! AdamW (Loshchilov and Hutter, 2019, algorithm 2) on one parameter: fused on the host, tensor operations elsewhere.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::in_place;

/// What is the same for every parameter of one step.
#[derive(Clone, Copy)]
pub(super) struct Scales {
    pub(super) betas: [f32; 2],
    pub(super) epsilon: f32,
    /// Gradients are multiplied by this: the clipping.
    pub(super) gradient: f32,
    /// Step size with the first moment's bias correction in it.
    pub(super) rate: f32,
    /// Inverse root of the second moment's bias correction.
    pub(super) root: f32,
    /// Weights are multiplied by this where decay applies.
    pub(super) keep: f32,
}

/// Flat moments of one parameter: `[elements]` each.
#[derive(Debug)]
pub(super) struct Moments {
    pub(super) first: Tensor<1>,
    pub(super) second: Tensor<1>,
}

impl Moments {
    pub(super) fn zeros<const D: usize>(like: &Tensor<D>) -> Self {
        let zeros = Tensor::zeros([like.shape().num_elements()], &like.device());
        Self { first: zeros.clone(), second: zeros }
    }

    /// One step: in place where the numbers lie in the host's memory.
    pub(super) fn step<const D: usize>(
        self,
        s: Scales,
        weights: Tensor<D>,
        grad: Tensor<D>,
    ) -> (Tensor<D>, Self) {
        if in_place(&grad) && in_place(&weights) {
            self.update_in_place(s, weights, grad)
        } else {
            self.update(s, weights, grad)
        }
    }

    /// One pass over host memory, in parallel; every element is independent, so threads cannot change the result.
    pub(super) fn update_in_place<const D: usize>(
        self,
        s: Scales,
        weights: Tensor<D>,
        grad: Tensor<D>,
    ) -> (Tensor<D>, Self) {
        let device = weights.device();
        let [mut first, mut second] = [self.first.into_data(), self.second.into_data()];
        let (mut weights, grad) = (weights.into_data(), grad.into_data());
        if let (Ok(w), Ok(g), Ok(m), Ok(v)) = (
            weights.as_mut_slice::<f32>(),
            grad.as_slice::<f32>(),
            first.as_mut_slice::<f32>(),
            second.as_mut_slice::<f32>(),
        ) {
            const PART: usize = 1 << 15;
            (w.par_chunks_mut(PART), g.par_chunks(PART), m.par_chunks_mut(PART), v.par_chunks_mut(PART))
                .into_par_iter()
                .for_each(|(w, g, m, v)| s.apply(w, g, m, v));
        }
        let moments =
            Self { first: Tensor::from_data(first, &device), second: Tensor::from_data(second, &device) };
        (Tensor::from_data(weights, &device), moments)
    }

    /// The same formulas as tensor operations.
    pub(super) fn update<const D: usize>(
        self,
        s: Scales,
        weights: Tensor<D>,
        grad: Tensor<D>,
    ) -> (Tensor<D>, Self) {
        let shape = weights.shape();
        let weights = weights.reshape([-1]) * s.keep;
        let grad = grad.reshape([-1]) * s.gradient;
        let first: Tensor<1> = self.first * s.betas[0] + grad.clone() * (1.0 - s.betas[0]);
        let second: Tensor<1> = self.second * s.betas[1] + grad.square() * (1.0 - s.betas[1]);
        let weights: Tensor<1> =
            weights - first.clone() * s.rate / (second.clone().sqrt() * s.root + s.epsilon);
        (weights.reshape(shape), Self { first, second })
    }
}

impl Scales {
    fn apply(self, weights: &mut [f32], grads: &[f32], first: &mut [f32], second: &mut [f32]) {
        let [beta1, beta2] = self.betas;
        for (((w, g), m), v) in weights.iter_mut().zip(grads).zip(first).zip(second) {
            let g = g * self.gradient;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w = *w * self.keep - self.rate * *m / (v.sqrt() * self.root + self.epsilon);
        }
    }
}
