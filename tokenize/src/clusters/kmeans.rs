//! k-means over colours (Lloyd 1982): the palette that ImageGPT's 9-bit colours come from, for any pictures.
//!
//! The published clusters were fitted to ImageNet (Chen et al. 2020, section 3.3) by a script that is not published.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::nearest::{Colour, Nearest};
use super::palette::Counted;
use super::seeding;
use crate::{Error, Result};

/// Colours per piece of parallel work: sums of reals are added piece by piece, so that threads do not change them.
const CHUNK: usize = 4096;

/// How a palette is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KMeansConfig {
    /// Number of clusters (ImageGPT: 512).
    pub size: usize,
    /// Draws the first centres.
    pub seed: u64,
    /// Most times that the centres move.
    pub iterations: usize,
    /// Stops where a move lessens the error by no more than this part of it.
    pub tolerance: f64,
}

impl Default for KMeansConfig {
    fn default() -> Self {
        Self { size: 512, seed: 0, iterations: 100, tolerance: 1e-4 }
    }
}

/// A fitted palette.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// The centres; each is an f32.
    pub centres: Vec<Colour>,
    /// Mean squared distance of a pixel to its centre, before each move of the centres and after the last.
    pub errors: Vec<f64>,
}

impl KMeans {
    /// Root of the mean squared error of a colour value, in levels of a byte.
    pub fn rmse(&self) -> f64 {
        (self.errors.last().copied().unwrap_or(0.0) / 3.0).sqrt() * 127.5
    }

    /// Peak signal-to-noise ratio of the quantised pixels, in dB.
    pub fn psnr(&self) -> f64 {
        20.0 * (255.0 / self.rmse()).log10()
    }
}

/// Fits a palette to counted colours: seeded, and the same for any number of threads.
///
/// # Errors
/// Fewer colours than clusters, or more clusters than a code can name.
pub fn kmeans(colours: &[Counted], config: &KMeansConfig) -> Result<KMeans> {
    check(colours, config)?;
    let first = seeding::centres(colours, config.size, config.seed);
    let mut nearest =
        Nearest::new(&first.iter().map(|pixel| mean(pixel.map(u64::from), 1)).collect::<Vec<_>>());
    let mut errors: Vec<f64> = Vec::new();
    loop {
        let assigned = assign(colours, &nearest);
        let pixels: u64 = colours.iter().map(|colour| colour.count).sum();
        let error = assigned.error / pixels as f64;
        let settled = errors.last().is_some_and(|before| before - error <= config.tolerance * before);
        errors.push(error);
        if settled || errors.len() > config.iterations {
            return Ok(KMeans { centres: nearest.colours().to_vec(), errors });
        }
        nearest = Nearest::new(&moved(colours, &nearest, &assigned));
    }
}

fn check(colours: &[Counted], config: &KMeansConfig) -> Result<()> {
    let refuse = |key: &str, why: String| Err(Error::Config { key: key.to_owned(), why });
    if config.size == 0 || config.size > usize::from(u16::MAX) + 1 {
        return refuse("size", format!("{} clusters; a code names 1 to 65536", config.size));
    }
    if colours.len() < config.size {
        let why = format!("{} clusters for pictures of {} colours in all", config.size, colours.len());
        return refuse("size", why);
    }
    if config.tolerance.is_nan() || config.tolerance < 0.0 {
        return refuse("tolerance", "must be 0 or more".to_owned());
    }
    Ok(())
}

/// The pixels of each centre.
struct Assigned {
    /// Per centre: sums of red, green and blue bytes, and pixels.
    sums: Vec<[u64; 4]>,
    /// Squared distance over all pixels.
    error: f64,
}

/// Gives every colour to its nearest centre. Sums of bytes are exact; errors are added chunk by chunk.
fn assign(colours: &[Counted], nearest: &Nearest) -> Assigned {
    let empty = || vec![[0u64; 4]; nearest.colours().len()];
    let parts: Vec<Assigned> = colours
        .par_chunks(CHUNK)
        .map(|colours| {
            let mut part = Assigned { sums: empty(), error: 0.0 };
            for &Counted { pixel, count } in colours {
                let code = nearest.code(pixel);
                let [r, g, b] = pixel.map(|byte| u64::from(byte) * count);
                add(&mut part.sums[usize::from(code)], [r, g, b, count]);
                part.error += nearest.distance(pixel, code) * count as f64;
            }
            part
        })
        .collect();
    parts.into_iter().fold(Assigned { sums: empty(), error: 0.0 }, |mut all, part| {
        all.sums.iter_mut().zip(part.sums).for_each(|(all, part)| add(all, part));
        all.error += part.error;
        all
    })
}

fn add(sums: &mut [u64; 4], more: [u64; 4]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// The mean of bytes in [-1, 1], as an f32.
fn mean(sums: [u64; 3], pixels: u64) -> Colour {
    sums.map(|sum| f64::from((sum as f64 / (127.5 * pixels as f64) - 1.0) as f32))
}

/// The means of the pixels; a centre without any goes to the colour that adds most to the error.
fn moved(colours: &[Counted], nearest: &Nearest, assigned: &Assigned) -> Vec<Colour> {
    let mut centres = Vec::with_capacity(assigned.sums.len());
    let mut worst = None;
    for &[r, g, b, pixels] in &assigned.sums {
        let centre = if pixels > 0 {
            mean([r, g, b], pixels)
        } else {
            let worst = worst.get_or_insert_with(|| by_error(colours, nearest).into_iter());
            worst.next().map_or([0.0; 3], |pixel| mean(pixel.map(u64::from), 1))
        };
        centres.push(centre);
    }
    centres
}

/// Colours from the one that adds most to the error; equal ones in their own order.
fn by_error(colours: &[Counted], nearest: &Nearest) -> Vec<[u8; 3]> {
    let error =
        |colour: &Counted| nearest.distance(colour.pixel, nearest.code(colour.pixel)) * colour.count as f64;
    let mut ranked: Vec<(f64, [u8; 3])> =
        colours.iter().map(|colour| (error(colour), colour.pixel)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().map(|(_, pixel)| pixel).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::palette::Palette;
    use super::*;

    fn colours(pixels: &[[u8; 3]]) -> Vec<Counted> {
        let mut palette = Palette::default();
        palette.add(pixels.as_flattened());
        palette.colours()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_error_never_rises_and_every_colour_is_with_its_nearest_centre(
            pixels in prop::collection::vec(any::<[u8; 3]>(), 40..400),
            size in 1usize..12,
            seed: u64,
        ) {
            let colours = colours(&pixels);
            let config = KMeansConfig { size, seed, tolerance: 0.0, ..KMeansConfig::default() };
            let fit = kmeans(&colours, &config).unwrap();
            for pair in fit.errors.windows(2) {
                prop_assert!(pair[1] <= pair[0] * (1.0 + 1e-9), "{:?}", fit.errors);
            }
            // The stored error is that of the stored centres, found without cells.
            let all = |pixel: [u8; 3]| {
                let x = pixel.map(|byte| f64::from(byte) / 127.5 - 1.0);
                let distance = |c: &Colour| x.iter().zip(c).map(|(x, c)| (x - c).powi(2)).sum::<f64>();
                fit.centres.iter().map(distance).fold(f64::INFINITY, f64::min)
            };
            let mean = pixels.iter().map(|pixel| all(*pixel)).sum::<f64>() / pixels.len() as f64;
            prop_assert!((mean - fit.errors.last().unwrap()).abs() < 1e-6);
            prop_assert_eq!(kmeans(&colours, &config).unwrap(), fit);
        }
    }

    #[test]
    fn neither_threads_nor_the_order_of_pixels_change_a_bit() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let mut pixels: Vec<[u8; 3]> = (0..30_000).map(|_| [next(), next(), next()]).collect();
        let config = KMeansConfig { size: 24, seed: 3, iterations: 6, ..KMeansConfig::default() };
        let fit = |pixels: &[[u8; 3]], threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| kmeans(&colours(pixels), &config).unwrap())
        };
        let one = fit(&pixels, 1);
        pixels.reverse();
        assert_eq!(fit(&pixels, 4), one);
        let other = KMeansConfig { seed: 4, ..config };
        assert_ne!(kmeans(&colours(&pixels), &other).unwrap(), one);
    }

    #[test]
    fn as_many_clusters_as_colours_leave_no_error() {
        let pixels = [[0, 0, 0], [255, 0, 0], [255, 0, 0], [3, 200, 90]];
        let fit = kmeans(&colours(&pixels), &KMeansConfig { size: 3, ..KMeansConfig::default() }).unwrap();
        assert!(fit.errors.last().unwrap() < &1e-12 && fit.rmse() < 1e-3 && fit.psnr() > 100.0, "{fit:?}");
        let fault = |size| {
            let config = KMeansConfig { size, ..KMeansConfig::default() };
            kmeans(&colours(&pixels), &config).unwrap_err().to_string()
        };
        assert_eq!(fault(4), "size: 4 clusters for pictures of 3 colours in all");
        assert_eq!(fault(0), "size: 0 clusters; a code names 1 to 65536");
    }

    #[test]
    fn a_centre_without_pixels_goes_to_the_worst_colour() {
        let colours = colours(&[[0; 3], [0; 3], [10, 0, 0], [255, 255, 255]]);
        // The second centre is nobody's.
        let nearest = Nearest::new(&[[-1.0; 3], [-9.0; 3]]);
        let assigned = assign(&colours, &nearest);
        assert_eq!(assigned.sums, [[265, 255, 255, 4], [0; 4]]);
        let centres = moved(&colours, &nearest, &assigned);
        assert_eq!(centres[1], [1.0; 3]);
        let error = assign(&colours, &Nearest::new(&centres)).error;
        assert!(error < assigned.error, "{error} {}", assigned.error);
    }
}
