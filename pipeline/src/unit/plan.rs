//! The plan: config and input listing cut into units, under an id that is the hash of what decides the output.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hex;
use crate::store::Store;
use crate::{Error, Result};

/// Name of the plan in an output folder.
pub(super) const PLAN: &str = "plan.json";
/// Files up to this size are hashed whole, larger ones in parts.
const WHOLE: u64 = 64 << 20;
/// How much of each end of a large file is hashed.
const END: u64 = 1 << 20;
/// How many blocks between the ends, and of which size.
const BLOCKS: u64 = 8;
const BLOCK: u64 = 64 << 10;

/// One input file as the plan sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Where it lies (no part of the plan id: data may move).
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Hash of its content, see [`digest_file`].
    pub digest: String,
    /// For text files: the byte at which each unit of this file begins; empty for Parquet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offsets: Vec<u64>,
}

/// A piece of work: a row range of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Number in the plan, from 0.
    pub index: usize,
    /// The input file.
    pub file: String,
    /// First row in that file.
    pub start: u64,
    /// Number of rows.
    pub rows: u64,
    /// Byte of the first row, for text files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// What is to be done, and the hash that says whether two runs do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this file.
    pub version: u32,
    /// What is written, for example `pairs/1`.
    pub format: String,
    /// Hash of `format`, `config`, `rows_per_unit` and the content of the inputs.
    pub plan_id: String,
    /// The part of the config that decides the output.
    pub config: serde_json::Value,
    /// Rows in a unit; the last of a file has fewer.
    pub rows_per_unit: u64,
    /// Digits of a unit's number in file names.
    #[serde(default = "five", skip_serializing_if = "is_five")]
    pub digits: usize,
    /// The input listing.
    pub inputs: Vec<InputFile>,
    /// The units in input order.
    pub units: Vec<Unit>,
}

impl Plan {
    /// Cuts `inputs` into units of at most `rows_per_unit` rows; no unit spans two files.
    ///
    /// # Errors
    /// [`Error::Input`] when there is not a single row.
    pub fn new(
        format: &str,
        config: &impl Serialize,
        inputs: Vec<InputFile>,
        rows_per_unit: u64,
    ) -> Result<Self> {
        if inputs.iter().all(|input| input.rows == 0) {
            let names: Vec<_> = inputs.iter().map(|input| input.path.as_str()).collect();
            return Err(Error::input(names.join(", "), "the input is empty: not a single row to work on"));
        }
        let config = serde_json::to_value(config).map_err(|e| Error::config("config", e.to_string()))?;
        let rows_per_unit = rows_per_unit.max(1);
        let units = cut(&inputs, rows_per_unit);
        let plan_id = id(format, &config, &inputs, rows_per_unit);
        let (version, format, digits) = (1, format.to_owned(), five());
        Ok(Self { version, format, plan_id, config, rows_per_unit, digits, inputs, units })
    }

    /// Makes every file a unit, whatever its rows.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn per_file(format: &str, config: &impl Serialize, inputs: Vec<InputFile>) -> Result<Self> {
        let longest = inputs.iter().map(|input| input.rows).max().unwrap_or(0);
        Self::new(format, config, inputs, longest)
    }

    /// The same plan with another number of digits in file names. `config` must name it, if it matters to the rows.
    #[must_use]
    pub fn with_digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    /// `00017`: how a unit is numbered in file names.
    pub fn label(&self, unit: usize) -> String {
        format!("{unit:0digits$}", digits = self.digits)
    }

    /// Rows of all units.
    pub fn rows(&self) -> u64 {
        self.units.iter().map(|unit| unit.rows).sum()
    }

    /// Puts the plan into the store, or finds it there.
    ///
    /// # Errors
    /// [`Error::OtherPlan`] when the store holds the work of another plan.
    pub fn settle(&self, store: &Store) -> Result<()> {
        if store.put_if_absent(PLAN, to_json(self)?)? {
            return Ok(());
        }
        let found = Self::load(store)?;
        if found.plan_id == self.plan_id {
            return Ok(());
        }
        Err(Error::OtherPlan {
            location: store.location().to_owned(),
            found: found.plan_id,
            wanted: self.plan_id.clone(),
        })
    }

    /// The plan of an output folder.
    pub fn load(store: &Store) -> Result<Self> {
        let bytes =
            store.get(PLAN)?.ok_or_else(|| Error::NoPlan { location: store.location().to_owned() })?;
        serde_json::from_slice(&bytes).map_err(|e| Error::input(store.display(PLAN), e.to_string()))
    }
}

/// As in img2dataset.
fn five() -> usize {
    5
}

fn is_five(digits: &usize) -> bool {
    *digits == five()
}

/// Pretty JSON with a final newline.
pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::config("json", e.to_string()))?;
    Ok(text + "\n")
}

fn cut(inputs: &[InputFile], rows_per_unit: u64) -> Vec<Unit> {
    let pieces = inputs.iter().flat_map(|input| {
        (0..input.rows.div_ceil(rows_per_unit)).map(move |i| (input, i, i * rows_per_unit))
    });
    pieces
        .enumerate()
        .map(|(index, (input, i, start))| Unit {
            index,
            file: input.path.clone(),
            start,
            rows: rows_per_unit.min(input.rows - start),
            offset: usize::try_from(i).ok().and_then(|i| input.offsets.get(i).copied()),
        })
        .collect()
}

fn id(format: &str, config: &serde_json::Value, inputs: &[InputFile], rows_per_unit: u64) -> String {
    let content: Vec<_> = inputs.iter().map(|input| (input.rows, input.bytes, &input.digest)).collect();
    let decides = serde_json::json!([format, config, content, rows_per_unit]);
    hex(&Sha256::digest(decides.to_string().as_bytes())[..8])
}

/// SHA-256 of a file; of a file over 64 MiB that of its size, its first and last MiB (a Parquet footer lies there, and
/// with it the sizes and statistics of all columns) and eight blocks of 64 KiB between them: a plan over terabytes of
/// links does not read them.
pub fn digest_file(path: &Path) -> Result<String> {
    let digest = || {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        digest_of(&mut file, bytes)
    };
    digest().map_err(|e| Error::io(path, e))
}

/// What [`digest_file`] says, of `bytes` bytes that lie anywhere.
pub fn digest_of(data: &mut (impl Read + Seek), bytes: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    hash.update(bytes.to_le_bytes());
    for (start, length) in sampled(bytes) {
        data.seek(SeekFrom::Start(start))?;
        copy(&mut Read::by_ref(data).take(length), &mut hash)?;
    }
    Ok(hex(&hash.finalize()))
}

/// Start and length of the parts that are hashed.
fn sampled(bytes: u64) -> Vec<(u64, u64)> {
    if bytes <= WHOLE {
        return vec![(0, bytes)];
    }
    let step = (bytes - 2 * END) / (BLOCKS + 1);
    let between = (1..=BLOCKS).map(|i| (END + i * step, BLOCK));
    std::iter::once((0, END)).chain(between).chain([(bytes - END, END)]).collect()
}

fn copy(from: &mut impl Read, hash: &mut Sha256) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Which units this process works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All that are not done, then `finish`.
    #[default]
    All,
    /// A single one, as a cluster asks for.
    One(usize),
}

/// Where array jobs keep the number of the task, in the order of asking.
const INDEX_VARIABLES: [&str; 5] =
    ["UNIT_INDEX", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX", "HQ_TASK_ID"];

impl FromStr for Selection {
    type Err = String;

    /// A number, or `env` for the first of the variables that array jobs set.
    fn from_str(text: &str) -> Result<Self, String> {
        let value = if text == "env" {
            let found = INDEX_VARIABLES.iter().find_map(|name| std::env::var(name).ok());
            found.ok_or_else(|| format!("none of {} is set", INDEX_VARIABLES.join(", ")))?
        } else {
            text.to_owned()
        };
        value.trim().parse().map(Self::One).map_err(|_| format!("`{value}` is no unit number"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input(path: &str, rows: u64) -> InputFile {
        InputFile {
            path: path.into(),
            rows,
            bytes: rows * 10,
            digest: format!("d{rows}"),
            offsets: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn units_cover_every_row_once_in_order(
            rows in proptest::collection::vec(0_u64..50, 1..6), per_unit in 1_u64..20,
        ) {
            prop_assume!(rows.iter().sum::<u64>() > 0);
            let inputs: Vec<_> = rows.iter().enumerate().map(|(i, n)| input(&format!("f{i}"), *n)).collect();
            let plan = Plan::new("pairs/1", &(), inputs.clone(), per_unit).unwrap();
            let covered: Vec<(String, u64)> = plan.units.iter()
                .flat_map(|u| (u.start..u.start + u.rows).map(|row| (u.file.clone(), row)))
                .collect();
            let expected: Vec<(String, u64)> = inputs.iter()
                .flat_map(|f| (0..f.rows).map(|row| (f.path.clone(), row)))
                .collect();
            prop_assert_eq!(covered, expected);
            prop_assert!(plan.units.iter().enumerate().all(|(i, u)| u.index == i && u.rows <= per_unit));
        }
    }

    #[test]
    fn the_id_follows_content_and_config_but_not_the_place() {
        let plan = |path: &str, rows, config: &str, per_unit| {
            Plan::new("pairs/1", &config, vec![input(path, rows)], per_unit).unwrap().plan_id
        };
        let id = plan("a", 5, "x", 2);
        assert_eq!(id, plan("elsewhere/a", 5, "x", 2));
        assert_ne!(id, plan("a", 6, "x", 2));
        assert_ne!(id, plan("a", 5, "y", 2));
        assert_ne!(id, plan("a", 5, "x", 3));
        assert_eq!(id, "6f733e9f8a4a29a0");
    }

    #[test]
    fn an_empty_input_is_an_error() {
        let error = Plan::new("pairs/1", &(), vec![input("links.csv", 0)], 10).unwrap_err();
        assert!(error.to_string().starts_with("links.csv: the input is empty"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn another_plan_in_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let plan = Plan::new("pairs/1", &1, vec![input("a", 5)], 2).unwrap();
        plan.settle(&store).unwrap();
        plan.settle(&store).unwrap();
        assert_eq!(Plan::load(&store).unwrap(), plan);
        let other = Plan::new("pairs/1", &2, vec![input("a", 5)], 2).unwrap();
        let error = other.settle(&store).unwrap_err();
        assert!(error.hint().unwrap().contains("--fresh"));
    }

    #[test]
    fn a_large_file_is_hashed_in_parts_that_cover_it_evenly() {
        assert_eq!(sampled(WHOLE), [(0, WHOLE)]);
        let parts = sampled(WHOLE + 1);
        assert_eq!((parts.len(), parts[0], *parts.last().unwrap()), (10, (0, END), (WHOLE + 1 - END, END)));
        assert!(parts.windows(2).all(|two| two[0].0 + two[0].1 < two[1].0), "{parts:?}");
        let mut data = vec![7_u8; WHOLE as usize + 1];
        let digest = |data: &[u8]| digest_of(&mut std::io::Cursor::new(data), data.len() as u64).unwrap();
        let before = digest(&data);
        data[parts[4].0 as usize] = 8;
        assert_ne!(digest(&data), before);
    }

    #[test]
    fn selections_are_numbers_or_the_environment() {
        assert_eq!("17".parse(), Ok(Selection::One(17)));
        assert!("x".parse::<Selection>().unwrap_err().contains("no unit number"));
    }
}
