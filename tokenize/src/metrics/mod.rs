//! How good a codec is: PSNR and SSIM of its decodings, and how much of its codebook it uses.

mod ssim;

use serde::Serialize;

pub use ssim::ssim;

/// PSNR given to identical pictures, whose true value is infinite and would swamp every mean.
pub const PSNR_CAP: f64 = 100.0;

/// Mean squared difference of two pictures' samples, in the range [0, 1] (8-bit values divided by 255).
/// `None` where the sizes differ or there is nothing to compare.
pub fn mean_squared_error(a: &[u8], b: &[u8]) -> Option<f64> {
    if a.len() != b.len() || a.is_empty() {
        return None;
    }
    let sum: u64 = a.iter().zip(b).map(|(&x, &y)| u64::from(x.abs_diff(y)).pow(2)).sum();
    Some(sum as f64 / (a.len() as f64 * 255.0 * 255.0))
}

/// Peak signal-to-noise ratio in dB for a peak of 1: −10·log10(mse), at most [`PSNR_CAP`].
pub fn psnr(mse: f64) -> f64 {
    (-10.0 * mse.log10()).min(PSNR_CAP)
}

/// PSNR over many pictures, both ways of averaging that papers use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Psnr {
    images: u64,
    mse_sum: f64,
    psnr_sum: f64,
}

impl Psnr {
    /// Adds a picture by its mean squared error in the range [0, 1].
    pub fn add(&mut self, mse: f64) {
        self.images += 1;
        self.mse_sum += mse;
        self.psnr_sum += psnr(mse);
    }

    /// Pictures added.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// Mean of the pictures' PSNR values in dB; NaN without pictures.
    pub fn mean(&self) -> f64 {
        self.psnr_sum / self.images as f64
    }

    /// PSNR of the mean squared error over all pictures in dB (never above [`Self::mean`]); NaN without pictures.
    pub fn of_mean_error(&self) -> f64 {
        psnr(self.mse_sum / self.images as f64)
    }
}

/// How often each entry of a codebook occurs.
#[derive(Clone, Debug, Default)]
pub struct CodeUsage {
    counts: Vec<u64>,
}

/// [`CodeUsage`] in figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CodeUsageSummary {
    /// Entries of the codebook.
    pub codebook_size: usize,
    /// Entries that occur.
    pub used: usize,
    /// `used` as a fraction of the codebook.
    pub usage: f64,
    /// exp of the entropy (in nats) of the code frequencies: the number of entries that an even use would need.
    pub perplexity: f64,
}

impl CodeUsage {
    /// Nothing counted yet.
    pub fn new(codebook_size: usize) -> Self {
        Self { counts: vec![0; codebook_size] }
    }

    /// Counts codes; those outside the codebook are left out.
    pub fn add(&mut self, codes: &[u16]) {
        for &code in codes {
            if let Some(count) = self.counts.get_mut(usize::from(code)) {
                *count += 1;
            }
        }
    }

    /// Occurrences of each entry.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Usage and perplexity of what was counted.
    pub fn summary(&self) -> CodeUsageSummary {
        let total = self.counts.iter().sum::<u64>() as f64;
        let shares = self.counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / total);
        let entropy: f64 = shares.map(|p| -p * p.ln()).sum();
        let used = self.counts.iter().filter(|&&count| count > 0).count();
        CodeUsageSummary {
            codebook_size: self.counts.len(),
            used,
            usage: if self.counts.is_empty() { 0.0 } else { used as f64 / self.counts.len() as f64 },
            perplexity: if used == 0 { 0.0 } else { entropy.exp() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn psnr_of_a_known_difference() {
        // Every sample off by 51 = 0.2 of the range: mse 0.04, 10·log10(25) = 13.979 dB.
        let mse = mean_squared_error(&[0, 100, 204], &[51, 151, 255]).unwrap();
        assert!(close(mse, 0.04));
        assert!(close(psnr(mse), 13.979_400_086_720_377));
    }

    #[test]
    fn identical_pictures_are_capped_and_different_sizes_have_no_error() {
        assert!(close(psnr(mean_squared_error(&[7; 12], &[7; 12]).unwrap()), PSNR_CAP));
        assert_eq!(mean_squared_error(&[1, 2], &[1]), None);
        assert_eq!(mean_squared_error(&[], &[]), None);
    }

    #[test]
    fn the_two_means_differ_where_pictures_differ() {
        let mut psnr = Psnr::default();
        psnr.add(0.01);
        psnr.add(0.0001);
        assert_eq!(psnr.images(), 2);
        assert!(close(psnr.mean(), 30.0));
        assert!(close(psnr.of_mean_error(), -10.0 * 0.00505_f64.log10()));
    }

    #[test]
    fn even_use_of_half_the_codebook() {
        let mut usage = CodeUsage::new(8);
        usage.add(&[0, 1, 2, 3, 3, 2, 1, 0, 900]);
        let summary = usage.summary();
        assert_eq!((summary.used, summary.codebook_size), (4, 8));
        assert!(close(summary.usage, 0.5) && close(summary.perplexity, 4.0));
    }

    #[test]
    fn nothing_counted_is_zero_and_one_entry_is_one() {
        assert!(close(CodeUsage::new(4).summary().perplexity, 0.0));
        let mut usage = CodeUsage::new(4);
        usage.add(&[2; 10]);
        assert!(close(usage.summary().perplexity, 1.0));
    }
}
