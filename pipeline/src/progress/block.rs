//! The lines above the progress line, made for the size that the terminal has when somebody looks.

use std::fmt;
use std::sync::OnceLock;

use crate::terminal::Screen;

type Source = Box<dyn Fn(Screen) -> String + Send + Sync>;

/// Lines that are asked for at each drawing.
#[derive(Default)]
pub(super) struct Block(OnceLock<Source>);

impl Block {
    /// From now on `source` is asked; the first one stays.
    pub(super) fn follow(&self, source: Source) {
        drop(self.0.set(source));
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().map_or(Ok(()), |source| f.write_str(&source(Screen::stderr())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_is_asked_each_time() {
        let block = Block::default();
        assert_eq!((block.is_set(), block.to_string()), (false, String::new()));
        block.follow(Box::new(|screen| format!("{} columns", screen.columns.min(1))));
        block.follow(Box::new(|_| "another".to_owned()));
        assert_eq!((block.is_set(), block.to_string()), (true, "1 columns".to_owned()));
    }
}
