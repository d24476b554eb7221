//! The weights of a task's losses, which may follow the step.

use serde::{Deserialize, Serialize};

use crate::objective::LossWeights;
use crate::schedule::Track;

/// [`LossWeights`] of every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossTracks {
    /// Of the left text.
    pub left: Track,
    /// Of the image.
    pub image: Track,
    /// Of the right text.
    pub right: Track,
}

impl Default for LossTracks {
    fn default() -> Self {
        LossWeights::default().into()
    }
}

impl From<LossWeights> for LossTracks {
    fn from(weights: LossWeights) -> Self {
        let LossWeights { left, image, right } = weights;
        Self { left: left.into(), image: image.into(), right: right.into() }
    }
}

impl LossTracks {
    /// The weights of `step`.
    #[must_use]
    pub fn at(&self, step: u64) -> LossWeights {
        LossWeights { left: self.left.at(step), image: self.image.at(step), right: self.right.at(step) }
    }

    /// Those that held-out losses are weighted by at any step, so that two validations compare: the last ones.
    #[must_use]
    pub fn last(&self) -> LossWeights {
        self.at(u64::MAX)
    }

    /// Whether no weight is negative at any step, and one of those that `count` is always above 0.
    pub(super) fn is_sound(&self, count: impl Fn(LossWeights) -> f64) -> bool {
        // Up to the next turn a weight stays or moves in a straight line, so what is above 0 at a turn is so until then.
        let turns = [&self.left, &self.image, &self.right].into_iter().flat_map(Track::turns);
        turns.map(|step| self.at(step)).all(|weights| {
            let LossWeights { left, image, right } = weights;
            let sound = |weight: &f64| weight.is_finite() && *weight >= 0.0;
            [left, image, right].iter().all(sound) && count(weights) > 0.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks(text: &str) -> LossTracks {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn each_weight_goes_its_own_way() {
        let tracks = tracks("left = [[0, 1.0], [100, 0.0]]\nright = { jumps = [[0, 0.0], [10, 2.0]] }");
        assert_eq!(tracks.at(0), LossWeights { left: 1.0, image: 7.0, right: 0.0 });
        assert_eq!(tracks.at(50), LossWeights { left: 0.5, image: 7.0, right: 2.0 });
        assert_eq!(tracks.last(), LossWeights { left: 0.0, image: 7.0, right: 2.0 });
        assert!(toml::from_str::<LossTracks>("wrong = 1.0").is_err());
    }

    #[test]
    fn a_task_always_has_something_to_learn() {
        let text = |weights: LossWeights| weights.left + weights.right;
        assert!(tracks("left = [[0, 1.0], [100, 0.0]]").is_sound(text), "the right text counts");
        let over = tracks("left = [[0, 1.0], [100, 0.0]]\nright = { jumps = [[0, 0.0], [100, 1.0]] }");
        assert!(over.is_sound(text));
        let gap = tracks("left = [[0, 1.0], [100, 0.0]]\nright = { jumps = [[0, 0.0], [101, 1.0]] }");
        assert!(!gap.is_sound(text), "nothing counts at step 100");
        assert!(!tracks("image = [[0, 1.0], [100, -1.0]]").is_sound(text));
    }
}
