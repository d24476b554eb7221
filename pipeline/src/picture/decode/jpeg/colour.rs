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
        convert(&mut rows, colour, out);
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

/// Turns rows of samples into pixels; those of differences are overwritten with colours.
fn convert(rows: &mut [Vec<u8>], colour: Colour, out: &mut [u8]) {
    match rows {
        [grey] => out.copy_from_slice(grey),
        [a, b, c] => {
            if colour == Colour::YCbCr {
                to_rgb(a, b, c);
            }
            let pixels = out.as_chunks_mut::<3>().0.iter_mut();
            for (((pixel, a), b), c) in pixels.zip(&*a).zip(&*b).zip(&*c) {
                *pixel = [*a, *b, *c];
            }
        }
        [a, b, c, k] => {
            if colour == Colour::Ycck {
                to_rgb(a, b, c);
                // These are red, green and blue of the inks, and so 255 minus what the file of a Cmyk would hold.
                [&mut *a, b, c].into_iter().flatten().for_each(|value| *value = 255 - *value);
            }
            let pixels = out.as_chunks_mut::<4>().0.iter_mut();
            for ((((pixel, a), b), c), k) in pixels.zip(&*a).zip(&*b).zip(&*c).zip(&*k) {
                *pixel = [*a, *b, *c, *k].map(|stored| 255 - stored);
            }
        }
        _ => {}
    }
}

/// BT.601 with the full range, as JFIF has it: `y`, `cb` and `cr` become red, green and blue. In 16-bit numbers with 7
/// bits behind the point, of which a vector register holds many.
fn to_rgb(y: &mut [u8], cb: &mut [u8], cr: &mut [u8]) {
    // A fraction of 65,536 of a difference that has been shifted by 7 bits.
    let part = |difference: i16, factor: i16| ((i32::from(difference << 7) * i32::from(factor)) >> 16) as i16;
    let byte = |value: i16| value.clamp(0, 255) as u8;
    for ((y, cb), cr) in y.iter_mut().zip(cb).zip(cr) {
        let (luma, blue, red) = (i16::from(*y), i16::from(*cb) - 128, i16::from(*cr) - 128);
        // 1.402, 0.344136, 1 - 0.714136 and 2 - 1.772.
        *y = byte(luma + red + ((part(red, 26_345) + 64) >> 7));
        let green = luma - red + ((part(red, 18_734) - part(blue, 22_553) + 64) >> 7);
        *cr = byte(luma + 2 * blue + ((64 - part(blue, 14_942)) >> 7));
        *cb = byte(green);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_become_colours() {
        for (y, cb, cr) in (0..=255_u8).step_by(5).flat_map(|y| {
            (0..=255_u8).step_by(3).flat_map(move |cb| (0..=255_u8).step_by(3).map(move |cr| (y, cb, cr)))
        }) {
            let (luma, blue, red) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
            let exact = [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue];
            let mut row = [[y], [cb], [cr]];
            let [y, cb, cr] = &mut row;
            to_rgb(y, cb, cr);
            for ([value], exact) in row.iter().zip(exact) {
                assert!((f64::from(*value) - exact.clamp(0.0, 255.0)).abs() < 0.54, "{row:?} {exact}");
            }
        }
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
        let mut planes = [vec![255], vec![0], vec![55], vec![100]];
        let mut out = [0; 4];
        convert(&mut planes, Colour::Cmyk, &mut out);
        assert_eq!(out, [0, 255, 200, 155]);
        convert(&mut [vec![90], vec![128], vec![128], vec![100]], Colour::Ycck, &mut out);
        assert_eq!(out, [90, 90, 90, 155]);
    }
}
