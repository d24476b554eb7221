//! The sum of all parts' gradients over all ranks, added in the order of the parts.
//!
//! The parts go round the ranks: in each round every rank has one. Of the long row of a part's gradients every rank owns a
//! share; the ranks send each other their shares, and the owner adds what comes in the order of the ranks, round after
//! round. That is the order of the parts, so the sum is that of one process, bit for bit. At the end the owners hand
//! their shares to all. With one part for each rank the traffic is that of a ring (reduce-scatter, then all-gather); with
//! `n` parts each it is `(n + 1) / 2` times as much, in `n` times as much computation. No rank holds more gradients
//! than its own part's and its share of the sum.

use std::ops::Range;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Team, Wire, flat};
use crate::Result;

/// Numbers that are sent at a time: 25 MB.
const BUCKET: usize = 25_000_000 / size_of::<f32>();

/// Adds up the gradients of a step and collects what its parts say beside.
pub struct Sum<'a, M, T> {
    module: &'a M,
    team: &'a Team,
    /// Rounds in which some rank has a part.
    rounds: usize,
    done: usize,
    here: GradientsAccumulator<M>,
    shared: Option<Shared<'a>>,
    said: Vec<T>,
}

/// What a rank tells about its part of a round.
#[derive(Serialize, Deserialize)]
struct Told<T> {
    words: Option<T>,
    /// Which parameters have a gradient.
    present: Vec<bool>,
}

impl<'a, M: Module, T: Serialize + DeserializeOwned> Sum<'a, M, T> {
    /// Nothing yet, of so many parts over all ranks.
    #[must_use]
    pub fn new(module: &'a M, team: &'a Team, parts: usize) -> Self {
        let wire = team.ranks().0.as_deref();
        Self {
            module,
            team,
            rounds: parts.div_ceil(team.ranks().world()),
            done: 0,
            here: GradientsAccumulator::new(),
            shared: wire.map(|wire| Shared::new(wire, flat::sizes(module))),
            said: Vec::with_capacity(parts),
        }
    }

    /// Takes in this rank's next part.
    ///
    /// # Errors
    /// That of the part, on all ranks.
    pub fn add(&mut self, part: Result<(GradientsParams, T)>) -> Result<()> {
        if self.shared.is_some() {
            return self.round(part.map(Some));
        }
        let (grads, words) = part?;
        self.here.accumulate(self.module, grads);
        self.said.push(words);
        Ok(())
    }

    fn round(&mut self, part: Result<Option<(GradientsParams, T)>>) -> Result<()> {
        let Some(shared) = &mut self.shared else { return Ok(()) };
        self.done += 1;
        let told = part.map(|part| match part {
            None => Told { words: None, present: Vec::new() },
            Some((grads, words)) => {
                Told { words: Some(words), present: flat::pack(self.module, grads, &mut shared.row) }
            }
        });
        let (words, present): (Vec<_>, Vec<_>) =
            self.team.ranks().tell(told)?.into_iter().map(|told| (told.words, told.present)).unzip();
        shared.add(&present);
        self.said.extend(words.into_iter().flatten());
        Ok(())
    }

    /// The sum on every rank, and what all parts say, in their order.
    ///
    /// # Errors
    /// That of a part of another rank, after this one's were all taken in.
    pub fn finish(mut self) -> Result<(GradientsParams, Vec<T>)> {
        while self.shared.is_some() && self.done < self.rounds {
            self.round(Ok(None))?;
        }
        let grads = match self.shared {
            None => self.here.grads(),
            Some(shared) => shared.collect(self.module, self.team),
        };
        Ok((grads, self.said))
    }
}

/// This rank's share of a sum.
struct Shared<'a> {
    wire: &'a dyn Wire,
    /// Where each parameter lies in the row.
    places: Vec<Range<usize>>,
    /// A part's gradients, then the sum; its length a multiple of the number of ranks.
    row: Vec<f32>,
    received: Vec<f32>,
    /// The share of every bucket that this rank adds up.
    mine: Vec<f32>,
    /// Which parameters have a gradient in a part so far.
    present: Vec<bool>,
}

impl<'a> Shared<'a> {
    fn new(wire: &'a dyn Wire, sizes: Vec<usize>) -> Self {
        let mut end = 0;
        let mut place = |size: usize| {
            end += size;
            end - size..end
        };
        let places: Vec<_> = sizes.into_iter().map(&mut place).collect();
        let len = end.next_multiple_of(wire.world());
        let bucket = len.min(bucket(wire.world()));
        Self {
            present: vec![false; places.len()],
            places,
            row: vec![0.0; len],
            received: vec![0.0; bucket],
            mine: vec![0.0; len / wire.world()],
            wire,
        }
    }

    /// Adds the parts of one round; `present` says for each rank which parameters its part has gradients of.
    fn add(&mut self, present: &[Vec<bool>]) {
        let (world, rank) = (self.wire.world(), self.wire.rank());
        let (mut start, mut own) = (0, self.mine.as_mut_slice());
        for sent in self.row.chunks(bucket(world)) {
            let received = &mut self.received[..sent.len()];
            self.wire.exchange(sent, received);
            let each = sent.len() / world;
            let (mine, rest) = own.split_at_mut(each);
            let first = start + rank * each;
            for (index, place) in self.places.iter().enumerate() {
                let common = place.start.max(first)..place.end.min(first + each);
                if common.is_empty() {
                    continue;
                }
                let common = common.start - first..common.end - first;
                let mut begun = self.present[index];
                for (piece, _) in
                    received.chunks(each).zip(present).filter(|(_, has)| has.get(index) == Some(&true))
                {
                    add(&mut mine[common.clone()], &piece[common.clone()], begun);
                    begun = true;
                }
            }
            (start, own) = (start + sent.len(), rest);
        }
        for (index, known) in self.present.iter_mut().enumerate() {
            *known |= present.iter().any(|has| has.get(index) == Some(&true));
        }
    }

    /// Hands every rank all shares.
    fn collect<M: Module>(mut self, module: &M, team: &Team) -> GradientsParams {
        let world = self.wire.world();
        let mut own = self.mine.as_slice();
        for all in self.row.chunks_mut(bucket(world)) {
            let (mine, rest) = own.split_at(all.len() / world);
            self.wire.collect(mine, all);
            own = rest;
        }
        flat::unpack(module, &self.row, &self.present, team.device())
    }
}

/// The first part's numbers stand as they are: adding them to 0 would turn -0 into 0.
fn add(to: &mut [f32], from: &[f32], begun: bool) {
    if begun {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    } else {
        to.copy_from_slice(from);
    }
}

/// A bucket that can be cut into as many pieces as there are ranks.
fn bucket(world: usize) -> usize {
    BUCKET.next_multiple_of(world)
}
