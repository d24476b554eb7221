//! Training an image codec: `train vqgan.toml`.
//!
//! Reconstruction and codebook losses from the first step, a PatchGAN discriminator after a
//! warm-up with taming's adaptive weight, and codebook rows that nobody uses moved to where the
//! data is. Source: `taming/modules/losses/vqperceptual.py`; there is no perceptual term, since no
//! package carries a backbone's weights.

mod adversary;
mod codebook;
mod config;
mod discriminator;
mod learner;
mod load;
mod loss;
mod pictures;

pub use adversary::AdversaryConfig;
pub use codebook::RestartConfig;
pub use config::{PicturesConfig, VqGanTask};
pub use discriminator::{Discriminator, DiscriminatorConfig};
pub use learner::VqGanLearner;
pub use load::{LeftOut, Loaded};
pub use loss::{LossConfig, hinge_discriminator, hinge_generator};
pub use pictures::{Augment, Pictures};
