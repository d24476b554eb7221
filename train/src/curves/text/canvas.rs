//! Dots in characters: a braille character holds two columns of four, so that a curve is eight times as fine as text.

/// Bits of a braille character by row, left and right.
const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// The braille character without dots.
const BRAILLE: u32 = 0x2800;
/// Cyan, yellow, magenta, green, blue, red, and the bright ones: eight that are told apart on black and on white.
const COLOURS: [u8; 8] = [36, 33, 35, 32, 34, 31, 96, 95];

/// Text in the colour of a curve.
pub(super) fn coloured(text: &str, curve: usize, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{}m{text}\u{1b}[0m", COLOURS[curve % COLOURS.len()])
    } else {
        text.to_owned()
    }
}

#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    mark: Option<char>,
    /// Whose colour it has: that of the last curve drawn through it.
    curve: usize,
}

/// Characters to draw on.
pub(super) struct Canvas {
    width: usize,
    cells: Vec<Cell>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, cells: vec![Cell::default(); width * height] }
    }

    /// Dots in a row, and in a column.
    pub(super) fn size(&self) -> (usize, usize) {
        (2 * self.width, 4 * self.cells.len() / self.width.max(1))
    }

    /// Sets the dots of a column from one height to another, counted from the top.
    pub(super) fn dots(&mut self, x: usize, from: usize, to: usize, curve: usize) {
        for y in from.min(to)..=from.max(to) {
            if let Some(cell) = self.cell(x / 2, y / 4) {
                cell.dots |= DOTS[y % 4][x % 2];
                cell.curve = curve;
            }
        }
    }

    /// Puts a sign into a character.
    pub(super) fn mark(&mut self, column: usize, row: usize, sign: char, curve: usize) {
        if let Some(cell) = self.cell(column, row) {
            (cell.mark, cell.curve) = (Some(sign), curve);
        }
    }

    fn cell(&mut self, column: usize, row: usize) -> Option<&mut Cell> {
        if column < self.width { self.cells.get_mut(row * self.width + column) } else { None }
    }

    /// The lines of text. Without colours nothing but characters is in them.
    pub(super) fn lines(&self, colour: bool) -> Vec<String> {
        self.cells.chunks(self.width.max(1)).map(|row| line(row, colour)).collect()
    }
}

fn line(row: &[Cell], colour: bool) -> String {
    let sign = |cell: &Cell| match (cell.mark, cell.dots) {
        (Some(mark), _) => mark,
        (None, 0) => ' ',
        (None, dots) => char::from_u32(BRAILLE + u32::from(dots)).unwrap_or(' '),
    };
    let empty = |cell: &Cell| cell.mark.is_none() && cell.dots == 0;
    let same = |a: &Cell, b: &Cell| (a.curve, empty(a)) == (b.curve, empty(b));
    let part = |cells: &[Cell]| {
        let text: String = cells.iter().map(sign).collect();
        match cells.first() {
            Some(first) if !empty(first) => coloured(&text, first.curve, colour),
            _ => text,
        }
    };
    row.chunk_by(same).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_make_braille_and_a_mark_hides_them() {
        let mut canvas = Canvas::new(3, 1);
        assert_eq!(canvas.size(), (6, 4));
        canvas.dots(0, 3, 0, 0);
        canvas.dots(5, 1, 1, 1);
        assert_eq!(canvas.lines(false), ["⡇ ⠐"]);
        canvas.mark(0, 0, '●', 1);
        assert_eq!(canvas.lines(true), ["\u{1b}[33m●\u{1b}[0m \u{1b}[33m⠐\u{1b}[0m"]);
    }

    #[test]
    fn what_lies_outside_is_not_drawn() {
        let mut canvas = Canvas::new(1, 1);
        canvas.dots(2, 0, 9, 0);
        canvas.mark(0, 1, 'x', 0);
        assert_eq!(canvas.lines(false), [" "]);
        assert!(Canvas::new(0, 0).lines(true).is_empty());
    }
}
