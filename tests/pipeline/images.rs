//! What a row carries besides its pixels, and img2dataset's own flags for it.

use arrow::array::{Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::pairs::HashKind;
use pipeline::picture::{DecodeOptions, decode};
use pipeline::reason::Reason;

use crate::desk::{Desk, picture, told};

/// The one shard of a folder as a table.
fn table(desk: &Desk, out: &str) -> RecordBatch {
    let shard = bytes::Bytes::from(desk.shards(out).remove(&0).unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(shard).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn names(table: &RecordBatch) -> String {
    let schema = table.schema();
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

fn texts(table: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(column).unwrap();
    let column = column.as_any().downcast_ref::<StringArray>().unwrap();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn an_old_command_line_gives_the_old_columns() {
    let desk = Desk::new();
    let hash = |n| HashKind::Md5.digest(&picture(n)).unwrap();
    let list = format!(
        "url,text,nsfw,sum\nhttp://pictures.test/img/1,one,no,{}\nhttp://pictures.test/img/2,two,yes,{}\n",
        hash(1),
        hash(1)
    );
    desk.write("links.csv", list);
    let flags = "--caption_col=text --save_additional_columns [\"nsfw\"] --compute_hash md5 \
        --verify_hash [\"sum\",\"md5\"] --extract_exif True --min_image_size=0 --max_image_area=inf --max_aspect_ratio inf \
        --resize_mode=keep_ratio_largest --resize_only_if_bigger=True --upscale_interpolation=lanczos4 \
        --downscale_interpolation bicubic --encode_format webp --encode_quality 80 --skip_reencode False \
        --disable_all_reencoding=False --thread_count 8 --number_sample_per_shard 100";
    let output =
        desk.crawl("links.csv", "out", &flags.split_whitespace().collect::<Vec<_>>()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let table = table(&desk, "out");
    assert_eq!(
        names(&table),
        "nsfw, caption, md5, url, key, status, error_message, width, height, original_width, original_height, exif, \
         reason, rule, webp"
    );
    assert_eq!(texts(&table, "md5"), [Some(hash(1)), None]);
    assert_eq!(texts(&table, "exif"), [Some("{}".to_owned()), None]);
    assert_eq!(texts(&table, "error_message"), [None, Some("hash mismatch".to_owned())]);
    assert_eq!(texts(&table, "nsfw"), [Some("no".to_owned()), Some("yes".to_owned())]);
    let pairs = desk.pairs("out");
    assert_eq!(pairs[1].reason, Some(Reason::HashMismatch));
    assert!(pairs[0].image.as_ref().unwrap()[8..].starts_with(b"WEBPVP8 "), "lossy");
    assert_eq!(pairs[0].extra.names().collect::<Vec<_>>(), ["nsfw"]);
}

#[test]
fn columns_that_are_not_wanted_are_not_there() {
    let desk = Desk::new();
    desk.write("links.txt", "http://pictures.test/img/1\n");
    let flags = ["--compute-hash", "None", "--extract-exif=false", "--disable-all-reencoding"];
    let output = desk.crawl("links.txt", "out", &flags).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let columns = names(&table(&desk, "out"));
    assert_eq!(
        columns,
        "url, key, status, error_message, width, height, original_width, original_height, reason, rule, jpg"
    );
    let pairs = desk.pairs("out");
    assert_eq!((pairs[0].image.as_deref(), pairs[0].size), (Some(picture(1).as_slice()), None));
}

#[test]
fn boxes_of_a_list_are_blurred() {
    let desk = Desk::new();
    let row = |boxes: &str| format!("{{\"url\": \"http://pictures.test/img/1\", \"faces\": {boxes}}}\n");
    desk.write("links.jsonl", ["[]", "[[0, 0, 1, 1]]", "[[0, 0, 30, 40]]", "null"].map(row).concat());
    let flags = ["--bbox-col", "faces", "--encode-format", "png"];
    let output = desk.crawl("links.jsonl", "out", &flags).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let pairs = desk.pairs("out");
    let reasons: Vec<_> = pairs.iter().map(|pair| pair.reason.unwrap()).collect();
    assert_eq!(reasons, [Reason::Ok, Reason::Ok, Reason::BlurBoxes, Reason::Ok]);
    assert_eq!(pairs[1].text("faces"), Some("[[0,0,1,1]]"));
    // How much neighbours differ, summed up.
    let roughness = |n: usize| {
        let picture = decode(pairs[n].image.as_ref().unwrap(), &DecodeOptions::default()).unwrap();
        let middle = picture.crop(8, 8, 48, 48);
        middle.pixels().windows(4).map(|w| u64::from(w[0].abs_diff(w[3]))).sum::<u64>()
    };
    assert_eq!(roughness(0), roughness(3));
    assert!(roughness(1) * 3 < roughness(0) * 2, "{} {}", roughness(1), roughness(0));
}

#[test]
fn a_hash_column_that_is_not_there_is_told() {
    let desk = Desk::new();
    desk.write("links.csv", "url,sha\nhttp://pictures.test/img/1,ab\n");
    insta::assert_snapshot!(told(&desk.run(&["crawl", "links.csv", "--out", "out", "-q", "--verify-hash", "sha25,sha256"])), @r#"
    exit 2
    --- stdout
    --- stderr
    error: links.csv: no column `sha25`; there are: url, sha
    hint: did you mean the column of image.verify_hash = "sha"?
    "#);
}
