//! `tokenize shards` beyond the plain case: several grids, views, columns with types, texts without pictures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BinaryArray, FixedSizeListBuilder, Float16Builder, Float32Builder, Int32Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::Float16Type;
use parquet::arrow::ArrowWriter;
use pipeline::reason::Reason;
use tokenize::tokens::Value;

use crate::place::{Place, SHARDS, bytes_of, items, png, shard};

/// The flags of [`SHARDS`] with other sizes.
fn sized<'a>(sizes: &'a str, out: &'a str) -> Vec<&'a str> {
    let swap = |flag: &'a str| match flag {
        "32" => sizes,
        "tokens" => out,
        other => other,
    };
    SHARDS.iter().map(|flag| swap(flag)).collect()
}

fn place_with(count: u8) -> Place {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(count)));
    place.bpe();
    place
}

#[test]
fn several_grids_in_one_pass_are_those_of_single_runs() {
    let place = place_with(7);
    let made = place.shown(&sized("32,48,64", "tokens"));
    insta::assert_snapshot!(made, @r"
    exit 0
    -- out
    -- err
    loading the codec
    tokens/2, tokens/3, tokens/4: 11 rows of 7 pictures
    next: train rudolph.toml --set data.tokens=tokens/2
    ");
    for (size, grid) in [("32", "2"), ("48", "3"), ("64", "4")] {
        assert!(place.run(&sized(size, "single")).status.success());
        let both = [place.path("single"), place.path("tokens").join(grid)].map(|folder| bytes_of(&folder));
        assert_eq!(both[0], both[1], "{grid}");
        std::fs::remove_dir_all(place.path("single")).unwrap();
    }
    let shown = place.shown(&["show", "tokens"]);
    assert_eq!(shown.matches("11 rows in 1 shard of tokens/1").count(), 3, "{shown}");
    let train = place.shown(&["verify", "tokens", "--codec", "codec.ckpt"]);
    assert!(train.contains("hint: name one of them: tokens/2, tokens/3, tokens/4"), "{train}");
}

#[test]
fn a_run_over_several_grids_killed_anywhere_continues_to_the_same_bytes() {
    let place = place_with(16);
    let line = [&sized("32,64", "tokens")[..], &["--set", "unit_rows=1", "-q"]].concat();
    assert!(place.run(&line).status.success());
    let all = || ["2", "4"].map(|grid| bytes_of(&place.path("tokens").join(grid)));
    let whole = all();
    assert_eq!((whole[0].len(), whole[1].len()), (16, 16));
    for commits in [1, 6] {
        std::fs::remove_dir_all(place.path("tokens")).unwrap();
        let mut child = place.command(&line).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let folder = place.path("tokens/4/_commits");
        while std::fs::read_dir(&folder).map_or(0, Iterator::count) < commits {
            assert!(Instant::now() < deadline, "no unit was committed");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(place.run(&line).status.success());
        assert!(all() == whole, "killed after {commits}");
    }
    // A unit that one grid has and the other lacks is made for the other alone.
    std::fs::remove_file(place.path("tokens/4/_commits/00005.json")).unwrap();
    assert!(place.run(&line).status.success());
    assert!(all() == whole);
}

#[test]
fn threads_and_batches_do_not_change_a_byte() {
    let place = Place::new();
    let mut list = items(23);
    list[4].image = Ok(b"<html>".to_vec());
    list[5].image = Err(Reason::Dns);
    list[11].image = Ok(png(3, 1, 1));
    place.put("pairs/00000.parquet", shard(&list));
    place.bpe();
    let bytes = |threads: &str, batch: &str| {
        let set = format!("batch={batch}");
        let line =
            [&SHARDS[..], &["--fresh", "-q", "--set", set.as_str(), "--set", "augment.flip=true"]].concat();
        let output = place.command(&line).env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        bytes_of(&place.path("tokens"))
    };
    let first = bytes("1", "1");
    for (threads, batch) in [("4", "1"), ("1", "7"), ("3", "64")] {
        assert!(bytes(threads, batch) == first, "{threads} threads, batches of {batch}");
    }
}

#[test]
fn views_are_rows_of_their_own() {
    let place = place_with(2);
    let sets = ["--set", "augment={flip=true, ten_crop=1.25}", "-q"];
    let made = place.run(&[&SHARDS[..], &sets].concat());
    assert!(made.status.success(), "{made:?}");
    let rows = place.rows("tokens");
    // Two captions and one, twelve views each.
    assert_eq!(rows.len(), 36);
    let views: Vec<&str> = rows.iter().skip(24).map(|row| row.view().unwrap()).collect();
    assert_eq!(views[..4], ["whole", "whole-flip", "crop-0", "crop-0-flip"]);
    assert_eq!(
        (rows[0].view(), rows[1].view(), rows[2].view()),
        (Some("whole"), Some("whole"), Some("whole-flip"))
    );
    assert!(rows.iter().all(|row| row.codes.is_some() && row.reason().is_none()));
    // Only the pictures themselves are compared with their originals.
    let verified = place.shown(&["verify", "tokens", "--pairs", "pairs", "--codec", "codec.ckpt"]);
    assert!(verified.contains("pictures    2 of 2 measured"), "{verified}");
    assert!(verified.contains("2 of 2 pictures encode to the same codes"), "{verified}");
}

/// A table as img2dataset leaves it, with a column of every kind.
fn typed(images: bool) -> Vec<u8> {
    let mut captions = ListBuilder::new(StringBuilder::new());
    captions.append_value([Some("Red flag"), None, Some(" "), Some("a flag")]);
    captions.append_null();
    captions.append_value([Some("green")]);
    let mut small = FixedSizeListBuilder::new(Float16Builder::new(), 2);
    let half = |value: f32| <<Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native>::from_f32(value);
    for (first, valid) in [(0.5, true), (0.0, false), (-2.0, true)] {
        small.values().append_slice(&[half(first), half(0.25)]);
        small.append(valid);
    }
    let mut long = ListBuilder::new(Float32Builder::new());
    for length in 0..3_u8 {
        long.append_value((0..length).map(|i| Some(f32::from(i) + 0.1)));
    }
    let strings = |values: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("key", strings(["0", "1", "2"])),
        ("status", strings(["success"; 3])),
        ("texts", Arc::new(captions.finish())),
        ("label", Arc::new(Int32Array::from(vec![Some(7), None, Some(-1)]))),
        ("clip", Arc::new(small.finish())),
        ("scores", Arc::new(long.finish())),
    ];
    if images {
        let pictures: Vec<Vec<u8>> = (0..3).map(|i| png(i, 40, 32)).collect();
        columns.push(("png", Arc::new(BinaryArray::from_iter_values(pictures))));
    }
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

const TYPED: [&str; 10] = [
    "shards",
    "typed.parquet",
    "--captions=texts",
    "--columns=label,clip,scores",
    "--out=tokens",
    "--bpe=bpe.model",
    "--codec=codec.ckpt",
    "--image-size=32",
    "-q",
    "--json",
];

#[test]
fn columns_keep_their_types_and_lists_of_captions_give_a_row_each() {
    let place = place_with(1);
    place.put("typed.parquet", typed(true));
    let made = place.run(&TYPED);
    assert!(made.status.success(), "{made:?}");
    let rows = place.rows("tokens");
    let captions: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.caption.as_deref())).collect();
    assert_eq!(captions, [("0", Some("Red flag")), ("0", Some("a flag")), ("1", None), ("2", Some("green"))]);
    assert_eq!((rows[0].label(), rows[2].label(), rows[3].label()), (Some(7), None, Some(-1)));
    assert_eq!(rows[1].extra["clip"], Value::Floats(vec![0.5, 0.25]));
    assert_eq!((rows[2].extra.get("clip"), &rows[2].extra["scores"]), (None, &Value::Floats(vec![0.1])));
    let shown = place.shown(&["show", "tokens", "--rows", "1", "--bpe", "bpe.model"]);
    for line in [
        "column      reason: string\n",
        "column      label: i32\n",
        "column      clip: fixed_size_list<f16, 2>\n",
        "column      scores: list<f32>\n",
        "preprocess  crop center, filter ",
        "caption     \"Red flag\"\n",
        "text        \"red flag\"\n",
        "clip        [0.5,0.25]\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let refused =
        place.shown(&["shards", "typed.parquet", "--captions=label", "--out=o", "--codec=codec.ckpt"]);
    assert!(refused.contains("captions: column \"label\" is of type Int32"), "{refused}");
}

#[test]
fn pairs_without_pictures_are_texts() {
    let place = place_with(1);
    place.put("typed.parquet", typed(false));
    let made = place.run(&TYPED);
    assert!(made.status.success(), "{made:?}");
    let found = |out: &str| -> Vec<_> {
        let row = |row: tokenize::tokens::TokenRow| {
            (row.key.clone(), row.text_ids.is_some(), row.codes.is_some(), row.reason().map(str::to_owned))
        };
        place.rows(out).into_iter().map(row).collect()
    };
    let text = |key: &str| (key.to_owned(), true, false, None);
    let nothing = ("1".to_owned(), false, false, Some("empty".to_owned()));
    let expected = [text("0"), text("0"), nothing, text("2")];
    assert_eq!(found("tokens"), expected);
    // Without a codec pictures are not looked at.
    place.put("typed.parquet", typed(true));
    let line = ["shards", "typed.parquet", "--captions=texts", "--bpe=bpe.model", "--out=texts"];
    insta::assert_snapshot!(place.shown(&line), @r"
    exit 0
    -- out
    -- err
    loading the tokenizers
    texts: 4 rows of 2 texts
    without codes: empty 1 (`pipeline explain REASON` says more)
    next: train rudolph.toml --set data.tokens=texts
    ");
    assert_eq!(found("texts"), expected);
}

#[test]
fn a_picture_may_be_too_small_for_one_grid_alone() {
    let place = Place::new();
    let mut list = items(2);
    list[0].image = Ok(png(3, 3, 3));
    place.put("pairs/00000.parquet", shard(&list));
    place.bpe();
    assert!(place.run(&sized("32,64", "tokens")).status.success());
    let reasons = |grid: &str| -> Vec<_> {
        let rows = place.rows(grid).into_iter();
        rows.map(|row| (row.codes.is_some(), row.reason().map(str::to_owned), row.text_ids.is_some()))
            .collect()
    };
    let good = (true, None, true);
    assert_eq!(reasons("tokens/2"), [good.clone(), good.clone(), good.clone()]);
    let small = (false, Some("too_small".to_owned()), true);
    assert_eq!(reasons("tokens/4"), [small.clone(), small, good]);
}

#[test]
fn the_summary_says_where_the_time_went() {
    let place = place_with(3);
    let output = place.run(&[&SHARDS[..], &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let seconds = |part: &str| summary["seconds"][part].as_f64().unwrap();
    assert!(seconds("codec") > 0.0 && seconds("decode") > 0.0 && seconds("write") > 0.0, "{summary}");
    assert!(seconds("wall") >= seconds("codec"), "{summary}");
    assert_eq!(summary["folders"], serde_json::json!(["tokens"]));
}
