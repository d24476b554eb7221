//! Rows of the token shards, one shard per grid, made and written in a thread of their own.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::Receiver;

use pipeline::reason::Reason;

use super::batch::Coded;
use super::prepare::Outcome;
use super::work::Job;
use crate::Result;
use crate::tokens::{REASON, TokenRow, TokenWriter, VIEW, Value};

/// One grid's shard of a unit.
pub(super) struct Output<W: Write + Send> {
    pub(super) writer: TokenWriter<W>,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) rows: u64,
}

impl<W: Write + Send> Output<W> {
    pub(super) fn new(writer: TokenWriter<W>) -> Self {
        Self { writer, counts: BTreeMap::new(), rows: 0 }
    }

    fn add(&mut self, pair: &Coded, outcome: &Outcome<Vec<u16>>, views: &[String]) -> Result<()> {
        let code = match outcome {
            Outcome::Reason(code) => *code,
            Outcome::Views(_) | Outcome::TextOnly => Reason::Ok.code(),
        };
        *self.counts.entry(code.to_owned()).or_insert(0) += 1;
        for row in rows_of(pair, outcome, views) {
            self.writer.push(row)?;
            self.rows += 1;
        }
        Ok(())
    }
}

/// Writes what arrives until the sender is done; returning early drops the receiver, which ends the sender.
///
/// # Errors
/// A failed write.
pub(super) fn write_all<W: Write + Send>(
    mut outputs: Vec<Output<W>>,
    job: &Job<'_>,
    receiver: Receiver<Vec<Coded>>,
) -> Result<Vec<Output<W>>> {
    let augment = &job.config.augment;
    let views: Vec<String> = match augment.is_any() {
        true => augment.views().iter().map(ToString::to_string).collect(),
        false => Vec::new(),
    };
    for pairs in receiver {
        job.clocks.write.time(|| {
            for pair in &pairs {
                for (output, outcome) in outputs.iter_mut().zip(&pair.grids) {
                    output.add(pair, outcome, &views)?;
                }
            }
            Ok::<(), crate::Error>(())
        })?;
    }
    Ok(outputs)
}

/// One row per view and caption, the captions of a view side by side; a pair without captions gets rows without text. A
/// pair whose picture failed keeps its captions, with the reason.
fn rows_of(pair: &Coded, outcome: &Outcome<Vec<u16>>, views: &[String]) -> Vec<TokenRow> {
    let row = |caption: Option<&(String, Option<Vec<u32>>)>| TokenRow {
        key: pair.key.clone(),
        caption: caption.map(|(text, _)| text.clone()),
        text_ids: caption.and_then(|(_, ids)| ids.clone()),
        codes: None,
        extra: pair.extra.clone(),
    };
    let texts = || -> Vec<TokenRow> {
        if pair.captions.is_empty() {
            vec![row(None)]
        } else {
            pair.captions.iter().map(|c| row(Some(c))).collect()
        }
    };
    let mut rows = Vec::new();
    match outcome {
        Outcome::TextOnly => rows.extend(texts()),
        Outcome::Reason(code) => rows.extend(texts().into_iter().map(|mut row| {
            row.extra.insert(REASON.to_owned(), Value::from(*code));
            row
        })),
        Outcome::Views(codes) => {
            for (place, codes) in codes.iter().enumerate() {
                rows.extend(texts().into_iter().map(|mut row| {
                    row.codes = Some(codes.clone());
                    row.extra
                        .extend(views.get(place).map(|view| (VIEW.to_owned(), Value::from(view.as_str()))));
                    row
                }));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(captions: &[&str]) -> Coded {
        let captions = captions.iter().map(|text| ((*text).to_owned(), Some(vec![1]))).collect();
        let extra = [("split".to_owned(), Value::from("test"))].into();
        Coded { key: "0".into(), captions, extra, grids: Vec::new() }
    }

    #[test]
    fn every_caption_gives_a_row_and_none_gives_one_without_text() {
        let codes = Outcome::Views(vec![vec![1, 2]]);
        let rows = rows_of(&pair(&["Red flag", "Красный флаг"]), &codes, &[]);
        let captions: Vec<_> = rows.iter().map(|row| row.caption.as_deref().unwrap()).collect();
        assert_eq!(captions, ["Red flag", "Красный флаг"]);
        assert!(rows.iter().all(|row| row.extra["split"].is("test") && row.codes == Some(vec![1, 2])));
        assert!(rows.iter().all(|row| row.reason().is_none() && row.view().is_none()));
        let silent = rows_of(&pair(&[]), &codes, &[]);
        assert_eq!((silent.len(), &silent[0].text_ids, &silent[0].caption), (1, &None, &None));
    }

    #[test]
    fn captions_of_a_view_lie_side_by_side() {
        let views = ["whole".to_owned(), "whole-flip".to_owned()];
        let rows = rows_of(&pair(&["a", "b"]), &Outcome::Views(vec![vec![1], vec![2]]), &views);
        let found: Vec<_> =
            rows.iter().map(|row| (row.view().unwrap(), row.caption.as_deref().unwrap())).collect();
        assert_eq!(found, [("whole", "a"), ("whole", "b"), ("whole-flip", "a"), ("whole-flip", "b")]);
    }

    #[test]
    fn a_failed_picture_keeps_its_captions_with_the_reason() {
        let rows = rows_of(&pair(&["a"]), &Outcome::Reason("decode"), &["whole".to_owned()]);
        assert_eq!((rows.len(), rows[0].reason(), rows[0].view()), (1, Some("decode"), None));
        assert_eq!((rows[0].caption.as_deref(), &rows[0].codes), (Some("a"), &None));
    }
}
