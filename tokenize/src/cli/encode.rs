//! `tokenize encode` and `decode`: single texts and pictures, without shards.

use std::path::{Path, PathBuf};

use pipeline::atomic;
use pipeline::cli::{Common, print};
use pipeline::picture::{DecodeOptions, EncodeOptions, decode, encode};

use super::print_json;
use crate::bpe::Bpe;
use crate::codec::Codec;
use crate::{Error, Result, device};

/// Which tokenizer: for text or for pictures.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Tokenizer {
    /// The text tokenizer: the arguments are texts
    #[arg(long)]
    bpe: Option<PathBuf>,
    /// The image codec: the arguments are pictures
    #[arg(long)]
    codec: Option<PathBuf>,
}

/// Flags of `tokenize encode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize encode --bpe bpe.json \"red flag\" \"blue flag\"
  tokenize encode --codec vqgan.safetensors --image-size 128 photo.jpg")]
pub(super) struct EncodeArgs {
    /// Texts with --bpe, picture files with --codec; one line of ids each
    #[arg(required = true)]
    inputs: Vec<String>,
    #[command(flatten)]
    tokenizer: Tokenizer,
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
            let bpe = Bpe::load(path)?;
            for text in &self.inputs {
                self.print("ids", text, &bpe.encode(text))?;
            }
        }
        if let Some(path) = &self.tokenizer.codec {
            let codec = Codec::load(path, &device::open(&self.device)?)?;
            let side = self.image_size.unwrap_or(codec.resolution());
            for path in &self.inputs {
                let bytes = std::fs::read(path).map_err(Error::io(path))?;
                let picture = decode(&bytes, &DecodeOptions::default())
                    .and_then(|p| codec.preprocess().picture(p, side));
                let picture = picture.map_err(|reason| Error::Table {
                    path: path.into(),
                    why: reason.text().to_owned(),
                    cure: Some(reason.hint().to_owned()),
                })?;
                let codes = codec.encode(&[picture])?;
                self.print("codes", path, codes.first().map_or(&[][..], Vec::as_slice))?;
            }
        }
        Ok(0)
    }

    fn print<T: ToString + serde::Serialize>(&self, kind: &str, input: &str, ids: &[T]) -> Result<()> {
        if self.common.json {
            return print_json(kind, &serde_json::json!({"input": input, "ids": ids}));
        }
        Ok(print(&ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))?)
    }
}

/// Flags of `tokenize decode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize decode --bpe bpe.json 104 87 9
  tokenize encode --codec vqgan.safetensors a.png | xargs tokenize decode --codec vqgan.safetensors --out b.png")]
pub(super) struct DecodeArgs {
    /// Ids of one text with --bpe, codes of one square picture in raster order with --codec
    #[arg(required = true)]
    ids: Vec<u32>,
    #[command(flatten)]
    tokenizer: Tokenizer,
    /// Where to write the picture
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
            self.text(&Bpe::load(path)?)?;
        }
        if let Some(path) = &self.tokenizer.codec {
            self.picture(path)?;
        }
        Ok(0)
    }

    fn text(&self, bpe: &Bpe) -> Result<()> {
        if let Some(id) = self.ids.iter().find(|&&id| id as usize >= bpe.vocab_size()) {
            return Err(refuse(format!("{id} is outside the vocabulary of {}", bpe.vocab_size())));
        }
        let text = bpe.decode(&self.ids);
        if self.common.json {
            return print_json("text", &serde_json::json!({"ids": self.ids, "text": text}));
        }
        Ok(print(&text)?)
    }

    fn picture(&self, path: &Path) -> Result<()> {
        let codec = Codec::load(path, &device::open(&self.device)?)?;
        let narrow = |&id: &u32| u16::try_from(id).map_err(|_| refuse(format!("{id} is no code")));
        let codes = self.ids.iter().map(narrow).collect::<Result<Vec<u16>>>()?;
        let grid = codes.len().isqrt();
        let pictures = codec.decode(&[codes], grid)?;
        let png = pictures.first().and_then(|picture| encode(picture, &EncodeOptions::png()).ok());
        let png = png.ok_or_else(|| refuse("the picture cannot be written as PNG".to_owned()))?;
        atomic::write(&self.out, png)?;
        self.common.say(&format!("{}: {grid} x {grid} codes", self.out.display()));
        Ok(())
    }
}

fn refuse(why: String) -> Error {
    Error::Config { key: "ids".to_owned(), why }
}
