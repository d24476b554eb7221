//! `aspect`: how many times longer than the other the longer side is.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::{Nulls, Site, Trouble, bad_numbers};
use crate::filter::judge::Catcher;

/// Keeps pictures whose longer side is at most `max` times the shorter one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aspect {
    /// The ratio, 1 for squares alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Columns of width and height; by default those before resizing, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[String; 2]>,
    /// Rows without a size.
    pub nulls: Nulls,
}

impl Aspect {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let bounds = Bounds::new(Some(1.0), self.max)?;
        // A side of 0 gives infinity or NaN, and neither lies between the bounds.
        let ratio = |width: f64, height: f64| width.max(height) / width.min(height);
        let bad = move |[width, height]: [f64; 2]| {
            !ratio(width, height).is_finite() || !bounds.holds(ratio(width, height))
        };
        Ok(bad_numbers(site.sizes(self.columns.as_ref())?, self.nulls, bad))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{caught, numbers, refused};

    #[test]
    fn banners_are_caught_whichever_way_they_lie() {
        let table = numbers(&[
            ("width", &[Some(300.0), Some(301.0), Some(100.0), Some(0.0), None]),
            ("height", &[Some(100.0), Some(100.0), Some(400.0), Some(5.0), Some(1.0)]),
        ]);
        assert_eq!(caught("kind = \"aspect\"\nmax = 3", &table), [1, 2, 3, 4]);
        assert!(refused("kind = \"aspect\"\nmax = 0.5", &table).contains("is above max = 0.5"));
    }
}
