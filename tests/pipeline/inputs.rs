//! What `pipeline crawl` reads: packed lists, patterns, web servers, images that are there already, earlier outputs.

use std::io::Write as _;
use std::sync::mpsc::channel;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use pipeline::pairs::Pair;
use pipeline::picture::{EncodeOptions, Picture, encode};
use pipeline::reason::Reason;

use crate::desk::{Desk, good_rows, text, told};

fn image(side: u32) -> Vec<u8> {
    encode(&Picture::filled(side, side + 5, [200, 10, 10]), &EncodeOptions::png()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn tar_of(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A crawl without any name that could be resolved.
fn offline(desk: &Desk, input: &str, out: &str, more: &[&str]) -> Vec<Pair> {
    let mut arguments = vec!["crawl", input, "--out", out, "--image-size", "32", "-q"];
    arguments.extend(more);
    let output = desk.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    desk.pairs(out)
}

fn told_of(pairs: &[Pair]) -> Vec<(&str, Option<&str>, Reason)> {
    pairs.iter().map(|pair| (pair.url.as_str(), pair.caption.as_deref(), pair.reason.unwrap())).collect()
}

#[test]
fn a_folder_of_images_becomes_pairs_without_a_network() {
    let desk = Desk::new();
    desk.write("images/cats/1.png", image(40));
    desk.write("images/cats/1.txt", "a cat\n");
    desk.write("images/cats/2.jpg", "no picture at all");
    desk.write("images/dogs/3.png", image(50));
    desk.write("images/dogs/3.json", r#"{"caption": "a dog", "licence": "CC0"}"#);
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", desk.path("images/lost.png")).unwrap();
    let pairs = offline(&desk, "images", "out", &["--columns", "licence,folder"]);
    let mut expected = vec![
        ("cats/1.png", Some("a cat"), Reason::Ok),
        ("cats/2.jpg", None, Reason::NotImage),
        ("dogs/3.png", Some("a dog"), Reason::Ok),
    ];
    if cfg!(unix) {
        expected.push(("lost.png", None, Reason::FileUnreadable));
    }
    assert_eq!(told_of(&pairs), expected);
    assert_eq!((pairs[2].text("licence"), pairs[2].text("folder")), (Some("CC0"), Some("dogs")));
    assert_eq!(pairs[0].size, Some((32, 32)));
    // In the same folder, again: the output is no part of the input.
    let again = offline(&desk, ".", "images/out", &[]);
    assert_eq!(again.len(), pairs.len());
    let output = desk.run(&["crawl", ".", "--out", "images/out", "--image-size", "32"]);
    assert!(text(&output.stderr).contains("all 1 units already done"), "{}", told(&output));
}

#[test]
fn tars_are_read_by_pattern_and_in_units() {
    let desk = Desk::new();
    for shard in 0..2 {
        let sample = |i: u32| {
            let key = format!("{shard}{i:04}");
            let json = format!(r#"{{"url": "http://origin.test/{key}", "key": "{key}"}}"#);
            [
                (format!("{key}.png"), image(30 + i)),
                (format!("{key}.json"), json.into_bytes()),
                (format!("{key}.txt"), format!("caption {key}").into_bytes()),
            ]
        };
        let members: Vec<_> = (0..7).flat_map(sample).collect();
        desk.write(&format!("shards/{shard:05}.tar"), tar_of(&members));
        desk.write(&format!("shards/{shard:05}.parquet"), "never looked at");
    }
    let flags = ["--rows-per-unit", "3", "--columns", "source_key"];
    let pairs = offline(&desk, "shards/*.tar", "out", &flags);
    assert_eq!(pairs.len(), 14);
    assert!(pairs.iter().all(|pair| pair.reason == Some(Reason::Ok)));
    assert_eq!(pairs[8].url, "http://origin.test/10001");
    assert_eq!(
        (pairs[8].caption.as_deref(), pairs[8].text("source_key")),
        (Some("caption 10001"), Some("10001"))
    );
    assert_eq!(desk.commits("out").len(), 6);
    // The folder says the same as the pattern, and so does a single unit.
    offline(&desk, "shards", "whole", &flags);
    offline(&desk, "shards", "unit", &[&flags[..], &["--unit", "4"]].concat());
    assert!(desk.shards("out") == desk.shards("whole"), "the shards differ");
    assert_eq!(desk.shards("unit")[&4], desk.shards("out")[&4]);
}

#[test]
fn an_earlier_output_is_resized_again_without_a_download() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(5) + "http://pictures.test/gone,lost\n");
    desk.crawl("links.csv", "first", &[]).output().unwrap();
    let first = desk.pairs("first");
    let pairs = offline(&desk, "first", "second", &["--encode-format", "webp"]);
    for (old, new) in first.iter().zip(&pairs).take(5) {
        assert_eq!((&old.url, &old.caption, new.size), (&new.url, &new.caption, Some((32, 32))));
        assert_eq!(new.reason, Some(Reason::Ok));
    }
    assert_eq!(told_of(&pairs)[5], ("http://pictures.test/gone", Some("lost"), Reason::NoImage));
}

#[test]
fn an_earlier_output_of_tars_or_files_is_resized_again_without_a_download() {
    for format in ["webdataset", "files"] {
        let desk = Desk::new();
        desk.write("links.csv", good_rows(5) + "http://pictures.test/gone,lost\n");
        desk.crawl("links.csv", "first", &["--output-format", format]).output().unwrap();
        let pairs = offline(&desk, "first", "second", &[]);
        assert_eq!(pairs.len(), 5, "{format}: a tar or a folder holds no failures");
        for pair in &pairs {
            assert_eq!((pair.reason, pair.size), (Some(Reason::Ok), Some((32, 32))), "{format}");
            assert!(pair.url.starts_with("http://pictures.test/img/") && pair.caption.is_some(), "{format}");
        }
    }
}

#[test]
fn only_failures_are_fetched_again_and_say_which_rows_they_were() {
    let desk = Desk::new();
    let list = "id,url,caption
a,http://pictures.test/img/1,one
b,http://pictures.test/broken,two
c,http://pictures.test/gone,three
d,http://pictures.test/busy,four
";
    desk.write("links.csv", list);
    desk.crawl("links.csv", "first", &["--columns", "id"]).output().unwrap();
    let again = |out: &str, flag: &str| {
        let output = desk.crawl("first", out, &[flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        desk.pairs(out)
    };
    let transient = again("transient", "--retry-failed");
    let found: Vec<_> = transient.iter().map(|pair| (pair.text("id"), pair.text("source_key"))).collect();
    assert_eq!(found, [(Some("b"), Some("000000001")), (Some("d"), Some("000000003"))]);
    assert_eq!(transient[0].caption.as_deref(), Some("two"));
    assert_eq!(again("all", "--retry-failed=all").len(), 3);
    assert_eq!(again("some", "--retry-failed=http_not_found,dns").len(), 1);
    // The failures of the failures still name the rows of the first crawl.
    let output = desk.crawl("transient", "third", &["--retry-failed=http_too_many"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(desk.pairs("third")[0].text("source_key"), Some("000000003"));
    let said = |flag: &str, out: &str| told(&desk.run(&["crawl", "first", "--out", out, flag, "-q"]));
    insta::assert_snapshot!(said("--retry-failed=time_out", "x"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --set input.retry_failed=["time_out"]: no class of failures is called `time_out`: did you mean `timeout`?
    "#);
    insta::assert_snapshot!(said("--retry-failed", "first"), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.path: is the folder whose failures are to be fetched again
    hint: choose another --out; input.retry_failed says how to join both
    ");
    assert!(
        said("--retry-failed=dns", "x").contains("not a single row"),
        "{}",
        said("--retry-failed=dns", "x")
    );
}

#[test]
fn packed_lists_give_the_same_shards_whole_and_unit_by_unit() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(25));
    desk.write("packed.csv.gz", gzip(good_rows(25).as_bytes()));
    let flags = ["--rows-per-unit", "10"];
    for (list, out) in [("links.csv", "plain"), ("packed.csv.gz", "packed")] {
        let output = desk.crawl(list, out, &flags).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
    let images =
        |out: &str| desk.pairs(out).into_iter().map(|pair| (pair.key, pair.image)).collect::<Vec<_>>();
    assert!(images("plain") == images("packed"), "the images differ");
    let unit =
        desk.crawl("packed.csv.gz", "unit", &["--rows-per-unit", "10", "--unit", "2"]).output().unwrap();
    assert!(unit.status.success(), "{}", told(&unit));
    assert_eq!(desk.shards("unit")[&2], desk.shards("packed")[&2]);
    let cut = gzip(good_rows(25).as_bytes());
    desk.write("cut.csv.gz", &cut[..cut.len() - 5]);
    let output = desk.crawl("cut.csv.gz", "cut", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("error: cut.csv.gz: damaged or cut short: its gzip data"),
        "{}",
        told(&output)
    );
    assert_eq!(desk.names("cut"), [""; 0], "nothing was made");
}

/// Sends parts of a list, or, below `/whole`, the whole of it whatever is asked.
fn serve(uri: &Uri, headers: &HeaderMap) -> Response {
    let list = good_rows(8).into_bytes();
    let total = list.len();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    match uri.path() {
        "/lists/links.csv" if uri.query() == Some("key=secret") => {
            match range.and_then(|range| range.split_once('-')) {
                Some((from, to)) => {
                    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
                    let to = to.min(total - 1);
                    let place = format!("bytes {from}-{to}/{total}");
                    (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, place)], list[from..=to].to_vec())
                        .into_response()
                }
                None => list.into_response(),
            }
        }
        "/whole.csv" => list.into_response(),
        "/inside.csv" => (StatusCode::FOUND, [(header::LOCATION, "http://169.254.169.254/latest/links.csv")])
            .into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn list_server() -> u16 {
    let (sender, port) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            let app =
                axum::Router::new().fallback(async |uri: Uri, headers: HeaderMap| serve(&uri, &headers));
            axum::serve(listener, app).await.unwrap();
        });
    });
    port.recv().unwrap()
}

#[test]
fn a_list_on_a_web_server_is_read_under_the_rules_of_addresses() {
    let desk = Desk::new();
    let host = format!("127.0.0.1:{}", list_server());
    let url = |path: &str| format!("http://{host}{path}");
    let crawl = |path: &str, out: &str| desk.crawl(&url(path), out, &["--allow", &host]).output().unwrap();
    let output = crawl("/lists/links.csv?key=secret", "out");
    assert!(output.status.success(), "{}", told(&output));
    let pairs = desk.pairs("out");
    assert_eq!((pairs.len(), pairs[3].caption.as_deref()), (8, Some("picture 3")));
    assert!(pairs.iter().all(|pair| pair.image.is_some()));
    let refused = desk.crawl(&url("/lists/links.csv"), "x", &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let stderr = text(&refused.stderr);
    assert!(stderr.contains("the host is a private, local or reserved address"), "{stderr}");
    assert!(stderr.contains("hint: name hosts of your own network in net.allow"), "{stderr}");
    let whole = text(&crawl("/whole.csv", "x").stderr);
    assert!(whole.contains("the server does not send parts of files"), "{whole}");
    assert_eq!(crawl("/absent.csv", "x").status.code(), Some(2));
    let inside = text(&crawl("/inside.csv", "x").stderr);
    assert!(inside.contains("private, local or reserved address"), "{inside}");
    assert_eq!(desk.names("x"), [""; 0], "nothing was made");
}

#[test]
fn img2datasets_flags_are_understood() {
    let desk = Desk::new();
    desk.write(
        "links.data",
        "URL\tTEXT\tNSFW\tscore\nhttp://pictures.test/img/1\tone \"quoted\", text\tno\t7\n",
    );
    let resolve = desk.crawl("x", "x", &[]);
    let set = resolve.get_args().last().unwrap().to_str().unwrap().to_owned();
    let arguments = [
        "crawl",
        "--url_list",
        "links.data",
        "--input_format",
        "tsv.gz",
        "--url_col",
        "URL",
        "--caption_col",
        "TEXT",
        "--save_additional_columns",
        r#"["NSFW","score"]"#,
        "--out",
        "out",
        "--set",
        &set,
    ];
    let output = desk.run(&arguments);
    assert!(output.status.success(), "{}", told(&output));
    let pair = &desk.pairs("out")[0];
    assert_eq!(pair.caption.as_deref(), Some("one \"quoted\", text"));
    assert_eq!((pair.text("NSFW"), pair.text("score")), (Some("no"), Some("7")));
}
