//! Laws of resharding, over small tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::pairs::{Table, TableWriter};
use crate::unit::Selection;

/// A row: a number, its cluster and its picture.
type Line = (i64, Option<String>, Option<Vec<u8>>);

/// Row `n` of any table of these tests: some have no cluster, some no picture.
fn line(n: i64) -> Line {
    let cluster = (n % 3 != 0).then(|| format!("c{}", n / 7));
    (n, cluster, (n % 5 != 0).then(|| vec![n.to_le_bytes()[0]; 1 + n.unsigned_abs() as usize % 90]))
}

fn batch(numbers: std::ops::Range<i64>, images: bool) -> RecordBatch {
    let ids: Int64Array = numbers.clone().collect();
    let keys: StringArray = numbers.clone().map(|n| Some(format!("k{n}"))).collect();
    let clusters: StringArray = numbers.clone().map(|n| line(n).1).collect();
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![("id", Arc::new(ids)), ("key", Arc::new(keys)), ("cluster", Arc::new(clusters))];
    if images {
        columns.push(("jpg", Arc::new(numbers.map(|n| line(n).2).collect::<BinaryArray>())));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true))).unwrap()
}

/// A folder of files with so many rows each, numbered through.
fn folder(place: &Path, files: &[i64], images: bool) -> String {
    let mut next = 0;
    for (index, rows) in files.iter().enumerate() {
        let rows = batch(next..next + rows, images);
        next += rows.num_rows() as i64;
        let mut writer = TableWriter::new(Vec::new(), rows.schema(), "pairs/1", &[], "x").unwrap();
        writer.write(&rows).unwrap();
        crate::atomic::write(place.join(format!("{index:05}.parquet")), writer.close().unwrap().0).unwrap();
    }
    place.display().to_string()
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn new(files: &[i64], images: bool) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        folder(&desk.0.path().join("in"), files, images);
        desk
    }

    fn place(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn reshard(&self, input: &str, out: &str, sets: &[&str]) -> Result<ReshardSummary> {
        let places =
            [format!("input.paths={}", self.place(input)), format!("output.path={}", self.place(out))];
        let sets: Vec<String> = places.into_iter().chain(sets.iter().map(|set| (*set).to_owned())).collect();
        run(&crate::settings::load(None, &sets)?, &RunOptions::default())
    }

    /// The rows of a folder, in order.
    fn rows(&self, name: &str) -> Vec<Line> {
        let table = Table::open(&self.place(name)).unwrap();
        let mut lines = Vec::new();
        for batch in (0..table.shards().len()).flat_map(|shard| table.scan(shard).unwrap()) {
            let batch = batch.unwrap();
            let clusters = batch.column_by_name("cluster").unwrap().as_string::<i32>();
            let images = batch.column_by_name("jpg").map(AsArray::as_binary::<i32>);
            for (row, id) in batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
                let image =
                    images.filter(|images| images.is_valid(row)).map(|images| images.value(row).to_vec());
                lines.push((*id, clusters.is_valid(row).then(|| clusters.value(row).to_owned()), image));
            }
        }
        lines
    }

    fn ids(&self, name: &str) -> Vec<i64> {
        self.rows(name).into_iter().map(|(id, ..)| id).collect()
    }

    /// The shards of a folder by name.
    fn bytes(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(self.place(name)).unwrap().map(|entry| entry.unwrap().path());
        let shards = files.filter(|path| path.extension().is_some_and(|ending| ending == "parquet"));
        let read = |path: PathBuf| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
        };
        shards.map(read).collect()
    }
}

const SPLIT: &str = r#"split.sides=["train=0.7","val=0.2","test=0.1"]"#;
const SIDES: [&str; 3] = ["out/train", "out/val", "out/test"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn merging_and_cutting_keep_rows_and_order(
        files in proptest::collection::vec(1_i64..150, 1..5), rows in 1_u64..130, images: bool,
    ) {
        let desk = Desk::new(&files, images);
        let summary = desk.reshard("in", "out", &[&format!("output.rows_per_unit={rows}")]).unwrap();
        let all: i64 = files.iter().sum();
        prop_assert_eq!(summary.sides[0].stage.units as u64, all.unsigned_abs().div_ceil(rows));
        prop_assert_eq!(desk.rows("out"), desk.rows("in"));
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_the_same_on_any_number_of_threads(
        files in proptest::collection::vec(1_i64..150, 1..5), rows in 1_u64..130, seed in 0_u64..99, images: bool,
    ) {
        let desk = Desk::new(&files, images);
        let (rows, seed) = (format!("output.rows_per_unit={rows}"), format!("seed={seed}"));
        let shuffle = |out: &str, threads: &str| {
            desk.reshard("in", out, &["order.kind=shuffle", &rows, &seed, threads]).unwrap()
        };
        shuffle("one", "run.threads=1");
        shuffle("four", "run.threads=4");
        prop_assert!(desk.bytes("one") == desk.bytes("four"));
        let mut sorted = desk.rows("one");
        sorted.sort();
        prop_assert_eq!(sorted, desk.rows("in"));
    }

    #[test]
    fn a_split_loses_nothing_and_leaks_no_cluster(
        files in proptest::collection::vec(1_i64..150, 1..4), seed in 0_u64..99, shuffle: bool, images: bool,
    ) {
        let desk = Desk::new(&files, images);
        let kind = if shuffle { "order.kind=shuffle" } else { "order.kind=input" };
        let sets = [SPLIT, kind, &format!("seed={seed}"), "output.rows_per_unit=20"];
        let summary = desk.reshard("in", "out", &sets).unwrap();
        prop_assert_eq!(summary.split_by.as_deref(), Some("cluster"));
        let sides = SIDES.map(|side| desk.rows(side));
        let clusters = sides.each_ref().map(|rows| rows.iter().filter_map(|row| row.1.clone()).collect::<BTreeSet<_>>());
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            prop_assert!(clusters[a].is_disjoint(&clusters[b]));
        }
        let mut together = sides.concat();
        together.sort();
        prop_assert_eq!(together, desk.rows("in"));
        let shares: f64 = summary.sides.iter().map(|side| side.share).sum();
        prop_assert!((shares - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_output_does_not_depend_on_how_the_input_was_cut(
        files in proptest::collection::vec(1_i64..150, 1..5), shuffle: bool,
    ) {
        let desk = Desk::new(&files, true);
        folder(&desk.0.path().join("whole"), &[files.iter().sum()], true);
        let kind = if shuffle { "order.kind=shuffle" } else { "order.kind=input" };
        for (input, out) in [("in", "out"), ("whole", "whole-out")] {
            desk.reshard(input, out, &[kind, "output.rows_per_unit=97"]).unwrap();
        }
        prop_assert_eq!(desk.rows("out"), desk.rows("whole-out"));
    }
}

#[test]
fn rows_in_order_and_rows_by_a_spool_are_the_same_shards() {
    let desk = Desk::new(&[150, 1, 200], true);
    desk.reshard("in", "straight", &["output.rows_per_unit=70"]).unwrap();
    // The numbers ascend already, so that this order changes nothing but the way.
    desk.reshard("in", "spooled", &["output.rows_per_unit=70", "order.kind=sort", "order.by=id"]).unwrap();
    assert_eq!(desk.rows("straight"), desk.rows("spooled"));
    // All that differs is the plan's id, which has a fixed length.
    let lengths =
        |out| desk.bytes(out).into_iter().map(|(name, bytes)| (name, bytes.len())).collect::<Vec<_>>();
    assert_eq!(lengths("straight"), lengths("spooled"));
}

#[test]
fn rows_are_sorted_by_columns() {
    let desk = Desk::new(&[40, 30], false);
    let sort = ["order.kind=sort", r#"order.by=["cluster","id"]"#, "order.descending=true"];
    desk.reshard("in", "out", &sort).unwrap();
    let mut expected = desk.rows("in");
    expected.sort_by(|a, b| (b.1.is_some(), &b.1, b.0).cmp(&(a.1.is_some(), &a.1, a.0)));
    assert_eq!(desk.rows("out"), expected);
}

#[test]
fn a_list_keeps_drops_and_repeats() {
    let desk = Desk::new(&[30, 30], true);
    crate::atomic::write(desk.place("keys.txt"), "k3\nk58\nk3\nk44\nnone\n").unwrap();
    let list = |key: &str| format!("subset.{key}={}", desk.place("keys.txt"));
    desk.reshard("in", "kept", &[&list("keep")]).unwrap();
    assert_eq!(desk.ids("kept"), [3, 44, 58]);
    let summary = desk.reshard("in", "dropped", &[&list("drop")]).unwrap();
    assert_eq!((summary.rows, summary.rows_read), (57, 60));
    assert!(desk.ids("dropped").iter().all(|id| ![3, 44, 58].contains(id)));
    desk.reshard("in", "twice", &[&list("keep"), "subset.repeat=true"]).unwrap();
    assert_eq!(desk.rows("twice"), [3, 3, 44, 58].map(line));
    let shuffle = ["subset.repeat=true", "order.kind=shuffle", "output.rows_per_unit=1"];
    desk.reshard("in", "shuffled", &[shuffle.as_slice(), &[&list("keep")]].concat()).unwrap();
    let mut ids = desk.ids("shuffled");
    ids.sort_unstable();
    assert_eq!(ids, [3, 3, 44, 58]);
}

#[test]
fn a_list_that_leaves_no_row_is_an_error_and_nothing_is_made() {
    let desk = Desk::new(&[30], true);
    crate::atomic::write(desk.place("keys.txt"), "x\ny\n").unwrap();
    let list = format!("subset.keep={}", desk.place("keys.txt"));
    let error = desk.reshard("in", "out", &[&list, "subset.column=cluster"]).unwrap_err();
    assert!(
        error.to_string().ends_with("leaves no row: 2 entries, looked up in column `cluster`"),
        "{error}"
    );
    assert!(!Path::new(&desk.place("out")).exists());
}

#[test]
fn inputs_of_other_columns_and_the_output_among_them_are_refused() {
    let desk = Desk::new(&[10], true);
    folder(&desk.0.path().join("plain"), &[10], false);
    let both = format!("input.paths=[{:?},{:?}]", desk.place("in"), desk.place("plain"));
    let error = desk.reshard("in", "out", &[&both]).unwrap_err().to_string();
    assert!(error.contains("plain/00000.parquet: has other columns than"), "{error}");
    assert!(error.ends_with("in/00000.parquet: `jpg` is missing"), "{error}");
    let error = desk.reshard("in", "in", &[]).unwrap_err().to_string();
    assert!(error.starts_with("output.path: ") && error.ends_with("is an input"), "{error}");
    let error = desk.reshard("in", "out", &["order.kind=sort", "order.by=idd"]).unwrap_err();
    assert!(error.to_string().starts_with("order.by: no column `idd`"), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean `id`?");
}

#[test]
fn a_side_without_a_row_is_an_empty_shard_with_the_columns() {
    let desk = Desk::new(&[4], true);
    let summary = desk.reshard("in", "out", &[r#"split.sides=["a=0.999999","b=0.000001"]"#]).unwrap();
    assert_eq!((summary.sides[0].stage.rows, summary.sides[1].stage.rows), (4, 0));
    let table = Table::open(&desk.place("out/b")).unwrap();
    assert_eq!((table.rows(), table.image_column()), (0, Some("jpg")));
}

#[test]
fn new_keys_are_numbered_and_old_ones_stay() {
    let desk = Desk::new(&[7], false);
    let keys = |out: &str| {
        let table = Table::open(&desk.place(out)).unwrap();
        let batches = (0..table.shards().len()).flat_map(|shard| table.scan(shard).unwrap());
        let keys = batches.flat_map(|batch| {
            let keys = batch.unwrap();
            let keys = keys.column_by_name("key").unwrap().as_string::<i32>();
            keys.iter().map(|key| key.unwrap().to_owned()).collect::<Vec<_>>()
        });
        keys.collect::<Vec<_>>()
    };
    desk.reshard("in", "old", &[]).unwrap();
    assert_eq!(keys("old"), ["k0", "k1", "k2", "k3", "k4", "k5", "k6"]);
    desk.reshard("in", "new", &["output.rekey=true", "output.rows_per_unit=4"]).unwrap();
    assert_eq!(keys("new"), ["000000", "000001", "000002", "000003", "000010", "000011", "000012"]);
}

#[test]
fn one_unit_after_the_other_gives_the_same_shards() {
    let desk = Desk::new(&[50, 40], true);
    let sets = [SPLIT, "order.kind=shuffle", "output.rows_per_unit=16"];
    let units: usize =
        desk.reshard("in", "out", &sets).unwrap().sides.iter().map(|side| side.stage.units).sum();
    let single = |unit| {
        let places =
            [format!("input.paths={}", desk.place("in")), format!("output.path={}", desk.place("single"))];
        let sets: Vec<String> = places.into_iter().chain(sets.map(str::to_owned)).collect();
        let options = RunOptions { selection: Selection::One(unit), ..RunOptions::default() };
        run(&crate::settings::load(None, &sets).unwrap(), &options)
    };
    for unit in (0..units).rev() {
        assert_eq!(single(unit).unwrap().sides.len(), 1);
    }
    for side in ["train", "val", "test"] {
        assert!(desk.bytes(&format!("out/{side}")) == desk.bytes(&format!("single/{side}")), "{side}");
    }
    let beyond = single(units).unwrap_err().to_string();
    assert_eq!(beyond, format!("no unit {units}: the plan has units 0 to {}", units - 1));
}

#[test]
fn another_config_in_the_folder_is_refused_until_it_starts_over() {
    let desk = Desk::new(&[20], false);
    desk.reshard("in", "out", &["order.kind=shuffle"]).unwrap();
    let before = desk.bytes("out");
    assert_eq!(desk.reshard("in", "out", &["order.kind=shuffle"]).unwrap().sides[0].stage.units_done, 0);
    let error = desk.reshard("in", "out", &["order.kind=shuffle", "seed=1"]).unwrap_err();
    assert!(matches!(error, Error::OtherPlan { .. }), "{error}");
    let error = desk.reshard("in", "out", &[SPLIT]).unwrap_err();
    assert!(error.to_string().ends_with("holds shards that are on no side of the split"), "{error}");
    assert!(desk.bytes("out") == before);
}
