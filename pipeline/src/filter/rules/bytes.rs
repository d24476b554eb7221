//! `bytes`: size of the picture's file, undecoded.

use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, count};
use super::{Nulls, Site, Trouble, bad_numbers};
use crate::crawl::ByteSize;
use crate::filter::judge::Catcher;
use crate::picture::EncodeFormat;

/// Keeps pictures whose file has between `min` and `max` bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bytes {
    /// Bytes that it must have: a number, or "5 kB".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<ByteSize>,
    /// Bytes that it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<ByteSize>,
    /// A column of sizes; by default the pictures in the shard, as they are stored, are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Rows without a size or picture.
    pub nulls: Nulls,
}

impl Bytes {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let bounds = Bounds::new(count(self.min.map(|min| min.0)), count(self.max.map(|max| max.0)))?;
        let size = match &self.column {
            Some(name) => site.columns.number(name)?,
            None => {
                let names = EncodeFormat::ALL.map(EncodeFormat::name);
                let picture = names.into_iter().find(|name| site.columns.field(name).is_some());
                site.columns.length(picture.unwrap_or(names[0]))?
            }
        };
        Ok(bad_numbers([size], self.nulls, move |[bytes]| !bounds.holds(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};

    use crate::filter::rules::testing::caught;

    #[test]
    fn pictures_are_measured_unless_a_column_has_their_sizes() {
        let pictures = [Some(vec![0; 4999]), Some(vec![0; 5000]), None];
        let table = RecordBatch::try_from_iter([
            ("size", Arc::new(Int64Array::from(vec![9000, 10, 10])) as ArrayRef),
            ("png", Arc::new(pictures.into_iter().collect::<BinaryArray>())),
        ]);
        let table = table.unwrap();
        assert_eq!(caught("kind = \"bytes\"\nmin = \"5 kB\"", &table), [0, 2]);
        assert_eq!(caught("kind = \"bytes\"\nmin = 5000\ncolumn = \"size\"", &table), [1, 2]);
    }
}
