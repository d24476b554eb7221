//! The rule of comparison: `|a − b| ≤ abs + rel·|b|` for reals, equality for integers.

use serde::Serialize;

use super::{Array, Case, Outputs, Tolerance, Values};

/// How an output compares with the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Within the tolerance.
    Pass,
    /// Outside the tolerance, another shape, or another type.
    Fail,
}

/// One output of one case.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the case.
    pub case: String,
    /// Name of the output.
    pub output: String,
    /// Largest absolute difference; for integers the number of unequal ones; infinite where shapes or types differ.
    pub difference: f64,
    /// The rule in words.
    pub tolerance: String,
    /// The verdict.
    pub verdict: Verdict,
}

/// Compares every computed output with the stored one of the same name.
///
/// # Errors
/// An output that the case does not hold.
pub fn compare(case: &Case, outputs: &Outputs) -> crate::Result<Vec<Comparison>> {
    let line = |(name, found): (&String, &Array)| {
        let expected = case.tensor(name)?;
        let (difference, pass) = difference(found, expected, case.tolerance);
        let tolerance = match expected.values {
            Values::F32(_) => format!("{:e} + {:e}*|b|", case.tolerance.abs, case.tolerance.rel),
            Values::I64(_) => "equal".to_owned(),
        };
        let verdict = if pass { Verdict::Pass } else { Verdict::Fail };
        Ok(Comparison { case: case.name.clone(), output: name.clone(), difference, tolerance, verdict })
    };
    outputs.iter().map(line).collect()
}

fn difference(found: &Array, expected: &Array, tolerance: Tolerance) -> (f64, bool) {
    if found.shape != expected.shape {
        return (f64::INFINITY, false);
    }
    match (&found.values, &expected.values) {
        (Values::F32(a), Values::F32(b)) if a.len() == b.len() => reals(a, b, tolerance),
        (Values::I64(a), Values::I64(b)) if a.len() == b.len() => {
            let unequal = a.iter().zip(b).filter(|(x, y)| x != y).count();
            (unequal as f64, unequal == 0)
        }
        _ => (f64::INFINITY, false),
    }
}

fn reals(found: &[f32], expected: &[f32], tolerance: Tolerance) -> (f64, bool) {
    let mut largest = 0.0_f64;
    let mut pass = true;
    for (&a, &b) in found.iter().zip(expected) {
        let (a, b) = (f64::from(a), f64::from(b));
        // Equal infinities (masked logits) have no difference; a NaN differs from everything.
        let gap = if a == b { 0.0 } else { (a - b).abs() };
        let gap = if gap.is_nan() { f64::INFINITY } else { gap };
        largest = largest.max(gap);
        pass &= gap == 0.0 || gap <= tolerance.abs + tolerance.rel * b.abs() && b.is_finite();
    }
    (largest, pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Tolerance = Tolerance { abs: 0.1, rel: 0.01 };

    fn array(values: &[f32]) -> Array {
        Array::f32(&[values.len()], values.to_vec())
    }

    #[test]
    fn the_tolerance_grows_with_the_expected_value() {
        assert!(difference(&array(&[101.0]), &array(&[100.0]), RULE).1);
        assert!(!difference(&array(&[1.2]), &array(&[1.0]), RULE).1);
    }

    #[test]
    fn infinities_must_agree_and_nan_never_passes() {
        let inf = f32::INFINITY;
        assert_eq!(difference(&array(&[inf, -inf]), &array(&[inf, -inf]), RULE), (0.0, true));
        assert!(!difference(&array(&[0.0]), &array(&[inf]), RULE).1);
        assert!(!difference(&array(&[inf]), &array(&[0.0]), RULE).1);
        assert!(!difference(&array(&[f32::NAN]), &array(&[0.0]), RULE).1);
        assert!(!difference(&array(&[f32::NAN]), &array(&[f32::NAN]), RULE).1);
    }

    #[test]
    fn integers_are_exact_and_shapes_must_agree() {
        let ids = |values: Vec<i64>| Array::i64(&[values.len()], values);
        assert_eq!(difference(&ids(vec![1, 2, 3]), &ids(vec![1, 5, 4]), RULE), (2.0, false));
        assert_eq!(difference(&ids(vec![1, 2]), &ids(vec![1, 2]), RULE), (0.0, true));
        assert!(!difference(&ids(vec![1]), &ids(vec![1, 2]), RULE).1);
        assert!(!difference(&array(&[1.0]), &ids(vec![1]), RULE).1);
    }
}
