//! LPIPS' weights from the published files, whatever stands before their names there.

use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};
use tokenize::checkpoint::Checkpoint;

use super::{BLOCKS, Block, Lpips, LpipsConfig, is_empty};
use crate::{Error, Result};

/// Missing tensors that an error names.
const NAMED: usize = 8;

/// A tensor in one of the files.
struct Found<'a> {
    file: &'a Checkpoint,
    key: &'a str,
    shape: Vec<usize>,
}

pub(super) fn load(config: &LpipsConfig, device: &Device) -> Result<Lpips> {
    let vgg = Checkpoint::open(&config.weights)?;
    let linear = if is_empty(&config.linear) { vgg.clone() } else { Checkpoint::open(&config.linear)? };
    let found = find(&vgg, &linear)?;
    check(&found)?;
    let mut tensors = found.iter();
    let mut next = || tensors.next().ok_or_else(|| Error::from(vgg.fault("too few tensors")));
    let mut blocks = Vec::new();
    for numbers in BLOCKS {
        let mut convs = Vec::new();
        for _ in numbers {
            convs.push((next()?.read::<4>(device)?, next()?.read::<1>(device)?));
        }
        blocks.push(Block { convs, linear: next()?.read::<4>(device)? });
    }
    let fingerprint = Sha256::new().chain_update(vgg.sha256()).chain_update(linear.sha256()).finalize();
    Ok(Lpips { blocks, fingerprint: fingerprint.to_vec() })
}

/// The names of one tensor: torchvision's, or that of a whole LPIPS model in a checkpoint.
fn names(block: usize, part: Part) -> Vec<String> {
    match part {
        Part::Conv(number, what) => {
            vec![format!("features.{number}.{what}"), format!("slice{}.{number}.{what}", block + 1)]
        }
        // A dropout stands before the convolution in most files.
        Part::Linear => [1, 0].map(|index| format!("lin{block}.model.{index}.weight")).into(),
    }
}

#[derive(Clone, Copy)]
enum Part {
    Conv(usize, &'static str),
    Linear,
}

/// All tensors in the order in which they are used: a block's convolutions, weight before bias, then its linear layer.
fn find<'a>(vgg: &'a Checkpoint, linear: &'a Checkpoint) -> Result<Vec<Found<'a>>> {
    let (mut found, mut missing) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (block, numbers) in BLOCKS.iter().enumerate() {
        let convs =
            numbers.iter().flat_map(|number| ["weight", "bias"].map(|what| Part::Conv(*number, what)));
        for part in convs.chain([Part::Linear]) {
            let (file, place) = if matches!(part, Part::Linear) { (linear, 1) } else { (vgg, 0) };
            let names = names(block, part);
            let ends = |key: &str, name: &str| {
                key.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            };
            match file.keys().find(|key| names.iter().any(|name| ends(key, name))) {
                Some(key) => {
                    let shape = file.shape(key).unwrap_or_default().to_vec();
                    found.push(Found { file, key, shape });
                }
                None => missing[place].push(names[0].clone()),
            }
        }
    }
    let [convs, lins] = &missing;
    if !convs.is_empty() {
        return Err(lacking(vgg, convs, "torchvision's VGG16 has them as features.N.weight and .bias"));
    }
    if !lins.is_empty() {
        let cure = "name taming's or richzhang's vgg.pth as `loss.lpips.linear`";
        return Err(lacking(linear, lins, cure));
    }
    Ok(found)
}

fn lacking(file: &Checkpoint, missing: &[String], cure: &str) -> Error {
    let more = missing.len().saturating_sub(NAMED);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Error::weights(file.path(), format!("LPIPS weights are missing: {named}{tail}; {cure}"))
}

/// Whether the shapes follow from each other, of whatever widths the network is.
fn check(found: &[Found]) -> Result<()> {
    let mut width = 3;
    let mut found = found.iter();
    for numbers in BLOCKS {
        for _ in numbers {
            let (Some(weight), Some(bias)) = (found.next(), found.next()) else { return Ok(()) };
            let out = weight.shape.first().copied().unwrap_or_default();
            weight.expect(&[out.max(1), width, 3, 3])?;
            bias.expect(&[out])?;
            width = out;
        }
        let Some(linear) = found.next() else { return Ok(()) };
        linear.expect(&[1, width, 1, 1])?;
    }
    Ok(())
}

impl Found<'_> {
    fn expect(&self, shape: &[usize]) -> Result<()> {
        if self.shape == shape {
            return Ok(());
        }
        let why = format!("{} is {:?}, LPIPS wants {shape:?}", self.key, self.shape);
        Err(Error::weights(self.file.path(), why))
    }

    fn read<const D: usize>(&self, device: &Device) -> Result<Tensor<D>> {
        let values = self.file.floats(self.key)?;
        Ok(Tensor::from_data(TensorData::new(values, self.shape.clone()), device))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Device;

    use super::*;
    use crate::run::tensors::{self, Lazy};
    use crate::vqgan::golden::Golden;

    /// A file of zeros with these names and shapes.
    fn write(path: &Path, tensors: &[(String, [usize; 4])]) {
        let zeros = |(name, shape): &(String, [usize; 4])| {
            let values = Tensor::<4>::zeros(*shape, &Device::flex());
            match name.ends_with("bias") {
                true => (name.clone(), Lazy::new(values.reshape([shape[0]]))),
                false => (name.clone(), Lazy::new(values)),
            }
        };
        tensors::write(path, tensors.iter().map(zeros).collect(), None).unwrap();
    }

    /// A whole LPIPS as taming's checkpoints hold it.
    fn whole() -> Vec<(String, [usize; 4])> {
        let mut tensors = Vec::new();
        let mut from = 3;
        for (block, numbers) in BLOCKS.iter().enumerate() {
            for number in *numbers {
                let name = format!("loss.perceptual_loss.net.slice{}.{number}", block + 1);
                tensors.push((format!("{name}.weight"), [2 + block, from, 3, 3]));
                tensors.push((format!("{name}.bias"), [2 + block, 1, 1, 1]));
                from = 2 + block;
            }
            let name = format!("loss.perceptual_loss.lin{block}.model.1.weight");
            tensors.push((name, [1, 2 + block, 1, 1]));
        }
        tensors
    }

    fn fault(tensors: &[(String, [usize; 4])]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lpips.safetensors");
        write(&path, tensors);
        let config = LpipsConfig { weights: path, ..LpipsConfig::default() };
        load(&config, &Device::flex()).unwrap_err().to_string()
    }

    #[test]
    fn one_file_may_hold_both_halves_under_a_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lpips.safetensors");
        write(&path, &whole());
        let config = LpipsConfig { weights: path, ..LpipsConfig::default() };
        let lpips = load(&config, &Device::flex()).unwrap();
        assert_eq!(lpips.blocks[4].convs[0].0.dims(), [6, 5, 3, 3]);
    }

    #[test]
    fn missing_tensors_are_named_with_the_file_that_has_them() {
        let golden = Golden::open();
        let alone = LpipsConfig { linear: "".into(), ..golden.lpips() };
        let fault = load(&alone, &golden.device).unwrap_err().to_string();
        assert!(fault.contains("vgg16.pth: LPIPS weights are missing: lin0.model.1.weight, lin1"), "{fault}");
        assert!(fault.ends_with("as `loss.lpips.linear`"), "{fault}");
        let swapped = LpipsConfig { weights: golden.lpips().linear, ..golden.lpips() };
        let fault = load(&swapped, &golden.device).unwrap_err().to_string();
        assert!(fault.contains("missing: features.0.weight, features.0.bias, "), "{fault}");
        assert!(fault.contains(" and 18 more; "), "{fault}");
    }

    #[test]
    fn shapes_that_do_not_follow_from_each_other_are_named() {
        let mut tensors = whole();
        tensors.retain(|(name, _)| !name.ends_with("slice3.12.bias"));
        assert!(fault(&tensors).contains("missing: features.12.bias; "));
        let mut tensors = whole();
        tensors.last_mut().unwrap().1 = [1, 7, 1, 1];
        let fault = fault(&tensors);
        let expected = "lin4.model.1.weight is [1, 7, 1, 1], LPIPS wants [1, 6, 1, 1]";
        assert!(fault.ends_with(expected), "{fault}");
    }
}
