//! Which rows are trained on, and which are held out.

use super::{Tokens, Where};
use crate::{Error, Result};

/// Training rows and held-out rows: those of a condition where there is one, else the last `holdout` images; `None`
/// where none are held out.
///
/// # Errors
/// `load` fails, or all images would be held out.
pub(crate) fn split(
    load: impl Fn(&Where) -> Result<Tokens>,
    train: &Where,
    held_out: &Where,
    holdout: usize,
) -> Result<(Tokens, Option<Tokens>)> {
    let train = load(train)?;
    if !held_out.is_any() {
        return Ok((train, Some(load(held_out)?)));
    }
    let images = train.images().len();
    match holdout {
        0 => Ok((train, None)),
        n if n >= images => {
            Err(Error::config(format!("data.holdout: {n} leaves none of {images} images to train on")))
        }
        n => {
            let (train, held_out) = train.hold_out(n);
            Ok((train, Some(held_out)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokenize::tokens::TokenRow;

    use super::super::tokens_of;
    use super::*;

    fn pictures(count: u16) -> Tokens {
        let row = |code: u16| TokenRow {
            key: code.to_string(),
            caption: None,
            text_ids: None,
            codes: Some(vec![code]),
            extra: BTreeMap::new(),
        };
        tokens_of(1, (0..count).map(|code| (row(code), Vec::new())).collect())
    }

    #[test]
    fn the_last_images_are_held_out_but_never_all() {
        let of = |holdout| split(|_| Ok(pictures(5)), &Where::default(), &Where::default(), holdout);
        let sizes = |holdout| {
            let (train, held_out) = of(holdout).unwrap();
            (train.len(), held_out.map(|held_out| held_out.len()))
        };
        assert_eq!((sizes(0), sizes(2), sizes(4)), ((5, None), (3, Some(2)), (1, Some(4))));
        let all = of(5).unwrap_err().to_string();
        assert_eq!(all, "data.holdout: 5 leaves none of 5 images to train on");
    }
}
