//! The shape of a dVAE, read from its weights.

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::{Error, Result};

/// Hyper-parameters; the published model has the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DvaeConfig {
    /// Channels at full resolution; they double with every halving of the side.
    pub n_hid: usize,
    /// Channels of the decoder's first layer.
    pub n_init: usize,
    /// Number of codes.
    pub vocab_size: usize,
}

impl Default for DvaeConfig {
    fn default() -> Self {
        Self { n_hid: 256, n_init: 128, vocab_size: 8192 }
    }
}

impl DvaeConfig {
    /// What the shapes of both halves say.
    ///
    /// # Errors
    /// A half without its first and last layer; halves of different size; more codes than a token shard can hold.
    pub fn of(encoder: &Checkpoint, decoder: &Checkpoint) -> Result<Self> {
        let [n_hid, ..] = shape(encoder, "blocks.input.w", "an encoder")?;
        let [vocab_size, ..] = shape(encoder, "blocks.output.conv.w", "an encoder")?;
        let [n_init, rows, ..] = shape(decoder, "blocks.input.w", "a decoder")?;
        let [_, channels, ..] = shape(decoder, "blocks.output.conv.w", "a decoder")?;
        let fault = |why: String| Err(Error::Checkpoint { path: decoder.path().to_owned(), why });
        if (rows, channels) != (vocab_size, n_hid) {
            return fault(format!(
                "a decoder of {rows} codes and {channels} channels beside an encoder of {vocab_size} codes and {n_hid} \
                 channels: the two files do not belong together"
            ));
        }
        if vocab_size > usize::from(u16::MAX) + 1 || n_hid == 0 || !n_hid.is_multiple_of(4) {
            return fault(format!("{vocab_size} codes and {n_hid} channels are no dVAE"));
        }
        Ok(Self { n_hid, n_init, vocab_size })
    }
}

fn shape(checkpoint: &Checkpoint, key: &str, what: &str) -> Result<[usize; 4]> {
    let found = checkpoint.shape(key).and_then(|shape| <[usize; 4]>::try_from(shape.to_vec()).ok());
    found.ok_or_else(|| Error::Checkpoint {
        path: checkpoint.path().to_owned(),
        why: format!("not {what} of OpenAI's dVAE: {key} is missing or no kernel"),
    })
}
