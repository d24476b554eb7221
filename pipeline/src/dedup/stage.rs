//! The stages, which are also the reasons why a row is dropped.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a row is dropped for; stages run in this order, and a row is dropped by the first that catches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Another row has the same URL.
    Url,
    /// Another row has the same URL and the same caption.
    #[value(name = "url_caption")]
    UrlCaption,
    /// The picture stands in for many others: the same bytes or hash in many rows from many sites. All of them go.
    Placeholder,
    /// The picture is near to one of an evaluation set.
    Contaminated,
    /// Another row has the same bytes.
    Sha256,
    /// A picture that is kept is near to it.
    Near,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Url, Self::UrlCaption, Self::Placeholder, Self::Contaminated, Self::Sha256, Self::Near];

    /// The spelling in `dropped_by`, counts and configs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::UrlCaption => "url_caption",
            Self::Placeholder => "placeholder",
            Self::Contaminated => "contaminated",
            Self::Sha256 => "sha256",
            Self::Near => "near",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_spell_stages_as_shards_do() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.code());
            assert_eq!(Stage::from_str(stage.code(), false), Ok(stage));
        }
        assert!(Stage::ALL.is_sorted());
    }
}
