//! How often each colour occurs.

/// A colour and the number of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Red, green, blue.
    pub pixel: [u8; 3],
    /// Pixels of this colour.
    pub count: u64,
}

/// Pixels counted by colour; in which order they came is forgotten.
#[derive(Clone, Debug)]
pub struct Palette {
    counts: Vec<u32>,
}

impl Default for Palette {
    fn default() -> Self {
        Self { counts: vec![0; 1 << 24] }
    }
}

impl Palette {
    /// Adds the pixels of RGB bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for &[r, g, b] in bytes.as_chunks::<3>().0 {
            let count = &mut self.counts[u32::from_be_bytes([0, r, g, b]) as usize];
            *count = count.saturating_add(1);
        }
    }

    /// The colours that occur, in rising order.
    pub fn colours(&self) -> Vec<Counted> {
        let found = (0u32..).zip(&self.counts).filter(|(_, count)| **count > 0);
        let counted = |(rgb, count): (u32, &u32)| {
            let [_, r, g, b] = rgb.to_be_bytes();
            Counted { pixel: [r, g, b], count: u64::from(*count) }
        };
        found.map(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_counted_in_the_order_of_colours() {
        let mut palette = Palette::default();
        palette.add(&[9, 8, 7, 0, 0, 1, 9, 8, 7]);
        palette.add(&[0, 0, 1]);
        let expected = [Counted { pixel: [0, 0, 1], count: 2 }, Counted { pixel: [9, 8, 7], count: 2 }];
        assert_eq!(palette.colours(), expected);
        assert!(Palette::default().colours().is_empty());
    }
}
