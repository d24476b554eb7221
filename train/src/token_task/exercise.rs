//! A task made out: which rows it takes and which sequence each of them becomes.

use std::borrow::Cow;

use burn::tensor::Device;
use tokenize::bpe::Bpe;

use super::distraction::Distraction;
use super::mix::{Practice, Rows, TaskKind};
use super::{LossTracks, TextImageConfig};
use crate::data::{Template, Tokens};
use crate::gpt::{Batch, GptConfig, Lengths, Start, frame, ids, padded};
use crate::objective::LossWeights;
use crate::{Error, Result};

/// What a task asks of the model, before any row is seen.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) kind: TaskKind,
    pub(super) loss: LossTracks,
    pub(super) text_dropout: f64,
    pub(super) distraction: Distraction,
    rows: Rows,
    left: Side,
    right: Option<Side>,
    /// Codes of an image; 0 in a sequence without one.
    image: usize,
}

/// One of the two texts.
#[derive(Clone, Debug)]
struct Side {
    template: Template,
    token: Option<u32>,
    len: usize,
    /// Whether the model reads bare ids.
    bare: bool,
}

/// A plan with the sources of its texts.
#[derive(Clone, Debug)]
pub(super) struct Exercise {
    pub(super) plan: Plan,
    left: Source,
    right: Option<Source>,
}

/// Where the bare ids of a text come from.
#[derive(Clone, Debug)]
enum Source {
    Caption,
    Constant(Vec<u32>),
    /// Index among the texts that were written while the shards were loaded.
    Written(usize),
}

/// One row as a sequence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Example<'a> {
    pub(super) left: Vec<u32>,
    pub(super) codes: Option<Cow<'a, [u16]>>,
    right: Option<Vec<u32>>,
}

impl Plan {
    /// Makes a task out for a model.
    ///
    /// # Errors
    /// The model lacks a segment or a special token, or nothing of the task is trained.
    pub(super) fn new<C: TextImageConfig>(model: &C, name: &str, practice: &Practice) -> Result<Self> {
        let (kind, core) = (practice.kind(name)?, model.core());
        let [left, right] = model.tokens(kind);
        let image = if kind == TaskKind::TextToText { 0 } else { core.segments().image() };
        let side = |template, key: &str, token: Option<u32>, len| {
            let token = special(&core, token, &format!("tasks.{name}.{key}"))?;
            Ok(Side { template, token, len, bare: core.start == Start::Zero })
        };
        let right = practice.right(kind).map(|template| {
            if core.right == 0 {
                return Err(Error::config(format!("tasks.{name}: the model has no right text")));
            }
            side(template, "right_token", practice.right_token.or(right), core.right)
        });
        let plan = Self {
            name: name.to_owned(),
            kind,
            loss: practice.loss.clone().unwrap_or_else(|| model.loss_weights().into()),
            text_dropout: practice.text_dropout,
            distraction: practice.distraction,
            rows: practice.rows(kind),
            left: side(practice.left(kind), "left_token", practice.left_token.or(left), core.left)?,
            right: right.transpose()?,
            image,
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<()> {
        let present = |weights: LossWeights| {
            let LossWeights { left, image, right } = weights;
            let image = if self.image > 0 { image } else { 0.0 };
            left + image + if self.right.is_some() { right } else { 0.0 }
        };
        if self.loss.is_sound(present) {
            return Ok(());
        }
        let why = "weights must not be negative, and not all 0 in the segments of the task";
        Err(Error::config(format!("tasks.{}.loss: {why}", self.name)))
    }

    /// Positions of one row.
    pub(super) fn positions(&self) -> usize {
        self.left.len + self.image + self.right.as_ref().map_or(0, |side| side.len)
    }

    /// Positions of one row by segment.
    pub(super) fn lengths(&self) -> Lengths {
        let right = self.right.as_ref().map_or(0, |side| side.len);
        Lengths { left: self.left.len, image: self.image, right }
    }

    /// Which rows it takes, in words: `with an image and {caption}`.
    pub(super) fn needs(&self) -> String {
        let image = (self.rows == Rows::Image).then(|| "an image".to_owned());
        let sides = [Some(&self.left), self.right.as_ref()].into_iter().flatten();
        let texts = sides.filter(|side| side.template.constant().is_none());
        let texts = texts.map(|side| String::from(side.template.clone()));
        let with: Vec<_> = image.into_iter().chain(texts).collect();
        let without = if self.rows == Rows::Text { ", without an image" } else { "" };
        format!("with {}{without}", with.join(" and "))
    }

    /// What a loss of this task is called: those of drawing and captioning need no other name than their segment.
    pub(super) fn metric(&self, segment: &str) -> String {
        match self.kind {
            TaskKind::TextToImage | TaskKind::ImageToText => segment.to_owned(),
            _ => format!("{}/{segment}", self.name),
        }
    }
}

/// A special token as an id.
fn special(core: &GptConfig, offset: Option<u32>, key: &str) -> Result<Option<u32>> {
    let Some(offset) = offset else { return Ok(None) };
    if offset as usize >= core.text_special {
        let why = format!("{offset} is not below model.text_special {}", core.text_special);
        return Err(Error::config(format!("{key}: {why}"))
            .with_hint("name one of the model's special tokens, counted from the first"));
    }
    Ok(Some(core.text_vocab as u32 + offset))
}

impl Exercise {
    /// A plan whose texts come from captions and from what was written by `templates` while shards were loaded.
    pub(super) fn new(plan: &Plan, templates: &[Template], bpe: &Bpe) -> Self {
        let source = |side: &Side| match (
            side.template.constant(),
            templates.iter().position(|t| *t == side.template),
        ) {
            (Some(words), _) => Source::Constant(bpe.encode(words)),
            (None, Some(index)) => Source::Written(index),
            // What is neither constant nor written is the caption.
            (None, None) => Source::Caption,
        };
        let (left, right) = (source(&plan.left), plan.right.as_ref().map(source));
        Self { plan: plan.clone(), left, right }
    }

    /// The rows of `tokens` that have what the plan needs.
    pub(super) fn takes(&self, tokens: &Tokens) -> Vec<usize> {
        let image = |row: &usize| match self.plan.rows {
            Rows::Image => tokens.codes(*row).is_some(),
            Rows::Text => tokens.codes(*row).is_none(),
            Rows::Any => true,
        };
        let texts = |row: &usize| self.sources().all(|source| source.ids(tokens, *row).is_some());
        (0..tokens.len()).filter(image).filter(texts).collect()
    }

    /// Whether it takes every row or none of those that have a caption and an image; `None` where it depends.
    pub(super) fn of_complete(&self) -> Option<bool> {
        match self.plan.rows {
            Rows::Text => Some(false),
            _ => self.sources().all(|source| !matches!(source, Source::Written(_))).then_some(true),
        }
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        [Some(&self.left), self.right.as_ref()].into_iter().flatten()
    }

    /// A row as a sequence, and which of its texts, left and right, were cut to their segment; `bare` leaves the left text
    /// out.
    pub(super) fn example<'a>(&self, tokens: &'a Tokens, row: usize, bare: bool) -> (Example<'a>, [bool; 2]) {
        let framed = |source: &Source, side: &Side, bare: bool| {
            let text = if bare { &[] } else { source.ids(tokens, row).unwrap_or_default() };
            if side.bare { padded(text, side.len) } else { frame(text, side.token, side.len) }
        };
        let left = framed(&self.left, &self.plan.left, bare);
        let right = self.right.as_ref().zip(self.plan.right.as_ref());
        let right = right.map(|(source, side)| framed(source, side, false));
        let codes = (self.plan.image > 0).then(|| match tokens.codes(row) {
            Some(codes) if self.plan.kind.shows() => Cow::Borrowed(codes),
            _ => Cow::Owned(vec![0; self.plan.image]),
        });
        let cut = [left.truncated, right.as_ref().is_some_and(|right| right.truncated)];
        (Example { left: left.ids, codes, right: right.map(|right| right.ids) }, cut)
    }

    /// `(template, length)` of both texts.
    pub(super) fn sides(&self) -> [Option<(&Template, usize)>; 2] {
        [Some(&self.plan.left), self.plan.right.as_ref()]
            .map(|side| side.map(|side| (&side.template, side.len)))
    }
}

impl Source {
    fn ids<'a>(&'a self, tokens: &'a Tokens, row: usize) -> Option<&'a [u32]> {
        match self {
            Self::Caption => tokens.has_text(row).then(|| tokens.text(row)),
            Self::Constant(ids) => Some(ids),
            Self::Written(index) => tokens.written(row, *index),
        }
    }
}

#[cfg(test)]
impl<'a> Example<'a> {
    /// A row of drawing.
    pub(super) fn of(left: Vec<u32>, codes: Cow<'a, [u16]>) -> Self {
        Self { left, codes: Some(codes), right: None }
    }
}

/// Sequences of one task as a batch.
pub(super) fn batch(examples: &[Example<'_>], device: &Device) -> Batch {
    let left: Vec<_> = examples.iter().map(|example| example.left.clone()).collect();
    let image: Option<Vec<_>> =
        examples.iter().map(|example| Some(example.codes.as_ref()?.to_vec())).collect();
    let right: Option<Vec<_>> = examples.iter().map(|example| example.right.clone()).collect();
    Batch {
        left: ids(&left, device),
        image: image.and_then(|rows| ids(&rows, device)),
        right: right.and_then(|rows| ids(&rows, device)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use tokenize::tokens::TokenRow;

    use super::*;
    use crate::data::tokens_of;
    use crate::rudolph::RudolphConfig;
    use crate::rudolph::tests::tiny;

    fn shard() -> (Tokens, Bpe) {
        let bpe = Bpe::train(["red cat"].iter(), 20).unwrap();
        let row = |key: &str, text: Option<Vec<u32>>, codes: Option<u16>| TokenRow {
            key: key.into(),
            text_ids: text,
            codes: codes.map(|code| vec![code; 9]),
            extra: BTreeMap::new(),
            ..TokenRow::default()
        };
        let rows = vec![
            (row("a", Some(vec![7, 8]), Some(1)), vec![None, None]),
            (row("b", Some(vec![9, 10, 11, 12]), None), vec![None, None]),
            (row("c", None, Some(2)), vec![Some(vec![5]), Some(vec![6])]),
            (row("d", None, None), vec![Some(vec![5, 5]), Some(vec![6, 6])]),
        ];
        (tokens_of(3, rows), bpe)
    }

    fn exercise(model: &RudolphConfig, text: &str) -> Exercise {
        let mix: super::super::TaskMix = toml::from_str(text).unwrap();
        let (name, practice) = mix.0.first_key_value().unwrap();
        let plan = Plan::new(model, name, practice).unwrap();
        let (tokens, bpe) = shard();
        let exercise = Exercise::new(&plan, &mix.templates().unwrap(), &bpe);
        assert!(!exercise.takes(&tokens).is_empty());
        exercise
    }

    /// Rows, then left text, codes and right text of the first of them.
    type Shown = (Vec<usize>, Vec<u32>, Option<Vec<u16>>, Option<Vec<u32>>);

    /// The rows that a task takes, and the first of them as a sequence.
    fn shown(text: &str) -> Shown {
        let model = RudolphConfig { text_special: 8, ..tiny() };
        let exercise = exercise(&model, text);
        let (tokens, _) = shard();
        let rows = exercise.takes(&tokens);
        let (example, _) = exercise.example(&tokens, rows[0], false);
        let codes = example.codes.map(|codes| vec![codes[0]; 2]);
        (rows, example.left, codes, example.right)
    }

    #[test]
    fn each_kind_has_its_rows_its_tokens_and_its_segments() {
        assert_eq!(shown("text_to_image = 1"), (vec![0], vec![2, 22, 7, 8, 3, 0], Some(vec![1, 1]), None));
        assert_eq!(
            shown("image_to_text = 1"),
            (vec![0], vec![2, 23, 3, 0, 0, 0], Some(vec![1, 1]), Some(vec![2, 25, 7, 8, 3]))
        );
        assert_eq!(shown("text_to_text = 1"), (vec![1], vec![2, 24, 9, 10, 11, 12], None, None));
        // The published LT_TQA and RT_TQA; an image of zeros where none is asked about.
        assert_eq!(
            shown("text_question = { left = '{question}' }"),
            (vec![2, 3], vec![2, 26, 5, 3, 0, 0], Some(vec![0, 0]), Some(vec![2, 27, 6, 3, 0]))
        );
        assert_eq!(
            shown("visual_question = { right_token = 4 }"),
            (vec![2], vec![2, 26, 5, 3, 0, 0], Some(vec![2, 2]), Some(vec![2, 24, 6, 3, 0]))
        );
        // As `rudolph/api.py` draws: an empty right text.
        assert_eq!(shown("text_to_image = { right = '' }").3, Some(vec![2, 21, 3, 0, 0]));
        assert_eq!(shown("text_to_text = { rows = 'any' }").0, [0, 1]);
    }

    #[test]
    fn words_of_a_template_are_encoded_and_a_text_may_be_left_out() {
        let model = tiny();
        let exercise = exercise(&model, "image_to_text = { left = 'red' }");
        let (tokens, bpe) = shard();
        let red = bpe.encode("red");
        let (example, cut) = exercise.example(&tokens, 0, false);
        assert_eq!((&example.left[2..2 + red.len().min(4)], cut[1]), (&red[..red.len().min(4)], false));
        assert_eq!(exercise.example(&tokens, 0, true).0.left, [2, 23, 3, 0, 0, 0]);
    }

    #[test]
    fn what_the_model_lacks_is_named() {
        let fault = |model: RudolphConfig, text: &str| {
            let mix: super::super::TaskMix = toml::from_str(text).unwrap();
            let (name, practice) = mix.0.first_key_value().unwrap();
            Plan::new(&model, name, practice).unwrap_err().to_string()
        };
        let few = "tasks.text_question.left_token: 6 is not below model.text_special 6";
        assert_eq!(fault(tiny(), "text_question = 1"), few);
        let right = fault(RudolphConfig { right: 0, ..tiny() }, "image_to_text = 1");
        assert_eq!(right, "tasks.image_to_text: the model has no right text");
        let nothing = fault(tiny(), "text_to_text = { loss = { left = 0.0 } }");
        assert!(nothing.starts_with("tasks.text_to_text.loss: "), "{nothing}");
    }
}
