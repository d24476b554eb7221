//! The `tokenize` command as a user sees it: exit codes, stdout, stderr, files.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly, in its helpers too")]

#[path = "tokenize/clusters.rs"]
mod clusters;
#[path = "tokenize/codecs.rs"]
mod codecs;
#[path = "tokenize/learn.rs"]
mod learn;
#[path = "tokenize/lines.rs"]
mod lines;
#[path = "tokenize/place.rs"]
mod place;
#[path = "tokenize/shards.rs"]
mod shards;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pipeline::reason::Reason;
use place::{CODEC, Place, SHARDS, bytes_of, items, png, sha256, shard};

#[test]
fn pairs_become_token_shards_and_a_second_run_does_nothing() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(6)));
    place.bpe();
    let line = [&SHARDS[..], &["--columns", "split"]].concat();
    insta::assert_snapshot!(place.shown(&line), @r"
    exit 0
    -- out
    -- err
    loading the codec
    tokens: 9 rows of 6 pictures
    next: train rudolph.toml --set data.tokens=tokens
    ");
    insta::assert_snapshot!(place.shown(&line), @r"
    exit 0
    -- out
    -- err
    loading the codec
    nothing to do: 1 of 1 unit already done
    tokens: 9 rows of 6 pictures
    next: train rudolph.toml --set data.tokens=tokens
    ");
    insta::assert_snapshot!(place.shown(&["show", "tokens"]), @r"
    exit 0
    -- out
    tokens: 9 rows in 1 shard of tokens/1
    codec       codec (vqgan) sha256 <codec.ckpt>, 128 codes, grid 2 x 2, 32 px
    preprocess  crop center, filter area, range minus_one_one, trained on 256 px
    bpe         yttm sha256 <bpe.model>, 52 entries, lower-cased
    column      key: string
    column      caption: string
    column      text_ids: list<u16>
    column      codes: fixed_size_list<u16, 4>
    column      reason: string
    column      split: string
    keys        6, 9 rows with text, 9 with codes
    characters  min 10, mean 10.7, median 10, 99 % 12, max 12
    text ids    min 2, mean 2.7, median 3, 99 % 3, max 3
    codebook    12 of 128 entries used (9.4 %), perplexity 10.1
    -- err
    ");
    let rows = place.rows("tokens");
    let texts: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.caption.as_deref().unwrap())).collect();
    assert_eq!(
        texts[..3],
        [("000000000", "Red flag 0"), ("000000000", "Красный флаг"), ("000000001", "Red flag 1")]
    );
    assert_eq!(rows[0].codes, rows[1].codes);
    assert_ne!(rows[0].codes, rows[2].codes);
    assert!(rows.iter().all(|row| row.codes.as_ref().unwrap().len() == 4 && row.extra.contains_key("split")));
}

#[test]
fn verify_measures_and_draws_and_holds_the_asked_quality() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(8)));
    place.bpe();
    let made = place.run(&[&SHARDS[..], &["--columns", "split", "-q"]].concat());
    assert!(made.status.success(), "{made:?}");
    let verify = ["verify", "tokens", "--pairs", "pairs", "--codec", "codec.ckpt", "--where", "split=test"];
    insta::assert_snapshot!(place.shown(&verify), @r"
    exit 0
    -- out
    pictures    2 of 2 measured
    psnr        6.54 dB (mean over pictures), 6.48 dB (of the mean squared error)
    ssim        0.0213
    mse         0.225156
    exact       2 of 2 pictures encode to the same codes, 0 of 8 codes differ
    codebook    6 of 128 entries used (4.7 %), perplexity 5.7
    -- err
    loading the codec
    verify.png: 2 originals beside their decodings
    ");
    let grid =
        pipeline::picture::decode(&std::fs::read(place.path("verify.png")).unwrap(), &Default::default())
            .unwrap();
    assert_eq!((grid.width(), grid.height()), (4 + 65 + 4, 4 + 2 * (32 + 4)));
    insta::assert_snapshot!(place.shown(&[&verify[..], &["--min-psnr", "60", "-q"]].concat()), @r"
    exit 1
    -- out
    pictures    2 of 2 measured
    psnr        6.54 dB (mean over pictures), 6.48 dB (of the mean squared error)
    ssim        0.0213
    mse         0.225156
    exact       2 of 2 pictures encode to the same codes, 0 of 8 codes differ
    codebook    6 of 128 entries used (4.7 %), perplexity 5.7
    -- err
    ");
    insta::assert_snapshot!(place.shown(&["verify", "tokens", "--pairs", "pairs", "--codec", "codec.ckpt", "--where", "spilt=test"]), @r#"
    exit 2
    -- out
    -- err
    loading the codec
    error: tokens/00000-<attempt>.parquet: no column "spilt" to filter by
    hint: columns here: key, caption, reason, split
    "#);
    insta::assert_snapshot!(place.shown(&["verify", "tokens", "--pairs", "pairs", "--codec", "codec.ckpt", "--where", "split=dev"]), @r#"
    exit 2
    -- out
    -- err
    loading the codec
    error: tokens: no picture with split = "dev"
    "#);
}

#[test]
fn a_shard_of_another_codec_is_refused_with_both_hashes() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(2)));
    place.bpe();
    assert!(place.run(&SHARDS).status.success());
    // A comment in the container changes the file, not the weights.
    let mut other = std::fs::read(place.path("codec.ckpt")).unwrap();
    place.put("other.toml", CODEC);
    let end = other.len() - 2;
    other[end..].copy_from_slice(&1_u16.to_le_bytes());
    other.push(b' ');
    place.put("other.ckpt", &other);
    let shown = place.shown(&["verify", "tokens", "--pairs", "pairs", "--codec", "other.ckpt"]);
    let shown = shown.replace(&sha256(&other), "<other.ckpt>");
    insta::assert_snapshot!(shown, @r"
    exit 2
    -- out
    -- err
    loading the codec
    error: tokens/00000-<attempt>.parquet was made with the codec <codec.ckpt>, but other.ckpt is <other.ckpt> (sha256)
    hint: give the codec that made the shards, or make them again with `tokenize shards --fresh`
    ");
}

#[test]
fn failures_of_the_crawl_and_of_the_decoder_are_counted() {
    let place = Place::new();
    let mut list = items(6);
    list[1].image = Err(Reason::Dns);
    list[2].image = Ok(b"<html>".to_vec());
    list[3].image = Ok(png(3, 1, 1));
    place.put("pairs/00000.parquet", shard(&list));
    place.bpe();
    insta::assert_snapshot!(place.shown(&[&SHARDS[..], &["--verbose"]].concat()), @r"
    exit 0
    -- out
    -- err
    loading the codec
    000000001: dns
    000000002: not_image
    000000003: too_small
    tokens: 9 rows of 3 pictures
    without codes: dns 1, not_image 1, too_small 1 (`pipeline explain REASON` says more)
    next: train rudolph.toml --set data.tokens=tokens
    ");
    // The captions of the pictures that failed are kept, with the reason.
    let shown = place.shown(&["show", "tokens"]);
    assert!(shown.contains("no codes    dns 1, not_image 2, too_small 1\n"), "{shown}");
    let rows = place.rows("tokens");
    assert!(rows.iter().all(|row| row.reason().is_some() == row.codes.is_none() && row.text_ids.is_some()));
}

#[test]
fn a_caption_of_ten_thousand_characters_is_kept_whole() {
    let place = Place::new();
    let mut list = items(2);
    list[0].caption = "red flag ".repeat(1112);
    list[1].caption = "x".repeat(10_000);
    place.put("pairs/00000.parquet", shard(&list));
    place.bpe();
    let made = place.run(&SHARDS);
    assert!(made.status.success(), "{made:?}");
    let rows = place.rows("tokens");
    let bpe = tokenize::bpe::Bpe::load(place.path("bpe.model")).unwrap();
    for (row, item) in [(&rows[0], &list[0]), (&rows[2], &list[1])] {
        assert_eq!(row.caption.as_ref(), Some(&item.caption));
        assert_eq!(bpe.decode(row.text_ids.as_ref().unwrap()), item.caption.trim());
    }
}

/// Starts a run of 24 units, sends it a signal once two are committed, and returns its exit code.
fn stopped_by(signal: &str, place: &Place, line: &[&str]) -> Option<i32> {
    let mut child = place.command(line).spawn().unwrap();
    let commits = place.path("tokens/_commits");
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::read_dir(&commits).map_or(0, Iterator::count) < 2 {
        assert!(Instant::now() < deadline, "no unit was committed");
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let code = child.wait().unwrap().code();
    let partial = bytes_of(&place.path("tokens")).len();
    assert!(partial < 24, "the run was over before the signal");
    code
}

#[test]
fn a_stopped_run_continues_to_the_same_bytes() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(24)));
    place.bpe();
    let line = [&SHARDS[..], &["--set", "unit_rows=1", "-q"]].concat();
    assert!(place.run(&line).status.success());
    let whole = bytes_of(&place.path("tokens"));
    assert_eq!(whole.len(), 24);
    for (signal, code) in [("-KILL", None), ("-INT", Some(130)), ("-TERM", Some(143))] {
        std::fs::remove_dir_all(place.path("tokens")).unwrap();
        assert_eq!(stopped_by(signal, &place, &line), code, "{signal}");
        assert!(place.run(&line).status.success());
        assert_eq!(bytes_of(&place.path("tokens")), whole, "{signal}");
    }
}

/// Random letters, which no compression makes much smaller.
#[cfg(unix)]
fn noise(seed: u32, count: usize) -> String {
    let mut state = seed;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + state.to_be_bytes()[0] % 26)
    };
    (0..count).map(letter).collect()
}

/// A file size limit stands in for a full disk: the plan fits, the shard does not.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let place = Place::new();
    let mut list = items(12);
    for (seed, item) in (1..).zip(&mut list) {
        item.caption = noise(seed, 10_000);
    }
    place.put("pairs/00000.parquet", shard(&list));
    let line = ["shards", "pairs", "--codec", "codec.ckpt", "--out", "tokens", "--image-size", "32"];
    let tokenize = place.command(&line);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$@\"", "sh"]).arg(tokenize.get_program());
    shell.args(tokenize.get_args()).current_dir(tokenize.get_current_dir().unwrap());
    let output = shell.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75), "{stderr}");
    assert!(stderr.contains("File too large"), "{stderr}");
    assert!(stderr.contains("hint: free some space and run the same command again"), "{stderr}");
    assert_eq!(place.names("tokens"), ["plan.json"], "no half-written file");
    let output = place.run(&line);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.rows("tokens").len(), 12);
}

#[test]
fn one_unit_of_a_cluster_and_another_plan_in_the_folder() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(4)));
    place.bpe();
    let line = [&SHARDS[..], &["--set", "unit_rows=2"]].concat();
    insta::assert_snapshot!(place.shown(&[&line[..], &["--unit", "1"]].concat()), @r"
    exit 0
    -- out
    -- err
    loading the codec
    tokens: 3 rows of 2 pictures
    1 unit still to do: the same command continues
    ");
    assert_eq!(place.rows("tokens")[0].key, "000000002");
    let other = [&line[..], &["--columns", "split"]].concat();
    let refused = place.shown(&other);
    assert!(refused.starts_with("exit 2") && refused.contains("--fresh"), "{refused}");
    assert!(place.run(&[&other[..], &["--fresh"]].concat()).status.success());
    assert_eq!(place.rows("tokens").len(), 6);
}

#[test]
fn bad_settings_are_named_with_their_place() {
    let place = Place::new();
    place.put("tokens.toml", "pairs = \"pairs\"\ncoddec = \"codec.ckpt\"\n");
    insta::assert_snapshot!(place.shown(&["shards", "tokens.toml"]), @r"
    exit 2
    -- out
    -- err
    error: tokens.toml:2:1: unknown key `coddec`; known: pairs, codec, bpe, out, captions, columns, lowercase, image_size, batch, device, unit_rows, augment
    hint: did you mean `codec`?
    ");
    insta::assert_snapshot!(place.shown(&["shards", "absent.toml"]), @r"
    exit 2
    -- out
    -- err
    error: absent.toml: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(place.shown(&["shards", "pairs"]), @r"
    exit 2
    -- out
    -- err
    error: codec: name the codec's weights, for example vqgan.safetensors, or a bpe for text-only shards
    ");
    insta::assert_snapshot!(place.shown(&["shards", "pairs", "--codec", "absent.ckpt", "--out", "tokens"]), @r"
    exit 2
    -- out
    -- err
    loading the codec
    error: absent.ckpt: No such file or directory (os error 2)
    ");
    place.put("tokens.toml", "pairs = \"pairs\"\n");
    insta::assert_snapshot!(place.shown(&["show", "tokens.toml", "--set", "image_size=128"]), @r#"
    exit 0
    -- out
    pairs = "pairs"
    codec = ""
    bpe = ""
    out = ""
    captions = ["caption"]
    columns = []
    lowercase = true
    image_size = 128
    batch = 16
    device = "cpu"
    unit_rows = 10000

    [augment]
    flip = false
    ten_crop = 0.0
    -- err
    "#);
}

#[test]
fn bad_pairs_are_named() {
    let place = Place::new();
    let bytes = shard(&items(2));
    place.put("pairs/00000.parquet", &bytes);
    place.bpe();
    place.put("pairs/00000.parquet", &bytes[..bytes.len() / 2]);
    insta::assert_snapshot!(place.shown(&SHARDS), @r"
    exit 2
    -- out
    -- err
    loading the codec
    error: pairs/00000.parquet: not a readable Parquet file: Parquet error: Invalid Parquet file. Corrupt footer
    hint: the file may be cut short: compare its size with the original
    ");
    std::fs::remove_file(place.path("pairs/00000.parquet")).unwrap();
    insta::assert_snapshot!(place.shown(&SHARDS), @r"
    exit 2
    -- out
    -- err
    loading the codec
    error: pairs: no pair shards in this folder
    hint: make some with `pipeline crawl`, or wait until it has committed its first unit
    ");
    place.put("pairs/00000.parquet", shard(&items(2)));
    insta::assert_snapshot!(place.shown(&[&SHARDS[..], &["--columns", "spilt"]].concat()), @r#"
    exit 2
    -- out
    -- err
    loading the codec
    error: pairs/00000.parquet: no column "spilt" (wanted by columns)
    hint: columns here: ru, split, caption, url, key, status, error_message, width, height, original_width, original_height, sha256, reason, rule, png
    "#);
    assert!(!place.path("tokens/_commits").exists());
}

#[test]
fn missing_files_are_named() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(2)));
    let shards = ["shards", "pairs", "--codec", "codec.ckpt", "--out", "tokens"];
    insta::assert_snapshot!(place.shown(&[&shards[..], &["--bpe", "absent.json"]].concat()), @r"
    exit 2
    -- out
    -- err
    loading the codec
    error: absent.json: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(place.shown(&["shards", "absent", "--codec", "codec.ckpt", "--out", "tokens"]), @r"
    exit 2
    -- out
    -- err
    loading the codec
    error: absent: No such file or directory (os error 2)
    ");
    assert!(!place.path("tokens").exists());
}

#[test]
fn cut_shards_are_named_whatever_reads_them() {
    let place = Place::new();
    let pairs = shard(&items(2));
    place.put("pairs/00000.parquet", &pairs);
    place.bpe();
    assert!(place.run(&SHARDS).status.success());
    let tokens = bytes_of(&place.path("tokens")).remove(0);
    place.put("cut/pairs.parquet", &pairs[..pairs.len() / 2]);
    place.put("cut/tokens.parquet", &tokens[..tokens.len() / 2]);
    for (line, name) in [
        (["bpe", "cut/pairs.parquet"].as_slice(), "cut/pairs.parquet"),
        (
            &["verify", "cut/tokens.parquet", "--pairs", "pairs", "--codec", "codec.ckpt"],
            "cut/tokens.parquet",
        ),
        (&["verify", "tokens", "--pairs", "cut/pairs.parquet", "--codec", "codec.ckpt"], "cut/pairs.parquet"),
    ] {
        let shown = place.shown(line);
        assert!(shown.starts_with("exit 2\n-- out\n-- err\n"), "{shown}");
        assert!(shown.contains(&format!("error: {name}: ")) && shown.contains("Parquet"), "{shown}");
        assert!(shown.contains("\nhint: "), "{shown}");
    }
}

#[test]
fn a_truncated_token_shard_is_named_with_the_cure() {
    let place = Place::new();
    place.put("cut.parquet", b"PAR1 and then nothing");
    insta::assert_snapshot!(place.shown(&["show", "cut.parquet"]), @r"
    exit 2
    -- out
    -- err
    error: cut.parquet: Parquet error: Invalid Parquet file. Corrupt footer
    hint: the file is damaged or not a token shard: delete it and make it again with `tokenize shards`
    ");
    insta::assert_snapshot!(place.shown(&["show", "absent"]), @r"
    exit 2
    -- out
    -- err
    error: absent: No such file or directory (os error 2)
    ");
}

#[test]
fn a_picture_becomes_codes_and_codes_a_picture() {
    let place = Place::new();
    place.put("a.png", png(3, 50, 40));
    place.put("b.png", "<html>");
    let encode = ["encode", "--codec", "codec.ckpt", "--image-size", "32"];
    let output = place.run(&[&encode[..], &["a.png"]].concat());
    let codes = String::from_utf8(output.stdout).unwrap();
    assert_eq!(codes.split_whitespace().count(), 4, "{codes}");
    let decode = ["decode", "--codec", "codec.ckpt", "--out", "decoded.png"];
    let line: Vec<&str> = decode.into_iter().chain(codes.split_whitespace()).collect();
    assert!(place.shown(&line).contains("decoded.png: 2 x 2 codes"));
    let bytes = std::fs::read(place.path("decoded.png")).unwrap();
    let picture = pipeline::picture::decode(&bytes, &Default::default()).unwrap();
    assert_eq!((picture.width(), picture.height()), (32, 32));
    insta::assert_snapshot!(place.shown(&[&encode[..], &["b.png"]].concat()), @r"
    exit 2
    -- out
    -- err
    error: b.png: the body is no image (an HTML page, text, …)
    hint: a placeholder or login page behind the image's URL
    ");
    insta::assert_snapshot!(place.shown(&["decode", "--codec", "codec.ckpt", "1", "2", "3"]), @r"
    exit 2
    -- out
    -- err
    error: codes[0]: 3 codes, expected 1x1
    ");
    insta::assert_snapshot!(place.shown(&["decode", "--codec", "codec.ckpt", "1", "2", "3", "500"]), @r"
    exit 2
    -- out
    -- err
    error: codes[0]: code 500, the codebook has 128
    ");
}

#[test]
fn json_lines_carry_type_and_version() {
    let place = Place::new();
    place.put("pairs/00000.parquet", shard(&items(2)));
    place.bpe();
    for (line, kind) in [
        (&[&SHARDS[..], &["--json"]].concat()[..], "summary"),
        (&["show", "tokens", "--json"], "tokens"),
        (&["verify", "tokens", "--pairs", "pairs", "--codec", "codec.ckpt", "--json"], "verify"),
        (&["encode", "--bpe", "bpe.model", "--json", "red"], "ids"),
    ] {
        let output = place.run(line);
        let text = String::from_utf8(output.stdout).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["version"]), (&kind.into(), &1.into()), "{text}");
        let progress = text.lines().filter(|line| !line.starts_with("{\"type\":\"progress\",\"version\":1,"));
        assert_eq!(progress.count(), 1, "{text}");
    }
}

#[test]
fn parity_of_the_stored_cases_passes_and_a_wrong_output_fails() {
    let place = Place::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let case = golden.join("vqgan-f16");
    let output = place.run(&["parity", case.to_str().unwrap()]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    assert_eq!(table.lines().filter(|line| line.ends_with("pass")).count(), 28, "{table}");
    for name in ["case.json", "input.png", "model.ckpt"] {
        std::fs::create_dir_all(place.path("wrong")).unwrap();
        std::fs::copy(case.join(name), place.path("wrong").join(name)).unwrap();
    }
    // One stored code is another.
    let mut stored = std::fs::read(case.join("io.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&stored).unwrap();
    let place_of_codes = file.tensor("codes").unwrap().data().as_ptr() as usize - stored.as_ptr() as usize;
    stored[place_of_codes] ^= 1;
    place.put("wrong/io.safetensors", &stored);
    let output = place.run(&["parity", "wrong"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("FAIL"));
    // Weights that show another configuration than the case's are no case at all.
    let json = std::fs::read_to_string(case.join("case.json")).unwrap();
    place.put("wrong/case.json", json.replace("\"n_embed\": 128", "\"n_embed\": 64"));
    let output = place.run(&["parity", "wrong"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("the weights are recognised as"));
}

#[test]
fn help_fits_a_screen_and_completions_exist() {
    let place = Place::new();
    let help = String::from_utf8(place.run(&["--help"]).stdout).unwrap();
    assert!(help.lines().count() <= 40 && help.contains("Examples:"), "{help}");
    for command in ["bpe", "clusters", "shards", "verify", "show", "encode", "decode", "parity"] {
        let help = String::from_utf8(place.run(&[command, "--help"]).stdout).unwrap();
        assert!(help.lines().count() <= 60 && help.contains("Example"), "{help}");
    }
    let bash = place.run(&["completions", "bash"]);
    assert!(bash.status.success() && !bash.stdout.is_empty());
}
