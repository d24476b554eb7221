//! Whole cards: of a road from links to pairs, of folders that lack this or that, and of hostile texts.

mod page;
mod road;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::interrupt::Interrupt;
use crate::pairs::sift::{Judged, Sift, sift};
use crate::pairs::{Layout, PairWriter, Row};
use crate::picture::{EncodeOptions, Picture, encode};
use crate::reason::Reason;
use crate::unit::{Attempt, InputFile, Plan, Produced, run_stage};

/// A folder to lay stages in.
struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn card(&self, names: &[&str]) -> Card {
        let dirs: Vec<String> = names.iter().map(|name| self.path(name)).collect();
        make(&dirs, &CardConfig::default(), &RunOptions::default()).unwrap()
    }

    fn stage(&self, plan: &Plan, out: &str, work: impl Fn(&Attempt<'_>) -> Result<Produced> + Sync) {
        let progress = Progress::start(crate::progress::ProgressStyle::Quiet, "row", None, 0);
        run_stage(plan, &self.path(out), 1, &RunOptions::default(), &progress, work).unwrap();
    }

    /// What a crawl of these rows leaves, `per_unit` of them in a shard.
    fn crawl(&self, out: &str, rows: &[Row], per_unit: u64) {
        let list = InputFile {
            path: "links.csv".into(),
            rows: rows.len() as u64,
            bytes: 1,
            digest: String::new(),
            offsets: Vec::new(),
        };
        let plan = Plan::new("pairs/1", &"crawl", vec![list], per_unit).unwrap();
        self.stage(&plan, out, |attempt| {
            let rows = &rows[attempt.unit.start as usize..][..attempt.unit.rows as usize];
            let layout = Layout { caption: true, ..Layout::default() };
            let mut writer = PairWriter::new(attempt.shard("parquet")?, &layout, "x")?;
            writer.write(&[], rows)?;
            let (shard, count) = writer.close()?;
            let mut counts = BTreeMap::new();
            rows.iter().for_each(|row| *counts.entry(row.reason.code().to_owned()).or_insert(0) += 1);
            let unit = attempt.unit.index as f64;
            let steps = json!({
                "dns": {"count": 0, "p50": null, "p99": null},
                "body": {"count": count, "p50": 10.0 + unit, "p99": 90.5 + unit},
            });
            shard.finish(count, counts, json!({"count": count, "timings_ms": steps}))
        });
    }

    /// What a stage leaves that keeps the rows of which `by` says nothing.
    fn sift(
        &self,
        from: &str,
        out: &str,
        spec: &Sift,
        stats: &Value,
        by: impl Fn(&RecordBatch, usize) -> Option<&'static str> + Sync,
    ) {
        let table = Table::open(&self.path(from)).unwrap();
        let plan = table.plan(&out).unwrap();
        self.stage(&plan, out, |attempt| {
            let mut produced = sift(attempt, &table, spec, |batch| {
                let drops = (0..batch.num_rows()).map(|row| by(batch, row)).collect();
                let keys = batch.column_by_name("key").unwrap().as_string::<i32>().clone();
                let cluster = |key: Option<&str>| {
                    key.map(|key| if key.ends_with('3') { "000000002" } else { key }.to_owned())
                };
                let clusters: StringArray = keys.iter().map(cluster).collect();
                let extra = spec.extra.iter().map(|_| Arc::new(clusters.clone()) as ArrayRef).collect();
                Ok(Judged { rows: batch.clone(), drops, extra })
            })?;
            produced.stats = stats.clone();
            Ok(produced)
        });
    }

    /// A shard of another program.
    fn foreign(&self, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        std::fs::create_dir_all(Path::new(&self.path(name)).parent().unwrap()).unwrap();
        crate::atomic::write(self.path(name), writer.into_inner().unwrap()).unwrap();
    }
}

/// A picture of one colour, wider than high.
fn picture(shade: u8, width: u32) -> Bytes {
    encode(&Picture::filled(width, width * 3 / 4, [shade, 90, 160]), &EncodeOptions::default())
        .unwrap()
        .into()
}

/// Twelve rows: eight pictures on two hosts, one of them a duplicate and one small, four failures on a third host.
fn rows() -> Vec<Row> {
    let row = |i: u32| {
        let reason = match i {
            4 => Reason::Robots,
            8 | 9 => Reason::HttpNotFound,
            10 => Reason::Dns,
            _ => Reason::Ok,
        };
        let good = reason == Reason::Ok;
        let width = if i == 1 { 80 } else { 400 };
        let host = match (good, i % 2) {
            (false, _) => "gone.example",
            (true, 0) => "img.photos.co.uk",
            (true, _) => "www.photos.co.uk",
        };
        let shade = if i == 3 { 2 } else { i } as u8 * 20;
        Row {
            url: Some(format!("http://{host}/{i}.jpg")),
            caption: match i {
                0 => Some("A small red cat sleeps on the roof of an old house in the village".into()),
                2 | 3 => Some("Маленький рыжий кот спит на крыше старого дома в деревне".into()),
                5 => None,
                6 => Some("<script>alert('x')</script>\u{202e}\n".into()),
                i => Some(format!("picture {i}")),
            },
            key: format!("{i:09}"),
            error_message: (!good).then(|| reason.error_message().to_owned()),
            rule: (reason == Reason::Robots).then(|| "Disallow: /<b>".to_owned()),
            size: good.then_some((width, width * 3 / 4)),
            original_size: good.then_some((2 * width, width * 3 / 2)),
            image: good.then(|| picture(shade, width)),
            ..Row::new("", reason)
        }
    };
    (0..12).map(row).collect()
}

/// A crawl in two shards, a filter after it and a deduplication after that.
fn whole_road() -> Ground {
    let ground = Ground::new();
    ground.crawl("pairs", &rows(), 7);
    let text = |batch: &RecordBatch, name: &str, row: usize| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let rule = |name: &str, only: u64| json!({"name": name, "kind": name, "dropped": 1, "only": only});
    let rules = json!({"rules": [rule("status", 1), rule("side", 0), rule("idle", 0)]});
    ground.sift("pairs", "clean", &Sift::default(), &rules, |batch, row| {
        let narrow = text(batch, "key", row).as_deref() == Some("000000001");
        match text(batch, "status", row).as_deref() {
            Some("success") => narrow.then_some("side"),
            _ => Some("status"),
        }
    });
    let clusters = Sift { extra: vec![Field::new("cluster", DataType::Utf8, true)], metadata: Vec::new() };
    ground.sift("clean", "unique", &clusters, &json!({"reasons": {}}), |batch, row| {
        (text(batch, "key", row).as_deref() == Some("000000003")).then_some("sha256")
    });
    ground
}
