//! The Fréchet distance between two sets of feature vectors, each taken for a Gaussian.
//!
//! Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", §4; Dowson and Landau 1982.

use faer::{Mat, Side};

use crate::{Error, Result};

/// Mean and covariance of features.
#[derive(Clone, Debug)]
pub struct Gaussian {
    /// `[d]`
    pub mean: Vec<f64>,
    /// `[d, d]`, divided by the number of vectors less one.
    pub covariance: Mat<f64>,
}

/// Gathers mean and covariance in f64 a batch at a time; the batches may be of any size.
#[derive(Clone, Debug)]
pub struct Moments {
    count: usize,
    mean: Vec<f64>,
    /// Sum of the products of what differs from the mean.
    scatter: Mat<f64>,
}

impl Moments {
    /// Of vectors of `dims` numbers.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dims], scatter: Mat::zeros(dims, dims) }
    }

    /// Vectors so far.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Takes more vectors; all have the same length. Two sets are joined as Chan, Golub and LeVeque 1979 do.
    pub fn add(&mut self, rows: &[Vec<f32>]) {
        if rows.is_empty() {
            return;
        }
        let (before, new, dims) = (self.count as f64, rows.len() as f64, self.mean.len());
        let mut mean = vec![0.0; dims];
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value) / new);
        }
        let shift = mean.iter().zip(&self.mean).map(|(new, old)| new - old).collect::<Vec<_>>();
        let between = (before * new / (before + new)).sqrt();
        // The last row is the distance between the two means.
        let centred = Mat::from_fn(rows.len() + 1, dims, |row, column| match rows.get(row) {
            Some(row) => f64::from(row[column]) - mean[column],
            None => shift[column] * between,
        });
        self.scatter += centred.transpose() * &centred;
        self.mean.iter_mut().zip(shift).for_each(|(mean, shift)| *mean += shift * new / (before + new));
        self.count += rows.len();
    }

    /// The Gaussian.
    ///
    /// # Errors
    /// Fewer than two vectors have no covariance.
    pub fn finish(self) -> Result<Gaussian> {
        if self.count < 2 {
            return Err(Error::config(format!("{} pictures: FID needs at least two", self.count)));
        }
        let covariance = self.scatter * faer::Scale(1.0 / (self.count - 1) as f64);
        Ok(Gaussian { mean: self.mean, covariance })
    }
}

/// `|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½)`.
///
/// The trace of the root is that of `(Σ₁^½ Σ₂ Σ₁^½)^½`, which is symmetric: its eigenvalues are real and not negative up to
/// rounding, also where fewer pictures than features leave the covariances singular. There `pytorch-fid`'s root of a
/// matrix that is not symmetric goes astray in the fifth digit.
///
/// # Errors
/// The two have different sizes, or the eigenvalues are not found as when numbers are not finite.
pub fn distance(a: &Gaussian, b: &Gaussian) -> Result<f64> {
    let (n, m) = (a.mean.len(), b.mean.len());
    if n != m {
        return Err(Error::config(format!("statistics of {n} features against {m}: of another network?")));
    }
    let apart: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b) * (a - b)).sum();
    let root = half(&a.covariance)?;
    let product = root.transpose() * &b.covariance * &root;
    let values = product.self_adjoint_eigenvalues(Side::Lower).map_err(|_| unsolved())?;
    let traces = trace(&a.covariance) + trace(&b.covariance);
    let distance = apart + traces - 2.0 * above_noise(&values).map(|(_, value)| value.sqrt()).sum::<f64>();
    if distance.is_finite() { Ok(distance) } else { Err(unsolved()) }
}

/// Columns `u √λ` of the eigenvectors that count: a matrix times its transpose is `matrix` again.
fn half(matrix: &Mat<f64>) -> Result<Mat<f64>> {
    let solved = matrix.self_adjoint_eigen(Side::Lower).map_err(|_| unsolved())?;
    let values = solved.S().column_vector().iter().copied().collect::<Vec<_>>();
    let kept = above_noise(&values).map(|(at, value)| (at, value.sqrt())).collect::<Vec<_>>();
    Ok(Mat::from_fn(matrix.nrows(), kept.len(), |row, column| {
        let (at, root) = kept[column];
        solved.U()[(row, at)] * root
    }))
}

/// The eigenvalues that rounding did not make, with their places.
fn above_noise(values: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let noise = largest * values.len() as f64 * f64::EPSILON;
    values.iter().copied().enumerate().filter(move |(_, value)| *value > noise)
}

fn trace(matrix: &Mat<f64>) -> f64 {
    (0..matrix.nrows()).map(|at| matrix[(at, at)]).sum()
}

fn unsolved() -> Error {
    Error::config("the eigenvalues of the covariances cannot be found: the statistics are not finite")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gaussian(rows: &[Vec<f32>]) -> Gaussian {
        let mut moments = Moments::new(rows[0].len());
        moments.add(rows);
        moments.finish().unwrap()
    }

    fn rows(dims: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
        proptest::collection::vec(proptest::collection::vec(-9.0f32..9.0, dims), 3..12)
    }

    #[test]
    fn known_gaussians_have_the_distance_of_the_formula() {
        let diagonal = |mean: f64, spread: [f64; 2]| Gaussian {
            mean: vec![mean, 0.0],
            covariance: Mat::from_fn(2, 2, |i, j| if i == j { spread[i] } else { 0.0 }),
        };
        // (3 - 1)² + (√4 - √1)² + (√9 - √25)²
        let found = distance(&diagonal(1.0, [4.0, 9.0]), &diagonal(3.0, [1.0, 25.0])).unwrap();
        assert!((found - 9.0).abs() < 1e-12, "{found}");
        let other = Gaussian { mean: vec![0.0], covariance: Mat::zeros(1, 1) };
        assert!(distance(&other, &diagonal(0.0, [1.0, 1.0])).is_err());
    }

    #[test]
    fn one_picture_has_no_covariance() {
        let mut moments = Moments::new(2);
        moments.add(&[vec![1.0, 2.0]]);
        assert!(moments.finish().unwrap_err().to_string().starts_with("1 pictures: "));
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_zero_to_itself(a in rows(5), b in rows(5)) {
            let (a, b) = (gaussian(&a), gaussian(&b));
            let (there, back) = (distance(&a, &b).unwrap(), distance(&b, &a).unwrap());
            prop_assert!((there - back).abs() <= 1e-6 * (1.0 + there), "{there} {back}");
            prop_assert!(distance(&a, &a).unwrap().abs() <= 1e-5);
            prop_assert!(there >= -1e-6);
        }

        #[test]
        fn moments_do_not_depend_on_the_batches(all in rows(4), batch in 1usize..6) {
            let mut moments = Moments::new(4);
            all.chunks(batch).for_each(|rows| moments.add(rows));
            let (found, expected) = (moments.finish().unwrap(), gaussian(&all));
            for i in 0..4 {
                prop_assert!((found.mean[i] - expected.mean[i]).abs() < 1e-9);
                for j in 0..4 {
                    let apart = found.covariance[(i, j)] - expected.covariance[(i, j)];
                    prop_assert!(apart.abs() < 1e-8);
                }
            }
        }
    }
}
