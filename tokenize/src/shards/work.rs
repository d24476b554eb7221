//! One unit of work: a row range of a pair shard becomes a token shard.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use pipeline::pairs::{self, Pair, PairReader};
use pipeline::picture::{DecodeOptions, Picture, decode};
use pipeline::reason::{Reason, Status};
use pipeline::unit::{Attempt, Produced, label};
use rayon::prelude::*;

use super::talk::Talk;
use super::{ShardsConfig, Tokenizers};
use crate::bpe::Bpe;
use crate::tokens::{TokenRow, TokenWriter};
use crate::{Result, pixels};

/// A pair without its bytes, and its picture or why there is none.
type Prepared = (Pair, std::result::Result<Picture, &'static str>);

/// Batches decoded ahead of the codec.
const AHEAD: usize = 2;

/// Tokenizes one unit into a data file of this attempt.
///
/// # Errors
/// A damaged pair shard, a codec that fails, a full disk, Ctrl-C.
pub(super) fn unit(
    attempt: &Attempt<'_>,
    config: &ShardsConfig,
    tokenizers: &Tokenizers,
    talk: &Talk<'_>,
) -> Result<Produced> {
    let unit = attempt.unit;
    let reader = pairs::open(&unit.file)?.range(unit.start, unit.rows);
    let name = PathBuf::from(&config.out).join(format!("{}.parquet", label(unit.index)));
    let mut output = Output {
        writer: TokenWriter::new(attempt.shard("parquet")?, name, &tokenizers.meta, &config.columns)?,
        config,
        tokenizers,
        counts: BTreeMap::new(),
        rows: 0,
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let (batch, side, grid) = (config.batch, tokenizers.meta.image_size(), tokenizers.meta.grid);
        scope.spawn(move || prepare_all(reader, batch, side, grid, &sender));
        output.consume(attempt, receiver, talk)
    })?;
    let shard = output.writer.finish()?;
    Ok(shard.finish(output.rows, output.counts, serde_json::Value::Null)?)
}

struct Output<'a, W: std::io::Write + Send> {
    writer: TokenWriter<W>,
    config: &'a ShardsConfig,
    tokenizers: &'a Tokenizers,
    counts: BTreeMap<String, u64>,
    rows: u64,
}

impl<W: std::io::Write + Send> Output<'_, W> {
    /// Takes batches until the sender is done; returning early drops the receiver, which ends the sender.
    fn consume(
        &mut self,
        attempt: &Attempt<'_>,
        batches: Receiver<pipeline::Result<Vec<Prepared>>>,
        talk: &Talk<'_>,
    ) -> Result<()> {
        for batch in batches {
            attempt.check()?;
            let batch = batch?;
            let pairs = batch.len() as u64;
            self.add(batch, talk)?;
            talk.done(pairs);
        }
        Ok(())
    }

    fn add(&mut self, batch: Vec<Prepared>, talk: &Talk<'_>) -> Result<()> {
        let mut pairs = Vec::with_capacity(batch.len());
        let mut pictures = Vec::with_capacity(batch.len());
        for (pair, picture) in batch {
            let code = picture.as_ref().map_or_else(|code| *code, |_| Reason::Ok.code());
            *self.counts.entry(code.to_owned()).or_insert(0) += 1;
            talk.outcome(&pair.key, code);
            if let Ok(picture) = picture {
                pairs.push(pair);
                pictures.push(picture);
            }
        }
        let codes = self.tokenizers.codec.encode(&pictures)?;
        for (pair, codes) in pairs.iter().zip(codes) {
            for row in rows_of(pair, &codes, self.config, self.tokenizers.bpe.as_ref()) {
                self.writer.push(row)?;
                self.rows += 1;
            }
        }
        Ok(())
    }
}

/// One row per caption that is not empty; a picture without any gets one row without text.
fn rows_of(pair: &Pair, codes: &[u16], config: &ShardsConfig, bpe: Option<&Bpe>) -> Vec<TokenRow> {
    let extra: HashMap<&str, &str> =
        config.columns.iter().filter_map(|name| Some((name.as_str(), pair.text(name)?))).collect();
    let row = |caption: Option<&str>| TokenRow {
        key: pair.key.clone(),
        caption: caption.map(str::to_owned),
        text_ids: caption.and_then(|caption| bpe.map(|bpe| bpe.encode(caption))),
        codes: Some(codes.to_vec()),
        extra: extra.iter().map(|(&name, &value)| (name.to_owned(), value.to_owned())).collect(),
    };
    let captions = config.captions.iter().filter_map(|name| pair.text(name));
    let rows: Vec<TokenRow> =
        captions.filter(|text| !text.trim().is_empty()).map(|text| row(Some(text))).collect();
    if rows.is_empty() { vec![row(None)] } else { rows }
}

fn prepare_all(
    mut reader: PairReader,
    batch: usize,
    side: usize,
    grid: usize,
    sender: &SyncSender<pipeline::Result<Vec<Prepared>>>,
) {
    loop {
        let pairs: pipeline::Result<Vec<Pair>> = reader.by_ref().take(batch).collect();
        let prepared = match pairs {
            Ok(pairs) if pairs.is_empty() => return,
            Ok(pairs) => Ok(pairs.into_par_iter().map(|pair| prepare(pair, side, grid)).collect()),
            Err(error) => Err(error),
        };
        let last = prepared.is_err();
        // A receiver that is gone has met an error of its own.
        if sender.send(prepared).is_err() || last {
            return;
        }
    }
}

fn prepare(mut pair: Pair, side: usize, grid: usize) -> Prepared {
    let picture = match (pair.status, pair.image.take()) {
        (Status::Success, Some(bytes)) => picture(&bytes, side, grid).map_err(Reason::code),
        (Status::Success, None) => Err(Reason::Empty.code()),
        (status, _) => Err(pair.reason.map_or(status.code(), Reason::code)),
    };
    (pair, picture)
}

/// The square that the codec sees.
///
/// # Errors
/// Bytes that are no picture, or a picture with fewer pixels per side than codes: nothing could be learnt from it.
pub(crate) fn picture(bytes: &[u8], side: usize, grid: usize) -> std::result::Result<Picture, Reason> {
    let picture = decode(bytes, &DecodeOptions::default())?;
    if (picture.width().min(picture.height()) as usize) < grid {
        return Err(Reason::TooSmall);
    }
    pixels::square(picture, side)
}

#[cfg(test)]
mod tests {
    use pipeline::picture::{EncodeOptions, encode};

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        encode(&Picture::filled(width, height, [10, 200, 30]), &EncodeOptions::png()).unwrap()
    }

    #[test]
    fn any_size_becomes_the_square_and_too_small_a_picture_is_a_reason() {
        let square = picture(&png(100, 40), 64, 8).unwrap();
        assert_eq!((square.width(), square.height()), (64, 64));
        assert_eq!(picture(&png(1, 1), 64, 8), Err(Reason::TooSmall));
        assert_eq!(picture(b"<html>", 64, 8), Err(Reason::NotImage));
    }

    fn pair(captions: &[(&str, &str)]) -> Pair {
        let columns = captions.iter().map(|&(name, text)| (name.into(), Some(text.to_owned()))).collect();
        Pair {
            key: "0".into(),
            url: String::new(),
            caption: Some("Red flag".into()),
            status: Status::Success,
            reason: Some(Reason::Ok),
            image: None,
            size: None,
            extra: pairs::Columns(columns),
        }
    }

    #[test]
    fn every_caption_gives_a_row_and_none_gives_one_without_text() {
        let config = ShardsConfig {
            captions: vec!["caption".into(), "ru".into(), "note".into()],
            columns: vec!["split".into()],
            ..ShardsConfig::default()
        };
        let bpe = Bpe::train(["red flag красный флаг"].iter(), 60).unwrap();
        let pair = pair(&[("ru", "Красный флаг"), ("note", "  "), ("split", "test")]);
        let rows = rows_of(&pair, &[1, 2], &config, Some(&bpe));
        let captions: Vec<_> = rows.iter().map(|row| row.caption.as_deref().unwrap()).collect();
        assert_eq!(captions, ["Red flag", "Красный флаг"]);
        assert!(rows.iter().all(|row| row.extra["split"] == "test" && row.codes == Some(vec![1, 2])));
        assert_eq!(bpe.decode(rows[1].text_ids.as_ref().unwrap()), "красный флаг");
        let silent = ShardsConfig { captions: Vec::new(), ..config };
        let rows = rows_of(&pair, &[1, 2], &silent, Some(&bpe));
        assert_eq!((rows.len(), &rows[0].text_ids, &rows[0].caption), (1, &None, &None));
    }
}
