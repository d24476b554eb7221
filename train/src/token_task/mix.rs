//! The table `[tasks]`: what is practised, how often, on which rows, and how a row becomes a sequence.
//!
//! ```toml
//! [tasks]
//! text_to_image = 0.75                       # a number is the weight, all else as the kind has it
//! [tasks.sberquad]
//! kind = "text_question"
//! weight = 0.25
//! left = "{context} {question}"
//! loss = { left = 0.01, image = 0.01, right = 7.0 }
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Distraction, LossTracks};
use crate::data::Template;
use crate::schedule::Track;
use crate::{Error, Result};

/// Tasks by their names. The order of the names decides nothing but which rows are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskMix(pub BTreeMap<String, Practice>);

/// What a task is made of. Inputs as in `rudolph/api.py` and the published notebooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Caption, image.
    TextToImage,
    /// Nothing, image, caption.
    ImageToText,
    /// A text alone.
    TextToText,
    /// Context and question, an image of zeros, answer: as in the notebook for text questions.
    TextQuestion,
    /// Question, image, answer.
    VisualQuestion,
}

/// Which rows of the shards a task takes, of those that have its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// Those with an image.
    Image,
    /// Those without.
    Text,
    /// All.
    Any,
}

/// One task of the mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub struct Practice {
    /// What it is made of; without it the task's name says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TaskKind>,
    /// Share of the rows of a step; weights are divided by their sum. A task of weight 0 is only measured. A list of
    /// `[step, weight]` makes a curriculum.
    pub weight: Track,
    /// Its shards, a name of `[data.sets]`; without one those of `data.tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Which rows it takes: those with an image for the kinds that show it, those without for `text_to_text`, all for
    /// `text_question`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// The left text: `{caption}`, for questions `{context} {question}` or `{question}`, and nothing for `image_to_text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Template>,
    /// The right text: `{caption}` for `image_to_text`, `{answer}` for questions; others have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<Template>,
    /// Special token before the left text, counted from the first special id; else the one of `model.tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_token: Option<u32>,
    /// The same before the right text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right_token: Option<u32>,
    /// Weights of the losses, each a number or one that follows the step; else those of `model.loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossTracks>,
    /// Share of the rows whose left text is left out, for guidance when drawing.
    pub text_dropout: f64,
    /// How much the model is kept from recognising an image by its first codes; off, as published, by default.
    pub distraction: Distraction,
}

impl Default for Practice {
    fn default() -> Self {
        Self {
            kind: None,
            weight: 1.0.into(),
            set: None,
            rows: None,
            left: None,
            right: None,
            left_token: None,
            right_token: None,
            loss: None,
            text_dropout: 0.0,
            distraction: Distraction::default(),
        }
    }
}

impl Serialize for Practice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Practice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WeightOrTable)
    }
}

/// A number stands for a table with nothing but the weight.
struct WeightOrTable;

impl<'de> Visitor<'de> for WeightOrTable {
    type Value = Practice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a weight or a table")
    }

    fn visit_f64<E: serde::de::Error>(self, weight: f64) -> Result<Practice, E> {
        Ok(Practice { weight: weight.into(), ..Practice::default() })
    }

    fn visit_i64<E: serde::de::Error>(self, weight: i64) -> Result<Practice, E> {
        let weight = i32::try_from(weight).map_err(E::custom)?;
        self.visit_f64(f64::from(weight))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Practice, A::Error> {
        Practice::deserialize(MapAccessDeserializer::new(map)).map_err(A::Error::custom)
    }
}

impl TaskKind {
    /// Every kind, by its name.
    const ALL: [(&str, Self); 5] = [
        ("text_to_image", Self::TextToImage),
        ("image_to_text", Self::ImageToText),
        ("text_to_text", Self::TextToText),
        ("text_question", Self::TextQuestion),
        ("visual_question", Self::VisualQuestion),
    ];

    /// Whether its rows end with a right text.
    pub(super) const fn answers(self) -> bool {
        matches!(self, Self::ImageToText | Self::TextQuestion | Self::VisualQuestion)
    }

    /// Whether it shows the image of a row.
    pub(super) const fn shows(self) -> bool {
        !matches!(self, Self::TextToText | Self::TextQuestion)
    }

    const fn rows(self) -> Rows {
        match self {
            Self::TextToText => Rows::Text,
            Self::TextQuestion => Rows::Any,
            Self::TextToImage | Self::ImageToText | Self::VisualQuestion => Rows::Image,
        }
    }
}

impl Practice {
    /// Its kind, given or by the task's name.
    ///
    /// # Errors
    /// There is neither.
    pub fn kind(&self, name: &str) -> Result<TaskKind> {
        let known = TaskKind::ALL.iter().find(|(known, _)| *known == name);
        self.kind.or(known.map(|(_, kind)| *kind)).ok_or_else(|| {
            let kinds = TaskKind::ALL.map(|(name, _)| name);
            let error = Error::config(format!(
                "tasks.{name}: no key `kind`, and the name is none of the kinds {}",
                kinds.join(", ")
            ));
            match name {
                "text_dropout" => error.with_hint("it belongs to a task: `tasks.text_to_image.text_dropout`"),
                _ => match pipeline::settings::suggest(name, &kinds) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error,
                },
            }
        })
    }

    /// Which rows it takes.
    pub(super) fn rows(&self, kind: TaskKind) -> Rows {
        self.rows.unwrap_or(kind.rows())
    }

    /// What its left text is made of.
    pub(super) fn left(&self, kind: TaskKind) -> Template {
        self.left.clone().unwrap_or_else(|| match kind {
            TaskKind::TextToImage | TaskKind::TextToText => Template::caption(),
            TaskKind::ImageToText => Template::of_columns(&[]),
            TaskKind::TextQuestion => Template::of_columns(&["context", "question"]),
            TaskKind::VisualQuestion => Template::of_columns(&["question"]),
        })
    }

    /// What its right text is made of, if it has one.
    pub(super) fn right(&self, kind: TaskKind) -> Option<Template> {
        self.right.clone().or_else(|| match kind {
            TaskKind::TextToImage | TaskKind::TextToText => None,
            TaskKind::ImageToText => Some(Template::caption()),
            TaskKind::TextQuestion | TaskKind::VisualQuestion => Some(Template::of_columns(&["answer"])),
        })
    }
}

impl TaskMix {
    /// Every text that is made of columns, once.
    ///
    /// # Errors
    /// A task without a kind.
    pub fn templates(&self) -> Result<Vec<Template>> {
        let mut all = Vec::new();
        for (name, practice) in &self.0 {
            let kind = practice.kind(name)?;
            for template in [Some(practice.left(kind)), practice.right(kind)].into_iter().flatten() {
                if !template.is_caption() && template.constant().is_none() && !all.contains(&template) {
                    all.push(template);
                }
            }
        }
        Ok(all)
    }

    /// How many of the first `rows` rows of a run each task has had. The shares hold in the long run for any size of a
    /// step, and every step has all its rows: a task takes the whole part of its share of what the tasks before it left.
    /// For weights that stay the same.
    pub(super) fn until(&self, rows: u64) -> Vec<u64> {
        let weights = self.weights(0);
        let mut weight: f64 = weights.iter().sum();
        let mut left = rows;
        let take = |own: f64| {
            // The last one that counts takes all, whatever the rounding of the weights.
            let share = if weight > 0.0 { (own / weight).min(1.0) } else { 0.0 };
            let taken = if share > 1.0 - 1e-9 { left } else { (left as f64 * share).floor() as u64 };
            weight -= own;
            left -= taken;
            taken
        };
        weights.into_iter().map(take).collect()
    }

    /// The weights at a step.
    pub(super) fn weights(&self, step: u64) -> Vec<f64> {
        self.0.values().map(|practice| practice.weight.at(step)).collect()
    }

    /// Refuses what cannot be practised.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        let sound = |weight: f64| weight.is_finite() && weight >= 0.0;
        let turns = || self.0.values().flat_map(|practice| practice.weight.turns());
        let weights = |step: u64| self.weights(step);
        // Between two turns weights follow straight lines, so what holds at both holds between them; jumps are the step
        // before a turn as well.
        let steps = turns().chain(turns().map(|step| step.saturating_sub(1))).chain([0, u64::MAX]);
        let fault =
            |step: &u64| !weights(*step).into_iter().all(sound) || weights(*step).iter().sum::<f64>() <= 0.0;
        if let Some(step) = { steps }.find(fault) {
            let when = if step == 0 || step == u64::MAX { String::new() } else { format!(" at step {step}") };
            return Err(Error::config(format!("tasks: weights must not be negative, and not all 0{when}")));
        }
        for (name, practice) in &self.0 {
            let kind = practice.kind(name)?;
            let fault = |key: &str, why: &str| Err(Error::config(format!("tasks.{name}.{key}: {why}")));
            if !(0.0..=1.0).contains(&practice.text_dropout) {
                return fault("text_dropout", "must be in 0..=1");
            }
            if let Some(why) = practice.distraction.fault() {
                return fault("distraction", why);
            }
            if kind.shows() && practice.rows.is_some_and(|rows| rows != Rows::Image) {
                return fault("rows", "this kind shows images: `rows` must be \"image\"");
            }
            if !kind.answers() && practice.right.is_some() && kind != TaskKind::TextToImage {
                return fault("right", "this kind has no right text");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mix(weights: &[f64]) -> TaskMix {
        let practice = |weight: &f64| Practice {
            kind: Some(TaskKind::TextToImage),
            weight: (*weight).into(),
            ..Practice::default()
        };
        TaskMix(weights.iter().enumerate().map(|(i, weight)| (i.to_string(), practice(weight))).collect())
    }

    proptest! {
        #[test]
        fn shares_hold_in_the_long_run_and_every_step_is_full(
            weights in proptest::collection::vec(0.0f64..3.0, 1..6), batch in 1u64..40,
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 0.1);
            let mix = mix(&weights);
            for step in 0..50 {
                let (before, after) = (mix.until(step * batch), mix.until((step + 1) * batch));
                prop_assert_eq!(after.iter().sum::<u64>(), (step + 1) * batch);
                prop_assert!(before.iter().zip(&after).all(|(before, after)| before <= after));
            }
            let sum: f64 = weights.iter().sum();
            for (count, weight) in mix.until(1000 * batch).iter().zip(&weights) {
                prop_assert!((*count as f64 - 1000.0 * batch as f64 * weight / sum).abs() <= weights.len() as f64);
            }
        }
    }

    #[test]
    fn a_number_is_a_weight_and_a_table_says_more() {
        let text =
            "text_to_image = 0.75\nimage_to_text = 1\n[sberquad]\nkind = 'text_question'\nweight = 2.0";
        let mix: TaskMix = toml::from_str(text).unwrap();
        let weights = mix.weights(0);
        assert_eq!(weights, [1.0, 2.0, 0.75]);
        assert_eq!(
            mix.templates().unwrap().iter().flat_map(Template::columns).collect::<Vec<_>>(),
            ["context", "question", "answer"]
        );
        let again = pipeline::settings::to_toml(&mix).unwrap();
        assert_eq!(toml::from_str::<TaskMix>(&again).unwrap(), mix);
        assert!(toml::from_str::<TaskMix>("[a]\nwieght = 2").unwrap_err().to_string().contains("wieght"));
    }

    #[test]
    fn faults_name_their_key() {
        let fault = |text: &str| toml::from_str::<TaskMix>(text).unwrap().check().unwrap_err();
        let error = fault("text_dropout = 0.1\ntext_to_image = 1");
        assert!(error.to_string().starts_with("tasks.text_dropout: no key `kind`"), "{error}");
        assert!(error.hint().unwrap().contains("tasks.text_to_image.text_dropout"));
        assert_eq!(fault("text_to_imag = 1").hint().unwrap(), "did you mean `text_to_image`?");
        for (text, start) in [
            ("text_to_image = 0", "tasks: "),
            ("text_to_image = -1", "tasks: "),
            ("text_to_image = { text_dropout = 2.0 }", "tasks.text_to_image.text_dropout: "),
            ("image_to_text = { distraction = { most = 1.5 } }", "tasks.image_to_text.distraction: "),
            ("image_to_text = { rows = 'any' }", "tasks.image_to_text.rows: "),
            ("text_to_text = { right = 'x' }", "tasks.text_to_text.right: "),
        ] {
            assert!(fault(text).to_string().starts_with(start), "{text}");
        }
    }
}
