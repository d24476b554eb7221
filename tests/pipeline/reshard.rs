//! `pipeline reshard`: what it makes of a crawl's shards, what it says, and what a kill does to it.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use pipeline::pairs::TableWriter;
use serde_json::Value;

use crate::desk::{Desk, good_rows, text, told};

/// Shards of a crawl of 30 pictures with a uid and a cluster each, two failures among them.
fn crawled() -> Desk {
    let desk = Desk::new();
    let mut list = "url,caption,uid,cluster\n".to_owned();
    for (n, row) in good_rows(30).lines().skip(1).enumerate() {
        list += &format!("{row},{:032x},c{}\n", u128::MAX / 31 * n as u128, n / 4);
    }
    list = list.replace("/img/7,", "/gone,").replace("/img/20,", "/broken,");
    desk.write("links.csv", list);
    let flags = ["--columns", "uid,cluster", "--rows-per-unit", "12"];
    let output = desk.crawl("links.csv", "pairs", &flags).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    desk
}

fn run(desk: &Desk, arguments: &[&str]) -> String {
    let output = desk.run(&[&["reshard", "pairs"], arguments].concat());
    assert!(output.status.success(), "{}", told(&output));
    text(&output.stderr)
}

fn keys(desk: &Desk, out: &str) -> Vec<String> {
    desk.pairs(out).into_iter().map(|pair| pair.key).collect()
}

#[test]
fn a_shuffled_crawl_has_the_same_pairs() {
    let desk = crawled();
    let said = run(&desk, &["--shuffle", "--seed", "7", "--rows-per-unit", "8", "--out", "out"]);
    assert!(said.contains("30 of 30 rows in 4 shards"), "{said}");
    let (mut before, mut after) = (desk.pairs("pairs"), desk.pairs("out"));
    assert_ne!(before, after);
    before.sort_by(|a, b| a.key.cmp(&b.key));
    after.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(before, after);
    // The shards say what they are, and how their rows came out.
    let shown = desk.run(&["show", "out"]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("troika.format = pairs/1") && shown.contains("http_not_found: 1"), "{shown}");
    let again = run(&desk, &["--shuffle", "--seed", "7", "--rows-per-unit", "8", "--out", "out"]);
    assert!(again.contains("nothing to do: all of this is done"), "{again}");
}

#[test]
fn a_split_keeps_clusters_together_and_reports_its_shares() {
    let desk = crawled();
    let arguments = ["--split", "train=0.6,test=0.4", "--out", "out", "--json", "--seed", "1"];
    let output = desk.run(&[["reshard", "pairs"].as_slice(), &arguments].concat());
    assert!(output.status.success(), "{}", told(&output));
    let summary: Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    assert_eq!((&summary["type"], &summary["split_by"]), (&"summary".into(), &"cluster".into()));
    let side = |side: usize| summary["sides"][side].clone();
    assert_eq!(side(0)["rows"].as_u64().unwrap() + side(1)["rows"].as_u64().unwrap(), 30);
    assert_eq!((&side(0)["name"], &side(0)["share_asked"]), (&"train".into(), &0.6.into()));
    let clusters = |out: &str| -> BTreeSet<String> {
        desk.pairs(out).iter().map(|pair| pair.text("cluster").unwrap().to_owned()).collect()
    };
    assert!(clusters("out/train").is_disjoint(&clusters("out/test")));
    assert_eq!(clusters("out/train").len() + clusters("out/test").len(), 8);
    assert_eq!(desk.names("out"), ["test", "train"]);
}

/// The bytes of `np.save` of DataComp's list.
fn npy(uids: &[u128]) -> Vec<u8> {
    let shape = format!("({},)", uids.len());
    let header =
        format!("{{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    file.extend(header.bytes());
    for uid in uids {
        file.extend(((uid >> 64) as u64).to_le_bytes());
        file.extend((*uid as u64).to_le_bytes());
    }
    file
}

#[test]
fn a_list_of_uids_makes_a_subset() {
    let desk = crawled();
    let uid = |n: u128| u128::MAX / 31 * n;
    desk.write("uids.npy", npy(&[uid(2), uid(17), uid(17), uid(29), 5]));
    let said = run(&desk, &["--keep", "uids.npy", "--out", "out"]);
    assert!(said.contains("3 of 30 rows in 1 shards"), "{said}");
    assert_eq!(keys(&desk, "out"), ["0000002", "0000105", "0000205"]);
    run(&desk, &["--keep", "uids.npy", "--repeat", "--rekey", "--out", "repeated"]);
    let urls: Vec<String> = desk.pairs("repeated").into_iter().map(|pair| pair.url).collect();
    assert_eq!(urls, [2, 17, 17, 29].map(|n| format!("http://pictures.test/img/{n}")));
    assert_eq!(keys(&desk, "repeated"), ["000000000", "000000001", "000000002", "000000003"]);
    desk.write("seen.csv", "link\nhttp://pictures.test/img/3\n");
    run(&desk, &["--drop", "seen.csv", "--on", "url", "--list-column", "link", "--out", "unseen"]);
    assert_eq!(desk.pairs("unseen").len(), 29);
}

#[test]
fn what_is_wrong_is_told_with_its_cure() {
    let desk = crawled();
    desk.write("keys.txt", "none\n");
    desk.write("bad.npy", "uid\n");
    let said = |arguments: &[&str]| told(&desk.run(&[&["reshard"], arguments, &["-q"]].concat()));
    insta::assert_snapshot!(said(&["pairs"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.path: no output folder given
    hint: add --out data/resharded
    ");
    insta::assert_snapshot!(said(&["pairs", "--out", "out", "--split", "train=0.9,test=0.2"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: split.sides: the shares sum to 1.1, not to 1
    ");
    insta::assert_snapshot!(said(&["pairs", "--out", "out", "--keep", "keys.txt", "--on", "uid"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: keys.txt: leaves no row: 1 entries, looked up in column `uid`
    hint: is that the right column? --on names another one of the shards
    ");
    insta::assert_snapshot!(said(&["pairs", "--out", "out", "--keep", "bad.npy"]), @r#"
    exit 2
    --- stdout
    --- stderr
    error: bad.npy: cut short
    hint: wanted: np.save of a sorted array with dtype "u8,u8", the upper and the lower half of each uid
    "#);
    insta::assert_snapshot!(said(&["pairs", "--out", "out", "--sort", "urll"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: order.by: no column `urll` in pairs/00000.parquet; there are: uid, cluster, caption, url, key, status, error_message, width, height, original_width, original_height, exif, sha256, reason, rule, jpg
    hint: did you mean `url`?
    ");
    insta::assert_snapshot!(said(&["pairs", "--out", "pairs"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.path: pairs is an input
    hint: choose another --out
    ");
    insta::assert_snapshot!(said(&["absent", "--out", "out"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: absent: No such file or directory (os error 2)
    ");
    assert_eq!(desk.names("out"), [""; 0], "nothing was made");
}

#[test]
fn pictures_beside_their_table_are_refused_not_lost() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(3));
    let output = desk.crawl("links.csv", "tars", &["--output-format", "webdataset"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    insta::assert_snapshot!(told(&desk.run(&["reshard", "tars", "--out", "out", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: tars/00000.parquet: its pictures lie beside it, in a tar or a folder
    hint: put them into the table first: pipeline crawl FOLDER --resize-mode no --skip-reencode --out OTHER
    ");
}

#[test]
fn keys_that_several_inputs_share_are_pointed_out() {
    let desk = crawled();
    let output = desk.run(&["reshard", "pairs", "pairs", "--out", "both"]);
    assert!(output.status.success(), "{}", told(&output));
    let note = "the key 0000000 is in several inputs: --rekey gives every row its own";
    assert!(text(&output.stderr).contains(note), "{}", told(&output));
    assert_eq!(desk.pairs("both").len(), 60);
}

#[test]
fn a_config_file_and_flags_say_the_same() {
    let desk = crawled();
    desk.write(
        "reshard.toml",
        "seed = 3\n[input]\npaths = \"pairs\"\n[order]\nkind = \"shuffle\"\n[output]\npath = \"file\"\n",
    );
    let output = desk.run(&["reshard", "reshard.toml"]);
    assert!(output.status.success(), "{}", told(&output));
    run(&desk, &["--shuffle", "--seed", "3", "--out", "flags"]);
    assert!(desk.shards("file") == desk.shards("flags"));
}

/// 1,500 rows with pictures of 20 kB.
fn many() -> Desk {
    let desk = Desk::new();
    for shard in 0..5 {
        let keys: StringArray = (0..300).map(|row| Some(format!("{shard}-{row}"))).collect();
        let pictures: BinaryArray =
            (0..300_u32).map(|row| Some((row + shard).to_le_bytes().repeat(5000))).collect();
        let columns: [(&str, ArrayRef); 2] = [("key", Arc::new(keys)), ("jpg", Arc::new(pictures))];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = TableWriter::new(Vec::new(), rows.schema(), "pairs/1", &[], "x").unwrap();
        writer.write(&rows).unwrap();
        desk.write(&format!("pairs/{shard:05}.parquet"), writer.close().unwrap().0);
    }
    desk
}

#[test]
fn killed_at_any_moment_and_run_again_gives_the_same_bytes() {
    let desk = many();
    let flags = ["--shuffle", "--rows-per-unit", "25", "--threads", "1", "-q", "--out"];
    run(&desk, &[flags.as_slice(), &["whole"]].concat());
    let committed = || std::fs::read_dir(desk.path("killed/_commits")).map_or(0, Iterator::count);
    let mut kills = 0;
    for round in 0..9 {
        let arguments = [["reshard", "pairs"].as_slice(), &flags, &["killed"]].concat();
        let mut child = desk.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        // Before the first shard, then after one to three more of them.
        let (early, wanted) = (round < 4, committed() + 1 + round % 3);
        let deadline = Instant::now() + Duration::from_millis(if early { 10 << round } else { 60_000 });
        while Instant::now() < deadline
            && (early || committed() < wanted)
            && child.try_wait().unwrap().is_none()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        if child.try_wait().unwrap().is_none() {
            // SIGKILL: nothing can be tidied up.
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 3, "the run is too short for this test: {kills} kills");
    run(&desk, &[flags.as_slice(), &["killed"]].concat());
    assert_eq!(desk.shards("whole").len(), 60);
    assert!(desk.shards("whole") == desk.shards("killed"), "the shards differ");
    assert_eq!(desk.names("whole"), desk.names("killed"), "nothing of the killed runs stays");
}
