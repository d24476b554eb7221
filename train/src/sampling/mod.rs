//! From logits to a token: temperature, top-k, top-p, and a draw from a stream of its own per sample.

mod filter;
mod guidance;
mod multinomial;
mod preset;

use serde::{Deserialize, Serialize};

pub use filter::{filter, probabilities};
pub use guidance::GuidanceForm;
pub use multinomial::Stream;
pub use preset::Preset;

use crate::error::{Error, Result};

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Keep the `top_k` most probable tokens (and their ties); 0 keeps all.
    pub top_k: usize,
    /// Of those keep the most probable ones that together reach this probability; 1 keeps all.
    pub top_p: f64,
    /// Divides the logits: below 1 bolder, above 1 wilder.
    pub temperature: f64,
    /// Classifier-free guidance (Ho and Salimans 2022): logits become `empty + guidance · (with text - empty)`, so above 1
    /// the text counts for more; 1 is off. Needs a model that was trained with some texts left out, and twice the time.
    pub guidance: f64,
    /// What `guidance` is a number for.
    pub guidance_form: GuidanceForm,
    /// Decides every draw, together with the sample's index.
    pub seed: u64,
}

impl Default for SamplingConfig {
    /// RuDOLPH's setting for images: top-k 768, top-p 0.99, temperature 1 (`rudolph/api.py`).
    fn default() -> Self {
        Self {
            top_k: 768,
            top_p: 0.99,
            temperature: 1.0,
            guidance: 1.0,
            guidance_form: GuidanceForm::Logits,
            seed: 0,
        }
    }
}

impl SamplingConfig {
    /// RuDOLPH's setting for texts: top-k 64, top-p 0.8, temperature 0.9.
    pub fn text() -> Self {
        Self { top_k: 64, top_p: 0.8, temperature: 0.9, ..Self::default() }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the reason.
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::config(format!("temperature: {} is not above 0", self.temperature)));
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return Err(Error::config(format!("top_p: {} is not in 0..=1", self.top_p)));
        }
        if !self.guidance.is_finite() {
            return Err(Error::config(format!("guidance: {} is not a number to multiply by", self.guidance)));
        }
        if self.guidance_form == GuidanceForm::Mix && !(0.0..=1.0).contains(&self.guidance) {
            let why = format!("guidance: {} is no share of probabilities, not in 0..=1", self.guidance);
            return Err(Error::config(why).with_hint("the form `logits` takes any number"));
        }
        Ok(())
    }

    /// Whether each sample needs a twin without text.
    pub fn is_guided(&self) -> bool {
        self.guidance != self.guidance_form.off()
    }

    /// Chooses one token from the logits of one sample.
    ///
    /// # Errors
    /// [`Error::Logits`] when a logit is NaN or infinite.
    pub fn choose(&self, logits: &[f32], stream: &mut Stream) -> Result<usize> {
        self.choose_guided(logits, None, stream)
    }

    /// The same with the logits of the sample's twin without text.
    ///
    /// # Errors
    /// As for [`Self::choose`].
    pub fn choose_guided(&self, with: &[f32], without: Option<&[f32]>, stream: &mut Stream) -> Result<usize> {
        if with.iter().chain(without.unwrap_or_default()).any(|logit| !logit.is_finite()) {
            return Err(Error::Logits);
        }
        Ok(stream.draw(&self.distribution(with, without)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_k_of_one_is_the_argmax() {
        let config = SamplingConfig { top_k: 1, ..SamplingConfig::default() };
        let mut stream = Stream::new(3, 0);
        assert_eq!(config.choose(&[0.1, 2.0, 1.9, -4.0], &mut stream).unwrap(), 1);
    }

    #[test]
    fn nan_logits_are_an_error() {
        let config = SamplingConfig::default();
        assert!(config.choose(&[0.1, f32::INFINITY], &mut Stream::new(0, 0)).is_err());
        assert!(config.choose(&[0.1, f32::NAN], &mut Stream::new(0, 0)).is_err());
    }

    #[test]
    fn bad_settings_name_their_key() {
        let config = SamplingConfig { temperature: 0.0, ..SamplingConfig::default() };
        assert_eq!(config.validate().unwrap_err().to_string(), "temperature: 0 is not above 0");
        let config = SamplingConfig { top_p: 1.5, ..SamplingConfig::default() };
        assert!(config.validate().unwrap_err().to_string().starts_with("top_p: "));
    }
}
