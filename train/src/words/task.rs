//! The task tokens that stand behind the BOS of both texts: what tells the model which of its tasks is asked for.

use crate::error::{Error, Result};
use crate::gpt::BOS;
use crate::rudolph::{RudolphConfig, Task};

/// The task tokens of both texts, as ids; a model without special tokens has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenPair {
    /// Of the left text.
    pub left: Option<u32>,
    /// Of the right text.
    pub right: Option<u32>,
}

impl TokenPair {
    /// Image → text: `<LT_I2T>`, `<RT_I2T>`.
    pub fn caption(config: &RudolphConfig) -> Self {
        Self { left: config.left_token(Task::ImageToText), right: config.right_token() }
    }

    /// Text → image: `<LT_T2I>`; there is no right text.
    pub fn picture(config: &RudolphConfig) -> Self {
        Self { left: config.left_token(Task::TextToImage), right: None }
    }

    /// Text → text: `<LT_T2T>`; there is nothing behind the left text.
    pub fn text(config: &RudolphConfig) -> Self {
        Self { left: config.left_token(Task::TextToText), right: None }
    }

    /// A question and its answer: `<LT_TQA>`, `<RT_TQA>`, or other ids that a model was fine-tuned with.
    ///
    /// # Errors
    /// The model has special tokens, but not these.
    pub fn question(config: &RudolphConfig, left: Option<u32>, right: Option<u32>) -> Result<Self> {
        let id = |given: Option<u32>, key: &str, offset: u32| {
            let (first, end) = (config.text_vocab as u32, (config.text_vocab + config.text_special) as u32);
            match given {
                Some(id) if (first..end).contains(&id) => Ok(Some(id)),
                Some(id) => Err(Error::config(format!("{id} is no special token of this model"))
                    .with_hint(special_tokens(first, end))),
                None if config.text_special == 0 => Ok(None),
                None if first + offset < end => Ok(Some(first + offset)),
                None => Err(Error::config(format!(
                    "tokens.{key}: {offset} is not below text_special {}; the model knows no questions",
                    config.text_special
                ))
                .with_hint(
                    "fine-tune a model with at least 8 special tokens on questions, or name the ids that it was taught \
                     with --left-token and --right-token",
                )),
            }
        };
        Ok(Self {
            left: id(left, "left_question", config.tokens.left_question)?,
            right: id(right, "right_answer", config.tokens.right_answer)?,
        })
    }
}

fn special_tokens(first: u32, end: u32) -> String {
    if first == end { "it has none".into() } else { format!("they are {first} to {}", end - 1) }
}

/// `[BOS] token ids…`, the beginning of a text of `length` positions, at least one of which is left to be drawn: longer
/// beginnings are cut, as in the published code.
pub(super) fn begin(ids: &[u32], token: Option<u32>, length: usize) -> Vec<u32> {
    let mut text = [BOS].into_iter().chain(token).chain(ids.iter().copied()).collect::<Vec<_>>();
    text.truncate(length.saturating_sub(1));
    text
}

/// Whether `[BOS] token ids… [EOS]` is longer than a text of `length` positions, so that its end is cut.
pub fn is_cut(ids: &[u32], token: Option<u32>, length: usize) -> bool {
    ids.len() + 2 + usize::from(token.is_some()) > length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rudolph::tests::tiny;

    #[test]
    fn questions_have_the_published_ids_or_given_ones() {
        let published = RudolphConfig::default();
        let pair = TokenPair::question(&published, None, None).unwrap();
        assert_eq!(pair, TokenPair { left: Some(16390), right: Some(16391) });
        let pair = TokenPair::question(&tiny(), Some(21), Some(25)).unwrap();
        assert_eq!(pair, TokenPair { left: Some(21), right: Some(25) });
        let fault = TokenPair::question(&tiny(), None, None).unwrap_err();
        assert!(fault.to_string().starts_with("tokens.left_question: 6 is not below text_special 6"));
        let fault = TokenPair::question(&tiny(), Some(26), None).unwrap_err();
        assert_eq!(fault.hint().unwrap(), "they are 20 to 25");
        let plain = RudolphConfig { text_special: 0, ..tiny() };
        assert_eq!(TokenPair::question(&plain, None, None).unwrap(), TokenPair::default());
    }

    #[test]
    fn a_beginning_leaves_a_place() {
        assert_eq!(begin(&[7, 8], Some(25), 5), [2, 25, 7, 8]);
        assert_eq!(begin(&[7, 8, 9], Some(25), 5), [2, 25, 7, 8]);
        assert!(!is_cut(&[7, 8], Some(25), 5) && is_cut(&[7, 8, 9], Some(25), 5));
        assert!(!is_cut(&[7, 8, 9], None, 5));
    }
}
