//! `tokenize decode`: the text of ids and the pictures of codes, without shards.

use std::path::{Path, PathBuf};

use pipeline::atomic;
use pipeline::cli::{Common, print};
use pipeline::picture::{EncodeOptions, Picture, encode};

use super::encode::{Tokenizer, each_input};
use super::print_json;
use crate::bpe::Bpe;
use crate::codec::Codec;
use crate::verify::{Sample, grid};
use crate::{Error, Result, device};

/// Pictures that the codec takes at a time.
const BATCH: usize = 16;

/// Flags of `tokenize decode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize decode --bpe bpe.json 104 87 9
  tokenize encode --codec vqgan.safetensors a.png b.png | tokenize decode --codec vqgan.safetensors --out ab.png -
  tokenize encode --codec vqgan.safetensors a.png b.png | tokenize decode --codec vqgan.safetensors --out pictures/ -")]
pub(super) struct DecodeArgs {
    /// Ids of one text with --bpe, codes of one square picture in raster order with --codec. `-` takes every line of stdin
    #[arg(required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    tokenizer: Tokenizer,
    /// Where to write the picture: a file, in which several lie side by side, or a folder for a file each
    #[arg(short, long, default_value = "decoded.png")]
    out: PathBuf,
    /// cpu, cuda:0 or wgpu
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    common: Common,
}

impl DecodeArgs {
    pub(super) fn run(self) -> Result<u8> {
        if let Some(path) = &self.tokenizer.bpe {
            let bpe = Bpe::load(path)?;
            self.each(|ids| self.text(&bpe, ids))?;
        }
        if let Some(path) = &self.tokenizer.codec {
            self.pictures(&Codec::load(path, &device::open(&self.device)?)?)?;
        }
        Ok(0)
    }

    /// The arguments together, or with a single `-` every line of stdin for itself.
    fn each(&self, mut work: impl FnMut(&[u32]) -> Result<()>) -> Result<()> {
        if self.ids == ["-"] {
            return each_input(&self.ids, |line| work(&numbers(line.split_whitespace())?));
        }
        work(&numbers(self.ids.iter().map(String::as_str))?)
    }

    fn text(&self, bpe: &Bpe, ids: &[u32]) -> Result<()> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= bpe.vocab_size()) {
            return Err(refuse(format!("{id} is outside the vocabulary of {}", bpe.vocab_size())));
        }
        let text = bpe.decode(ids);
        if self.common.json {
            return print_json("text", &serde_json::json!({"ids": ids, "text": text}));
        }
        Ok(print(&text)?)
    }

    fn pictures(&self, codec: &Codec) -> Result<()> {
        let mut lines: Vec<Vec<u16>> = Vec::new();
        self.each(|ids| {
            let narrow = |&id: &u32| u16::try_from(id).map_err(|_| refuse(format!("{id} is no code")));
            lines.push(ids.iter().map(narrow).collect::<Result<_>>()?);
            Ok(())
        })?;
        let Some(side) = lines.first().map(|codes| codes.len().isqrt()) else {
            return Err(refuse("no codes on stdin".to_owned()));
        };
        let mut pictures = Vec::with_capacity(lines.len());
        for batch in lines.chunks(BATCH) {
            pictures.extend(codec.decode(batch, side)?);
        }
        self.write(pictures, side)
    }

    fn write(&self, pictures: Vec<Picture>, side: usize) -> Result<()> {
        let count = pictures.len();
        if is_folder(&self.out) {
            for (number, picture) in pictures.iter().enumerate() {
                atomic::write(self.out.join(format!("{number:05}.png")), png(picture)?)?;
            }
            self.common.say(&format!("{}: {count} pictures of {side} x {side} codes", self.out.display()));
            return Ok(());
        }
        let samples: Vec<Sample> =
            pictures.into_iter().map(|decoded| Sample { original: None, decoded }).collect();
        let picture = match samples.as_slice() {
            [one] => one.decoded.clone(),
            many => grid(many).ok_or_else(|| refuse("too many pictures for one file".to_owned()))?,
        };
        atomic::write(&self.out, png(&picture)?)?;
        let many = if count == 1 { String::new() } else { format!("{count} pictures of ") };
        self.common.say(&format!("{}: {many}{side} x {side} codes", self.out.display()));
        Ok(())
    }
}

/// A folder that is there, or a name that ends like one.
fn is_folder(out: &Path) -> bool {
    out.is_dir() || out.to_string_lossy().ends_with('/')
}

fn png(picture: &Picture) -> Result<Vec<u8>> {
    encode(picture, &EncodeOptions::png())
        .map_err(|_| refuse("the picture cannot be written as PNG".to_owned()))
}

fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<u32>> {
    words.map(|word| word.parse().map_err(|_| refuse(format!("{word:?} is no id")))).collect()
}

fn refuse(why: String) -> Error {
    Error::Config { key: "ids".to_owned(), why }
}
