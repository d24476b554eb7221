//! Structural similarity (Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility to
//! structural similarity"), with the paper's constants.

use pipeline::picture::Picture;

/// Taps of the Gaussian window, whose standard deviation is 1.5 pixels.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// `(K1·L)²` and `(K2·L)²` with K1 = 0.01, K2 = 0.03 and L = 255.
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// Mean SSIM of two pictures over the places where the whole window fits, each colour for itself, then the mean of the
/// three; 1 for equal pictures. It is scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
/// use_sample_covariance=False, data_range=255`. `None` where the sizes differ or a side is below 11 pixels.
pub fn ssim(a: &Picture, b: &Picture) -> Option<f64> {
    let (width, height) = (a.width() as usize, a.height() as usize);
    if (a.width(), a.height()) != (b.width(), b.height()) || width.min(height) < WINDOW {
        return None;
    }
    let taps = gaussian();
    let colour = |c: usize| {
        let plane = |picture: &Picture| -> Vec<f64> {
            picture.pixels().iter().skip(c).step_by(3).map(|value| f64::from(*value)).collect()
        };
        of_planes(&plane(a), &plane(b), width, &taps)
    };
    Some((0..3).map(colour).sum::<f64>() / 3.0)
}

fn of_planes(x: &[f64], y: &[f64], width: usize, taps: &[f64; WINDOW]) -> f64 {
    let product = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let [mx, my, xx, yy, xy] = [x.to_vec(), y.to_vec(), product(x, x), product(y, y), product(x, y)]
        .map(|plane| blurred(&plane, width, taps));
    let mut sum = 0.0;
    for i in 0..mx.len() {
        let (ux, uy) = (mx[i], my[i]);
        let (vx, vy, vxy) = (xx[i] - ux * ux, yy[i] - uy * uy, xy[i] - ux * uy);
        let above = (2.0 * ux * uy + C1) * (2.0 * vxy + C2);
        sum += above / ((ux * ux + uy * uy + C1) * (vx + vy + C2));
    }
    sum / mx.len() as f64
}

/// The plane under the window, where that fits: 10 pixels narrower and lower.
fn blurred(plane: &[f64], width: usize, taps: &[f64; WINDOW]) -> Vec<f64> {
    let narrow = width + 1 - WINDOW;
    let mix = |line: &[f64]| line.iter().zip(taps).map(|(value, tap)| value * tap).sum::<f64>();
    let rows: Vec<f64> = plane.chunks_exact(width).flat_map(|row| row.windows(WINDOW).map(mix)).collect();
    let mut out = Vec::with_capacity(rows.len());
    for top in 0..rows.len() / narrow + 1 - WINDOW {
        let mut line = vec![0.0; narrow];
        for (row, tap) in rows[top * narrow..].chunks_exact(narrow).zip(taps) {
            line.iter_mut().zip(row).for_each(|(sum, value)| *sum += tap * value);
        }
        out.extend(line);
    }
    out
}

fn gaussian() -> [f64; WINDOW] {
    let weight = |i: usize| (-0.5 * ((i as f64 - 5.0) / SIGMA).powi(2)).exp();
    let weights: [f64; WINDOW] = std::array::from_fn(weight);
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (24, 17);

    fn picture(byte: impl Fn(u32) -> u8) -> Picture {
        Picture::new(SIZE.0, SIZE.1, (0..SIZE.0 * SIZE.1 * 3).map(byte).collect()).unwrap()
    }

    fn noise(k: u32) -> Picture {
        picture(|i| ((i * i * k) ^ (i * 11)).to_le_bytes()[0])
    }

    fn smooth(shift: u32) -> Picture {
        picture(|i| {
            let (x, y, c) = (i / 3 % SIZE.0, i / 3 / SIZE.0, i % 3);
            (x * 7 + y * 5 + c * 40 + shift).to_le_bytes()[0]
        })
    }

    /// The numbers of scikit-image 0.26.0.
    #[test]
    fn it_is_that_of_scikit_image() {
        let cases = [
            (noise(37), noise(41), 0.215_978_316_943_249_3),
            (smooth(0), smooth(9), 0.899_464_388_094_792_3),
            (noise(37), smooth(0), 0.011_863_249_595_126_265),
        ];
        for (a, b, expected) in cases {
            let found = ssim(&a, &b).unwrap();
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
            assert!((ssim(&b, &a).unwrap() - found).abs() < 1e-12);
        }
        assert!((ssim(&noise(3), &noise(3)).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn pictures_without_room_for_the_window_have_none() {
        let flat = |width, height| Picture::filled(width, height, [9; 3]);
        assert_eq!(ssim(&flat(10, 40), &flat(10, 40)), None);
        assert_eq!(ssim(&flat(20, 20), &flat(20, 21)), None);
        assert!(ssim(&flat(11, 11), &flat(11, 11)).is_some());
    }
}
