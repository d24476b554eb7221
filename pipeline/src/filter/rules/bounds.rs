//! The two ends between which a number must lie.

use super::Trouble;

/// A range of numbers, both ends in it, each of which may be open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    min: f64,
    max: f64,
}

impl Bounds {
    /// # Errors
    /// Neither end given, or none between them.
    pub(super) fn new(min: Option<f64>, max: Option<f64>) -> Result<Self, Trouble> {
        if min.is_none() && max.is_none() {
            return Err(Trouble::Wrong("give min, max or both".to_owned()));
        }
        let bounds = Self { min: min.unwrap_or(f64::NEG_INFINITY), max: max.unwrap_or(f64::INFINITY) };
        match bounds.min <= bounds.max {
            true => Ok(bounds),
            false => Err(Trouble::Wrong(format!("min = {} is above max = {}", bounds.min, bounds.max))),
        }
    }

    /// Whether a number lies between them; no NaN does.
    pub(super) fn holds(self, number: f64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

/// A count as a bound: exact, as no text is that long.
pub(super) fn count(n: Option<u64>) -> Option<f64> {
    n.map(|n| n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_inside_and_nan_is_outside() {
        let bounds = Bounds::new(Some(2.0), Some(3.0)).unwrap();
        assert_eq!(
            [1.9, 2.0, 3.0, 3.1, f64::NAN].map(|n| bounds.holds(n)),
            [false, true, true, false, false]
        );
        assert!(!Bounds::new(Some(2.0), None).unwrap().holds(f64::NAN));
    }

    #[test]
    fn empty_ranges_are_refused() {
        assert!(matches!(Bounds::new(None, None), Err(Trouble::Wrong(_))));
        assert!(
            matches!(Bounds::new(Some(3.0), Some(2.0)), Err(Trouble::Wrong(why)) if why.contains("above"))
        );
        assert!(Bounds::new(Some(f64::NAN), None).is_err());
    }
}
