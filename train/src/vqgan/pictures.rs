//! Training pictures in memory, and batches of them as a function of seed and step.

use burn::tensor::{Device, Tensor, TensorData};
use pipeline::picture::Picture;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::device::mix;

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
    /// None yet, of `side` pixels.
    pub(super) fn empty(side: usize) -> Self {
        Self { side, bytes: Vec::new() }
    }

    /// Appends a square of this side.
    pub(super) fn push(&mut self, square: &Picture) {
        for channel in 0..3 {
            self.bytes.extend(square.pixels().iter().skip(channel).step_by(3));
        }
    }

    /// Takes the pictures from number `from` on off into a set of their own.
    pub(super) fn split_off(&mut self, from: usize) -> Self {
        let at = from * self.stride();
        Self { side: self.side, bytes: self.bytes.split_off(at) }
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

    /// The batch made of `rows`, each with random changes of its own. `first` is the place of the first row in its step:
    /// a step cut into micro-batches sees the same pictures as a whole one.
    ///
    /// # Shapes
    /// `[rows, 3, side, side]` in [-1, 1]
    pub fn batch(
        &self,
        rows: &[usize],
        first: usize,
        augment: &Augment,
        seed: u64,
        device: &Device,
    ) -> Tensor<4> {
        let mut values = Vec::with_capacity(rows.len() * self.stride());
        for (row, place) in rows.iter().zip(first as u64..) {
            self.changed(*row, augment, &mut ChaCha8Rng::seed_from_u64(mix(seed, place)), &mut values);
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

    /// Picture number `row` unchanged.
    pub fn picture(&self, row: usize) -> Option<Picture> {
        let area = self.side * self.side;
        let planes = self.bytes.get(row * self.stride()..(row + 1) * self.stride())?;
        let pixels = (0..area).flat_map(|i| [0, 1, 2].map(|channel| planes[channel * area + i])).collect();
        let side = u32::try_from(self.side).ok()?;
        Picture::new(side, side, pixels)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pictures: impl IntoIterator<Item = Picture>) -> Pictures {
        let mut set = Pictures::empty(4);
        pictures.into_iter().for_each(|picture| set.push(&picture));
        set
    }

    #[test]
    fn a_batch_is_a_function_of_rows_and_seed() {
        let device = Device::flex();
        let set = set((0..8).map(|i| Picture::filled(4, 4, [i, 100, 200])));
        let augment = Augment { flip: true, shift: 1, permute_channels: true };
        let batch = |rows: &[usize], seed| set.batch(rows, 0, &augment, seed, &device).into_data();
        assert_eq!(batch(&[1, 5, 5], 3), batch(&[1, 5, 5], 3));
        assert_ne!(batch(&[1, 5, 5], 3), batch(&[1, 5, 6], 3));
        let half = set.batch(&[5, 6], 1, &augment, 3, &device).into_data();
        let whole = set.batch(&[1, 5, 6], 0, &augment, 3, &device).narrow(0, 1, 2).into_data();
        assert_eq!(half, whole);
    }

    #[test]
    fn without_changes_a_batch_is_the_pictures_themselves() {
        let device = Device::flex();
        let set = set((0..8).map(|i| Picture::filled(4, 4, [i, 100, 200])));
        let batch = set.batch(&[2, 3], 0, &Augment::default(), 1, &device).into_data();
        assert_eq!(batch, set.range(2, 4, &device).into_data());
        assert_eq!(set.picture(3), Some(Picture::filled(4, 4, [3, 100, 200])));
        assert_eq!(set.picture(8), None);
    }

    #[test]
    fn shifts_and_mirrors_keep_the_set_of_colours() {
        let device = Device::flex();
        let pixels: Vec<u8> = (0..48).collect();
        let set = set([Picture::new(4, 4, pixels).unwrap()]);
        let augment = Augment { flip: true, shift: 2, permute_channels: true };
        let plain: Vec<f32> = set.range(0, 1, &device).into_data().iter::<f32>().collect();
        let mut moved = false;
        for seed in 0..20 {
            let changed: Vec<f32> =
                set.batch(&[0], 0, &augment, seed, &device).into_data().iter::<f32>().collect();
            assert!(changed.iter().all(|value| plain.contains(value)));
            moved |= changed != plain;
        }
        assert!(moved);
    }
}
