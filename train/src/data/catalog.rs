//! The shards of a run by their footers: which rows there are, without reading them.

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

/// A row group of a shard, or its first rows.
#[derive(Clone, Debug)]
pub struct Block {
    shard: Arc<Path>,
    group: usize,
    /// Rows of it that count, before any filter.
    pub rows: usize,
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
                    rows: found.rows,
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
        self.blocks.iter().map(|block| block.rows).sum()
    }

    /// Takes the last images off, at least `count` of them with all their rows, and gives them back.
    ///
    /// # Errors
    /// A shard that cannot be read, or fewer images than that.
    pub fn hold_out(&mut self, count: usize, reading: &Reading) -> Result<Tokens> {
        let mut taken: Vec<Block> = Vec::new();
        while let Some(block) = self.blocks.pop() {
            taken.insert(0, block);
            let tokens = reading.load(&taken)?;
            if tokens.images().len() >= count && !self.blocks.is_empty() {
                return Ok(tokens);
            }
        }
        Err(Error::config(format!("data.holdout: {count} leaves no image to train on")))
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
            rows += block.rows;
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
            let part = Part { shard: &block.shard, group: Some(block.group), rows: block.rows };
            loader.read(part, &how)?;
        }
        Ok(loader.finish_even_empty())
    }
}
