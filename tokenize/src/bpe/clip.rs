//! CLIP's byte-pair encoding (`openai/CLIP`, `clip/simple_tokenizer.py`): bytes, the last of a word marked `</w>`.
//!
//! Texts are cleaned as there: HTML entities resolved twice, white space collapsed, lower case. What the published code
//! also does, `ftfy.fix_text` (it mends texts that were decoded wrongly, straightens quotes, drops control characters),
//! is not done here: run ftfy over the captions first where that is wanted.

use std::collections::HashMap;
use std::io::Read;

use super::byte_characters::spelling;
use super::engine::Engine;
use super::merges::{Merges, UNKNOWN};
use super::split::{CONTROLS, Split};
use super::symbols::{Bytes, Symbols};
use super::{Specials, lower};
use crate::{Error, Result};

/// Merges that count; the published file holds more lines.
const MERGES: usize = 48_894;
/// Marks the end of a word.
const END: &str = "</w>";
/// Bytes that a file may unpack to; the published one has 3.2 million.
const LIMIT: u64 = 1 << 25;

/// CLIP's encoding.
#[derive(Clone, Debug)]
pub struct Model {
    /// Bytes of each id.
    pieces: Vec<Vec<u8>>,
    engine: Engine,
}

/// Whether a file is gzip, as CLIP's vocabulary is.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

impl Model {
    /// Reads `bpe_simple_vocab_16e6.txt.gz`; `what` names it in errors.
    ///
    /// # Errors
    /// No gzip of UTF-8 text, or a line that is no merge of earlier symbols: its number is named.
    pub fn read(bytes: &[u8], what: &str) -> Result<Self> {
        let fault = |why: String| Error::Bpe {
            what: what.to_owned(),
            why,
            cure: Some("give bpe_simple_vocab_16e6.txt.gz of openai/CLIP".to_owned()),
        };
        let mut text = String::new();
        let mut unpacked = flate2::read::GzDecoder::new(bytes).take(LIMIT);
        unpacked.read_to_string(&mut text).map_err(|error| fault(format!("no gzip of text: {error}")))?;
        let merges = (2..).zip(text.trim_end().lines().skip(1).take(MERGES));
        let merges = merges.map(|(line, text)| match text.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok((line, left, right)),
            _ => Err(fault(format!(
                "line {line}: {:?} is no merge",
                text.chars().take(40).collect::<String>()
            ))),
        });
        let merges: Vec<(usize, &str, &str)> = merges.collect::<Result<_>>()?;
        Self::new(&merges).map_err(|line| fault(format!("line {line}: a merge of symbols that do not exist")))
    }

    /// A model of merges with their lines; the error is the line of one that does not fit.
    fn new(merges: &[(usize, &str, &str)]) -> std::result::Result<Self, usize> {
        let mut names: Vec<String> = spelling().map(|(_, character)| character.to_string()).collect();
        names.extend(spelling().map(|(_, character)| format!("{character}{END}")));
        names.extend(merges.iter().map(|(_, left, right)| [*left, *right].concat()));
        names.extend(CONTROLS.map(str::to_owned));
        // Of two with one name the last counts, as in the published code.
        let ids: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        let ranked = (0..).zip(merges).map(|(rank, &(line, left, right))| {
            let id = |name: &str| ids.get(name).copied().ok_or(line);
            Ok::<_, usize>((id(left)?, id(right)?, rank, id(&[left, right].concat())?))
        });
        let ranked: Vec<_> = ranked.collect::<std::result::Result<_, usize>>()?;
        let mut symbols = Bytes { inner: [UNKNOWN; 256], last: [UNKNOWN; 256], whole: HashMap::new() };
        for (id, (byte, _)) in (0..).zip(spelling()) {
            symbols.inner[usize::from(byte)] = id;
            symbols.last[usize::from(byte)] = 256 + id;
        }
        symbols.whole =
            CONTROLS.into_iter().filter_map(|name| Some((name.into(), *ids.get(name)?))).collect();
        let bytes: HashMap<char, u8> = spelling().map(|(byte, character)| (character, byte)).collect();
        let pieces = names.iter().map(|name| name.chars().filter_map(|c| bytes.get(&c).copied()).collect());
        Ok(Self {
            pieces: pieces.collect(),
            engine: Engine {
                split: Split::Clip,
                symbols: Symbols::Bytes(Box::new(symbols)),
                merges: Merges::new(ranked.into_iter()),
                unknown: None,
            },
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Entries: 49,408 in the published model.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// Start (49406) and end (49407) of a text; CLIP pads with 0, which is `!` too.
    pub fn specials(&self) -> Specials {
        let end = self.pieces.len() as u32 - 1;
        Specials { pad: None, unk: None, bos: Some(end - 1), eos: Some(end) }
    }

    /// The text of ids, a space behind every word; start and end are written by name if `specials`, dropped otherwise.
    pub fn decode(&self, ids: &[u32], specials: bool) -> String {
        let words = self.vocab_size() - if specials { 0 } else { CONTROLS.len() };
        let bytes: Vec<u8> =
            ids.iter().filter_map(|&id| self.pieces[..words].get(id as usize)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).replace(END, " ")
    }

    /// What CLIP's text encoder reads (`clip.tokenize`): start, ids, end, zeros; where the text is too long its end is
    /// cut off. Also whether it was.
    pub fn framed(&self, ids: &[u32], length: usize) -> (Vec<u32>, bool) {
        let Specials { bos, eos, .. } = self.specials();
        let mut framed: Vec<u32> = bos.into_iter().chain(ids.iter().copied()).chain(eos).collect();
        let cut = framed.len() > length;
        framed.resize(length, 0);
        if let (true, Some(last), Some(eos)) = (cut, framed.last_mut(), eos) {
            *last = eos;
        }
        (framed, cut)
    }
}

/// A text as CLIP cleans it, but for ftfy.
pub(super) fn clean(text: &str) -> String {
    let text = htmlize::unescape(text);
    let text = htmlize::unescape(text.as_ref());
    let text = text.trim_matches(lower::is_space);
    let mut out = String::with_capacity(text.len());
    for word in text.split(char::is_whitespace).filter(|word| !word.is_empty()) {
        out.extend([if out.is_empty() { "" } else { " " }, word]);
    }
    lower::lower(&out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::bpe::Bpe;

    fn gzip(text: &str) -> Vec<u8> {
        let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        file.write_all(text.as_bytes()).unwrap();
        file.finish().unwrap()
    }

    #[test]
    fn words_end_with_a_mark_and_decode_with_a_space() {
        let bpe = Bpe::from_bytes(gzip("version\nc a\nca t</w>\n"), "v.gz").unwrap();
        assert_eq!((bpe.kind(), bpe.vocab_size(), bpe.specials().bos), ("clip-bpe", 516, Some(514)));
        assert_eq!(bpe.encode("Cat  CA"), [513, 66, 256 + 64]);
        assert_eq!(bpe.decode(&[514, 513, 66, 256 + 64, 515, 999]), "cat ca ");
        assert_eq!(bpe.encode("<|endoftext|>"), [515]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_comes_back_but_for_its_spaces(text in any::<String>()) {
            let model = gzip("version\nc a\nca t</w>\n");
            let bpe = Bpe::from_bytes(model, "v.gz").unwrap();
            let without = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(without(&bpe.decode(&bpe.encode(&text))), without(&clean(&text)));
        }
    }

    #[test]
    fn the_context_is_framed_and_cut() {
        let model = Model::new(&[]).unwrap();
        assert_eq!(model.framed(&[7, 8], 5), (vec![512, 7, 8, 513, 0], false));
        assert_eq!(model.framed(&[7, 8, 9], 4), (vec![512, 7, 8, 513], true));
    }

    #[test]
    fn texts_are_cleaned() {
        assert_eq!(clean(" Fish &amp;amp; \u{3000}CHIPS\u{1f}\n"), "fish & chips");
        assert_eq!(clean("&lt;b&gt; &eacute; &#1078;"), "<b> é ж");
        assert_eq!(clean(" \t"), "");
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let why = |bytes: Vec<u8>| Bpe::from_bytes(bytes, "v.gz").unwrap_err().to_string();
        assert_eq!(why(gzip("v\na b\na b c\n")), "v.gz: line 3: \"a b c\" is no merge");
        assert_eq!(why(gzip("v\na b\nab cd\n")), "v.gz: line 3: a merge of symbols that do not exist");
        assert!(why(gzip("v\na b\n")[..12].to_vec()).starts_with("v.gz: no gzip of text"));
    }
}
