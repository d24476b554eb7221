//! Originals beside decodings, batch by batch.

use std::collections::{HashMap, HashSet};

use pipeline::pairs;
use pipeline::picture::Picture;

use super::select::Selection;
use super::{BATCH, Exact, Quality, Sample};
use crate::Result;
use crate::codec::Codec;
use crate::metrics::{Psnr, mean_squared_error, ssim};
use crate::shards::square;
use crate::tokens::TokenMeta;

/// A picture that waits for its batch.
struct Waiting {
    key: String,
    /// As large as the decoding will be.
    original: Picture,
    /// As the codec sees it, where it is to be encoded again.
    input: Option<Picture>,
    codes: Vec<u16>,
}

/// The running comparison.
pub(super) struct Comparison<'a> {
    codec: &'a Codec,
    meta: &'a TokenMeta,
    psnr: Psnr,
    mse_sum: f64,
    ssim: (f64, u64),
    exact: Exact,
    /// Keys of the pictures to encode again.
    again: HashSet<String>,
    /// Keys of the pictures for the grid, and where they go.
    places: HashMap<String, usize>,
    samples: Vec<Option<Sample>>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(codec: &'a Codec, meta: &'a TokenMeta, shown: Vec<String>, again: Vec<String>) -> Self {
        let samples = vec![None; shown.len()];
        let places = shown.into_iter().enumerate().map(|(place, key)| (key, place)).collect();
        Self {
            codec,
            meta,
            psnr: Psnr::default(),
            mse_sum: 0.0,
            ssim: (0.0, 0),
            exact: Exact::default(),
            again: again.into_iter().collect(),
            places,
            samples,
        }
    }

    /// Finds the originals of `codes` among the pairs and compares batch by batch.
    ///
    /// # Errors
    /// Damaged pairs, a codec that fails, Ctrl-C.
    pub(super) fn run(
        &mut self,
        pairs: &str,
        codes: &HashMap<String, Vec<u16>>,
        progress: impl Fn(u64) -> pipeline::Result<()>,
    ) -> Result<()> {
        let mut waiting = Vec::with_capacity(BATCH);
        for pair in pairs::open(pairs)? {
            let pair = pair?;
            let (Some(codes), Some(bytes)) = (codes.get(&pair.key), &pair.image) else { continue };
            waiting.extend(self.prepare(pair.key, bytes, codes));
            if waiting.len() == BATCH {
                self.add(std::mem::take(&mut waiting))?;
                progress(self.psnr.images())?;
            }
        }
        self.add(waiting)?;
        Ok(progress(self.psnr.images())?)
    }

    fn prepare(&self, key: String, bytes: &[u8], codes: &[u16]) -> Option<Waiting> {
        let (side, drawn) = (self.meta.image_size(), self.codec.decoded_size(self.meta.grid));
        let original = square(bytes, self.meta, drawn).ok()?;
        let input = match self.again.contains(&key) {
            true if side == drawn => Some(original.clone()),
            true => square(bytes, self.meta, side).ok(),
            false => None,
        };
        Some(Waiting { key, original, input, codes: codes.to_vec() })
    }

    fn add(&mut self, mut batch: Vec<Waiting>) -> Result<()> {
        self.encode_again(&mut batch)?;
        let codes: Vec<Vec<u16>> = batch.iter().map(|waiting| waiting.codes.clone()).collect();
        let decoded = self.codec.decode(&codes, self.meta.grid)?;
        for (Waiting { key, original, .. }, decoded) in batch.into_iter().zip(decoded) {
            if let Some(error) = mean_squared_error(original.pixels(), decoded.pixels()) {
                self.psnr.add(error);
                self.mse_sum += error;
            }
            if let Some(ssim) = ssim(&original, &decoded) {
                self.ssim = (self.ssim.0 + ssim, self.ssim.1 + 1);
            }
            if let Some(&place) = self.places.get(&key) {
                self.samples[place] = Some(Sample { original: Some(original), decoded });
            }
        }
        Ok(())
    }

    fn encode_again(&mut self, batch: &mut [Waiting]) -> Result<()> {
        let inputs: (Vec<Picture>, Vec<&[u16]>) = batch
            .iter_mut()
            .filter_map(|waiting| Some((waiting.input.take()?, waiting.codes.as_slice())))
            .unzip();
        for (found, stored) in self.codec.encode(&inputs.0)?.iter().zip(inputs.1) {
            let differing = found.iter().zip(stored).filter(|(a, b)| a != b).count();
            self.exact.pictures += 1;
            self.exact.pictures_differing += usize::from(differing > 0);
            self.exact.codes += stored.len();
            self.exact.codes_differing += differing;
        }
        Ok(())
    }

    /// The figures, unless no original was found, and the pictures for the grid.
    pub(super) fn finish(self, selection: &Selection) -> (Option<Quality>, Vec<Sample>) {
        let images = self.psnr.images();
        let found = usize::try_from(images).unwrap_or(usize::MAX);
        let quality = Quality {
            images,
            missing: selection.codes.len().saturating_sub(found),
            psnr: self.psnr.mean(),
            psnr_of_mean_error: self.psnr.of_mean_error(),
            mse: self.mse_sum / images as f64,
            ssim: (self.ssim.1 > 0).then(|| self.ssim.0 / self.ssim.1 as f64),
            exact: self.exact,
        };
        ((images > 0).then_some(quality), self.samples.into_iter().flatten().collect())
    }
}
