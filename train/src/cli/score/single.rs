//! Losses of one text, one picture, or both.

use super::ScoreArgs;
use crate::bundle::Bundle;
use crate::cli::generate::load;
use crate::draw::Draws;
use crate::evaluate::summary::Sums;
use crate::evaluate::tokens::{self, Item};
use crate::model::Model;
use crate::rudolph::Task;
use crate::{Error, Result, device};

pub(super) fn score(args: &ScoreArgs) -> Result<()> {
    let what = &args.what;
    if what.text.is_none() && what.picture.is_none() {
        return Err(Error::config("nothing to score: give --tokens, --text, --picture or --pictures"));
    }
    let device = device::open(&args.device)?;
    let bundle = Bundle::open(args.run()?, &device)?;
    let task = task(args, &bundle)?;
    let codes = match &what.picture {
        Some(path) => bundle.codec.encode(&[load(path, bundle.image_size())?])?.remove(0),
        None => Vec::new(),
    };
    let ids = |text: &Option<String>| text.as_ref().map(|text| bundle.ids(text));
    let item = Item { text: ids(&what.text).unwrap_or_default(), codes, right: ids(&what.right_text) };
    let (scores, cut) = tokens::score(&bundle.model, task, &[item], &device)?;
    let mut sums = Sums::default();
    for score in &scores {
        if let Some(segment) = score.broken() {
            let why = format!("the loss of the {segment} is not finite: the model's weights are damaged");
            return Err(Error::weights(args.run()?, why));
        }
        sums.add(score);
    }
    sums.cut += cut as u64;
    let summary = sums.finish(bundle.codec.downsampling());
    args.tell("score", &summary, &summary.table())
}

/// How the model reads the inputs; refuses those that it cannot.
fn task(args: &ScoreArgs, bundle: &Bundle) -> Result<Task> {
    let what = &args.what;
    let is_rudolph = matches!(bundle.model, Model::Rudolph(_));
    if what.right_text.is_some() && !is_rudolph {
        return Err(Error::config("--right-text: only RuDOLPH has a text after the picture"));
    }
    if what.text.is_some() && bundle.model.gpt().config().total_text() == 0 {
        return Err(Error::config("--text: this model has no text"));
    }
    match (&what.picture, is_rudolph) {
        (Some(_), _) => Ok(Task::from(what.task)),
        (None, true) => Ok(Task::TextToText),
        (None, false) => Err(Error::config("--picture: this model scores texts only before a picture")),
    }
}
