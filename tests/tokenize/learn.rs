//! `tokenize bpe` as a user sees it.

use std::process::Stdio;
use std::time::Duration;

use super::place::Place;

fn texts() -> Place {
    let place = Place::new();
    place.put("texts/a.txt", "Красный флаг\nзелёный флаг\n");
    place.put("texts/b.tsv", "id\tcaption\n1\tred flag\n");
    place
}

#[test]
fn a_bpe_is_trained_on_text_and_encodes_it() {
    let place = texts();
    insta::assert_snapshot!(place.shown(&["bpe", "texts", "--vocab-size", "40"]), @r"
    exit 0
    -- out
    -- err
    bpe.model: 40 entries from 3 texts, sha256 <bpe.model>
    words       6, 5 different, 2.33 pieces each
    characters  21 are entries and cover 100.0000 % of the text
    next: tokenize shards data/pairs --codec vqgan.safetensors --bpe bpe.model --out data/tokens
    ");
    insta::assert_snapshot!(place.shown(&["encode", "--bpe", "bpe.model", "флаг", "red 日本"]), @r"
    exit 0
    -- out
    30
    35 37 4 1
    -- err
    ");
    let ids =
        String::from_utf8(place.run(&["encode", "--bpe", "bpe.model", "зелёный  флаг"]).stdout).unwrap();
    let line: Vec<&str> =
        ["decode", "--bpe", "bpe.model"].into_iter().chain(ids.split_whitespace()).collect();
    assert_eq!(String::from_utf8(place.run(&line).stdout).unwrap(), "зелёный флаг\n");
}

#[test]
fn more_entries_than_the_text_holds_and_fewer_than_it_needs() {
    let place = texts();
    insta::assert_snapshot!(place.shown(&["bpe", "texts", "--vocab-size", "9000"]), @r"
    exit 0
    -- out
    -- err
    note: the texts hold only 48 different pieces; every word is one id now
    bpe.model: 48 entries from 3 texts, sha256 <bpe.model>
    words       6, 5 different, 1.00 pieces each
    characters  21 are entries and cover 100.0000 % of the text
    next: tokenize shards data/pairs --codec vqgan.safetensors --bpe bpe.model --out data/tokens
    ");
    insta::assert_snapshot!(place.shown(&["bpe", "texts", "--vocab-size", "9"]), @r"
    exit 2
    -- out
    -- err
    error: cannot train a BPE: a vocabulary of 9 is too small: the text has 20 different characters
    hint: ask for at least --vocab-size 25, or leave rare characters out with --coverage 0.9999
    ");
    insta::assert_snapshot!(place.shown(&["bpe", "texts", "--eos-id", "0"]), @r"
    exit 2
    -- out
    -- err
    error: cannot train a BPE: two special tokens have the same id
    hint: the usual ids are --pad-id 0 --unk-id 1 --bos-id 2 --eos-id 3
    ");
    insta::assert_snapshot!(place.shown(&["bpe", "absent.txt"]), @r"
    exit 2
    -- out
    -- err
    error: absent.txt: No such file or directory (os error 2)
    ");
}

#[test]
fn json_is_byte_level_and_keeps_capitals_where_asked() {
    let place = texts();
    insta::assert_snapshot!(place.shown(&["bpe", "texts", "--vocab-size", "270", "--keep-case", "--pad-id", "-1", "--out", "bpe.json"]), @r"
    exit 0
    -- out
    -- err
    bpe.json: 270 entries from 3 texts, sha256 <bpe.json>
    words       6, 5 different, 5.00 pieces each
    characters  all, by their bytes: 256 are entries
    next: tokenize shards data/pairs --codec vqgan.safetensors --bpe bpe.json --out data/tokens --set lowercase=false
    ");
    let ids = String::from_utf8(place.run(&["encode", "--bpe", "bpe.json", "Красный 日本"]).stdout).unwrap();
    let line: Vec<&str> = ["decode", "--bpe", "bpe.json"].into_iter().chain(ids.split_whitespace()).collect();
    assert_eq!(String::from_utf8(place.run(&line).stdout).unwrap(), "Красный 日本\n");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("bpe.json")).unwrap()).unwrap();
    assert_eq!(json["added_tokens"].as_array().unwrap().len(), 3);
    assert!(json["normalizer"].is_null());
}

#[test]
fn bytes_that_are_no_utf8_are_told_and_the_record_has_all_figures() {
    let place = texts();
    place.put("texts/c.txt", b"blue flag\n\xff\xfe old\n");
    insta::assert_snapshot!(place.shown(&["bpe", "texts", "--vocab-size", "40", "--coverage", "0.9"]), @r"
    exit 0
    -- out
    -- err
    note: 1 text has bytes that are no UTF-8, left out; the first is texts/c.txt:2
    bpe.model: 40 entries from 5 texts, sha256 <bpe.model>
    words       9, 7 different, 2.00 pieces each
    characters  20 are entries and cover 90.0000 % of the text
    next: tokenize shards data/pairs --codec vqgan.safetensors --bpe bpe.model --out data/tokens
    ");
    let output = place.run(&["bpe", "texts", "--vocab-size", "40", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let record: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&record["type"], &record["texts"], &record["damaged_texts"]),
        (&"bpe".into(), &5.into(), &1.into())
    );
    assert_eq!((&record["words"], &record["distinct_words"]), (&9.into(), &7.into()));
    assert_eq!((&record["covered"], &record["lowercase"]), (&1.0.into(), &true.into()));
}

#[test]
fn ctrl_c_ends_the_reading_and_leaves_nothing() {
    let place = Place::new();
    let texts: String = (0..400_000).map(|number| format!("{number} {} слово\n", number * 7919)).collect();
    place.put("many.txt", texts);
    let line = ["bpe", "many.txt", "many.txt", "many.txt", "many.txt", "--vocab-size", "100000"];
    let mut child = place.command(&line).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!place.path("bpe.model").exists());
}
