//! Guidance: two forms of saying how much more the text shall count, from logits with and without it.

use serde::{Deserialize, Serialize};

use super::{SamplingConfig, filter, probabilities};

/// What [`SamplingConfig::guidance`] does with the logits of a text and of its twin without text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum GuidanceForm {
    /// `without + G · (with - without)` on the logits, before anything is left out (Ho and Salimans 2022; DALLE-pytorch);
    /// 1 is off
    #[default]
    Logits,
    /// `(1 - W) · with + W · without` on the probabilities that top-k and top-p leave (RuDOLPH's
    /// `generate_codebooks_cfg`); 0 is off
    Mix,
    /// The same on the logits that top-k and top-p leave, then the softmax (its `late_softmax`); a negative W moves away
    /// from the twin
    LateSoftmax,
}

impl GuidanceForm {
    /// The number that changes nothing.
    #[must_use]
    pub const fn off(self) -> f64 {
        match self {
            Self::Logits => 1.0,
            Self::Mix | Self::LateSoftmax => 0.0,
        }
    }

    /// The number where only the form is named: 0.2 in RuDOLPH (`weight_cfg`).
    #[must_use]
    pub const fn usual(self) -> f64 {
        match self {
            Self::Logits => 1.0,
            Self::Mix | Self::LateSoftmax => 0.2,
        }
    }
}

impl SamplingConfig {
    /// The probabilities of a text's logits, moved by those of its twin without text where there is one.
    pub(super) fn distribution(&self, with: &[f32], without: Option<&[f32]>) -> Vec<f64> {
        let kept = |logits: &[f32]| {
            let mut logits = logits.to_vec();
            filter(&mut logits, self);
            logits
        };
        let Some(without) = without else { return probabilities(&kept(with)) };
        let pairs = |with: &[f32], without: &[f32], join: fn(f32, f32, f32) -> f32| {
            let weight = self.guidance as f32;
            with.iter().zip(without).map(|(&a, &b)| join(a, b, weight)).collect::<Vec<_>>()
        };
        match self.guidance_form {
            GuidanceForm::Logits => {
                probabilities(&kept(&pairs(with, without, |with, without, g| without + g * (with - without))))
            }
            GuidanceForm::Mix => {
                let (with, without) = (probabilities(&kept(with)), probabilities(&kept(without)));
                let mix = |(with, without)| (1.0 - self.guidance) * with + self.guidance * without;
                with.into_iter().zip(without).map(mix).collect()
            }
            GuidanceForm::LateSoftmax => {
                let with = kept(with);
                let both = pairs(&with, &kept(without), late);
                // Small sets may have nothing in common; the published code fails there.
                let none = both.iter().all(|logit| *logit == f32::NEG_INFINITY);
                probabilities(if none { &with } else { &both })
            }
        }
    }
}

/// A weighted mean of logits; what either has left out stays out.
fn late(with: f32, without: f32, weight: f32) -> f32 {
    if with == f32::NEG_INFINITY || without == f32::NEG_INFINITY {
        return f32::NEG_INFINITY;
    }
    (1.0 - weight) * with + weight * without
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH: [f32; 4] = [1.0, 0.5, -1.0, 0.0];
    const WITHOUT: [f32; 4] = [0.0, 1.0, -0.5, 0.7];

    fn config(guidance_form: GuidanceForm, guidance: f64, top_k: usize) -> SamplingConfig {
        SamplingConfig { guidance_form, guidance, top_k, top_p: 1.0, ..SamplingConfig::default() }
    }

    fn near(found: &[f64], expected: [f64; 4]) {
        let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-6, "{found:?} {expected:?}");
    }

    #[test]
    fn the_published_forms() {
        let found = config(GuidanceForm::Mix, 0.2, 2).distribution(&WITH, Some(&WITHOUT));
        let (a, b) = (1.0 / (1.0 + (-0.5f64).exp()), 1.0 / (1.0 + (-0.3f64).exp()));
        near(&found, [0.8 * a, 0.8 * (1.0 - a) + 0.2 * b, 0.0, 0.2 * (1.0 - b)]);
        // Top-2 keeps {0, 1} with the text and {1, 3} without it: only 1 is in both.
        let found = config(GuidanceForm::LateSoftmax, 0.2, 2).distribution(&WITH, Some(&WITHOUT));
        near(&found, [0.0, 1.0, 0.0, 0.0]);
        let found = config(GuidanceForm::LateSoftmax, 0.2, 1).distribution(&WITH, Some(&WITHOUT));
        near(&found, [1.0, 0.0, 0.0, 0.0]);
        let found = config(GuidanceForm::LateSoftmax, 0.2, 0).distribution(&WITH, Some(&WITHOUT));
        let e = [0.8f64, 0.6, -0.9, 0.14].map(f64::exp);
        near(&found, e.map(|value| value / e.iter().sum::<f64>()));
    }

    #[test]
    fn a_late_softmax_of_everything_is_the_usual_form_with_another_number() {
        let usual = config(GuidanceForm::Logits, 3.0, 0).distribution(&WITH, Some(&WITHOUT));
        let late = config(GuidanceForm::LateSoftmax, -2.0, 0).distribution(&WITH, Some(&WITHOUT));
        assert!(usual.iter().zip(late).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn off_is_the_text_alone() {
        for form in [GuidanceForm::Logits, GuidanceForm::Mix, GuidanceForm::LateSoftmax] {
            let config = config(form, form.off(), 0);
            assert!(!config.is_guided());
            let (alone, both) =
                (config.distribution(&WITH, None), config.distribution(&WITH, Some(&WITHOUT)));
            assert!(alone.iter().zip(both).all(|(a, b)| (a - b).abs() < 1e-6), "{form:?}");
        }
    }
}
