//! Planes of components to pixels.

use super::frame::Component;
use super::header::Colour;

/// Puts the planes together: grey (1 byte per pixel), RGB (3), or amounts of ink (4: cyan, magenta, yellow, black).
/// `width` and `height` are those of the reduced picture.
pub(super) fn interleave(
    components: &[Component],
    colour: Colour,
    reduction: usize,
    (width, height): (usize, usize),
) -> Vec<u8> {
    let mut pixels = vec![0; width * height * components.len()];
    let most = |factor: fn(&Component) -> usize| components.iter().map(factor).max().unwrap_or(1);
    let unit = (most(|c| c.parameters.h) * 8 / reduction, most(|c| c.parameters.v) * 8 / reduction);
    let mut rows: Vec<Vec<u8>> = components.iter().map(|_| vec![0; width]).collect();
    for (y, out) in pixels.chunks_exact_mut(width * components.len()).enumerate() {
        for (component, row) in components.iter().zip(&mut rows) {
            let n = component.size.pixels();
            let at = y * component.parameters.v * n / unit.1 * component.stride();
            stretch(component.plane.get(at..).unwrap_or_default(), row, component.parameters.h * n, unit.0);
        }
        convert(&rows, colour, out);
    }
    pixels
}

/// Fills a row of which `to` pixels are `from` pixels of the line.
fn stretch(line: &[u8], row: &mut [u8], from: usize, to: usize) {
    if from == to {
        row.iter_mut().zip(line).for_each(|(pixel, value)| *pixel = *value);
    } else if 2 * from == to {
        for (pair, value) in row.chunks_mut(2).zip(line) {
            pair.fill(*value);
        }
    } else {
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = line.get(x * from / to).copied().unwrap_or_default();
        }
    }
}

fn convert(rows: &[Vec<u8>], colour: Colour, out: &mut [u8]) {
    match (colour, rows) {
        (Colour::YCbCr, [y, cb, cr]) => {
            for (i, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *pixel = rgb(y[i], cb[i], cr[i]);
            }
        }
        (Colour::Rgb, [r, g, b]) => {
            for (i, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *pixel = [r[i], g[i], b[i]];
            }
        }
        (Colour::Ycck, [y, cb, cr, k]) => {
            for (i, pixel) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let [c, m, y] = rgb(y[i], cb[i], cr[i]);
                *pixel = [c, m, y, 255 - k[i]];
            }
        }
        (Colour::Cmyk, [c, m, y, k]) => {
            for (i, pixel) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *pixel = [c[i], m[i], y[i], k[i]].map(|stored| 255 - stored);
            }
        }
        (_, rows) => {
            if let [grey, ..] = rows {
                out.copy_from_slice(grey);
            }
        }
    }
}

/// BT.601 with the full range, as JFIF has it, in 16 bits behind the point.
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = ((i32::from(y) << 16) + 32_768, i32::from(cb) - 128, i32::from(cr) - 128);
    let byte = |value: i32| (value >> 16).clamp(0, 255) as u8;
    [byte(y + 91_881 * cr), byte(y - 22_554 * cb - 46_802 * cr), byte(y + 116_130 * cb)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_become_colours() {
        assert_eq!(rgb(128, 128, 128), [128; 3]);
        assert_eq!(rgb(76, 85, 255), [254, 0, 0], "red");
        assert_eq!(rgb(29, 255, 107), [0, 0, 254], "blue");
        assert_eq!(rgb(255, 0, 0), [76, 255, 28], "clamped");
    }

    #[test]
    fn rows_are_stretched_to_the_width() {
        let stretched = |from, to| {
            let mut row = [0; 5];
            stretch(&[1, 2, 3, 4, 5], &mut row, from, to);
            row
        };
        assert_eq!(stretched(8, 8), [1, 2, 3, 4, 5]);
        assert_eq!(stretched(4, 8), [1, 1, 2, 2, 3]);
        assert_eq!(stretched(8, 24), [1, 1, 1, 2, 2]);
    }

    #[test]
    fn ink_is_stored_upside_down() {
        let planes = [vec![255], vec![0], vec![55], vec![100]];
        let mut out = [0; 4];
        convert(&planes, Colour::Cmyk, &mut out);
        assert_eq!(out, [0, 255, 200, 155]);
        convert(&[vec![90], vec![128], vec![128], vec![100]], Colour::Ycck, &mut out);
        assert_eq!(out, [90, 90, 90, 155]);
    }
}
