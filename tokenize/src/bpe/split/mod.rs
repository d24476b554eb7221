//! Cuts a text into the words that are merged each by itself.

mod spaces;

use super::cache::PADDING;

/// Where words begin and end.
#[derive(Clone, Debug)]
pub(super) enum Split {
    /// At ASCII white space and `▁`, as YouTokenToMe does.
    Spaces,
}

impl Split {
    /// Lists the words of `text` as byte ranges. `bytes` becomes the text with [`PADDING`] behind it; what is no word
    /// may be changed there.
    pub(super) fn cut(&self, text: &str, bytes: &mut Vec<u8>, bounds: &mut Vec<[usize; 2]>) {
        bytes.clear();
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&[b' '; 2 * PADDING]);
        bounds.clear();
        match self {
            Self::Spaces => spaces::cut(bytes, text.len(), bounds),
        }
    }
}
