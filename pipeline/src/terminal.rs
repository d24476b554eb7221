//! How much room a reader's terminal has and whether it shows colours. Text that goes to a file or a pipe gets a fixed
//! width and no colours, so that it is the same everywhere.

use console::Term;

/// The room for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
    /// Whether colours are wanted: it is a terminal that has them, and `NO_COLOR` is not set.
    pub colour: bool,
}

impl Screen {
    /// Where nobody watches.
    pub const PLAIN: Self = Self { columns: 100, rows: 50, colour: false };

    /// Where stdout goes.
    #[must_use]
    pub fn stdout() -> Self {
        Self::of(&Term::stdout())
    }

    /// Where stderr goes.
    #[must_use]
    pub fn stderr() -> Self {
        Self::of(&Term::stderr())
    }

    fn of(term: &Term) -> Self {
        if !term.is_term() {
            return Self::PLAIN;
        }
        let (rows, columns) = term.size();
        Self { columns: columns.into(), rows: rows.into(), colour: term.features().colors_supported() }
    }
}
