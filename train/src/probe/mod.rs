//! The linear probe: how well a linear classifier tells classes from what a layer of ImageGPT has made of a picture.
//!
//! Chen et al. 2020, section 2.3 and 3.4: features are the mean over all positions of what a layer reads after its first
//! norm, one set of features per layer; the last set is the model's output after the final norm.

mod features;
mod logistic;

pub use features::features;
pub use logistic::{Logistic, LogisticConfig};

/// What was found for one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probed {
    /// Which features: 0 those of the embedded pixels, `layers` the model's output.
    pub layer: usize,
    /// Share of the training pictures whose class is told right.
    pub train: f64,
    /// The same of the held-out pictures.
    pub held_out: f64,
}
