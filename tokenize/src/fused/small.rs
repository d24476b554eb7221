//! 3×3 convolution of planes of a few pixels, as one matrix product.
//!
//! On a plane of 4×4 the border is most of the picture, and a kernel that walks rows does little but start and stop.
//! Every output depends on every input through at most one tap, so the whole plane is one linear map, made of the
//! weights by a fixed 0/1 matrix.

use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData};

/// Pixels of the largest plane that is treated this way.
const PIXELS: usize = 16;

/// Whether a plane is small enough.
pub(crate) fn is_small(height: usize, width: usize) -> bool {
    height * width <= PIXELS
}

/// Stride 1 with one pixel of zeros around, or stride 2 with zeros on the right and bottom edge.
///
/// # Shapes
/// `[b, ci, h, w]` → `[b, co, ⌈h/stride⌉, ⌈w/stride⌉]`
pub(crate) fn conv(x: Tensor<4>, conv: &Conv2d, stride: usize) -> Tensor<4> {
    let [b, ci, h, w] = x.dims();
    let weight = conv.weight.val();
    let co = weight.dims()[0];
    let (rows, columns) = (h.div_ceil(stride), w.div_ceil(stride));
    let (from, to) = (h * w, rows * columns);
    let taps = taps([h, w], [rows, columns], stride, &x.device());
    let map: Tensor<4> = weight.reshape([co * ci, 9]).matmul(taps).reshape([co, ci, from, to]);
    let map = map.permute([1, 2, 0, 3]).reshape([ci * from, co * to]);
    let y: Tensor<3> = x.reshape([b, ci * from]).matmul(map).reshape([b, co, to]);
    let y = match &conv.bias {
        Some(bias) => y + bias.val().reshape([1, co, 1]),
        None => y,
    };
    y.reshape([b, co, rows, columns])
}

/// `[9, inputs·outputs]`: 1 where a tap leads from an input pixel to an output pixel.
fn taps([h, w]: [usize; 2], [rows, columns]: [usize; 2], stride: usize, device: &Device) -> Tensor<2> {
    let border = usize::from(stride == 1);
    let outputs = rows * columns;
    let mut taps = vec![0.0f32; 9 * h * w * outputs];
    for (tap, output) in (0..9).flat_map(|tap| (0..outputs).map(move |output| (tap, output))) {
        let y = (output / columns * stride + tap / 3).wrapping_sub(border);
        let x = (output % columns * stride + tap % 3).wrapping_sub(border);
        if y < h && x < w {
            taps[(tap * h * w + y * w + x) * outputs + output] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(taps, [9, h * w * outputs]), device)
}

#[cfg(test)]
mod tests {
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Distribution, Tolerance};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn equals_burn(b in 1usize..4, ci in 1usize..5, co in 1usize..5, h in 1usize..5, w in 1usize..5, halve: bool) {
            let device = Device::flex().autodiff();
            let (stride, padding) = if halve { (2, (0, 0, 1, 1)) } else { (1, (1, 1, 1, 1)) };
            // burn needs a plane that its kernel fits into.
            prop_assume!(!halve || (h > 1 && w > 1));
            let layer = Conv2dConfig::new([ci, co], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(padding.0, padding.1, padding.2, padding.3))
                .init(&device);
            let even = |n: usize| if halve { n.next_multiple_of(2) } else { n };
            let x = Tensor::<4>::random([b, ci, even(h), even(w)], Distribution::Normal(0.0, 1.0), &device);
            let run = |f: &dyn Fn(Tensor<4>) -> Tensor<4>| {
                let x = x.clone().require_grad();
                let y = f(x.clone());
                let grads = (y.clone() * y.clone()).sum().backward();
                let weight = layer.weight.val().grad(&grads).unwrap().into_data();
                (y.into_data(), x.grad(&grads).unwrap().into_data(), weight)
            };
            let (fast, plain) = (run(&|x| conv(x, &layer, stride)), run(&|x| layer.forward(x)));
            fast.0.assert_approx_eq::<f32>(&plain.0, Tolerance::rel_abs(1e-4, 1e-4));
            fast.1.assert_approx_eq::<f32>(&plain.1, Tolerance::rel_abs(1e-3, 1e-3));
            fast.2.assert_approx_eq::<f32>(&plain.2, Tolerance::rel_abs(1e-3, 1e-3));
        }
    }
}
