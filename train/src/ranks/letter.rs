//! Words between ranks: any serde value as TOML, which keeps every f64 exactly, NaN and infinities included.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Wire;
use crate::{Error, Result};

#[derive(Serialize, Deserialize)]
struct Letter<T> {
    said: Option<T>,
    fault: Option<Fault>,
}

/// An error as another process can tell it.
#[derive(Serialize, Deserialize)]
struct Fault {
    message: String,
    hint: Option<String>,
    code: u8,
}

/// See [`super::Ranks::tell`].
pub(super) fn tell<T: Serialize + DeserializeOwned>(wire: &dyn Wire, mine: Result<T>) -> Result<Vec<T>> {
    let (said, error) = match mine {
        Ok(said) => (Some(said), None),
        Err(error) => (None, Some(error)),
    };
    let fault = error.as_ref().map(|error| Fault {
        message: error.to_string(),
        hint: error.hint(),
        code: error.exit_code(),
    });
    let text = toml::to_string(&Letter { said, fault });
    // All ranks must come to the exchange, also one that cannot put its words down.
    let letters = wire.gather(text.as_deref().unwrap_or_default().as_bytes());
    let mut said = Vec::with_capacity(letters.len());
    for (rank, letter) in letters.iter().enumerate() {
        let letter: Option<Letter<T>> =
            std::str::from_utf8(letter).ok().and_then(|text| toml::from_str(text).ok());
        match letter {
            Some(Letter { fault: Some(Fault { message, hint, code }), .. }) => {
                let told = Error::Rank { rank, message, hint, code };
                // Rank 0 is the one that tells the user.
                return Err(if wire.rank() == 0 && rank == 0 { error.unwrap_or(told) } else { told });
            }
            Some(Letter { said: Some(words), .. }) => said.push(words),
            _ => return Err(lost(rank)),
        }
    }
    Ok(said)
}

/// A rank whose words cannot be read.
pub(super) fn lost(rank: usize) -> Error {
    Error::Rank {
        rank,
        message: "its words cannot be read".into(),
        hint: Some("start the same build of `train` on every machine".into()),
        code: 2,
    }
}
