//! Rows into another order without holding their pictures: one pass over the inputs puts each picture into a [`Spool`] and
//! the rest of the rows into pieces for the shard that they go to; each shard then takes its pieces and its pictures.
//!
//! In memory are [`BUFFER`] bytes of rows without pictures, and those of the shards in progress.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, BinaryBuilder, RecordBatch, UInt32Array, UInt32Builder, UInt64Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::arrange::Arrangement;
use super::source::Source;
use super::spool::{Span, Spool};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::{Error, Result};

/// Bytes of rows that wait to be sorted into pieces: the larger, the fewer and larger the pieces.
const BUFFER: usize = 64 << 20;

/// Which shard a row belongs to: the sides' units are numbered through.
#[derive(Debug)]
pub(super) struct Targets {
    rows_per_unit: u64,
    /// Per side, number of its first unit.
    first: Vec<usize>,
    /// Per unit, whether it is to be made.
    wanted: Vec<bool>,
}

/// A row to be scattered.
struct Target {
    row: u32,
    unit: usize,
    /// Its place in the unit.
    place: u32,
}

/// Rows of a block, those of one unit together.
struct Part {
    rows: RecordBatch,
    units: Vec<(usize, Range<usize>)>,
}

/// The scattered rows.
#[derive(Debug)]
pub(super) struct Scattered {
    spool: Spool,
    /// Per unit.
    pieces: Vec<Vec<Span>>,
    schema: SchemaRef,
    /// Number and type of the column of pictures.
    image: Option<(usize, DataType)>,
}

impl Targets {
    pub(super) fn new(rows_per_unit: u64) -> Self {
        Self { rows_per_unit, first: Vec::new(), wanted: Vec::new() }
    }

    /// Adds a side with so many units of which some are wanted.
    pub(super) fn add(&mut self, units: usize, wanted: impl Iterator<Item = usize>) {
        let first = self.wanted.len();
        self.first.push(first);
        self.wanted.resize(first + units, false);
        wanted.for_each(|unit| self.wanted[first + unit] = true);
    }

    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        !self.wanted.contains(&true)
    }

    /// Number of a side's unit among all.
    pub(super) fn unit(&self, side: usize, unit: usize) -> usize {
        self.first[side] + unit
    }

    fn of(&self, (row, side, place): (u32, usize, u64)) -> Option<Target> {
        let unit = self.unit(side, usize::try_from(place / self.rows_per_unit).ok()?);
        let place = u32::try_from(place % self.rows_per_unit).ok()?;
        self.wanted[unit].then_some(Target { row, unit, place })
    }
}

impl Scattered {
    /// Scatters the rows of all wanted units, on the threads of the pool that this runs in.
    pub(super) fn of(
        source: &Source,
        arrangement: &Arrangement,
        targets: &Targets,
        folder: &Path,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Self> {
        let image = source.image().and_then(|name| source.schema().column_with_name(name));
        let image = image.map(|(index, field)| (index, field.data_type().clone()));
        let scatterer = Scatterer {
            spool: Spool::create(folder)?,
            schema: spooled(source.schema(), image.as_ref()),
            image,
            waiting: Mutex::default(),
            pieces: Mutex::new(vec![Vec::new(); targets.wanted.len()]),
        };
        let blocks = source.blocks().len();
        let done = AtomicUsize::new(0);
        (0..blocks).into_par_iter().try_for_each(|block| {
            interrupt.check()?;
            let rows = arrangement.placed(block).filter_map(|placed| targets.of(placed)).collect();
            scatterer.block(source, block, rows)?;
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            progress.message(format!("setting rows apart: {} %", 100 * done / blocks));
            Ok::<(), Error>(())
        })?;
        scatterer.finish()
    }

    /// The rows of a unit in their order, `step` at a time.
    pub(super) fn unit(
        &self,
        unit: usize,
        step: usize,
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let rows = self.sorted(unit)?;
        for start in (0..rows.num_rows()).step_by(step) {
            each(self.whole(&rows.slice(start, step.min(rows.num_rows() - start)))?)?;
        }
        Ok(())
    }

    /// The rows of a unit without their pictures.
    fn sorted(&self, unit: usize) -> Result<RecordBatch> {
        let mut parts = Vec::new();
        for span in &self.pieces[unit] {
            let bytes = Cursor::new(self.spool.read(*span)?);
            let reader = StreamReader::try_new(bytes, None).map_err(broken)?;
            parts.extend(reader.collect::<Result<Vec<_>, _>>().map_err(broken)?);
        }
        let rows = concat_batches(&self.schema, &parts).map_err(broken)?;
        let mut order = vec![0; rows.num_rows()];
        for (row, place) in (0..).zip(rows.column(0).as_primitive::<UInt32Type>().values()) {
            *order.get_mut(*place as usize).ok_or(LOST)? = row;
        }
        take_record_batch(&rows, &UInt32Array::from(order)).map_err(broken)
    }

    /// Rows as the input had them: their pictures back in the column where they were.
    fn whole(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut fields: Vec<Arc<Field>> = self.schema.fields().to_vec();
        let mut columns = rows.columns().to_vec();
        if let Some((index, kind)) = &self.image {
            let pictures = self.pictures(&columns[1], &columns[2])?;
            let pictures = cast(&pictures, kind).map_err(broken)?;
            columns.insert(index + 3, pictures);
            fields.insert(index + 3, Arc::new(Field::new("", kind.clone(), true)));
            columns.drain(1..3);
            fields.drain(1..3);
        }
        let schema = Arc::new(Schema::new(fields.split_off(1)));
        RecordBatch::try_new(schema, columns.split_off(1)).map_err(broken)
    }

    fn pictures(&self, starts: &ArrayRef, lengths: &ArrayRef) -> Result<ArrayRef> {
        let (starts, lengths) = (starts.as_primitive::<UInt64Type>(), lengths.as_primitive::<UInt32Type>());
        let mut pictures = BinaryBuilder::new();
        for (start, length) in starts.iter().zip(lengths) {
            match start.zip(length) {
                Some((start, length)) => {
                    pictures.append_value(self.spool.read(Span { start, length: u64::from(length) })?);
                }
                None => pictures.append_null(),
            }
        }
        Ok(Arc::new(pictures.finish()))
    }
}

/// The columns of the spool: place; start and length of the picture, where there are pictures; all other columns.
fn spooled(schema: &Schema, image: Option<&(usize, DataType)>) -> SchemaRef {
    let mut fields = vec![Arc::new(Field::new("", DataType::UInt32, false))];
    if image.is_some() {
        fields.push(Arc::new(Field::new("", DataType::UInt64, true)));
        fields.push(Arc::new(Field::new("", DataType::UInt32, true)));
    }
    let others = schema.fields().iter().enumerate().filter(|(i, _)| image.is_none_or(|(at, _)| at != i));
    fields.extend(others.map(|(_, field)| Arc::clone(field)));
    Arc::new(Schema::new(fields))
}

/// Scatters blocks.
struct Scatterer {
    spool: Spool,
    schema: SchemaRef,
    image: Option<(usize, DataType)>,
    /// Parts that are not in pieces yet, and their bytes.
    waiting: Mutex<(Vec<Part>, usize)>,
    pieces: Mutex<Vec<Vec<Span>>>,
}

impl Scatterer {
    fn block(&self, source: &Source, block: usize, mut targets: Vec<Target>) -> Result<()> {
        let rows: Vec<u32> = targets.iter().map(|target| target.row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let (mut parts, mut first) = (Vec::new(), 0);
        source.pick(&source.blocks()[block], &rows, None, |batch| {
            let here = &targets[first..first + batch.num_rows()];
            first += batch.num_rows();
            parts.push(self.slim(&batch, here)?);
            Ok(())
        })?;
        let whole = concat_batches(&self.schema, &parts).map_err(broken)?;
        drop(parts);
        let mut order: Vec<u32> = (0..).take(targets.len()).collect();
        order.sort_by_key(|row| targets[*row as usize].unit);
        let rows = take_record_batch(&whole, &UInt32Array::from(order)).map_err(broken)?;
        targets.sort_by_key(|target| target.unit);
        let mut at = 0;
        let units = targets.chunk_by(|a, b| a.unit == b.unit).map(|same| {
            at += same.len();
            (same[0].unit, at - same.len()..at)
        });
        self.put(Part { units: units.collect(), rows })
    }

    /// A batch with places, and with the pictures in the spool.
    fn slim(&self, batch: &RecordBatch, targets: &[Target]) -> Result<RecordBatch> {
        let places: UInt32Array = targets.iter().map(|target| Some(target.place)).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(places)];
        let mut others = batch.columns().to_vec();
        if let Some((index, _)) = &self.image {
            columns.extend(self.store(&others.remove(*index))?);
        }
        columns.extend(others);
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(broken)
    }

    /// Puts pictures into the spool; gives their starts and lengths.
    fn store(&self, pictures: &ArrayRef) -> Result<[ArrayRef; 2]> {
        let pictures = cast(pictures, &DataType::Binary).map_err(broken)?;
        let pictures = pictures.as_binary::<i32>();
        let bytes = pictures.iter().flatten().collect::<Vec<&[u8]>>().concat();
        let mut next = self.spool.append(&bytes)?;
        let mut lengths = UInt32Builder::new();
        let starts: UInt64Array = pictures
            .iter()
            .map(|picture| {
                let picture = picture?;
                next += picture.len() as u64;
                Some(next - picture.len() as u64)
            })
            .collect();
        for picture in pictures {
            lengths.append_option(picture.map(|picture| u32::try_from(picture.len()).unwrap_or(u32::MAX)));
        }
        Ok([Arc::new(starts), Arc::new(lengths.finish())])
    }

    fn put(&self, part: Part) -> Result<()> {
        let full = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.1 += part.rows.get_array_memory_size();
            waiting.0.push(part);
            match waiting.1 > BUFFER {
                true => std::mem::take(&mut *waiting).0,
                false => Vec::new(),
            }
        };
        self.cut(&full)
    }

    /// Sorts parts into pieces, one per unit.
    fn cut(&self, parts: &[Part]) -> Result<()> {
        let mut units: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
        for (part, (unit, range)) in
            parts.iter().flat_map(|part| part.units.iter().map(move |unit| (part, unit)))
        {
            units.entry(*unit).or_default().push(part.rows.slice(range.start, range.len()));
        }
        for (unit, rows) in units {
            let rows = concat_batches(&self.schema, &rows).map_err(broken)?;
            let mut writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(broken)?;
            writer.write(&rows).map_err(broken)?;
            let bytes = writer.into_inner().map_err(broken)?;
            let span = Span { start: self.spool.append(&bytes)?, length: bytes.len() as u64 };
            self.pieces.lock().unwrap_or_else(PoisonError::into_inner)[unit].push(span);
        }
        Ok(())
    }

    fn finish(self) -> Result<Scattered> {
        let (parts, _) = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.cut(&parts)?;
        let pieces = self.pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Scattered { spool: self.spool, pieces, schema: self.schema, image: self.image })
    }
}

const LOST: Error = Error::Lost { what: "the new order" };

/// Rows that were read are not understood: no input can bring that about.
fn broken(error: ArrowError) -> Error {
    Error::Write { path: "rows on their way".to_owned(), message: error.to_string() }
}
