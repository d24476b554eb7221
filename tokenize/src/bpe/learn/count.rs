//! Words of a stream of texts, counted by several threads.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Watch;
use super::words::Words;
use crate::Result;
use crate::bpe::split::Split;
use crate::corpus::Batch;

/// Words of all texts.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) words: Words,
    pub(super) texts: u64,
    /// Characters of the texts, and one for the end of each.
    pub(super) characters: u64,
}

/// Counts the words of all batches. Each thread takes the next batch as soon as it is free and counts in a table of its
/// own, so that memory grows with the distinct words alone; sums do not depend on who counted what. With `lowercase`,
/// texts are stripped and lower-cased first: GPT-2's pattern knows the ending of `it's`, not that of `IT'S`.
pub(super) fn count<I>(batches: I, split: Split, lowercase: bool, watch: &Watch) -> Result<Counted>
where
    I: Iterator<Item = Result<Batch>> + Send,
{
    let batches = Mutex::new(Some(batches));
    let next = || {
        let mut batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = watch.interrupt.check().map_err(Into::into).and_then(|()| {
            let batch = batches.as_mut().and_then(Iterator::next);
            batch.transpose()
        });
        if batch.is_err() {
            // The first error is everybody's end.
            *batches = None;
        }
        batch
    };
    let work = || {
        let (mut counted, mut room) = (Counted::default(), Room::default());
        while let Some(batch) = next()? {
            counted.add(&batch, split, lowercase, &mut room);
            watch.counted(batch.len());
        }
        Ok(counted)
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..rayon::current_num_threads()).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all = all.and_then(|all| Ok(all.with(other?)));
        }
        all
    })
}

/// What the words of a text are cut in.
#[derive(Default)]
struct Room {
    lower: String,
    bytes: Vec<u8>,
    bounds: Vec<[usize; 2]>,
}

impl Counted {
    fn add(&mut self, batch: &Batch, split: Split, lowercase: bool, room: &mut Room) {
        for text in batch.texts() {
            self.texts += 1;
            self.characters += 1 + text.bytes().filter(|&byte| byte as i8 >= -0x40).count() as u64;
            let text = if lowercase { lower(text, &mut room.lower) } else { text };
            split.cut(text, &mut room.bytes, &mut room.bounds);
            for &[start, end] in &room.bounds {
                self.words.add(&room.bytes[start..end], 1);
            }
        }
    }

    fn with(self, other: Self) -> Self {
        let (mut into, from) =
            if self.words.len() < other.words.len() { (other, self) } else { (self, other) };
        into.words.absorb(&from.words);
        into.texts += from.texts;
        into.characters += from.characters;
        into
    }
}

/// Lower case as Hugging Face's `Lowercase` has it: each character by itself.
fn lower<'a>(text: &str, room: &'a mut String) -> &'a str {
    room.clear();
    room.extend(text.trim().chars().flat_map(char::to_lowercase));
    room
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::Error;

    fn counted(batches: Vec<Batch>, split: Split) -> BTreeMap<String, u64> {
        let counted = count(batches.into_iter().map(Ok), split, true, &Watch::default()).unwrap();
        let words = counted.words.iter();
        words.map(|(word, count)| (String::from_utf8(word.to_vec()).unwrap(), count)).collect()
    }

    proptest! {
        #[test]
        fn neither_order_nor_batches_change_the_counts(
            mut texts in proptest::collection::vec("[ab ▁'s]{0,12}", 0..40),
            sizes in (1_usize..9, 1_usize..9),
        ) {
            for split in [Split::Spaces, Split::Gpt2] {
                let cut = |texts: &[String], size| texts.chunks(size).map(|some| some.iter().collect()).collect();
                let first = counted(cut(&texts, sizes.0), split);
                texts.reverse();
                prop_assert_eq!(counted(cut(&texts, sizes.1), split), first);
            }
        }
    }

    #[test]
    fn the_first_error_ends_the_count() {
        let fault = || Error::Config { key: "a".to_owned(), why: "b".to_owned() };
        let batches = (0..1000).map(|n| if n < 5 { Ok(Batch::from_iter(["a b"])) } else { Err(fault()) });
        let error = count(batches, Split::Spaces, false, &Watch::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "a: b");
    }

    #[test]
    fn an_interrupt_ends_the_count() {
        let watch = Watch::default();
        watch.interrupt.set(130);
        let batches = std::iter::repeat_with(|| Ok(Batch::from_iter(["a b"])));
        assert_eq!(count(batches, Split::Spaces, false, &watch).map(|_| ()).unwrap_err().exit_code(), 130);
    }

    #[test]
    fn characters_are_counted_with_the_ends_of_texts() {
        let batches = [Ok(Batch::from_iter(["ёж ", ""]))];
        let counted = count(batches.into_iter(), Split::Spaces, false, &Watch::default()).unwrap();
        assert_eq!((counted.texts, counted.characters), (2, 5));
    }
}
