//! Questions: what is asked stands in the left text, the answer is drawn into the right text.
//!
//! A question about a text has zeros for the image, as in the published fine-tuning of the 2.7B model on SberQuAD.

use super::say::{Before, Beginning, Rule, say};
use super::task::{TokenPair, begin};
use crate::error::{Error, Result};
use crate::gpt::frame;
use crate::rudolph::Rudolph;
use crate::sampling::SamplingConfig;

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Bare BPE ids: a context if there is one, then the question.
    pub text: Vec<u32>,
    /// The codes of the picture that it is about.
    pub codes: Option<Vec<u16>>,
    /// Which random stream its first answer draws from; those after it are `1 << 32` apart.
    pub stream: u64,
}

/// `count` answers to each question, in batches of `batch`: bare BPE ids.
///
/// # Errors
/// A setting, a text or the codes do not fit the model, or its logits are NaN.
pub fn answer(
    model: &Rudolph,
    tokens: TokenPair,
    questions: &[Question],
    count: usize,
    sampling: &SamplingConfig,
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<u32>>>> {
    let (config, gpt) = (model.config(), model.gpt.config());
    if config.right == 0 {
        return Err(Error::config("right: a model without right text cannot answer"));
    }
    let text = begin(&[], tokens.right, config.right);
    let mut beginnings = Vec::with_capacity(questions.len());
    for question in questions {
        gpt.check_text(&question.text)?;
        let codes = question.codes.clone().unwrap_or_else(|| vec![0; gpt.segments().image()]);
        gpt.check_codes(&codes)?;
        let left = frame(&question.text, tokens.left, config.left).ids;
        let streams = (0..count as u64).map(|turn| question.stream + (turn << 32)).collect();
        beginnings.push(Beginning { before: Some(Before { left, codes }), text: text.clone(), streams });
    }
    let said = say(model, &Rule::right(config), &beginnings, sampling, batch, on_step)?;
    let bare = |texts: Vec<Vec<u32>>| texts.into_iter().map(|ids| ids[text.len()..].to_vec()).collect();
    Ok(said.into_iter().map(bare).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rudolph::tests::{model, tiny};

    #[test]
    fn an_answer_depends_on_its_question_and_its_picture_and_on_no_other() {
        let model = model(&tiny());
        let tokens = TokenPair { left: Some(21), right: Some(25) };
        let sampling = SamplingConfig { seed: 1, temperature: 2.0, top_p: 1.0, ..SamplingConfig::text() };
        let question = |text: &[u32], codes: Option<u16>, stream| Question {
            text: text.to_vec(),
            codes: codes.map(|code| vec![code; 9]),
            stream,
        };
        let all = [question(&[7], None, 0), question(&[9, 8], None, 0), question(&[7], Some(3), 0)];
        let run = |questions: &[Question], batch| {
            answer(&model, tokens, questions, 6, &sampling, batch, &mut |_| ()).unwrap()
        };
        let whole = run(&all, 5);
        assert_eq!(whole, run(&all, 1));
        assert!(whole[0] != whole[1] && whole[0] != whole[2], "{whole:?}");
        assert_eq!(whole[0], run(&[question(&[7], Some(0), 0)], 9)[0], "no picture is a picture of zeros");
        assert!(whole.iter().flatten().all(|text| text.len() <= 3 && text.iter().all(|id| *id < 20)));
    }
}
