//! Training pictures in memory, and batches of them as a function of seed and step.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use pipeline::pairs;
use pipeline::picture::{DecodeOptions, Picture, decode};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::PicturesConfig;
use crate::device::mix;
use crate::{Error, Result};

/// Random changes to training pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirror half of the pictures.
    pub flip: bool,
    /// Move by up to so many pixels; the edge pixels fill the gap.
    pub shift: usize,
    /// Exchange the colour channels of half of the pictures.
    pub permute_channels: bool,
}

/// Square pictures of one side, as bytes, channels first.
#[derive(Clone, Debug)]
pub struct Pictures {
    side: usize,
    bytes: Vec<u8>,
}

impl Pictures {
    /// Cuts and resizes to squares of `side` pixels.
    ///
    /// # Errors
    /// A picture that cannot be resized.
    pub fn new(pictures: impl IntoIterator<Item = Picture>, side: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        for picture in pictures {
            let picture = tokenize::pixels::square(picture, side)
                .map_err(|reason| Error::config(format!("data.image_size: {side}: {}", reason.text())))?;
            for channel in 0..3 {
                bytes.extend(picture.pixels().iter().skip(channel).step_by(3));
            }
        }
        Ok(Self { side, bytes })
    }

    /// Reads a pair shard folder: training rows and held-out rows.
    ///
    /// # Errors
    /// A folder without pictures, or a split column that gives none.
    pub fn load(config: &PicturesConfig) -> Result<(Self, Self)> {
        let (train, valid) = read(config)?;
        if train.is_empty() || valid.is_empty() {
            return Err(none(&config.pairs, train.len(), valid.len()));
        }
        Ok((Self::new(train, config.image_size)?, Self::new(valid, config.image_size)?))
    }

    /// Bytes of one picture.
    fn stride(&self) -> usize {
        3 * self.side * self.side
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.stride().max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, for a fingerprint of the data.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The batch made of `rows`, each with random changes of its own.
    ///
    /// # Shapes
    /// `[rows, 3, side, side]` in [-1, 1]
    pub fn batch(&self, rows: &[usize], augment: &Augment, seed: u64, device: &Device) -> Tensor<4> {
        let mut values = Vec::with_capacity(rows.len() * self.stride());
        for (i, row) in rows.iter().enumerate() {
            self.changed(*row, augment, &mut ChaCha8Rng::seed_from_u64(mix(seed, i as u64)), &mut values);
        }
        Tensor::from_data(TensorData::new(values, [rows.len(), 3, self.side, self.side]), device)
    }

    /// Pictures `from..to` unchanged.
    ///
    /// # Shapes
    /// `[to - from, 3, side, side]` in [-1, 1]
    pub fn range(&self, from: usize, to: usize, device: &Device) -> Tensor<4> {
        let bytes = &self.bytes[from * self.stride()..to * self.stride()];
        let values: Vec<f32> = bytes.iter().map(|byte| signed(*byte)).collect();
        Tensor::from_data(TensorData::new(values, [to - from, 3, self.side, self.side]), device)
    }

    /// Appends one picture with its random changes.
    fn changed(&self, row: usize, augment: &Augment, random: &mut impl Rng, values: &mut Vec<f32>) {
        let side = self.side;
        let picture = &self.bytes[row * self.stride()..][..self.stride()];
        let flip = augment.flip && random.random_bool(0.5);
        let (dx, dy) =
            (random.random_range(0..=2 * augment.shift), random.random_range(0..=2 * augment.shift));
        let mut channels = [0, 1, 2];
        if augment.permute_channels && random.random_bool(0.5) {
            channels.shuffle(random);
        }
        let moved = |at: usize, by: usize| (at + by).saturating_sub(augment.shift).min(side - 1);
        for channel in channels {
            let plane = &picture[channel * side * side..][..side * side];
            for y in 0..side {
                let row = &plane[moved(y, dy) * side..][..side];
                values.extend((0..side).map(|x| {
                    let x = if flip { side - 1 - x } else { x };
                    signed(row[moved(x, dx)])
                }));
            }
        }
    }
}

fn signed(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

fn none(pairs: &Path, train: usize, valid: usize) -> Error {
    Error::Data {
        path: pairs.to_owned(),
        message: format!("{train} training and {valid} held-out pictures; both are needed"),
        hint: Some("check data.split, data.train and data.valid, or data.holdout".to_owned()),
    }
}

/// Training and held-out pictures of a pair shard folder.
fn read(config: &PicturesConfig) -> Result<(Vec<Picture>, Vec<Picture>)> {
    let (mut train, mut valid) = (Vec::new(), Vec::new());
    for pair in pairs::open(&config.pairs.to_string_lossy())? {
        let pair = pair?;
        let Some(picture) = pair.image.and_then(|bytes| decode(&bytes, &DecodeOptions::default()).ok())
        else {
            continue;
        };
        match pair.extra.get(&config.split) {
            _ if config.split.is_empty() => train.push(picture),
            Some(value) if value == config.train => train.push(picture),
            Some(value) if value == config.valid => valid.push(picture),
            _ => {}
        }
    }
    if config.split.is_empty() {
        valid = train.split_off(train.len().saturating_sub(config.holdout));
    }
    Ok((train, valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_function_of_rows_and_seed() {
        let device = Device::flex();
        let set = Pictures::new((0..8).map(|i| Picture::filled(4, 4, [i, 100, 200])), 4).unwrap();
        let augment = Augment { flip: true, shift: 1, permute_channels: true };
        let batch = |rows: &[usize], seed| set.batch(rows, &augment, seed, &device).into_data();
        assert_eq!(batch(&[1, 5, 5], 3), batch(&[1, 5, 5], 3));
        assert_ne!(batch(&[1, 5, 5], 3), batch(&[1, 5, 6], 3));
    }

    #[test]
    fn without_changes_a_batch_is_the_pictures_themselves() {
        let device = Device::flex();
        let set = Pictures::new((0..8).map(|i| Picture::filled(4, 4, [i, 100, 200])), 4).unwrap();
        let batch = set.batch(&[2, 3], &Augment::default(), 1, &device).into_data();
        assert_eq!(batch, set.range(2, 4, &device).into_data());
    }

    #[test]
    fn shifts_and_mirrors_keep_the_set_of_colours() {
        let device = Device::flex();
        let pixels: Vec<u8> = (0..48).collect();
        let set = Pictures::new([Picture::new(4, 4, pixels).unwrap()], 4).unwrap();
        let augment = Augment { flip: true, shift: 2, permute_channels: true };
        let plain: Vec<f32> = set.range(0, 1, &device).into_data().iter::<f32>().collect();
        let mut moved = false;
        for seed in 0..20 {
            let changed: Vec<f32> =
                set.batch(&[0], &augment, seed, &device).into_data().iter::<f32>().collect();
            assert!(changed.iter().all(|value| plain.contains(value)));
            moved |= changed != plain;
        }
        assert!(moved);
    }
}
