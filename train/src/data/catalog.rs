//! The shards of a run by their footers: which rows there are, without reading them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokenize::bpe::Bpe;
use tokenize::shard_list;
use tokenize::tokens::Groups;

use super::loader::{How, Loader, Part, Texts};
use super::{Expected, Template, Tokens, Where, check};
use crate::{Error, Result};

/// Everything that decides what is read of shards; shared by all threads that read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Which rows are taken.
    pub filter: Where,
    /// What the model asks of the shards.
    pub expected: Expected,
    /// Texts that are made of columns.
    pub templates: Vec<Template>,
    /// What they are encoded with.
    pub bpe: Option<Bpe>,
}

/// A row group of a shard, or some of its rows.
#[derive(Clone, Debug)]
pub struct Block {
    shard: Arc<Path>,
    group: usize,
    /// Rows of it that count, before any filter.
    pub rows: Range<usize>,
    /// Whether each of them has a caption and an image.
    pub complete: bool,
}

/// All blocks of some folders, in the order of the shards.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// sha256 over the shards' footers.
    pub fingerprint: String,
}

impl Catalog {
    /// Reads the footers of every shard in some folders, and refuses a shard that does not fit.
    ///
    /// # Errors
    /// As for [`Tokens::load`].
    pub fn read(paths: &[&Path], reading: &Reading) -> Result<Self> {
        let (mut blocks, mut hash) = (Vec::new(), Sha256::new());
        for path in paths {
            for shard in shard_list::list(path)? {
                let footer = Groups::read(&shard)?;
                check(&shard, &footer.meta, &reading.expected)?;
                hash.update(&footer.digest);
                let shard: Arc<Path> = shard.into();
                let block = |(group, found): (usize, &tokenize::tokens::Group)| Block {
                    shard: Arc::clone(&shard),
                    group,
                    rows: 0..found.rows,
                    complete: found.complete,
                };
                blocks.extend(footer.groups.iter().enumerate().map(block));
            }
        }
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { blocks, fingerprint })
    }

    /// Rows before any filter.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.blocks.iter().map(|block| block.rows.len()).sum()
    }

    /// Takes the last `count` images off, with all their rows, and gives them back.
    ///
    /// # Errors
    /// A shard that cannot be read, or no image is left.
    pub fn hold_out(&mut self, count: usize, reading: &Reading) -> Result<Tokens> {
        let (mut taken, mut wanted) = (Vec::new(), count);
        while let Some(block) = self.blocks.pop() {
            let images = reading.load(std::slice::from_ref(&block))?.images().len();
            if images > wanted {
                let at = block.row_after(images - wanted, reading)?;
                taken.insert(0, Block { rows: at..block.rows.end, ..block.clone() });
                self.blocks.push(Block { rows: block.rows.start..at, ..block });
                return reading.load(&taken);
            }
            taken.insert(0, block);
            wanted -= images;
        }
        Err(Error::config(format!("data.holdout: {count} leaves no image to train on")))
    }
}

impl Block {
    /// The row behind the first `images` images and all their captions.
    fn row_after(&self, images: usize, reading: &Reading) -> Result<usize> {
        let (mut low, mut high) = (self.rows.start, self.rows.end);
        while low < high {
            let middle = high - (high - low) / 2;
            let part = Self { rows: self.rows.start..middle, ..self.clone() };
            match reading.load(&[part])?.images().len() <= images {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        Ok(low)
    }
}

/// Rows that are looked at before a run starts, where not all are.
const SAMPLE_ROWS: usize = 1 << 16;

impl Reading {
    /// The rows of the first blocks.
    ///
    /// # Errors
    /// As for [`Reading::load`]; also where the filter takes none of them.
    pub fn sample(&self, blocks: &[Block]) -> Result<Tokens> {
        let mut rows = 0;
        let few = blocks.iter().take_while(|block| {
            let more = rows < SAMPLE_ROWS;
            rows += block.rows.len();
            more
        });
        let few: Vec<_> = few.cloned().collect();
        let tokens = self.load(&few)?;
        if tokens.is_empty() {
            let shard = few.first().map_or(Path::new(""), |block| &block.shard);
            return Err(Error::data(
                shard,
                format!("none of the first {rows} rows is one that the filter takes"),
            ));
        }
        Ok(tokens)
    }

    /// The rows of some blocks that the filter takes, in this order.
    ///
    /// # Errors
    /// A shard that is gone, damaged, or other than it was when its footer was read; no row is left.
    pub fn load(&self, blocks: &[Block]) -> Result<Tokens> {
        let texts = Texts { templates: &self.templates, bpe: self.bpe.as_ref() };
        let how = How { filter: &self.filter, expected: &self.expected, texts: &texts };
        let mut loader = Loader::default();
        for block in blocks {
            let part = Part { shard: &block.shard, group: Some(block.group), rows: block.rows.clone() };
            loader.read(part, &how)?;
        }
        Ok(loader.finish_even_empty())
    }
}
