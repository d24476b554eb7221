//! From a pair to what the codec takes: pictures decoded once and cut for every grid and view, captions encoded.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

use pipeline::pairs::{Pair, PairReader};
use pipeline::picture::{DecodeOptions, Picture, decode};
use pipeline::reason::{Reason, Status};
use rayon::prelude::*;

use super::Augment;
use super::columns::{TextReader, Texts};
use super::work::Job;
use crate::Result;
use crate::tokens::{TokenMeta, Value};

/// Pairs prepared together: enough for every thread, few enough that the codec need not wait for the first ones.
const CHUNK: usize = 32;

/// What becomes of a pair in one grid.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// One picture, or its codes, per view.
    Views(Vec<T>),
    /// The code of the reason why there are none.
    Reason(&'static str),
    /// A pair that never had a picture.
    TextOnly,
}

/// A caption with its ids.
pub(super) type Caption = (String, Option<Vec<u32>>);

/// A pair without its bytes.
pub(super) struct Prepared {
    pub(super) key: String,
    /// The captions that are not empty.
    pub(super) captions: Vec<Caption>,
    pub(super) extra: BTreeMap<String, Value>,
    /// Per grid of the job.
    pub(super) grids: Vec<Outcome<Picture>>,
}

/// Prepares the pairs of a unit in order and sends them on, until there are no more or the receiver is gone, which has
/// then met an error of its own.
pub(super) fn prepare_all(
    mut pairs: PairReader,
    mut texts: TextReader,
    job: &Job<'_>,
    sender: &SyncSender<Result<Vec<Prepared>>>,
) {
    loop {
        let read = pairs.by_ref().take(CHUNK).map(|pair| Ok((pair?, texts.next_row()?)));
        let chunk = match read.collect::<Result<Vec<_>>>() {
            Ok(pairs) if pairs.is_empty() => return,
            Ok(pairs) => Ok(pairs.into_par_iter().map(|(pair, texts)| prepare(pair, texts, job)).collect()),
            Err(error) => Err(error),
        };
        let last = chunk.is_err();
        if sender.send(chunk).is_err() || last {
            return;
        }
    }
}

fn prepare(mut pair: Pair, texts: Texts, job: &Job<'_>) -> Prepared {
    job.clocks.decode.time(|| {
        let captions: Vec<Caption> = texts
            .captions
            .into_iter()
            .map(|caption| {
                let ids = job.bpe.map(|bpe| bpe.encode(&caption));
                (caption, ids)
            })
            .collect();
        let image = pair.image.take();
        let grids = match (pair.status, image) {
            _ if !job.config.has_codec() => text_only(&captions, job.metas.len()),
            (Status::Success, Some(bytes)) => pictures(&bytes, job),
            (Status::Success, None) if !job.has_pictures => text_only(&captions, job.metas.len()),
            (Status::Success, None) => failed(Reason::Empty.code(), job.metas.len()),
            (status, _) => failed(pair.reason.map_or(status.code(), Reason::code), job.metas.len()),
        };
        Prepared { key: pair.key, captions, extra: texts.extra, grids }
    })
}

fn failed(code: &'static str, grids: usize) -> Vec<Outcome<Picture>> {
    (0..grids).map(|_| Outcome::Reason(code)).collect()
}

/// A pair with neither a picture nor a caption has nothing to learn from.
fn text_only(captions: &[Caption], grids: usize) -> Vec<Outcome<Picture>> {
    if captions.is_empty() {
        return failed(Reason::Empty.code(), grids);
    }
    (0..grids).map(|_| Outcome::TextOnly).collect()
}

fn pictures(bytes: &[u8], job: &Job<'_>) -> Vec<Outcome<Picture>> {
    let picture = match decode(bytes, &DecodeOptions::default()) {
        Ok(picture) => picture,
        Err(reason) => return failed(reason.code(), job.metas.len()),
    };
    let outcome = |meta: &&TokenMeta| match squares(&picture, &job.config.augment, meta) {
        Ok(views) => Outcome::Views(views),
        Err(reason) => Outcome::Reason(reason.code()),
    };
    job.metas.iter().map(outcome).collect()
}

fn squares(
    picture: &Picture,
    augment: &Augment,
    meta: &TokenMeta,
) -> std::result::Result<Vec<Picture>, Reason> {
    large_enough(picture, meta.grid)?;
    augment.squares(&meta.preprocess, picture, meta.image_size())
}

/// A picture with fewer pixels per side than codes has nothing to teach.
fn large_enough(picture: &Picture, grid: usize) -> std::result::Result<(), Reason> {
    let side = picture.width().min(picture.height()) as usize;
    if side < grid { Err(Reason::TooSmall) } else { Ok(()) }
}

/// The square that the codec saw when it made a shard with this metadata, or that at another `side`.
///
/// # Errors
/// Bytes that are no picture, or a picture with fewer pixels per side than codes.
pub(crate) fn square(bytes: &[u8], meta: &TokenMeta, side: usize) -> std::result::Result<Picture, Reason> {
    let picture = decode(bytes, &DecodeOptions::default())?;
    large_enough(&picture, meta.grid)?;
    meta.preprocess.picture(picture, side)
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
        let meta = TokenMeta { grid: 8, downsampling: 8, ..TokenMeta::default() };
        let cut = square(&png(100, 40), &meta, 64).unwrap();
        assert_eq!((cut.width(), cut.height()), (64, 64));
        assert_eq!(square(&png(1, 1), &meta, 64), Err(Reason::TooSmall));
        assert_eq!(square(&png(8, 9), &meta, 64).map(|picture| picture.width()), Ok(64));
        assert_eq!(square(b"<html>", &meta, 64), Err(Reason::NotImage));
    }
}
