//! Rows in, columns out: all models over a batch, every row by itself, so that neither threads nor neighbours change a
//! number.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Value, json};

use super::column::Taken;
use super::config::{Cosine, ImageInput, ModelConfig, ModelInput, ScoreConfig};
use super::cosine::{cosines, is_vector};
use super::network::{Network, RUNTIME, Sample, digest};
use super::pixels::tensor;
use super::text::Ids;
use crate::pairs::Table;
use crate::picture::JPEG_CODEC;
use crate::unit::digest_file;
use crate::{Error, Result};

/// The outcome of a row for which every model had something to say.
const SCORED: &str = "scored";
/// That of one without a picture, and without a text.
const NO_PICTURE: &str = "no_picture";
const NO_TEXT: &str = "no_text";

/// All models, and what is made of them.
pub(super) struct Scorer {
    models: Vec<Model>,
    cosines: Vec<(String, Cosine)>,
    /// The columns that are stored.
    pub(super) fields: Vec<Field>,
    /// What of the config and of the model files decides the columns.
    pub(super) decides: Value,
    pub(super) threads: ThreadPool,
}

struct Model {
    network: Network,
    source: Source,
    columns: Vec<Taken>,
    batch: usize,
}

/// Where a model's samples come from.
enum Source {
    /// A column of pictures.
    Pictures(String, ImageInput),
    /// A column of texts.
    Texts(String, Box<Ids>),
}

/// The columns of some rows, and what became of each of the rows.
pub(super) struct Scores {
    pub(super) columns: Vec<ArrayRef>,
    pub(super) outcomes: Vec<&'static str>,
}

impl Scorer {
    /// Loads the models; `table` has what goes into them.
    pub(super) fn load(config: &ScoreConfig, table: &Table) -> Result<Self> {
        let threads = ThreadPoolBuilder::new().num_threads(config.run.threads).build();
        let threads = threads.map_err(|_| Error::Lost { what: "the threads" })?;
        let mut models = Vec::new();
        for (name, model) in &config.models {
            models.push(Model::load(name, model, table, threads.current_num_threads())?);
        }
        let stored = models.iter().flat_map(|model| &model.columns).filter(|taken| taken.column.store);
        let mut fields: Vec<Field> = stored.map(Taken::field).collect();
        for (name, cosine) in &config.cosine {
            for of in &cosine.of {
                let made = models.iter().flat_map(|model| &model.columns).any(|taken| taken.is_vector(of));
                let there =
                    table.schema().field_with_name(of).is_ok_and(|field| is_vector(field.data_type()));
                if !made && !there {
                    let message =
                        format!("`{of}` is no column of vectors, neither of a model nor of the table");
                    return Err(Error::config(format!("cosine.{name}.of"), message));
                }
            }
            fields.push(Field::new(name, DataType::Float32, true));
        }
        let cosines = config.cosine.iter().map(|(name, cosine)| (name.clone(), cosine.clone())).collect();
        Ok(Self { models, cosines, fields, decides: decides(config)?, threads })
    }

    /// Scores rows of the table.
    pub(super) fn score(&self, batch: &RecordBatch) -> Result<Scores> {
        let mut outcomes = vec![SCORED; batch.num_rows()];
        let mut made: Vec<(&Taken, ArrayRef)> = Vec::new();
        for model in &self.models {
            let (columns, failures) = self.threads.install(|| model.score(batch))?;
            made.extend(model.columns.iter().zip(columns));
            for (row, failure) in failures {
                if outcomes[row] == SCORED {
                    outcomes[row] = failure;
                }
            }
        }
        let find = |name: &String| {
            let own = made.iter().find(|(taken, _)| taken.column.name == *name).map(|(_, column)| column);
            own.or_else(|| batch.column_by_name(name))
        };
        let cosine = |(name, cosine): &(String, Cosine)| {
            let [a, b] = &cosine.of;
            let vectors = find(a).zip(find(b)).and_then(|(a, b)| cosines(a, b));
            let none = || Error::config(format!("cosine.{name}.of"), "no columns of vectors");
            Ok(Arc::new(vectors.ok_or_else(none)?) as ArrayRef)
        };
        let compared: Vec<ArrayRef> = self.cosines.iter().map(cosine).collect::<Result<_>>()?;
        let stored =
            made.iter().filter(|(taken, _)| taken.column.store).map(|(_, column)| ArrayRef::clone(column));
        Ok(Scores { columns: stored.chain(compared).collect(), outcomes })
    }
}

/// Numbers of rows, and why the model has nothing to say of them.
type Failures = Vec<(usize, &'static str)>;

impl Model {
    fn load(name: &str, config: &ModelConfig, table: &Table, threads: usize) -> Result<Self> {
        let input = config.input(name)?;
        let network = Network::load(&config.path, &input, config.batch, threads)?;
        let source = match input {
            ModelInput::Image(image) => {
                let missing =
                    || Error::input(table.display(0), format!("has no pictures, which model `{name}` wants"));
                Source::Pictures(table.image_column().ok_or_else(missing)?.to_owned(), image)
            }
            ModelInput::Text(text) => {
                require(table.schema(), &text.column, name)?;
                Source::Texts(text.column.clone(), Box::new(Ids::load(&text)?))
            }
        };
        let columns = config.columns(name)?.into_iter().map(|column| Taken::of(column, name, &network));
        Ok(Self { columns: columns.collect::<Result<_>>()?, network, source, batch: config.batch })
    }

    /// The columns of the model; null where a row has nothing for it.
    fn score(&self, batch: &RecordBatch) -> Result<(Vec<ArrayRef>, Failures)> {
        let mut samples = Vec::new();
        let (mut rows, mut failures) = (Vec::new(), Failures::new());
        for (row, sample) in self.samples(batch).into_iter().enumerate() {
            match sample {
                Ok(sample) => {
                    rows.push(row);
                    samples.push(sample);
                }
                Err(failure) => failures.push((row, failure)),
            }
        }
        let run = |samples: &[Sample]| self.network.run(samples);
        let runs: Vec<Vec<Vec<f32>>> =
            samples.par_chunks(self.batch).map(run).collect::<Vec<_>>().into_iter().collect::<Result<_>>()?;
        let column = |taken: &Taken| {
            let length = self.network.outputs[taken.output].1;
            let values = runs.iter().flat_map(|outputs| outputs[taken.output].chunks(length));
            taken.array(batch.num_rows(), rows.iter().copied().zip(values))
        };
        Ok((self.columns.iter().map(column).collect(), failures))
    }

    /// Row by row what goes into the model, or why there is nothing.
    fn samples(&self, batch: &RecordBatch) -> Vec<Result<Sample, &'static str>> {
        let column =
            |name: &str, kind| batch.column_by_name(name).and_then(|column| cast(column, &kind).ok());
        match &self.source {
            Source::Pictures(name, input) => {
                let pictures = column(name, DataType::Binary);
                let pictures = pictures.as_ref().and_then(|pictures| pictures.as_binary_opt::<i32>());
                let sample = |row: usize| match pictures.filter(|pictures| pictures.is_valid(row)) {
                    Some(pictures) => match tensor(pictures.value(row), input) {
                        Ok(pixels) => Ok(Sample::Pixels(pixels)),
                        Err(reason) => Err(reason.code()),
                    },
                    None => Err(NO_PICTURE),
                };
                (0..batch.num_rows()).into_par_iter().map(sample).collect()
            }
            Source::Texts(name, ids) => {
                let texts = column(name, DataType::Utf8);
                let texts: Option<&StringArray> =
                    texts.as_ref().and_then(|texts| texts.as_string_opt::<i32>());
                let text = |row| texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row));
                let sample = |row: usize| text(row).and_then(|text| ids.sample(text)).ok_or(NO_TEXT);
                (0..batch.num_rows()).into_par_iter().map(sample).collect()
            }
        }
    }
}

fn require(schema: &Schema, column: &str, model: &str) -> Result<()> {
    match schema.column_with_name(column) {
        Some(_) => Ok(()),
        None => {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let message = format!("no column `{column}`; there are: {}", names.join(", "));
            Err(Error::config(format!("models.{model}.text.column"), message))
        }
    }
}

/// Where files lie decides nothing, their content does.
fn decides(config: &ScoreConfig) -> Result<Value> {
    let mut models = serde_json::Map::new();
    for (name, model) in &config.models {
        let (mut input, mut tokenizer) = (model.input(name)?, None);
        if let ModelInput::Text(text) = &mut input {
            tokenizer = Some(digest_file(text.tokenizer.as_ref())?);
            text.tokenizer.clear();
        }
        let decides = json!({
            "sha256": digest(&model.path)?, "input": input, "tokenizer": tokenizer,
            "columns": model.columns(name)?, "batch": model.batch,
        });
        models.insert(name.clone(), decides);
    }
    Ok(json!({"runtime": RUNTIME, "jpeg_codec": JPEG_CODEC, "models": models, "cosine": config.cosine}))
}
