//! `optim.rates`: which parameters learn slower, faster or not at all.

use super::OptimConfig;

impl OptimConfig {
    /// The factor of the learning rate of the parameter with this path.
    pub(super) fn rate(&self, path: &str) -> f64 {
        path.split('.').filter_map(|name| self.rates.get(name)).product()
    }
}
