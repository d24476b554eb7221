//! The free end of the progress line: a text that is set, or one that is made when somebody looks.

use std::fmt;
use std::sync::{Mutex, OnceLock};

use serde_json::{Map, Value};

use super::lock;

/// More about a piece of work than how much of it is done.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// For the line.
    pub text: String,
    /// For the JSON record, beside `done` and `total`.
    pub fields: Map<String, Value>,
}

type Source = Box<dyn Fn() -> Detail + Send + Sync>;

/// What is told after the numbers.
#[derive(Default)]
pub(super) struct Tail {
    message: Mutex<String>,
    source: OnceLock<Source>,
}

impl Tail {
    pub(super) fn say(&self, text: String) {
        *lock(&self.message) = text;
    }

    /// From now on `source` is asked; the first one stays.
    pub(super) fn follow(&self, source: Source) {
        drop(self.source.set(source));
    }

    pub(super) fn detail(&self) -> Detail {
        match self.source.get() {
            Some(source) => source(),
            None => Detail { text: lock(&self.message).clone(), fields: Map::new() },
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail().text)
    }
}
