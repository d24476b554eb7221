//! The nearest colour of a palette, exactly: every pixel gets the code that a search through all colours would give it.
//!
//! The cube of RGB bytes is cut into small cells, and each cell keeps the few colours that are nearest to any point of
//! it; a pixel compares only those.

use crate::pixels::Range;

/// Red, green and blue in [-1, 1].
pub type Colour = [f64; 3];

/// Levels per side of a cell.
const CELL: usize = 8;

/// Cells per side of the cube.
const SIDE: usize = 256 / CELL;

/// Squared distances closer than this count as equal when a cell picks its candidates: far more than rounding does.
const MARGIN: f64 = 1e-9;

/// A palette with its cells.
#[derive(Clone, Debug)]
pub struct Nearest {
    colours: Vec<Colour>,
    /// `|colour|²`.
    squares: Vec<f64>,
    /// What the 256 bytes stand for.
    numbers: Vec<f32>,
    /// Where the candidates of each cell lie in `candidates`.
    cells: Vec<std::ops::Range<usize>>,
    /// Indices into `colours`, rising within a cell.
    candidates: Vec<u16>,
}

impl Nearest {
    /// Cuts the cube for at most 65,536 colours.
    pub fn new(colours: &[Colour]) -> Self {
        let mut nearest = Self {
            squares: colours.iter().map(|[r, g, b]| r * r + g * g + b * b).collect(),
            colours: colours.to_vec(),
            numbers: (0..=u8::MAX).map(|byte| Range::MinusOneOne.number(byte)).collect(),
            cells: vec![0..0; SIDE * SIDE * SIDE],
            candidates: Vec::new(),
        };
        let all: Vec<u16> = (0..=u16::MAX).take(colours.len()).collect();
        nearest.cut([0; 3], 256, &all);
        nearest
    }

    /// The colours.
    pub fn colours(&self) -> &[Colour] {
        &self.colours
    }

    /// What a pixel's bytes stand for.
    pub fn numbers(&self, pixel: [u8; 3]) -> [f32; 3] {
        pixel.map(|byte| self.numbers[usize::from(byte)])
    }

    /// Index of the nearest colour; of equally near ones the first.
    ///
    /// In the arithmetic of Hugging Face's `color_quantize`: pixels and their squared length in f32, the rest in f64,
    /// as `|x|² − 2·x·c + |c|²`.
    #[inline]
    pub fn code(&self, pixel: [u8; 3]) -> u16 {
        let [r, g, b] = pixel.map(|byte| usize::from(byte) / CELL);
        let cell = self.cells[(r * SIDE + g) * SIDE + b].clone();
        let [x, y, z] = self.numbers(pixel);
        let square = f64::from(x * x + y * y + z * z);
        let [x, y, z] = [x, y, z].map(f64::from);
        let mut best = (f64::INFINITY, 0);
        for &code in &self.candidates[cell] {
            let [r, g, b] = self.colours[usize::from(code)];
            let distance = square - 2.0 * (x * r + y * g + z * b) + self.squares[usize::from(code)];
            if distance < best.0 {
                best = (distance, code);
            }
        }
        best.1
    }

    /// Squared distance of a pixel to one of the colours.
    pub fn distance(&self, pixel: [u8; 3], code: u16) -> f64 {
        let numbers = self.numbers(pixel);
        let colour = self.colours[usize::from(code)];
        (0..3).map(|axis| (f64::from(numbers[axis]) - colour[axis]).powi(2)).sum()
    }

    /// Halves a cube of `side` levels until it is a cell; a part never has candidates that the whole has not.
    fn cut(&mut self, corner: [usize; 3], side: usize, candidates: &[u16]) {
        let kept = self.reachable(corner, side, candidates);
        if side == CELL {
            let [r, g, b] = corner.map(|level| level / CELL);
            let start = self.candidates.len();
            self.candidates.extend(kept);
            self.cells[(r * SIDE + g) * SIDE + b] = start..self.candidates.len();
            return;
        }
        let half = side / 2;
        for octant in 0..8 {
            let [r, g, b] = corner;
            let part = [r + half * (octant & 1), g + half * (octant >> 1 & 1), b + half * (octant >> 2)];
            self.cut(part, half, &kept);
        }
    }

    /// The candidates that are nearest to some point of a cube: those that come as near as the farthest corner of the
    /// cube is from the candidate for which that corner is nearest.
    fn reachable(&self, corner: [usize; 3], side: usize, candidates: &[u16]) -> Vec<u16> {
        let ends = |axis: usize| {
            let number = |level: usize| f64::from(self.numbers[level]);
            (number(corner[axis]), number(corner[axis] + side - 1))
        };
        let ends = [ends(0), ends(1), ends(2)];
        let distances = |code: &u16| {
            let colour = &self.colours[usize::from(*code)];
            colour.iter().zip(&ends).fold((0.0, 0.0), |(near, far), (c, (low, high))| {
                let outside = (low - c).max(c - high).max(0.0);
                let across = (c - low).abs().max((high - c).abs());
                (near + outside * outside, far + across * across)
            })
        };
        let reach = candidates.iter().map(|code| distances(code).1).fold(f64::INFINITY, f64::min);
        candidates.iter().filter(|code| distances(code).0 <= reach + MARGIN).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hugging Face's `color_quantize`, one pixel at a time.
    fn search(colours: &[Colour], pixel: [u8; 3]) -> u16 {
        let x = pixel.map(|byte| (f64::from(byte) * (1.0 / 127.5)) as f32 - 1.0);
        let a2 = f64::from(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
        let distance = |c: &Colour| {
            let b2 = c[0] * c[0] + c[1] * c[1] + c[2] * c[2];
            a2 - 2.0 * (f64::from(x[0]) * c[0] + f64::from(x[1]) * c[1] + f64::from(x[2]) * c[2]) + b2
        };
        let mut best = 0;
        for (i, colour) in colours.iter().enumerate() {
            if distance(colour) < distance(&colours[best]) {
                best = i;
            }
        }
        u16::try_from(best).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn codes_are_those_of_a_full_search(
            colours in prop::collection::vec(prop::array::uniform3(-1.1f64..1.1), 1..80),
            twice in any::<prop::sample::Index>(),
            pixels in prop::collection::vec(any::<[u8; 3]>(), 60),
        ) {
            // A colour that is there twice: the first one is taken.
            let mut colours = colours;
            colours.push(colours[twice.index(colours.len())]);
            // Levels of bytes make pixels that lie exactly between two colours.
            let snapped: Vec<Colour> = colours.iter().map(|c| c.map(|v| (v * 8.0).round() / 8.0)).collect();
            for palette in [colours, snapped] {
                let nearest = Nearest::new(&palette);
                for &pixel in pixels.iter().chain(&[[0; 3], [255; 3], [127, 128, 127], [7, 8, 248]]) {
                    prop_assert_eq!(nearest.code(pixel), search(&palette, pixel));
                }
            }
        }
    }

    #[test]
    fn a_palette_of_one_or_far_outside_has_a_nearest_too() {
        assert_eq!(Nearest::new(&[[0.0; 3]]).code([1, 2, 3]), 0);
        let far = Nearest::new(&[[-40.0, 0.0, 0.0], [30.0, 0.0, 0.0]]);
        assert_eq!(far.code([255, 0, 0]), 1);
        assert!((far.distance([255, 255, 0], 1) - (29.0 * 29.0 + 1.0 + 1.0)).abs() < 1e-9);
    }
}
