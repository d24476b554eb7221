//! Images that cannot be trusted: some of the codes that a model reads come from another image.
//!
//! Under teacher forcing the codes so far tell an image of a small set apart, so its caption need not be read, and a
//! drawing, which has nothing else to begin with, comes out wrong. Word dropout (Bowman et al. 2016, "Generating
//! sentences from a continuous space", section 3.1) makes a decoder lean on what it is conditioned on. Here a code is not
//! blanked but replaced by the one at the same place of another image, as a drawing that went astray would read.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use serde::{Deserialize, Serialize};

use crate::device::mix;

/// How many of the codes of a text-to-image row the model reads from another image: each row's share is drawn evenly
/// between these. Off, as published, by default.
///
/// It stays the same through a run. Ending it early was worse than not having it: in 600 steps without, the model
/// unlearned to read captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Distraction {
    /// Smallest share.
    pub least: f64,
    /// Largest share.
    pub most: f64,
}

impl Distraction {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let sound = 0.0 <= self.least && self.least <= self.most && self.most <= 1.0;
        (!sound).then_some("must be 0 <= least <= most <= 1")
    }
}

/// Keeps these draws apart from those of the order of rows.
const STREAM: u64 = 0x6469_7374_7261_6374;

/// What the model reads in place of each image of a step; `other` gives the image of one of `rows` rows. A pure function
/// of (seed, step).
pub(super) fn distract<'a>(
    images: &[&[u16]],
    (rows, other): (usize, impl Fn(usize) -> Option<&'a [u16]>),
    distraction: &Distraction,
    (seed, step): (u64, u64),
) -> Vec<Vec<u16>> {
    let Distraction { least, most } = *distraction;
    let mut random = ChaCha8Rng::seed_from_u64(mix(seed ^ STREAM, step));
    let mut one = |codes: &[u16]| {
        let share = least + random.random::<f64>() * (most - least);
        let other = other(random.random_range(0..rows)).unwrap_or_default();
        let code = |(own, other): (&u16, &u16)| if random.random::<f64>() < share { *other } else { *own };
        // A row without an image distracts from nothing.
        let other = if other.len() == codes.len() { other } else { codes };
        codes.iter().zip(other).map(code).collect()
    };
    images.iter().map(|codes| one(codes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_are_an_images_own_or_stand_at_the_same_place_of_another(
            most in 0.0f64..=1.0, seed: u64, step in 0u64..1000,
        ) {
            let own: Vec<u16> = (0..64).collect();
            let others = [100, 200].map(|from| (from..from + 64).collect::<Vec<u16>>());
            let distraction = Distraction { least: 0.0, most };
            let run = || distract(&[&own, &own], (2, |row| Some(&others[row][..])), &distraction, (seed, step));
            let read = run();
            prop_assert_eq!(&read, &run());
            for codes in &read {
                let false_codes: Vec<_> = codes.iter().zip(&own).filter(|(read, own)| read != own).collect();
                let hundred = false_codes.first().map_or(0, |(read, _)| **read / 100);
                prop_assert!(false_codes.iter().all(|(read, own)| **read == **own + 100 * hundred));
                prop_assert!(most > 0.0 || false_codes.is_empty());
            }
        }
    }

    #[test]
    fn shares_are_spread_between_the_two() {
        let (own, other) = (vec![0u16; 1000], vec![1u16; 1000]);
        let images = vec![&own[..]; 200];
        let distraction = Distraction { least: 0.4, most: 0.8 };
        let read = distract(&images, (1, |_| Some(&other[..])), &distraction, (1, 2));
        let share = |codes: &Vec<u16>| codes.iter().map(|code| f64::from(*code)).sum::<f64>() / 1000.0;
        let shares: Vec<f64> = read.iter().map(share).collect();
        let mean = shares.iter().sum::<f64>() / 200.0;
        assert!((mean - 0.6).abs() < 0.03, "{mean}");
        assert!(shares.iter().all(|share| (0.34..0.86).contains(share)), "{shares:?}");
        assert!(shares.iter().any(|share| *share < 0.46) && shares.iter().any(|share| *share > 0.74));
    }

    #[test]
    fn shares_that_cannot_be_are_refused() {
        let fault = |least, most| Distraction { least, most }.fault().is_some();
        assert!(fault(0.5, 0.4) && fault(-0.1, 0.4) && fault(0.0, 1.1) && fault(f64::NAN, 1.0));
        assert!(!fault(0.0, 0.0) && !fault(0.5, 1.0));
    }
}
