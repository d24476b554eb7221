//! The codec's hot operations in one pass each: 3×3 convolution, group norm with swish, upsampling.
//!
//! On the CPU backend they run the kernels of this folder, forward and backward; on any other
//! device the same function is written in ordinary burn operations. Both are tested against
//! each other, values and gradients.

mod conv3x3;
mod extension;
mod group_norm;
pub(crate) mod small;
mod upsample;

use burn::backend::{Dispatch, DispatchDevice};
use burn::nn::conv::Conv2d;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use extension::CodecOps;

/// Whether the kernels of this folder can run where `device` is.
fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Convolution 3×3, stride 1, one pixel of zeros around.
///
/// # Shapes
/// `[b, ci, h, w]` → `[b, co, h, w]`
pub(crate) fn conv3x3(x: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    if small::is_small(h, w) {
        return small::conv(x, conv, 1);
    }
    match &conv.bias {
        Some(bias) if is_cpu(&x.device()) => Tensor::from_dispatch(<Dispatch as CodecOps>::conv3x3(
            x.into_dispatch(),
            conv.weight.val().into_dispatch(),
            bias.val().into_dispatch(),
        )),
        _ => conv.forward(x),
    }
}

/// Group normalisation, optionally followed by `y · sigmoid(y)`.
///
/// # Shapes
/// x `[b, c, h, w]`, weight and bias `[c]` → `[b, c, h, w]`; `groups` divides `c`
pub(crate) fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    swish: bool,
) -> Tensor<4> {
    if is_cpu(&x.device()) {
        return Tensor::from_dispatch(<Dispatch as CodecOps>::group_norm(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            groups,
            epsilon as f32,
            swish,
        ));
    }
    group_norm_reference(x, weight, bias, groups, epsilon, swish)
}

fn group_norm_reference(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    swish: bool,
) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let rows: Tensor<3> = x.reshape([b, groups, c / groups * h * w]);
    let centred = rows.clone() - rows.mean_dim(2);
    let variance = centred.clone().powi_scalar(2).mean_dim(2);
    let normed = (centred / (variance + epsilon).sqrt()).reshape([b, c, h, w]);
    let y = normed * weight.reshape([1, c, 1, 1]) + bias.reshape([1, c, 1, 1]);
    if swish { silu(y) } else { y }
}

/// Doubles both sides by repeating every pixel.
///
/// # Shapes
/// `[b, c, h, w]` → `[b, c, 2h, 2w]`
pub(crate) fn upsample2x(x: Tensor<4>) -> Tensor<4> {
    if is_cpu(&x.device()) {
        return Tensor::from_dispatch(<Dispatch as CodecOps>::upsample2x(x.into_dispatch()));
    }
    upsample2x_reference(x)
}

fn upsample2x_reference(x: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let wide: Tensor<6> = x.reshape([b, c, h, 1, w, 1]).expand([b, c, h, 2, w, 2]);
    wide.reshape([b, c, 2 * h, 2 * w])
}

#[cfg(test)]
mod tests {
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Distribution, Tolerance};
    use proptest::prelude::*;

    use super::*;

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
    }

    /// Values and input gradients of both paths agree.
    fn same(x: &Tensor<4>, fast: impl Fn(Tensor<4>) -> Tensor<4>, plain: impl Fn(Tensor<4>) -> Tensor<4>) {
        let run = |f: &dyn Fn(Tensor<4>) -> Tensor<4>| {
            let x = x.clone().require_grad();
            let y = f(x.clone());
            let weights =
                Tensor::<1, burn::tensor::Int>::arange(0..y.shape().num_elements() as i64, &y.device());
            let weights = weights.float().sin().reshape(y.dims());
            let grads = (y.clone() * weights).sum().backward();
            (y.into_data(), x.grad(&grads).map(Tensor::into_data))
        };
        let (a, b) = (run(&fast), run(&plain));
        a.0.assert_approx_eq::<f32>(&b.0, Tolerance::rel_abs(1e-4, 1e-4));
        a.1.unwrap().assert_approx_eq::<f32>(&b.1.unwrap(), Tolerance::rel_abs(1e-3, 1e-3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn convolution_equals_burn(b in 1usize..3, ci in 1usize..6, co in 1usize..7, h in 1usize..10, w in 1usize..37) {
            let device = Device::flex().autodiff();
            let conv = Conv2dConfig::new([ci, co], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(&device);
            same(&random([b, ci, h, w], &device), |x| conv3x3(x, &conv), |x| conv.forward(x));
        }

        #[test]
        fn convolution_weight_gradients_equal_burn(b in 1usize..3, ci in 1usize..6, co in 1usize..7, h in 1usize..10, w in 1usize..37) {
            let device = Device::flex().autodiff();
            let conv = Conv2dConfig::new([ci, co], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(&device);
            let x = random([b, ci, h, w], &device);
            let target = random([b, co, h, w], &device);
            let grads = |y: Tensor<4>| {
                let grads = (y * target.clone()).sum().backward();
                let bias = conv.bias.as_ref().map(|bias| bias.val().grad(&grads).unwrap().into_data());
                (conv.weight.val().grad(&grads).unwrap().into_data(), bias.unwrap())
            };
            let (fast, plain) = (grads(conv3x3(x.clone(), &conv)), grads(conv.forward(x)));
            fast.0.assert_approx_eq::<f32>(&plain.0, Tolerance::rel_abs(1e-3, 1e-3));
            fast.1.assert_approx_eq::<f32>(&plain.1, Tolerance::rel_abs(1e-3, 1e-3));
        }

        #[test]
        fn group_norm_equals_reference(b in 1usize..3, groups in 1usize..4, per in 1usize..4, h in 1usize..8, w in 2usize..20, swish: bool) {
            let device = Device::flex().autodiff();
            let c = groups * per;
            let (weight, bias) = (random([c], &device), random([c], &device));
            same(
                &random([b, c, h, w], &device),
                |x| group_norm(x, weight.clone(), bias.clone(), groups, 1e-6, swish),
                |x| group_norm_reference(x, weight.clone(), bias.clone(), groups, 1e-6, swish),
            );
        }

        #[test]
        fn group_norm_parameter_gradients_equal_reference(b in 1usize..3, groups in 1usize..4, per in 1usize..4, h in 1usize..8, w in 2usize..20, swish: bool) {
            let device = Device::flex().autodiff();
            let c = groups * per;
            let (weight, bias) = (random([c], &device).require_grad(), random([c], &device).require_grad());
            let x = random([b, c, h, w], &device);
            let target = random([b, c, h, w], &device);
            let grads = |y: Tensor<4>| {
                let grads = (y * target.clone()).sum().backward();
                (weight.grad(&grads).unwrap().into_data(), bias.grad(&grads).unwrap().into_data())
            };
            let fast = grads(group_norm(x.clone(), weight.clone(), bias.clone(), groups, 1e-6, swish));
            let plain = grads(group_norm_reference(x, weight.clone(), bias.clone(), groups, 1e-6, swish));
            fast.0.assert_approx_eq::<f32>(&plain.0, Tolerance::rel_abs(1e-3, 1e-3));
            fast.1.assert_approx_eq::<f32>(&plain.1, Tolerance::rel_abs(1e-3, 1e-3));
        }

        #[test]
        fn upsampling_equals_reference(b in 1usize..3, c in 1usize..4, h in 1usize..6, w in 1usize..20) {
            let device = Device::flex().autodiff();
            same(&random([b, c, h, w], &device), upsample2x, upsample2x_reference);
        }
    }
}
