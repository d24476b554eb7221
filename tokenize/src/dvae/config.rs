//! The shape of a dVAE, read from its weights.

use serde::Serialize;

use crate::Result;
use crate::checkpoint::Checkpoint;

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
    pub fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let [n_hid, ..] = kernel(checkpoint, "encoder.blocks.input.w")?;
        let [vocab_size, ..] = kernel(checkpoint, "encoder.blocks.output.conv.w")?;
        let [n_init, codes, ..] = kernel(checkpoint, "decoder.blocks.input.w")?;
        let [_, channels, ..] = kernel(checkpoint, "decoder.blocks.output.conv.w")?;
        if (codes, channels) != (vocab_size, n_hid) {
            return Err(checkpoint.fault(format!(
                "a decoder of {codes} codes and {channels} channels beside an encoder of {vocab_size} codes and \
                 {n_hid} channels: the two do not belong together"
            )));
        }
        let sizes = [n_hid, n_init, vocab_size];
        if sizes.contains(&0) || !n_hid.is_multiple_of(4) || vocab_size > usize::from(u16::MAX) + 1 {
            return Err(checkpoint.fault(format!("{vocab_size} codes and {n_hid} channels are no dVAE")));
        }
        Ok(Self { n_hid, n_init, vocab_size })
    }
}

/// The shape of a convolution's weights.
fn kernel(checkpoint: &Checkpoint, key: &str) -> Result<[usize; 4]> {
    let found = checkpoint.shape(key).and_then(|shape| <[usize; 4]>::try_from(shape).ok());
    found.ok_or_else(|| checkpoint.fault(format!("not OpenAI's dVAE: {key} is missing or no kernel")))
}
