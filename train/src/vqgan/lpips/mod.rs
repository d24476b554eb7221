//! LPIPS: how different two pictures look to a VGG16 (Zhang et al. 2018; taming `modules/losses/lpips.py`).

mod load;

use std::path::{Path, PathBuf};

use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Mean and deviation of ImageNet's colours, for pixels in [-1, 1] (taming `ScalingLayer`).
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Beside the length of a feature vector, so that a vector of zeros stays one.
const EPSILON: f64 = 1e-10;
/// Numbers of VGG16's convolutions in torchvision's `features`, by the block that ends in a compared layer: relu1_2, relu2_2,
/// relu3_3, relu4_3, relu5_3.
const BLOCKS: [&[usize]; 5] = [&[0, 2], &[5, 7], &[10, 12, 14], &[17, 19, 21], &[24, 26, 28]];
/// Sides below this vanish on the way: every block but the first halves them.
const SMALLEST: usize = 1 << (BLOCKS.len() - 1);

/// Where the perceptual term's weights are, and how much it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LpipsConfig {
    /// torchvision's VGG16 (`features.N.weight`), or a file that holds both halves, such as a checkpoint of taming's.
    pub weights: PathBuf,
    /// The linear layers (`linN.model.1.weight`), `vgg.pth` of taming and of richzhang/PerceptualSimilarity; empty: they are
    /// in `weights`, too.
    #[serde(skip_serializing_if = "is_empty")]
    pub linear: PathBuf,
    /// Weight beside the pixel loss (taming `perceptual_weight`).
    pub weight: f64,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

impl Default for LpipsConfig {
    fn default() -> Self {
        Self { weights: PathBuf::new(), linear: PathBuf::new(), weight: 1.0 }
    }
}

impl LpipsConfig {
    /// Refuses what cannot be computed on pictures of `side` pixels.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self, side: usize) -> Result<()> {
        if is_empty(&self.weights) {
            return Err(Error::config("loss.lpips.weights: which file holds the weights of VGG16?")
                .with_hint(
                    "torchvision's vgg16-397923af.pth, with richzhang's vgg.pth as `loss.lpips.linear`",
                ));
        }
        if side < SMALLEST {
            return Err(Error::config(format!(
                "data.image_size: {side} is too small for LPIPS, whose VGG16 needs {SMALLEST} pixels"
            ))
            .with_hint("larger pictures, or no `loss.lpips`"));
        }
        Ok(())
    }
}

/// A frozen VGG16 and the weight of each of its compared channels. Its widths are those of the file.
#[derive(Clone, Debug)]
pub struct Lpips {
    blocks: Vec<Block>,
    fingerprint: Vec<u8>,
}

/// Convolutions 3×3 up to a layer that is compared.
#[derive(Clone, Debug)]
struct Block {
    convs: Vec<(Tensor<4>, Tensor<1>)>,
    /// `[1, channels, 1, 1]`
    linear: Tensor<4>,
}

impl Lpips {
    /// Reads the weights.
    ///
    /// # Errors
    /// A file cannot be read, or lacks tensors, which are named.
    pub fn load(config: &LpipsConfig, device: &Device) -> Result<Self> {
        load::load(config, &device.clone().without_autodiff())
    }

    /// SHA-256 of the files.
    pub(super) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// The distance of each pair. Gradients flow to `drawn` alone.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` twice, sides of at least 16 → `[b]`
    pub fn distance(&self, pixels: Tensor<4>, drawn: Tensor<4>) -> Tensor<1> {
        let b = pixels.dims()[0];
        let tracked = drawn.is_autodiff();
        let pixels = if pixels.is_autodiff() { pixels.inner() } else { pixels };
        let places = self.features(pixels).into_iter().zip(self.features(drawn)).zip(&self.blocks);
        let distances = places.map(|((original, drawn), block)| {
            let difference = drawn - tracked_as(original, tracked);
            let weighted = difference.clone() * difference * tracked_as(block.linear.clone(), tracked);
            let [_, _, h, w] = weighted.dims();
            let places: Tensor<2> = weighted.sum_dim(1).reshape([b, h * w]);
            places.mean_dim(1).reshape([b])
        });
        distances.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::zeros([b], &self.blocks[0].linear.device()))
    }

    /// The compared layers, each place's channels as a vector of length 1.
    fn features(&self, pixels: Tensor<4>) -> Vec<Tensor<4>> {
        let tracked = pixels.is_autodiff();
        let device = pixels.device();
        let colours = |values: [f32; 3]| Tensor::<1>::from_data(values, &device).reshape([1, 3, 1, 1]);
        let mut x = (pixels - colours(SHIFT)) / colours(SCALE);
        let mut layers = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            if i > 0 {
                x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            for (weight, bias) in &block.convs {
                let bias = tracked_as(bias.clone(), tracked);
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                x = relu(conv2d(x, tracked_as(weight.clone(), tracked), Some(bias), options));
            }
            layers.push(unit(x.clone()));
        }
        layers
    }
}

/// Divides each place's channels by their length. The square under the root keeps the slope at zero finite.
fn unit(x: Tensor<4>) -> Tensor<4> {
    let length = (x.clone() * x.clone()).sum_dim(1).add_scalar(EPSILON * EPSILON).sqrt();
    x / length.add_scalar(EPSILON)
}

/// A constant where gradients are tracked, and where they are not.
fn tracked_as<const D: usize>(values: Tensor<D>, tracked: bool) -> Tensor<D> {
    if tracked { Tensor::from_inner(values) } else { values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqgan::golden::Golden;

    #[test]
    fn distances_and_gradients_are_those_of_the_published_code() {
        let golden = Golden::open();
        let lpips = Lpips::load(&golden.lpips(), &golden.device).unwrap();
        let (pixels, drawn) = (golden.get::<4>("lpips.pixels"), golden.get::<4>("lpips.drawn"));
        let drawn = drawn.require_grad();
        let distance = lpips.distance(pixels.clone(), drawn.clone());
        golden.close("lpips.distance", &distance, 1e-5);
        let grads = distance.mean().backward();
        golden.close("lpips.gradient", &drawn.grad(&grads).unwrap(), 1e-5);
        // Validation computes it without gradients.
        golden.close("lpips.distance", &lpips.distance(pixels.inner(), drawn.inner()), 1e-5);
    }

    #[test]
    fn flat_pictures_have_finite_slopes() {
        let golden = Golden::open();
        let lpips = Lpips::load(&golden.lpips(), &golden.device).unwrap();
        let pixels = Tensor::<4>::full([1, 3, 16, 16], -1.0, &golden.device);
        let drawn = pixels.clone().require_grad();
        let distance = lpips.distance(pixels, drawn.clone());
        assert_eq!(distance.clone().into_scalar::<f32>(), 0.0);
        let slopes = drawn.grad(&distance.sum().backward()).unwrap().into_data();
        assert!(slopes.iter::<f32>().all(f32::is_finite));
    }

    #[test]
    fn what_cannot_be_computed_is_refused_before_the_first_step() {
        let config = LpipsConfig { weights: "vgg16.pth".into(), ..LpipsConfig::default() };
        config.check(16).unwrap();
        assert!(config.check(15).unwrap_err().to_string().starts_with("data.image_size: 15 is too small"));
        let fault = LpipsConfig::default().check(64).unwrap_err();
        assert!(fault.to_string().starts_with("loss.lpips.weights: "), "{fault}");
    }
}
