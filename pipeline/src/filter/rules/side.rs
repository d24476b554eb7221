//! `side`: the shorter or the longer side of the picture, in pixels.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::{Nulls, Site, Trouble, bad_numbers};
use crate::filter::judge::Catcher;

/// Which of the two sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The shorter one.
    #[default]
    Shorter,
    /// The longer one.
    Longer,
}

/// Keeps pictures whose shorter (or longer) side has between `min` and `max` pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Side {
    /// Which side.
    pub which: Which,
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

impl Side {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let bounds = Bounds::new(self.min, self.max)?;
        let pick = match self.which {
            Which::Shorter => f64::min,
            Which::Longer => f64::max,
        };
        let bad = move |[width, height]: [f64; 2]| !bounds.holds(pick(width, height));
        Ok(bad_numbers(site.sizes(self.columns.as_ref())?, self.nulls, bad))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{caught, numbers};

    #[test]
    fn the_shorter_or_the_longer_side_is_held_against_the_bounds() {
        let table = numbers(&[
            ("width", &[Some(100.0), Some(300.0), Some(200.0), None]),
            ("height", &[Some(300.0), Some(199.0), Some(200.0), Some(400.0)]),
        ]);
        assert_eq!(caught("kind = \"side\"\nmin = 200", &table), [0, 1, 3]);
        assert_eq!(caught("kind = \"side\"\nmin = 200\nnulls = \"keep\"", &table), [0, 1]);
        assert_eq!(
            caught("kind = \"side\"\nwhich = \"longer\"\nmax = 200\nnulls = \"keep\"", &table),
            [0, 1]
        );
    }

    #[test]
    fn sizes_before_resizing_come_first_and_names_beat_both() {
        let table = numbers(&[
            ("original_width", &[Some(500.0)]),
            ("original_height", &[Some(500.0)]),
            ("width", &[Some(64.0)]),
            ("height", &[Some(64.0)]),
        ]);
        assert_eq!(caught("kind = \"side\"\nmin = 200", &table), [0; 0]);
        assert_eq!(caught("kind = \"side\"\nmin = 200\ncolumns = [\"width\", \"height\"]", &table), [0]);
    }
}
