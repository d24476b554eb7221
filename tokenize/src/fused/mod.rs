//! The codec's hot operations in one pass each: 3×3 convolution, group norm with swish, upsampling.
//!
//! On the CPU backend they run the kernels of this folder, forward and backward; on any other
//! device the same function is written in ordinary burn operations. Both are tested against
//! each other, values and gradients.

mod conv3x3;
mod direct;
mod extension;
mod group_norm;
mod halving;
mod nearest;
mod pointwise;
mod product;
pub(crate) mod small;
mod strips;
mod upsample;
mod winograd;

use burn::backend::{Dispatch, DispatchDevice};
use burn::nn::conv::Conv2d;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, TensorData};

use extension::CodecOps;

/// Whether the kernels of this folder can run where `device` is.
fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether `device` is the processor and keeps no tape.
pub(crate) fn is_plain_cpu(device: &Device) -> bool {
    is_cpu(device) && !device.is_autodiff()
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

/// Convolution 3×3, stride 2, zeros on the right and bottom edge.
///
/// # Shapes
/// `[b, ci, h, w]` → `[b, co, h/2, w/2]`
pub(crate) fn halve(x: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    if small::is_small(h, w) {
        return small::conv(x, conv, 2);
    }
    match &conv.bias {
        Some(bias) if is_cpu(&x.device()) && h.is_multiple_of(2) && w.is_multiple_of(2) => {
            Tensor::from_dispatch(<Dispatch as CodecOps>::halve(
                x.into_dispatch(),
                conv.weight.val().into_dispatch(),
                bias.val().into_dispatch(),
            ))
        }
        _ => conv.forward(x),
    }
}

/// Convolution 1×1.
///
/// # Shapes
/// `[b, ci, h, w]` → `[b, co, h, w]`
pub(crate) fn conv1x1(x: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    match &conv.bias {
        // A strip is eight pixels of one picture.
        Some(bias) if is_cpu(&x.device()) && h * w >= 64 => {
            Tensor::from_dispatch(<Dispatch as CodecOps>::conv1x1(
                x.into_dispatch(),
                conv.weight.val().into_dispatch(),
                bias.val().into_dispatch(),
            ))
        }
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

/// Index of the nearest codebook row: argmin of |e|² − 2·z·e (|z|² does not change it), the first of equals.
///
/// # Shapes
/// z `[b, c, h, w]`, codebook `[n, c]` → `[b, h, w]`
pub(crate) fn nearest(z: Tensor<4>, codebook: Tensor<2>) -> Tensor<3, Int> {
    let ([b, c, h, w], device) = (z.dims(), z.device());
    if is_cpu(&device) && b * c * h * w > 0 {
        let (z, codebook) = (z.into_data(), codebook.into_data());
        if let (Ok(z), Ok(codebook)) = (z.as_slice::<f32>(), codebook.as_slice::<f32>()) {
            let codes = nearest::nearest(&nearest::Shape { channels: c, area: h * w }, z, codebook);
            return Tensor::from_data(TensorData::new(codes, [b, h, w]), &device);
        }
        return nearest_reference(Tensor::from_data(z, &device), Tensor::from_data(codebook, &device));
    }
    nearest_reference(z, codebook)
}

/// Most distances that the reference holds at once: 64 MB.
const DISTANCES: usize = 1 << 24;

fn nearest_reference(z: Tensor<4>, codebook: Tensor<2>) -> Tensor<3, Int> {
    let ([b, c, h, w], entries) = (z.dims(), codebook.dims()[0]);
    let rows = z.permute([0, 2, 3, 1]).reshape([b * h * w, c]);
    let norms = codebook.clone().powi_scalar(2).sum_dim(1).reshape([1, entries]);
    let codebook = codebook.transpose();
    // All pictures of a batch beside 16,384 rows would be gigabytes.
    let parts = rows.split((DISTANCES / entries.max(1)).max(1), 0).into_iter().map(|rows| {
        let n = rows.dims()[0];
        let distance = norms.clone() - rows.matmul(codebook.clone()).mul_scalar(2.0);
        distance.argmin(1).reshape([n])
    });
    Tensor::<1, Int>::cat(parts.collect(), 0).reshape([b, h, w])
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
    use burn::tensor::{DType, Distribution, Tolerance};
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

    /// Weight and bias gradients of `fast` are those of burn's own layer.
    fn same_parameters(x: &Tensor<4>, conv: &Conv2d, fast: impl Fn(Tensor<4>) -> Tensor<4>) {
        let grads = |y: Tensor<4>| {
            let grads = (y.clone() * y.detach()).sum().backward();
            let bias = conv.bias.as_ref().map(|bias| bias.val().grad(&grads).unwrap().into_data());
            (conv.weight.val().grad(&grads).unwrap().into_data(), bias.unwrap())
        };
        let (fast, plain) = (grads(fast(x.clone())), grads(conv.forward(x.clone())));
        fast.0.assert_approx_eq::<f32>(&plain.0, Tolerance::rel_abs(1e-3, 1e-3));
        fast.1.assert_approx_eq::<f32>(&plain.1, Tolerance::rel_abs(1e-3, 1e-3));
    }

    #[test]
    fn the_first_of_equal_codebook_rows_is_the_nearest() {
        let device = Device::flex();
        let codebook = Tensor::<2>::from_floats([[3.0], [1.0], [1.0], [0.0], [1.0]], &device);
        let z = Tensor::<4>::from_floats([[[[0.9, -7.0, 40.0]]]], &device);
        let codes = nearest(z, codebook).into_data().convert_dtype(DType::I64);
        assert_eq!(codes.as_slice::<i64>().unwrap(), [1, 3, 0]);
    }

    /// The same values for the parts of a batch and for any number of threads, to the last bit.
    #[test]
    fn neither_batch_nor_threads_change_a_bit() {
        let device = Device::flex();
        let layer = |kernel: usize, padding: PaddingConfig2d| {
            Conv2dConfig::new([48, 40], [kernel, kernel]).with_padding(padding)
        };
        let same = layer(3, PaddingConfig2d::Explicit(1, 1, 1, 1)).init(&device);
        let half = layer(3, PaddingConfig2d::Explicit(0, 0, 1, 1)).with_stride([2, 2]).init(&device);
        let point = layer(1, PaddingConfig2d::Valid).init(&device);
        let ways: [&(dyn Fn(Tensor<4>) -> Tensor<4> + Sync); 3] =
            [&|x| conv3x3(x, &same), &|x| halve(x, &half), &|x| conv1x1(x, &point)];
        let x = random([5, 48, 20, 26], &device);
        for way in ways {
            let whole = way(x.clone()).into_data();
            let parts = (0..5).map(|i| way(x.clone().narrow(0, i, 1))).collect();
            assert_eq!(whole, Tensor::cat(parts, 0).into_data());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            assert_eq!(whole, pool.install(|| way(x.clone()).into_data()));
        }
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
        fn a_convolution_of_many_channels_equals_burn(b in 1usize..4, ci in 32usize..70, co in 32usize..70, h in 7usize..12, w in 1usize..37) {
            let device = Device::flex().autodiff();
            let conv = Conv2dConfig::new([ci, co], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(&device);
            same(&random([b, ci, h, w], &device), |x| conv3x3(x, &conv), |x| conv.forward(x));
        }

        #[test]
        fn halving_equals_burn(b in 1usize..4, ci in 1usize..40, co in 1usize..40, h in 1usize..9, w in 3usize..24) {
            let device = Device::flex().autodiff();
            let conv = Conv2dConfig::new([ci, co], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1))
                .init(&device);
            let x = random([b, ci, 2 * h, 2 * w], &device);
            same(&x, |x| halve(x, &conv), |x| conv.forward(x));
            same_parameters(&x, &conv, |x| halve(x, &conv));
        }

        #[test]
        fn pointwise_equals_burn(b in 1usize..4, ci in 1usize..300, co in 1usize..70, h in 1usize..9, w in 8usize..24) {
            let device = Device::flex().autodiff();
            let conv = Conv2dConfig::new([ci, co], [1, 1]).init(&device);
            let x = random([b, ci, h, w], &device);
            same(&x, |x| conv1x1(x, &conv), |x| conv.forward(x));
            same_parameters(&x, &conv, |x| conv1x1(x, &conv));
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
        fn nearest_equals_reference(b in 1usize..3, c in 1usize..40, n in 1usize..200, h in 1usize..13, w in 1usize..13) {
            let device = Device::flex();
            let (z, codebook) = (random([b, c, h, w], &device), random([n, c], &device));
            let (fast, plain) = (nearest(z.clone(), codebook.clone()), nearest_reference(z.clone(), codebook.clone()));
            // Rows that are equally far but for rounding may change places.
            let distance = |codes: Tensor<3, Int>| {
                let rows = codebook.clone().select(0, codes.reshape([b * h * w]));
                (z.clone().permute([0, 2, 3, 1]).reshape([b * h * w, c]) - rows).powi_scalar(2).sum_dim(1).into_data()
            };
            distance(fast).assert_approx_eq::<f32>(&distance(plain), Tolerance::rel_abs(1e-4, 1e-4));
        }

        #[test]
        fn upsampling_equals_reference(b in 1usize..3, c in 1usize..4, h in 1usize..6, w in 1usize..20) {
            let device = Device::flex().autodiff();
            same(&random([b, c, h, w], &device), upsample2x, upsample2x_reference);
        }
    }
}
