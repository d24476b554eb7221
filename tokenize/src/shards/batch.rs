//! Full batches for the codec: pictures of several pairs, whatever failed between them, and back to pairs in order.

use std::collections::{BTreeMap, VecDeque};

use pipeline::picture::Picture;

use super::prepare::{Caption, Outcome, Prepared};
use super::time::Clock;
use crate::Result;
use crate::codec::Codec;
use crate::tokens::Value;

/// A pair with its codes.
pub(super) struct Coded {
    pub(super) key: String,
    pub(super) captions: Vec<Caption>,
    pub(super) extra: BTreeMap<String, Value>,
    /// Per grid of the job.
    pub(super) grids: Vec<Outcome<Vec<u16>>>,
}

/// The pictures of one grid on their way through the codec.
#[derive(Default)]
struct Lane {
    pictures: Vec<Picture>,
    codes: VecDeque<Vec<u16>>,
}

/// A pair that waits for its codes: how many of them in each grid.
struct Waiting {
    coded: Coded,
    views: Vec<usize>,
}

/// Gathers pictures until a batch is full.
pub(super) struct Batches<'a> {
    /// `None` where no pair has pictures for it.
    codec: Option<&'a Codec>,
    clock: &'a Clock,
    batch: usize,
    lanes: Vec<Lane>,
    waiting: VecDeque<Waiting>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(codec: Option<&'a Codec>, grids: usize, batch: usize, clock: &'a Clock) -> Self {
        let lanes = (0..grids).map(|_| Lane::default()).collect();
        Self { codec, clock, batch: batch.max(1), lanes, waiting: VecDeque::new() }
    }

    /// Takes a pair in, and encodes where that fills a batch.
    ///
    /// # Errors
    /// The codec fails.
    pub(super) fn push(&mut self, pair: Prepared) -> Result<()> {
        let mut views = Vec::with_capacity(pair.grids.len());
        let mut grids = Vec::with_capacity(pair.grids.len());
        for (lane, outcome) in self.lanes.iter_mut().zip(pair.grids) {
            let (count, outcome) = match outcome {
                Outcome::Views(pictures) => {
                    let count = pictures.len();
                    lane.pictures.extend(pictures);
                    (count, Outcome::Views(Vec::with_capacity(count)))
                }
                Outcome::Reason(code) => (0, Outcome::Reason(code)),
                Outcome::TextOnly => (0, Outcome::TextOnly),
            };
            views.push(count);
            grids.push(outcome);
        }
        let Prepared { key, captions, extra, .. } = pair;
        self.waiting.push_back(Waiting { coded: Coded { key, captions, extra, grids }, views });
        self.encode(self.batch)
    }

    /// Encodes what is left, full batch or not.
    ///
    /// # Errors
    /// The codec fails.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.encode(1)
    }

    fn encode(&mut self, least: usize) -> Result<()> {
        let Some(codec) = self.codec else { return Ok(()) };
        for lane in &mut self.lanes {
            while lane.pictures.len() >= least {
                let count = self.batch.min(lane.pictures.len());
                let pictures: Vec<Picture> = lane.pictures.drain(..count).collect();
                lane.codes.extend(self.clock.time(|| codec.encode(&pictures))?);
            }
        }
        Ok(())
    }

    /// The pairs at the front that have all their codes.
    pub(super) fn ready(&mut self) -> Vec<Coded> {
        let mut ready = Vec::new();
        while let Some(mut pair) = self.waiting.pop_front() {
            let complete = self.lanes.iter().zip(&pair.views).all(|(lane, views)| lane.codes.len() >= *views);
            if !complete {
                self.waiting.push_front(pair);
                break;
            }
            for ((lane, views), outcome) in self.lanes.iter_mut().zip(&pair.views).zip(&mut pair.coded.grids)
            {
                if let Outcome::Views(codes) = outcome {
                    codes.extend(lane.codes.drain(..*views));
                }
            }
            ready.push(pair.coded);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, outcome: Outcome<Picture>) -> Prepared {
        let (captions, extra) = (Vec::new(), BTreeMap::new());
        Prepared { key: key.to_owned(), captions, extra, grids: vec![outcome] }
    }

    #[test]
    fn a_pair_without_a_picture_does_not_overtake_one_that_waits() {
        let clock = Clock::default();
        let mut batches = Batches::new(None, 1, 4, &clock);
        batches.push(pair("failed", Outcome::Reason("decode"))).unwrap();
        batches.push(pair("waits", Outcome::Views(vec![Picture::filled(1, 1, [0; 3])]))).unwrap();
        batches.push(pair("text", Outcome::TextOnly)).unwrap();
        let keys = |ready: Vec<Coded>| ready.into_iter().map(|pair| pair.key).collect::<Vec<_>>();
        assert_eq!(keys(batches.ready()), ["failed"]);
        batches.lanes[0].codes.push_back(vec![7]);
        assert_eq!(keys(batches.ready()), ["waits", "text"]);
    }
}
