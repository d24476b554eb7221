//! `tokenize clusters` as a user sees it.

use pipeline::picture::{EncodeOptions, Picture, encode};
use pipeline::reason::Reason;
use tokenize::clusters::Clusters;

use super::place::{Item, Place, item, shard};

/// Two shards of pictures in four colours each, with failures among them.
fn place() -> Place {
    let place = Place::new();
    let drawn = |index: u8| {
        let mut picture = Picture::filled(8, 8, [index.wrapping_mul(40), 0, 255]);
        picture.paste(&Picture::filled(4, 4, [255, index.wrapping_mul(25), 10]), 0, 0);
        picture.paste(&Picture::filled(4, 4, [0, 0, 0]), 4, 4);
        Item { image: Ok(encode(&picture, &EncodeOptions::png()).unwrap()), ..item(index) }
    };
    let mut first: Vec<Item> = (0..6).map(drawn).collect();
    first.insert(2, Item { image: Err(Reason::HttpNotFound), ..item(0) });
    first.insert(4, Item { image: Ok(b"no picture".to_vec()), ..item(0) });
    place.put("pairs/00000.parquet", shard(&first));
    place.put("pairs/00001.parquet", shard(&(6..10).map(drawn).collect::<Vec<_>>()));
    place
}

const LINE: [&str; 8] =
    ["clusters", "pairs", "--size", "6", "--image-size", "8", "--out", "clusters.safetensors"];

#[test]
fn colours_are_fitted_and_the_error_is_told() {
    let place = place();
    insta::assert_snapshot!(place.shown(&LINE), @r"
    exit 0
    -- out
    -- err
    note: 1 picture left out: not_image
    clusters.safetensors: 6 colours, fitted to 10 pictures of 21 different ones
    quantisation error: 15.38 of 255 levels (root mean square), 24.4 dB
    next: tokenize shards pairs --codec clusters.safetensors --out data/tokens
    ");
    let codec = Clusters::open(&place.path("clusters.safetensors")).unwrap();
    assert_eq!((codec.codebook_size(), codec.preprocess().size), (6, 8));
    let bytes = std::fs::read(place.path("clusters.safetensors")).unwrap();
    assert!(place.command(&LINE).env("RAYON_NUM_THREADS", "1").arg("-q").status().unwrap().success());
    assert_eq!(std::fs::read(place.path("clusters.safetensors")).unwrap(), bytes, "threads change nothing");
}

#[test]
fn json_tells_the_same_and_numpys_file_is_written_on_request() {
    let place = place();
    let line = [
        "clusters",
        "pairs",
        "--size=6",
        "--image-size=8",
        "--out=kmeans_centers.npy",
        "--sample=3",
        "--json",
    ];
    let output = place.run(&line);
    let text = String::from_utf8(output.stdout).unwrap();
    let record: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let pictures = record["pictures"].as_u64().unwrap();
    let failed =
        record["failed"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum::<u64>();
    assert_eq!(
        (&record["type"], &record["version"], pictures + failed),
        (&"clusters".into(), &1.into(), 3),
        "{text}"
    );
    assert!(record["rmse"].as_f64().unwrap() >= 0.0 && record["clusters"] == 6, "{text}");
    assert_eq!(Clusters::open(&place.path("kmeans_centers.npy")).unwrap().codebook_size(), 6);
}

#[test]
fn what_cannot_be_fitted_is_explained_and_leaves_nothing() {
    let place = place();
    insta::assert_snapshot!(place.shown(&["clusters", "pairs", "--image-size", "8", "--out", "none.npy"]), @r"
    exit 2
    -- out
    -- err
    error: size: 512 clusters for pictures of 21 colours in all
    ");
    insta::assert_snapshot!(place.shown(&["clusters", "pairs", "--sample", "0", "--out", "none.npy"]), @r"
    exit 2
    -- out
    -- err
    error: sample: at least one picture
    ");
    place.put("bad/00000.parquet", shard(&[Item { image: Err(Reason::HttpNotFound), ..item(0) }]));
    insta::assert_snapshot!(place.shown(&["clusters", "bad", "--out", "none.npy"]), @r"
    exit 2
    -- out
    -- err
    error: bad: no picture here could be used: no row has one
    ");
    assert!(!place.path("none.npy").exists());
}
