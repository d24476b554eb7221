//! How a checkpoint differs from a model, key by key.

use std::collections::HashMap;
use std::fmt;

use tokenize::checkpoint::Checkpoint;

use super::Parameter;

/// How many keys of one kind a message lists.
const LISTED: usize = 8;

/// What does not fit, by published keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfit {
    /// A reason for the whole file, where one is likely.
    pub likely: Option<String>,
    /// Tensors of other sizes, with both.
    pub misshapen: Vec<String>,
    /// Keys that the file lacks.
    pub missing: Vec<String>,
    /// Keys that the model lacks.
    pub unexpected: Vec<String>,
}

impl Misfit {
    /// Compares the keys and shapes of `file` with a model's parameters; `None` when they are the same.
    pub fn find(file: &Checkpoint, wanted: &[Parameter]) -> Option<Self> {
        let mut left: HashMap<&str, &Parameter> = wanted.iter().map(|one| (one.key.as_str(), one)).collect();
        let mut found = Self::default();
        for key in file.keys() {
            let shape = file.shape(key).unwrap_or_default();
            match left.remove(key) {
                None => found.unexpected.push(key.to_owned()),
                Some(one) if one.shape != shape => {
                    found.misshapen.push(format!("{key} is {shape:?}, the model wants {:?}", one.shape));
                }
                Some(_) => {}
            }
        }
        found.missing = left.into_keys().map(str::to_owned).collect();
        found.missing.sort();
        (found != Self::default()).then_some(found)
    }

    /// One line for each key.
    pub fn lines(&self) -> Vec<String> {
        let kinds = self.kinds();
        kinds.iter().flat_map(|(what, keys)| keys.iter().map(move |key| format!("{what}: {key}"))).collect()
    }

    fn kinds(&self) -> [(&'static str, &[String]); 3] {
        [("wrong shape", &self.misshapen), ("missing", &self.missing), ("unexpected", &self.unexpected)]
    }
}

impl fmt::Display for Misfit {
    /// The first few keys of each kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |(what, keys): (&str, &[String])| {
            let more = keys.len().saturating_sub(LISTED);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = &keys[..keys.len() - more];
            (!keys.is_empty()).then(|| format!("{what}: {}{rest}", shown.join(", ")))
        };
        let parts = self.likely.clone().into_iter().chain(self.kinds().into_iter().filter_map(listed));
        write!(f, "{}", parts.collect::<Vec<_>>().join("; "))
    }
}
