//! The Fréchet Inception Distance of pictures to a reference, by the protocol of `pytorch-fid`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pipeline::picture::Picture;
use serde::Serialize;

use super::frechet::{Gaussian, Moments, distance};
use super::{pictures, statistics};
use crate::Result;
use crate::inception::{FEATURES, Inception, SIDE};

/// How the number came about: two distances can be compared only where all of this is the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// sha256 of Inception's weights.
    pub weights_sha256: String,
    /// Features of each picture.
    pub features: usize,
    /// How a picture gets the network's size.
    pub resize: String,
    /// Pictures measured.
    pub pictures: usize,
    /// What was compared with; empty for statistics alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// Chooses the pictures, or draws them.
    pub seed: u64,
}

/// A distance with its protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fid {
    /// The distance.
    pub fid: f64,
    /// How it came about.
    pub protocol: Protocol,
}

/// The network, and how many pictures it sees together.
pub struct Judge {
    network: Inception,
    batch: usize,
}

impl Judge {
    /// Reads the network's weights; `batch` pictures are looked at together.
    ///
    /// # Errors
    /// The file does not hold them.
    pub fn open(weights: &Path, batch: usize, device: &Device) -> Result<Self> {
        Ok(Self { network: Inception::load(weights, device)?, batch: batch.max(1) })
    }

    /// The features of pictures, one row each.
    ///
    /// # Errors
    /// They are not finite.
    pub fn features(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>> {
        self.network.features(pictures)
    }

    /// Mean and covariance of pictures, which are asked for a batch at a time; `on_step` gets those done.
    ///
    /// # Errors
    /// A picture cannot be read, or there are fewer than two.
    pub fn look(
        &self,
        pictures: &mut dyn Iterator<Item = Result<Picture>>,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Gaussian> {
        let mut moments = Moments::new(FEATURES);
        loop {
            let batch = pictures.take(self.batch).collect::<Result<Vec<_>>>()?;
            if batch.is_empty() {
                return moments.finish();
            }
            moments.add(&self.features(&batch)?);
            on_step(moments.count());
        }
    }

    /// Statistics of a reference: a `.npz`, or all pictures of a folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn reference(&self, path: &Path, on_step: &mut dyn FnMut(usize)) -> Result<Gaussian> {
        if path.extension().is_some_and(|ending| ending == "npz") {
            return statistics::read(path);
        }
        let files = pictures::list(path, None, 0)?;
        self.look(&mut files.iter().map(|file| pictures::open(file)), on_step)
    }

    /// How pictures are looked at.
    #[must_use]
    pub fn protocol(&self, pictures: usize, reference: Option<&Path>, seed: u64) -> Protocol {
        Protocol {
            weights_sha256: self.network.sha256().to_owned(),
            features: FEATURES,
            resize: format!("{SIDE} x {SIDE}, bilinear in f32 without antialiasing (pytorch-fid)"),
            pictures,
            reference: reference.map(Path::to_owned),
            seed,
        }
    }
}

impl Fid {
    /// The distance between measured pictures and a reference.
    ///
    /// # Errors
    /// The statistics are not of one network.
    pub fn new(measured: &Gaussian, reference: &Gaussian, protocol: Protocol) -> Result<Self> {
        Ok(Self { fid: distance(measured, reference)?, protocol })
    }
}
