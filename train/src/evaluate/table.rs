//! A score per row as Parquet: `key`, and for each segment `tokens`, `nats_per_token` and both perplexities.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;

use super::tokens::{RowScore, Segment};
use crate::{Error, Result};

/// Keys and scores of rows, kept until they are written.
#[derive(Clone, Debug, Default)]
pub struct Table {
    keys: Vec<String>,
    scores: Vec<RowScore>,
}

impl Table {
    /// Adds a row.
    pub fn push(&mut self, key: String, score: RowScore) {
        self.keys.push(key);
        self.scores.push(score);
    }

    /// Writes the table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let fault = |error: &dyn std::fmt::Display| Error::data(path, error.to_string());
        let mut columns: Vec<(String, ArrayRef)> =
            vec![("key".to_owned(), Arc::new(StringArray::from_iter_values(&self.keys)))];
        for (place, name) in ["left", "image", "right"].into_iter().enumerate() {
            let of = |value: fn(&Segment) -> f64| -> ArrayRef {
                let values = self.scores.iter().map(|score| score.segments()[place].1.as_ref().map(value));
                Arc::new(values.collect::<Float64Array>())
            };
            let tokens = self.scores.iter().map(|score| score.segments()[place].1.map(|found| found.tokens));
            columns.push((format!("{name}_tokens"), Arc::new(tokens.collect::<UInt64Array>())));
            columns.push((format!("{name}_nats_per_token"), of(Segment::loss)));
            columns.push((format!("{name}_perplexity_exp_of_mean"), of(Segment::perplexity)));
            columns.push((format!("{name}_perplexity_mean_of_exp"), of(Segment::mean_exponential)));
        }
        for (name, count) in [("top_1", 0), ("top_5", 1)] {
            let hits = |score: &RowScore| if count == 0 { score.first } else { score.five };
            let share = |score: &RowScore| Some(hits(score) as f64 / score.image?.tokens as f64);
            let values = self.scores.iter().map(share).collect::<Float64Array>();
            columns.push((format!("code_accuracy_{name}"), Arc::new(values)));
        }
        // Columns of a segment that no row has would be all null.
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().filter(|(_, column)| column.null_count() < column.len().max(1)).map(
                |(name, column)| {
                    let nullable = name != "key";
                    (name, column, nullable)
                },
            ),
        );
        let batch = batch.map_err(|error| fault(&error))?;
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), None).map_err(|error| fault(&error))?;
        writer.write(&batch).map_err(|error| fault(&error))?;
        let bytes = writer.into_inner().map_err(|error| fault(&error))?;
        Ok(pipeline::atomic::write(path, bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Float64Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn segments_without_rows_have_no_columns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.parquet");
        let mut table = Table::default();
        let image = Some(Segment { tokens: 4, nats: 2.0, exponentials: 8.0 });
        table.push("a".to_owned(), RowScore { image, first: 1, five: 3, ..RowScore::default() });
        table.push("b".to_owned(), RowScore::default());
        table.write(&path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        assert_eq!(
            names,
            [
                "key",
                "image_tokens",
                "image_nats_per_token",
                "image_perplexity_exp_of_mean",
                "image_perplexity_mean_of_exp",
                "code_accuracy_top_1",
                "code_accuracy_top_5"
            ]
        );
        let losses = batch.column(2).as_primitive::<Float64Type>();
        assert_eq!((losses.value(0), losses.is_null(1)), (0.5, true));
    }
}
