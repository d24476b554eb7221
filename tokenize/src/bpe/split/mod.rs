//! Cuts a text into the words that are merged each by itself.

mod characters;
mod clip;
mod openai;
mod spaces;

use super::cache::PADDING;
use characters::Characters;
pub(super) use clip::CONTROLS;

/// Where words begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// At ASCII white space and `▁`, as YouTokenToMe does.
    Spaces,
    /// GPT-2's pattern: also of r50k and p50k, and of Hugging Face's byte-level encodings.
    Gpt2,
    /// The pattern of cl100k (GPT-3.5, GPT-4).
    Cl100k,
    /// The pattern of o200k (GPT-4o).
    O200k,
    /// CLIP's pattern.
    Clip,
}

impl Split {
    /// Lists the words of `text` as byte ranges. `bytes` becomes the text with [`PADDING`] behind it; what is no word
    /// may be changed there.
    pub(super) fn cut(self, text: &str, bytes: &mut Vec<u8>, bounds: &mut Vec<[usize; 2]>) {
        bytes.clear();
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&[b' '; 2 * PADDING]);
        bounds.clear();
        let next: fn(&Characters<'_>, usize) -> usize = match self {
            Self::Spaces => return spaces::cut(bytes, text.len(), bounds),
            Self::Clip => return clip::cut(&Characters::new(bytes, text.len()), bounds),
            Self::Gpt2 => openai::gpt2,
            Self::Cl100k => openai::cl100k,
            Self::O200k => openai::o200k,
        };
        let characters = Characters::new(bytes, text.len());
        let mut start = 0;
        while start < text.len() {
            let end = next(&characters, start);
            bounds.push([start, end]);
            start = end;
        }
    }
}
