//! `tokenize encode`: ids of single texts and codes of pictures, without shards.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use pipeline::cli::{Common, print};
use pipeline::picture::Picture;

use super::print_json;
use crate::bpe::Bpe;
use crate::codec::Codec;
use crate::{Error, Result, device};

/// Pictures that the codec takes at a time.
const BATCH: usize = 16;

/// Which tokenizer: for text or for pictures.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Tokenizer {
    /// The text tokenizer: the arguments are texts
    #[arg(long)]
    pub(super) bpe: Option<PathBuf>,
    /// The image codec: the arguments are pictures
    #[arg(long)]
    pub(super) codec: Option<PathBuf>,
}

/// Flags of `tokenize encode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize encode --bpe bpe.model --lowercase \"red flag\" \"blue flag\"
  tokenize encode --bpe bpe.model --dropout 0.1 --seed 7 - < captions.txt
  tokenize encode --codec vqgan.safetensors --image-size 128 photos/*.jpg")]
pub(super) struct EncodeArgs {
    /// Texts with --bpe, picture files with --codec; one line of ids each. `-` takes every line of stdin
    #[arg(required = true)]
    inputs: Vec<String>,
    #[command(flatten)]
    tokenizer: Tokenizer,
    /// Lower-case and strip texts first, as ruDALL-E does
    #[arg(long, requires = "bpe")]
    lowercase: bool,
    /// BPE dropout: pass over every merge with this probability
    #[arg(long, requires = "bpe", value_name = "PROBABILITY")]
    dropout: Option<f64>,
    /// Seed of the dropout; the nth text is encoded with SEED + n, from 0
    #[arg(long, requires = "dropout", default_value_t = 0)]
    seed: u64,
    /// Print the pieces instead of their ids
    #[arg(long, requires = "bpe")]
    pieces: bool,
    /// Side of the square that pictures are scaled and cropped to [default: the codec's resolution]
    #[arg(long, requires = "codec")]
    image_size: Option<usize>,
    /// cpu, cuda:0 or wgpu
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    common: Common,
}

impl EncodeArgs {
    pub(super) fn run(self) -> Result<u8> {
        if let Some(path) = &self.tokenizer.bpe {
            self.texts(&Bpe::load(path)?.with_lowercase(self.lowercase))?;
        }
        if let Some(path) = &self.tokenizer.codec {
            self.pictures(&Codec::load(path, &device::open(&self.device)?)?)?;
        }
        Ok(0)
    }

    fn texts(&self, bpe: &Bpe) -> Result<()> {
        let mut encoder = bpe.encoder();
        let mut seed = self.seed;
        each_input(&self.inputs, |text| {
            let ids = match self.dropout {
                Some(probability) => encoder.encode_with_dropout(text, probability, seed)?,
                None => encoder.encode(text),
            };
            seed = seed.wrapping_add(1);
            if self.pieces {
                let pieces: Vec<String> = ids.iter().map(|&id| piece(bpe, id)).collect();
                return self.print("pieces", text, &pieces);
            }
            self.print("ids", text, &ids)
        })
    }

    fn pictures(&self, codec: &Codec) -> Result<()> {
        let side = self.image_size.unwrap_or_else(|| codec.resolution());
        let mut names = Vec::with_capacity(BATCH);
        let mut pictures = Vec::with_capacity(BATCH);
        each_input(&self.inputs, |path| {
            pictures.push(read_picture(codec, Path::new(path), side)?);
            names.push(path.to_owned());
            if names.len() == BATCH { self.codes(codec, &mut names, &mut pictures) } else { Ok(()) }
        })?;
        self.codes(codec, &mut names, &mut pictures)
    }

    fn codes(&self, codec: &Codec, names: &mut Vec<String>, pictures: &mut Vec<Picture>) -> Result<()> {
        let codes = codec.encode(pictures)?;
        pictures.clear();
        names.drain(..).zip(codes).try_for_each(|(name, codes)| self.print("codes", &name, &codes))
    }

    fn print<T: ToString + serde::Serialize>(&self, kind: &str, input: &str, ids: &[T]) -> Result<()> {
        if self.common.json {
            let key = if kind == "pieces" { "pieces" } else { "ids" };
            return print_json(kind, &serde_json::json!({"input": input, key: ids}));
        }
        Ok(print(&ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))?)
    }
}

/// How a tokenizer spells an id: YouTokenToMe's own piece with its mark of a word's beginning, or else the decoded text.
fn piece(bpe: &Bpe, id: u32) -> String {
    let own = bpe.as_yttm().and_then(|model| model.piece(id)).map(str::to_owned);
    own.unwrap_or_else(|| bpe.decode(&[id]))
}

fn read_picture(codec: &Codec, path: &Path, side: usize) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    codec.preprocess().bytes(&bytes, side).map_err(|reason| Error::Table {
        path: path.to_owned(),
        why: reason.text().to_owned(),
        cure: Some(reason.hint().to_owned()),
    })
}

/// Every argument, or with `-` every line of stdin, as it comes in.
///
/// # Errors
/// Those of `work`; a line that is not UTF-8, by its number.
pub(super) fn each_input(inputs: &[String], mut work: impl FnMut(&str) -> Result<()>) -> Result<()> {
    for input in inputs {
        if input == "-" {
            each_line(std::io::stdin().lock(), &mut work)?;
        } else {
            work(input)?;
        }
    }
    Ok(())
}

fn each_line(mut source: impl BufRead, work: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        if source.read_until(b'\n', &mut line).map_err(Error::io("stdin"))? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let text = std::str::from_utf8(text).map_err(|fault| Error::Table {
            path: "stdin".into(),
            why: format!("line {number} is not UTF-8: byte {} of it", fault.valid_up_to() + 1),
            cure: Some("convert it first, for example with `iconv -f CP1251 -t UTF-8`".to_owned()),
        })?;
        work(text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_their_ends_and_bad_ones_with_their_number() {
        let mut lines = Vec::new();
        let mut take = |line: &str| {
            lines.push(line.to_owned());
            Ok(())
        };
        each_line(&b"red\r\n\nfl\xc3\xa4g"[..], &mut take).unwrap();
        let error = each_line(&b"good\nb\xffd\n"[..], &mut take).unwrap_err();
        assert_eq!(error.to_string(), "stdin: line 2 is not UTF-8: byte 2 of it");
        assert_eq!(lines, ["red", "", "fläg", "good"]);
    }
}
