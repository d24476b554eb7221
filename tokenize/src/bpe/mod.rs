//! Text ↔ ids by byte-pair encoding, in the files that published models come with.
//!
//! [`Bpe`] is the front: it recognises the kind of a file, encodes, decodes and writes it back byte for byte. The kinds
//! are [`yttm`] (ruDALL-E, RuDOLPH, ruCLIP), [`hf`] (`tokenizer.json`), [`clip`] and [`tiktoken`]. All but rare shapes
//! of `tokenizer.json` encode with one engine: `split` cuts a text into words, `cache` knows the words seen before,
//! `symbols` and `merges` do the others.

mod byte_characters;
mod cache;
pub mod clip;
mod encoder;
mod engine;
pub mod hf;
pub mod learn;
mod lower;
mod merges;
mod split;
mod symbols;
pub mod tiktoken;
pub mod yttm;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::atomic;
use sha2::{Digest, Sha256};

use crate::{Error, Result};
pub use encoder::Encoder;
use engine::{Engine, Room};

/// Fills a text up to its length, where ids are as in [`Specials::default`].
pub const PAD: u32 = 0;
/// Stands for a run of characters that the vocabulary lacks.
pub const UNK: u32 = 1;
/// Begins a text.
pub const BOS: u32 = 2;
/// Ends a text.
pub const EOS: u32 = 3;

/// Ids that stand for no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Specials {
    /// Fills a text up to its length.
    pub pad: Option<u32>,
    /// Stands for text that the vocabulary lacks.
    pub unk: Option<u32>,
    /// Begins a text.
    pub bos: Option<u32>,
    /// Ends a text.
    pub eos: Option<u32>,
}

impl Default for Specials {
    /// YouTokenToMe's: pad 0, unk 1, bos 2, eos 3. The published ruDALL-E and RuDOLPH models ask for these.
    fn default() -> Self {
        Self { pad: Some(PAD), unk: Some(UNK), bos: Some(BOS), eos: Some(EOS) }
    }
}

impl Specials {
    /// Those that there are.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        [self.pad, self.unk, self.bos, self.eos].into_iter().flatten()
    }

    /// Whether an id is one of them.
    pub fn has(&self, id: u32) -> bool {
        [self.pad, self.unk, self.bos, self.eos].contains(&Some(id))
    }
}

/// A byte-pair encoding of any kind.
///
/// ```
/// use tokenize::bpe::{Bpe, Specials, yttm::Model};
/// // ▁ c a t, then ▁c and at
/// let model = Model::new("▁cat".chars().collect(), vec![(4, 5), (6, 7)], Specials::default())?;
/// let bpe = Bpe::from(model).with_lowercase(true);
/// assert_eq!(bpe.encode("Cat"), [8, 9]);
/// assert_eq!(bpe.decode(&[8, 9]), "cat");
/// # Ok::<(), tokenize::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bpe {
    kind: Arc<Kind>,
    file: Arc<[u8]>,
    sha256: String,
    lowercase: bool,
    rooms: Rooms,
}

#[derive(Debug)]
enum Kind {
    Yttm(yttm::Model),
    Hf(Box<hf::Model>),
    Clip(clip::Model),
    Tiktoken(tiktoken::Model),
}

impl Bpe {
    /// Reads a file of any kind: a YouTokenToMe `.model`, a `tokenizer.json`, CLIP's `bpe_simple_vocab_16e6.txt.gz` or
    /// tiktoken's ranks, told apart by their content.
    ///
    /// # Errors
    /// A missing file, another format, or a part of it that does not fit: the error names it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Self::from_bytes(bytes, &path.display().to_string())
    }

    /// The same from a file's bytes; `what` names them in errors.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn from_bytes(bytes: Vec<u8>, what: &str) -> Result<Self> {
        let text = || {
            let text = std::str::from_utf8(&bytes);
            text.map_err(|fault| unknown(what, &format!("byte {} is not UTF-8", fault.valid_up_to())))
        };
        let kind = if clip::looks_like(&bytes) {
            Kind::Clip(clip::Model::read(&bytes, what)?)
        } else if hf::looks_like(&bytes) {
            Kind::Hf(Box::new(hf::Model::parse(text()?, what)?))
        } else if yttm::looks_like(&bytes) {
            Kind::Yttm(yttm::Model::parse(text()?, what)?)
        } else if tiktoken::looks_like(&bytes) {
            Kind::Tiktoken(tiktoken::Model::parse(text()?, what)?)
        } else {
            return Err(unknown(what, "no text tokenizer that is known here"));
        };
        Ok(Self::new(kind, bytes))
    }

    fn new(kind: Kind, file: Vec<u8>) -> Self {
        let sha256 = hex(&Sha256::digest(&file));
        Self { kind: Arc::new(kind), file: file.into(), sha256, lowercase: false, rooms: Rooms::default() }
    }

    /// Whether texts are lower-cased and stripped before they are encoded, as ruDALL-E does with the published
    /// YouTokenToMe model. No file says so: whoever uses one does.
    #[must_use]
    pub fn with_lowercase(self, lowercase: bool) -> Self {
        Self { lowercase, ..self }
    }

    /// What [`Self::with_lowercase`] set; at first `false`.
    pub fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Writes the file: the bytes that [`Self::sha256`] is the hash of.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(atomic::write(path.as_ref(), &self.file)?)
    }

    /// Encodes many texts: keeps the words that it has seen.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder::new(self, Room::default())
    }

    /// Bare ids of a text: no BOS, EOS or padding.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut encoder = Encoder::new(self, self.rooms.take());
        let ids = encoder.encode(text);
        self.rooms.give(encoder.into_room());
        ids
    }

    /// Bare ids with BPE dropout (Provilkov et al. 2020): every merge is passed over with the given probability. The
    /// ids are a function of text, probability and seed.
    ///
    /// # Errors
    /// A probability outside [0, 1], or a `tokenizer.json` of a shape that only the library encodes.
    pub fn encode_with_dropout(&self, text: &str, probability: f64, seed: u64) -> Result<Vec<u32>> {
        let mut encoder = Encoder::new(self, self.rooms.take());
        let ids = encoder.encode_with_dropout(text, probability, seed);
        self.rooms.give(encoder.into_room());
        ids
    }

    /// The text of ids; special ids and ids outside the vocabulary are dropped.
    pub fn decode(&self, ids: &[u32]) -> String {
        match &*self.kind {
            Kind::Yttm(model) => model.decode(ids, false),
            Kind::Hf(model) => model.decode(ids),
            Kind::Clip(model) => model.decode(ids, false),
            Kind::Tiktoken(model) => model.decode(ids),
        }
    }

    /// Entries, special ids included.
    pub fn vocab_size(&self) -> usize {
        match &*self.kind {
            Kind::Yttm(model) => model.vocab_size(),
            Kind::Hf(model) => model.vocab_size(),
            Kind::Clip(model) => model.vocab_size(),
            Kind::Tiktoken(model) => model.vocab_size(),
        }
    }

    /// The special ids, as far as the file has them.
    pub fn specials(&self) -> Specials {
        match &*self.kind {
            Kind::Yttm(model) => model.specials(),
            Kind::Hf(model) => model.specials(),
            Kind::Clip(model) => model.specials(),
            Kind::Tiktoken(model) => model.specials(),
        }
    }

    /// Hash of the tokenizer's file, lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The kind that token shards record: `yttm`, `hf-bpe`, `clip-bpe` or `tiktoken`.
    pub fn kind(&self) -> &'static str {
        match &*self.kind {
            Kind::Yttm(_) => "yttm",
            Kind::Hf(_) => "hf-bpe",
            Kind::Clip(_) => "clip-bpe",
            Kind::Tiktoken(_) => "tiktoken",
        }
    }

    /// The YouTokenToMe model, if it is one.
    pub fn as_yttm(&self) -> Option<&yttm::Model> {
        match &*self.kind {
            Kind::Yttm(model) => Some(model),
            _ => None,
        }
    }

    /// The `tokenizer.json`, if it is one.
    pub fn as_hf(&self) -> Option<&hf::Model> {
        match &*self.kind {
            Kind::Hf(model) => Some(&**model),
            _ => None,
        }
    }

    /// CLIP's encoding, if it is that.
    pub fn as_clip(&self) -> Option<&clip::Model> {
        match &*self.kind {
            Kind::Clip(model) => Some(model),
            _ => None,
        }
    }
}

impl From<yttm::Model> for Bpe {
    fn from(model: yttm::Model) -> Self {
        let text = model.to_text();
        Self::new(Kind::Yttm(model), text.into_bytes())
    }
}

impl Kind {
    /// The engine, but for shapes of `tokenizer.json` that only the library encodes.
    fn engine(&self) -> std::result::Result<&Engine, &hf::Model> {
        match self {
            Self::Yttm(model) => Ok(model.engine()),
            Self::Hf(model) => model.engine().ok_or(&**model),
            Self::Clip(model) => Ok(model.engine()),
            Self::Tiktoken(model) => Ok(model.engine()),
        }
    }
}

/// Rooms of [`Bpe::encode`] that no thread uses just now.
#[derive(Debug, Default)]
struct Rooms(Mutex<Vec<Room>>);

impl Clone for Rooms {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Rooms {
    fn take(&self) -> Room {
        // A room is whole between any two texts, so that one left by a panic elsewhere is as good as a new one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, room: Room) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

fn unknown(what: &str, why: &str) -> Error {
    let cure = "give a YouTokenToMe .model, a Hugging Face tokenizer.json, CLIP's bpe_simple_vocab_16e6.txt.gz or tiktoken \
                ranks, or make one with `tokenize bpe TEXTS --vocab-size 16384 --out bpe.model`";
    Error::Bpe { what: what.to_owned(), why: why.to_owned(), cure: Some(cure.to_owned()) }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both halves of a product, folded: every bit of the result depends on every bit of both numbers.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_is_refused_with_a_cure() {
        for bytes in [&b"PK\x03\x04"[..], b"", b"red flag\n", b"\xff\xfe"] {
            let error = Bpe::from_bytes(bytes.to_vec(), "bpe.zip").unwrap_err();
            assert_eq!(error.to_string(), "bpe.zip: no text tokenizer that is known here");
            assert!(error.hint().unwrap().contains("YouTokenToMe .model"));
        }
    }

    #[test]
    fn a_saved_model_loads_as_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bpe.model");
        let bpe =
            Bpe::from(yttm::Model::new("▁cat".chars().collect(), vec![(4, 5)], Specials::default()).unwrap());
        bpe.save(&path).unwrap();
        let loaded = Bpe::load(&path).unwrap();
        assert_eq!((loaded.kind(), loaded.sha256(), loaded.vocab_size()), ("yttm", bpe.sha256(), 9));
        assert_eq!((loaded.specials(), loaded.lowercase()), (Specials::default(), false));
        assert_eq!(loaded.encode("cat"), bpe.encode("cat"));
    }

    #[test]
    fn dropout_is_a_function_of_text_probability_and_seed() {
        let model =
            yttm::Model::new("▁cat".chars().collect(), vec![(5, 6), (8, 7), (4, 9)], Specials::default());
        let (bpe, text) = (Bpe::from(model.unwrap()), "cat ".repeat(50));
        let at = |probability, seed| bpe.encode_with_dropout(&text, probability, seed).unwrap();
        assert_eq!(at(0.0, 1), bpe.encode(&text));
        assert_eq!(at(1.0, 1), [4, 5, 6, 7].repeat(50));
        assert_eq!(at(0.5, 1), at(0.5, 1));
        assert_ne!(at(0.5, 1), at(0.5, 2));
        assert_eq!(bpe.decode(&at(0.5, 3)), text.trim_end());
        assert!(bpe.encode_with_dropout("cat", 1.5, 1).unwrap_err().to_string().starts_with("dropout: 1.5"));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_dropped_as_youtokentome_does() {
        let bpe = Bpe::from(yttm::Model::new("▁cat".chars().collect(), vec![], Specials::default()).unwrap());
        let bytes = b"c\xff\xe2\x96a\xed\xa0\x80\xf0\x90t\xc3";
        assert_eq!(bpe.encoder().encode_bytes(bytes), bpe.encode("cat"));
    }

    #[test]
    fn lower_casing_is_asked_for() {
        let bpe = Bpe::from(yttm::Model::new("▁cat".chars().collect(), vec![], Specials::default()).unwrap());
        assert_eq!(bpe.encode("CAT\u{a0}"), [4, 1]);
        assert_eq!(bpe.clone().with_lowercase(true).encode("CAT\u{a0}"), [4, 5, 6, 7]);
    }
}
