//! `area`: width times height of the picture, in pixels.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::{Nulls, Site, Trouble, bad_numbers};
use crate::filter::judge::Catcher;

/// Keeps pictures with `min` to `max` pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Area {
    /// Pixels that it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Pixels that it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Columns of width and height; by default those before resizing, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[String; 2]>,
    /// Rows without a size.
    pub nulls: Nulls,
}

impl Area {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let bounds = Bounds::new(self.min, self.max)?;
        let bad = move |[width, height]: [f64; 2]| !bounds.holds(width * height);
        Ok(bad_numbers(site.sizes(self.columns.as_ref())?, self.nulls, bad))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{caught, numbers};

    #[test]
    fn pixels_are_held_against_the_bounds() {
        let table = numbers(&[
            ("width", &[Some(10.0), Some(20.0), Some(30.0), None]),
            ("height", &[Some(10.0), Some(20.0), Some(30.0), Some(1.0)]),
        ]);
        assert_eq!(caught("kind = \"area\"\nmin = 400\nmax = 400", &table), [0, 2, 3]);
    }
}
