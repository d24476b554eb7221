//! Inception-v3 as the Fréchet Inception Distance uses it: `pytorch-fid`'s port of the network of 2015-12-05.
//!
//! Source: Szegedy et al. 2016, "Rethinking the Inception architecture"; `mseitzer/pytorch-fid`
//! (`src/pytorch_fid/inception.py`) on torchvision's `models/inception.py`. It differs from torchvision's network in its
//! pools: averages leave the border out of their count, and the last block takes the maximum where all others average.

mod load;
mod plan;

use std::path::Path;

use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};
use pipeline::picture::Picture;
use tokenize::pixels::Range;

use crate::{Error, Result};
use plan::Pool;

/// Numbers that stand for a picture: the mean over the places of the last block.
pub const FEATURES: usize = 2048;
/// Pixels per side that the network sees.
pub const SIDE: usize = 299;

/// The network up to its last pool, without the classifier.
#[derive(Clone, Debug)]
pub struct Inception {
    blocks: Vec<Block>,
    sha256: String,
}

/// Branches over one input, their channels one after the other.
#[derive(Clone, Debug)]
struct Block(Vec<Vec<Step>>);

#[derive(Clone, Debug)]
enum Step {
    Conv(Box<Conv>),
    Pool(Pool),
    /// Several convolutions of one input, their channels one after the other.
    Fork(Vec<Conv>),
}

/// A convolution with its batch norm folded in, then ReLU.
#[derive(Clone, Debug)]
struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    padding: [usize; 2],
}

impl Inception {
    /// Reads `pt_inception-2015-12-05-6726825d.pth`, or the same state dict in another container.
    ///
    /// # Errors
    /// The file cannot be read, lacks a tensor or has one of another shape, which is named.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        load::load(path, device)
    }

    /// sha256 of the weights file in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The features of pictures of any sizes, one row each. Every picture is stretched to 299 × 299 in f32 by two pixels
    /// per axis (bilinear without antialiasing, pixel centres at halves), as `pytorch-fid` does.
    ///
    /// # Errors
    /// The numbers cannot be read back from the device, or are NaN.
    pub fn features(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>> {
        let Some(block) = self.blocks.first() else { return Ok(Vec::new()) };
        let device = block.device();
        let inputs = pictures.iter().map(|picture| resized(picture, &device)).collect::<Result<Vec<_>>>()?;
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let features = self.forward(Tensor::cat(inputs, 0) * 2.0 - 1.0);
        let values = features.into_data().convert::<f32>().try_to_vec::<f32>();
        let values = values.map_err(|error| Error::config(format!("Inception's features: {error:?}")))?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::config("Inception's features are not finite: are its weights damaged?"));
        }
        Ok(values.chunks(FEATURES).map(<[f32]>::to_vec).collect())
    }

    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, 2048]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        let x = self.blocks.iter().fold(pixels, |x, block| block.forward(&x));
        let [b, channels, h, w] = x.dims();
        x.reshape([b, channels, h * w]).mean_dim(2).reshape([b, channels])
    }
}

/// `[1, 3, 299, 299]` in [0, 1].
fn resized(picture: &Picture, device: &Device) -> Result<Tensor<4>> {
    let pixels = Range::ZeroOne.to_tensor(std::slice::from_ref(picture), device)?;
    let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    Ok(interpolate(pixels, bilinear.with_output_size([SIDE, SIDE])))
}

impl Block {
    fn device(&self) -> Device {
        let conv = self.0.iter().flatten().find_map(|step| match step {
            Step::Conv(conv) => Some(conv.as_ref()),
            Step::Fork(convs) => convs.first(),
            Step::Pool(_) => None,
        });
        conv.map_or_else(Device::default, |conv| conv.weight.device())
    }

    fn forward(&self, x: &Tensor<4>) -> Tensor<4> {
        let branch = |steps: &Vec<Step>| steps.iter().fold(x.clone(), |x, step| step.forward(x));
        let mut outputs = self.0.iter().map(branch).collect::<Vec<_>>();
        if outputs.len() == 1 { outputs.swap_remove(0) } else { Tensor::cat(outputs, 1) }
    }
}

impl Step {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Fork(convs) => Tensor::cat(convs.iter().map(|conv| conv.forward(x.clone())).collect(), 1),
            Self::Pool(Pool::Average) => {
                let options = AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]);
                avg_pool2d(x, options.with_count_include_pad(false))
            }
            Self::Pool(Pool::Max) => {
                max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]))
            }
            Self::Pool(Pool::Halve) => max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2])),
        }
    }
}

impl Conv {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], self.padding, [1, 1], 1);
        relu(conv2d(x, self.weight.clone(), Some(self.bias.clone()), options))
    }
}

#[cfg(test)]
pub(crate) mod tests;
