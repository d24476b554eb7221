//! Inception's weights from a state dict, batch norms folded into the convolutions before them.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use tokenize::checkpoint::Checkpoint;

use super::plan::{Layer, Part, network};
use super::{Block, Conv, Inception, Step};
use crate::{Error, Result};

/// Added to a variance (torchvision `BasicConv2d`).
const EPSILON: f64 = 1e-3;

pub(super) fn load(path: &Path, device: &Device) -> Result<Inception> {
    let file = Checkpoint::open(path)?;
    let Some(weights) = file.below("Conv2d_1a_3x3.conv.weight") else {
        let why = "no tensor Conv2d_1a_3x3.conv.weight: FID's Inception is pytorch-fid's \
                   pt_inception-2015-12-05-6726825d.pth";
        return Err(Error::weights(path, why));
    };
    let device = device.clone().without_autodiff();
    let mut width = 3;
    let mut blocks = Vec::new();
    for (name, branches) in network() {
        let reader = Reader { file: &weights, block: name, device: &device };
        let branches =
            branches.iter().map(|parts| reader.branch(parts, width)).collect::<Result<Vec<_>>>()?;
        width = branches.iter().map(|(_, channels)| channels).sum();
        blocks.push(Block(branches.into_iter().map(|(steps, _)| steps).collect()));
    }
    Ok(Inception { blocks, sha256: file.sha256().to_owned() })
}

struct Reader<'a> {
    file: &'a Checkpoint,
    block: &'static str,
    device: &'a Device,
}

impl Reader<'_> {
    /// The steps of a branch over `width` channels, and its own channels.
    fn branch(&self, parts: &[Part], width: usize) -> Result<(Vec<Step>, usize)> {
        let (mut steps, mut width) = (Vec::new(), width);
        for part in parts {
            steps.push(match part {
                Part::Pool(pool) => Step::Pool(*pool),
                Part::Layer(layer) => {
                    let conv = self.conv(layer, width)?;
                    width = layer.channels;
                    Step::Conv(Box::new(conv))
                }
                Part::Fork(layers) => {
                    let convs = layers.iter().map(|layer| self.conv(layer, width)).collect::<Result<_>>()?;
                    width = layers.iter().map(|layer| layer.channels).sum();
                    Step::Fork(convs)
                }
            });
        }
        Ok((steps, width))
    }

    fn conv(&self, layer: &Layer, width: usize) -> Result<Conv> {
        let Layer { channels, kernel: [height, across], .. } = *layer;
        let shape = [channels, width, height, across];
        let mut weight = self.read(layer, "conv.weight", &shape)?;
        let [gain, shift, mean, variance] = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
            .map(|part| self.read(layer, part, &[channels]));
        let (gain, shift, mean, variance) = (gain?, shift?, mean?, variance?);
        let mut bias = Vec::with_capacity(channels);
        for (channel, values) in weight.chunks_mut(width * height * across).enumerate() {
            // In f64, so that folding adds no error of its own.
            let factor = f64::from(gain[channel]) / (f64::from(variance[channel]) + EPSILON).sqrt();
            values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
            bias.push((f64::from(shift[channel]) - f64::from(mean[channel]) * factor) as f32);
        }
        Ok(Conv {
            weight: Tensor::from_data(TensorData::new(weight, shape), self.device),
            bias: Tensor::from_data(TensorData::new(bias, [channels]), self.device),
            stride: layer.stride,
            padding: if layer.same { [height / 2, across / 2] } else { [0, 0] },
        })
    }

    fn read(&self, layer: &Layer, part: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let dot = if self.block.is_empty() { "" } else { "." };
        let key = format!("{}{dot}{}.{part}", self.block, layer.name);
        match self.file.shape(&key) {
            None => {
                Err(Error::weights(self.file.path(), format!("no tensor {key}, which FID's Inception has")))
            }
            Some(found) if found != shape => {
                let why = format!("{key} is {found:?}, FID's Inception has {shape:?}");
                Err(Error::weights(self.file.path(), why))
            }
            Some(_) => Ok(self.file.floats(&key)?),
        }
    }
}
