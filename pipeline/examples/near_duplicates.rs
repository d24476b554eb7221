//! Groups hashes that look like those of a crawl: four fifths are alone, the others are copies of them with a few bits
//! changed. `bench/dedup.py` measures it; with `check` every pair that the index finds is held against comparing each
//! with each.
//!
//! ```text
//! cargo run --release -p pipeline --example near_duplicates 10000000 4
//! cargo run --release -p pipeline --example near_duplicates 100000 8 check
//! ```

use std::error::Error;
use std::sync::Mutex;
use std::time::Instant;

use pipeline::cli::print;
use pipeline::dedup::{Among, Item, Link, clusters, near};
use pipeline::interrupt::Interrupt;
use rayon::prelude::*;
use serde_json::json;

/// Of so many hashes one is a copy.
const COPIES: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().ok_or("how many hashes?")?.parse()?;
    let distance = arguments.next().ok_or("within which distance?")?.parse()?;
    let hashes = hashes(count);
    let told = match arguments.next().as_deref() {
        Some("check") => check(&hashes, distance)?,
        _ => group(&hashes, distance)?,
    };
    print(&told.to_string())?;
    Ok(())
}

fn group(hashes: &[u64], distance: u32) -> pipeline::Result<serde_json::Value> {
    let started = Instant::now();
    let leaders = clusters(hashes, distance, Link::Representative, &Interrupt::never())?;
    let seconds = started.elapsed().as_secs_f64();
    let kept = leaders.iter().zip(0..).filter(|(leader, number)| **leader == *number).count();
    Ok(json!({"hashes": hashes.len(), "distance": distance, "kept": kept, "seconds": seconds}))
}

fn check(hashes: &[u64], distance: u32) -> pipeline::Result<serde_json::Value> {
    let mut items: Vec<Item> = hashes.iter().zip(0..).map(|(hash, id)| Item { hash: *hash, id }).collect();
    let found = Mutex::new(Vec::new());
    near(&mut items, distance, Among::All, &Interrupt::never(), &|a, b| {
        found
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push((a.id.min(b.id), a.id.max(b.id)));
    })?;
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_unstable();
    found.dedup();
    let near = |a: usize, b: &usize| (hashes[a] ^ hashes[*b]).count_ones() <= distance;
    let pairs = (0..hashes.len()).into_par_iter().flat_map_iter(|a| {
        (a + 1..hashes.len()).filter(move |b| near(a, b)).map(move |b| (a as u32, b as u32))
    });
    let mut pairs: Vec<(u32, u32)> = pairs.collect();
    pairs.sort_unstable();
    let (count, all, equal) = (hashes.len(), pairs.len(), pairs == found);
    Ok(json!({"hashes": count, "distance": distance, "pairs": all, "found": found.len(), "equal": equal}))
}

/// Distinct hashes; a copy has 1 to 6 bits of an earlier one changed.
fn hashes(count: usize) -> Vec<u64> {
    let mut hashes: Vec<u64> = Vec::with_capacity(count);
    let mut state = 1_u64;
    while hashes.len() < count {
        let noise = split_mix(&mut state);
        let copied = noise.is_multiple_of(COPIES) && !hashes.is_empty();
        hashes.push(match copied {
            true => {
                let of = hashes[(split_mix(&mut state) % hashes.len() as u64) as usize];
                (0..1 + noise / COPIES % 6).fold(of, |hash, _| hash ^ 1 << (split_mix(&mut state) & 63))
            }
            false => noise,
        });
    }
    hashes.par_sort_unstable();
    hashes.dedup();
    hashes
}

/// SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
