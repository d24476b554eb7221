//! `tokenize encode` and `decode` over lines of stdin, and what `verify` does without originals or with other ones.

use std::io::Write;
use std::process::Stdio;

use crate::place::{Place, SHARDS, items, png, shard};

/// Exit code, stdout and stderr of a command that reads `input`.
fn fed(place: &Place, line: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = place.command(line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn with_pairs(count: u8) -> Place {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(count)));
    place.bpe();
    place
}

#[test]
fn lines_of_texts_go_through_ids_and_back() {
    let place = with_pairs(4);
    let (code, ids, _) = fed(
        &place,
        &["encode", "--bpe", "bpe.model", "--lowercase", "-"],
        "Red flag 1\n\nКрасный\n".as_bytes(),
    );
    assert_eq!((code, ids.lines().count()), (0, 3), "{ids}");
    let (code, texts, _) = fed(&place, &["decode", "--bpe", "bpe.model", "-"], ids.as_bytes());
    assert_eq!((code, texts.as_str()), (0, "red flag 1\n\nкрасный\n"));
    let (code, out, err) = fed(&place, &["encode", "--bpe", "bpe.model", "-"], b"red\n\xff\n");
    assert_eq!((code, out.lines().count()), (2, 1));
    assert!(err.contains("error: stdin: line 2 is not UTF-8: byte 1 of it"), "{err}");
    let (code, _, err) = fed(&place, &["decode", "--bpe", "bpe.model", "-"], b"1 2\n1 70000\n");
    assert!(code == 2 && err.contains("70000 is outside the vocabulary of"), "{err}");
    let (code, _, err) = fed(&place, &["decode", "--bpe", "bpe.model", "-"], b"1 two\n");
    assert!(code == 2 && err.contains("\"two\" is no id"), "{err}");
}

#[test]
fn pictures_become_lines_of_codes_and_one_grid_or_a_folder() {
    let place = Place::new();
    for i in 0..3 {
        place.put(&format!("{i}.png"), png(i, 50, 40));
    }
    let encode = ["encode", "--codec", "codec.ckpt", "--image-size", "32", "0.png", "1.png", "2.png"];
    let codes = place.run(&encode).stdout;
    assert_eq!(String::from_utf8(codes.clone()).unwrap().lines().count(), 3);
    let decode = |out: &str| fed(&place, &["decode", "--codec", "codec.ckpt", "--out", out, "-"], &codes);
    let (code, _, err) = decode("grid.png");
    assert!(code == 0 && err.contains("grid.png: 3 pictures of 2 x 2 codes"), "{err}");
    let bytes = std::fs::read(place.path("grid.png")).unwrap();
    let grid = pipeline::picture::decode(&bytes, &Default::default()).unwrap();
    assert_eq!((grid.width(), grid.height()), (2 * 36 + 4, 2 * 36 + 4));
    assert_eq!(decode("drawn/").0, 0);
    assert_eq!(place.names("drawn"), ["00000.png", "00001.png", "00002.png"]);
}

#[test]
fn decodings_are_shown_without_their_originals() {
    let place = with_pairs(4);
    assert!(place.run(&[&SHARDS[..], &["-q"]].concat()).status.success());
    let shown = place.shown(&["verify", "tokens", "--codec", "codec.ckpt"]);
    assert!(shown.starts_with("exit 0\n-- out\npictures    4\ncodebook    "), "{shown}");
    assert!(shown.contains("verify.png: 4 decodings"), "{shown}");
    let asked = place.shown(&["verify", "tokens", "--codec", "codec.ckpt", "--min-psnr", "3"]);
    assert!(asked.starts_with("exit 2") && asked.contains("--pairs"), "{asked}");
}

#[test]
fn originals_that_encode_to_other_codes_are_told() {
    let place = with_pairs(4);
    assert!(place.run(&[&SHARDS[..], &["-q"]].concat()).status.success());
    let mut other = items(4);
    other[2].image = Ok(png(200, 64, 64));
    place.put("other/00000.parquet", shard(&other));
    let verify = ["verify", "tokens", "--pairs", "other", "--codec", "codec.ckpt"];
    let shown = place.shown(&verify);
    assert!(
        shown.starts_with("exit 1") && shown.contains("3 of 4 pictures encode to the same codes"),
        "{shown}"
    );
    assert!(shown.contains("codes differ when 4 originals are encoded again"), "{shown}");
    assert!(place.shown(&[&verify[..], &["--exact", "0"]].concat()).starts_with("exit 0"));
    let asked = place.shown(&[&verify[..], &["--exact", "0", "--min-ssim", "0.999"]].concat());
    assert!(asked.starts_with("exit 1") && asked.contains("is below the asked 0.999"), "{asked}");
    let json = place.run(&[&verify[..], &["--json", "-q"]].concat()).stdout;
    let last = String::from_utf8(json).unwrap().lines().last().unwrap().to_owned();
    let report: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(report["histogram"].as_array().unwrap().len(), 128);
    assert!(report["ssim"].is_number() && report["mse"].is_number(), "{report}");
    assert!(report["exact"]["codes_differing"].as_u64().unwrap() > 0, "{report}");
}
