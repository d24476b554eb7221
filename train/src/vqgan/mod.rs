//! Training an image codec: `train vqgan.toml`.
//!
//! Pixel, perceptual and quantisation losses from the first step, a PatchGAN discriminator with taming's adaptive weight
//! later on; a codebook that learns by gradient or as running means, whose unused rows are moved to where the data is; or a
//! Gumbel quantiser. Sources: `taming/modules/losses/vqperceptual.py`, `taming/models/vqgan.py`.

mod adversary;
mod config;
mod discriminator;
mod ema;
mod export;
mod gan;
#[cfg(test)]
mod golden;
mod gumbel;
mod keep;
mod learner;
mod load;
mod loss;
mod lpips;
mod norm;
mod pictures;
mod quantize;
mod reconstruct;
mod restart;

pub use adversary::AdversaryConfig;
pub use config::{PicturesConfig, VqGanTask};
pub use discriminator::{Discriminator, DiscriminatorConfig};
pub use ema::{CodebookConfig, CodebookKind};
pub use export::Trained;
pub use gan::GanLoss;
pub use gumbel::{GumbelConfig, Temperature};
pub use learner::VqGanLearner;
pub use load::{LeftOut, Loaded};
pub use loss::{BetaForm, LossConfig};
pub use lpips::{Lpips, LpipsConfig};
pub use norm::NormKind;
pub use pictures::{Augment, Pictures};
pub use reconstruct::{Origin, Reconstructions, Summary};
pub use restart::RestartConfig;
