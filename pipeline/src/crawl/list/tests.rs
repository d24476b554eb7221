//! Every list format gives the same rows, whole or unit by unit, packed or not, from a disk or from a store.

mod images;

use std::io::Write as _;
use std::path::Path;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;

use super::*;
use crate::store::Store;

/// Url, caption, and the additional column as text.
type Rows = Vec<(Link, Option<String>, Option<String>)>;

fn input(columns: &[&str]) -> InputConfig {
    InputConfig { columns: columns.iter().map(|s| (*s).to_owned()).collect(), ..InputConfig::default() }
}

fn stored(name: &str, bytes: &[u8]) -> (tempfile::TempDir, ListFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    crate::atomic::write(&path, bytes).unwrap();
    (folder, list(Source::File(path), name))
}

fn list(source: Source, name: &str) -> ListFile {
    let content = Content::of(source, ListFormat::of(Path::new(name)).unwrap(), true).unwrap();
    ListFile { name: name.to_owned(), content, parked: Parked::default() }
}

/// The units of a list.
fn units(list: &ListFile, rows_per_unit: u64) -> Vec<Unit> {
    let (rows, offsets) = list.scan(rows_per_unit).unwrap();
    let unit = |index: u64| Unit {
        index: index as usize,
        file: list.name.clone(),
        start: index * rows_per_unit,
        rows: rows_per_unit.min(rows - index * rows_per_unit),
        offset: offsets.get(index as usize).copied(),
    };
    (0..rows.div_ceil(rows_per_unit)).map(unit).collect()
}

fn blocks(list: &ListFile, columns: &Columns, unit: &Unit) -> Vec<Block> {
    let mut all = Vec::new();
    list.read(columns, unit, &mut |block| {
        all.push(block);
        true
    })
    .unwrap();
    all
}

fn rows_of(blocks: Vec<Block>) -> Rows {
    let mut all = Vec::new();
    for block in blocks {
        for (row, (link, caption)) in block.links.into_iter().zip(block.captions).enumerate() {
            let cell = |array: &ArrayRef| {
                array.is_valid(row).then(|| array.as_string::<i32>().value(row).to_owned())
            };
            all.push((link, caption, block.extra.first().and_then(cell)));
        }
    }
    all
}

/// Reads a list through units of `rows_per_unit` rows.
fn read(list: &ListFile, input: &InputConfig, rows_per_unit: u64) -> Rows {
    let columns = list.columns(input).unwrap();
    units(list, rows_per_unit).iter().flat_map(|unit| rows_of(blocks(list, &columns, unit))).collect()
}

fn expected() -> Rows {
    (0..700)
        .map(|i| {
            let link =
                if i % 10 == 3 { Err(Reason::UrlMissing) } else { Ok(format!("http://h/{i},\"a\".jpg")) };
            (link, (i % 2 == 0).then(|| format!("two\nlines, {i}")), (i % 5 != 0).then(|| format!("é{i}")))
        })
        .collect()
}

fn quoted(cell: Option<&str>) -> String {
    cell.map(|text| format!("\"{}\"", text.replace('"', "\"\""))).unwrap_or_default()
}

/// The same rows in every format.
fn every_format() -> Vec<(&'static str, Vec<u8>)> {
    let rows = expected();
    let delimited = |by: &str| {
        let line = |(link, caption, extra): &(Link, Option<String>, Option<String>)| {
            let url = link.as_ref().ok().map(String::as_str);
            [quoted(extra.as_deref()), quoted(url), quoted(caption.as_deref())].join(by)
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        format!("\u{feff}id{by}url{by}caption\r\n{}", lines.join("\n"))
    };
    let json = |(link, caption, extra): &(Link, Option<String>, Option<String>)| serde_json::json!({"url": link.as_ref().ok(), "caption": caption, "id": extra});
    let jsonl = rows.iter().map(|row| json(row).to_string()).collect::<Vec<_>>().join("\n\n") + "\n";
    let array = serde_json::Value::from(rows.iter().map(json).collect::<Vec<_>>());
    let table = RecordBatch::try_from_iter([
        ("id", Arc::new(rows.iter().map(|r| r.2.as_deref()).collect::<StringArray>()) as ArrayRef),
        ("url", Arc::new(rows.iter().map(|r| r.0.as_deref().ok()).collect::<StringArray>())),
        ("caption", Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>())),
    ]);
    vec![
        ("a.csv", delimited(",").into_bytes()),
        ("a.tsv", delimited("\t").into_bytes()),
        ("a.jsonl", jsonl.clone().into_bytes()),
        ("a.json", array.to_string().into_bytes()),
        ("pretty.json", serde_json::to_vec_pretty(&array).unwrap()),
        ("lines.json", jsonl.into_bytes()),
        ("a.parquet", parquet_of(&table.unwrap(), 300)),
    ]
}

#[test]
fn every_format_gives_the_same_rows_whatever_the_units() {
    let rows = expected();
    for (name, bytes) in every_format() {
        let (_folder, list) = stored(name, &bytes);
        for rows_per_unit in [1000, 700, 299, 250, 7] {
            assert_eq!(read(&list, &input(&["id"]), rows_per_unit), rows, "{name} {rows_per_unit}");
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn packed_and_wide_texts_give_the_same_rows_from_any_unit_on() {
    let rows = expected();
    let two = |half: fn(&[u8]) -> Vec<u8>, bytes: &[u8]| [half(&bytes[..999]), half(&bytes[999..])].concat();
    for (name, bytes) in every_format().into_iter().filter(|(name, _)| *name != "a.parquet") {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let text = text.trim_start_matches('\u{feff}');
        let wide = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for packed in [two(gzip, &bytes), two(|b| zstd::encode_all(b, 1).unwrap(), &bytes), wide] {
            let (_folder, list) = stored(name, &packed);
            assert_eq!(list.scan(100).unwrap(), (700, Vec::new()), "{name}");
            assert_eq!(read(&list, &input(&["id"]), 299), rows, "{name}");
            // A unit by itself, and then one that is not its neighbour.
            let columns = list.columns(&input(&["id"])).unwrap();
            for unit in [3, 5, 2] {
                let unit = &units(&list, 100)[unit];
                let range = unit.start as usize..(unit.start + unit.rows) as usize;
                assert_eq!(rows_of(blocks(&list, &columns, unit)), rows[range], "{name} {}", unit.index);
            }
        }
    }
}

#[test]
fn a_list_in_a_store_gives_the_same_rows_and_digest() {
    let store = Store::over(Arc::new(InMemory::new()), ObjectPath::from("lists"), "memory://lists");
    for (name, bytes) in every_format() {
        let (_folder, disk) = stored(name, &bytes);
        store.put(name, bytes).unwrap();
        let list = list(Source::of(&store, name).unwrap(), name);
        assert_eq!(read(&list, &input(&["id"]), 250), expected(), "{name}");
        assert_eq!(list.digest().unwrap(), disk.digest().unwrap(), "{name}");
    }
    let found: Vec<_> = Source::below(&store).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!((found.len(), found[0].as_str()), (7, "a.csv"));
    let error = Source::of(&store, "absent.csv").unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().starts_with("memory://lists/absent.csv: ")), (2, true));
}

#[test]
fn what_is_cut_short_is_told_with_its_name_and_place() {
    let csv = b"url\nhttp://h/1\n".repeat(3000);
    let packed = gzip(&csv);
    for (name, bytes, message) in [
        (
            "a.csv.gz",
            &packed[..packed.len() - 9],
            "a.csv.gz: damaged or cut short: its gzip data cannot be read beyond byte",
        ),
        (
            "a.csv.zst",
            &zstd::encode_all(&csv[..], 1).unwrap()[..30],
            "its zstd data cannot be read beyond byte 30",
        ),
        ("a.json", b"[{\"url\": 1}, ", "a.json: cut short: it ends at byte 13 inside its array"),
        ("b.json", b"{\"url\": 1}\n{\"url\": \"", "it ends inside the value that begins at byte 11"),
    ] {
        let (_folder, list) = stored(name, bytes);
        let error = list.scan(10).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn a_quote_that_nobody_closes_ends_at_16_mib_with_advice() {
    let mut csv = b"url,caption\nhttp://h/1,\"open\n".to_vec();
    csv.extend(b"http://h/2,b\n".repeat(1_500_000));
    let (_folder, mut list) = stored("a.csv", &csv);
    let error = list.scan(10).unwrap_err();
    assert!(
        error.to_string().ends_with("begins at byte 12 is longer than 16 MiB: a quote is not closed"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("input.quoting = false"));
    let Content::Delimited(source, _) = list.content else { panic!() };
    list.content = Content::of(source, ListFormat::Csv, false).unwrap();
    assert_eq!(list.scan(1_000_000).unwrap().0, 1_500_001);
}

#[test]
fn bare_urls_and_late_keys_are_found_in_json() {
    let (_folder, list) = stored("a.json", br#"["http://h/1", "http://h/2]", {"url": "http://h/3"}, 7]"#);
    let links: Vec<_> = read(&list, &input(&[]), 2).into_iter().map(|row| row.0).collect();
    let url = |n: &str| Ok(format!("http://h/{n}"));
    assert_eq!(links, [url("1"), url("2]"), url("3"), Err(Reason::RowInvalid)]);
    let (_folder, list) = stored("a.jsonl", b"{\"url\": \"http://h/1\"}\n{\"url\": 2, \"id\": \"x\"}\n");
    assert_eq!(read(&list, &input(&["id"]), 2)[1].2.as_deref(), Some("x"));
}

fn parquet_of(batch: &RecordBatch, group: usize) -> Vec<u8> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_text_file_is_lines_never_csv() {
    let text = "http://h/a,b.jpg\r\n\n\"http://h/c\"\n  http://h/d  \n";
    let (_folder, list) = stored("a.txt", text.as_bytes());
    let urls: Vec<_> = read(&list, &input(&[]), 2).into_iter().map(|row| row.0.unwrap()).collect();
    assert_eq!(urls, ["http://h/a,b.jpg", "\"http://h/c\"", "http://h/d"]);
}

#[test]
fn broken_json_lines_and_short_csv_rows_are_rows() {
    let (_folder, list) =
        stored("a.jsonl", b"{\"url\": \"http://h/1\"}\n{\"url\": \nnull\n{\"url\": null}\n{\"url\": 7}");
    let links: Vec<_> = read(&list, &input(&[]), 10).into_iter().map(|row| row.0).collect();
    let bad = Err(Reason::RowInvalid);
    assert_eq!(
        links,
        [Ok("http://h/1".to_owned()), bad.clone(), bad, Err(Reason::UrlMissing), Ok("7".to_owned())]
    );
    let (_folder, list) = stored("a.csv", b"id,url,caption\n1\n2,http://h/2\n3,http://h/\xff,c,too,many\n");
    let rows = read(&list, &input(&[]), 10);
    let expected = [
        (Err(Reason::UrlMissing), None),
        (Ok("http://h/2".into()), None),
        (Ok("http://h/\u{fffd}".into()), Some("c".to_owned())),
    ];
    assert_eq!(rows.into_iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(), expected);
}

#[test]
fn additional_columns_of_parquet_keep_their_types() {
    let table = RecordBatch::try_from_iter([
        ("score", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("URL", Arc::new(StringArray::from(vec!["http://h/1", "http://h/2"]))),
    ]);
    let (_folder, list) = stored("a.parquet", &parquet_of(&table.unwrap(), 10));
    let error = list.columns(&input(&[])).unwrap_err();
    assert!(error.to_string().ends_with("no column `url`; there are: score, URL"), "{error}");
    assert_eq!(error.hint().unwrap(), "did you mean input.url_col = \"URL\"?");
    let columns = list.columns(&InputConfig { url_col: "URL".into(), ..input(&["score"]) }).unwrap();
    assert_eq!(columns.extra[0].data_type(), &arrow::datatypes::DataType::Int64);
    assert_eq!(columns.caption, None);
}

#[test]
fn a_cut_parquet_file_is_an_error_that_names_it() {
    let table =
        RecordBatch::try_from_iter([("url", Arc::new(StringArray::from(vec!["x"; 500])) as ArrayRef)]);
    let bytes = parquet_of(&table.unwrap(), 100);
    let (_folder, list) = stored("a.parquet", &bytes[..bytes.len() - 20]);
    let error = list.columns(&input(&[])).unwrap_err();
    assert!(error.to_string().contains("a.parquet: not a readable Parquet file"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn folders_and_patterns_are_opened_and_unknown_endings_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.txt", "a.csv.gz", "notes.md", "deep/er/c.txt", ".hidden.txt", "x_stats.json"] {
        crate::atomic::write(folder.path().join(name), "url\nhttp://h/1\n").unwrap();
    }
    let find = |name: &str| {
        let mut config = CrawlConfig::default();
        config.input.urls = vec![folder.path().join(name).display().to_string()];
        ListFile::find(&config)
    };
    let names = |name: &str| -> Vec<String> {
        let below =
            |list: ListFile| list.name.trim_start_matches(folder.path().to_str().unwrap())[1..].to_owned();
        find(name).unwrap().into_iter().map(below).collect()
    };
    assert_eq!(names(""), ["a.csv.gz", "b.txt"]);
    assert_eq!(names("*.txt"), ["b.txt"]);
    assert_eq!(names("**/*.txt"), ["b.txt", "deep/er/c.txt"]);
    assert_eq!(names("deep/*"), ["deep/er/c.txt"], "a folder that matches is opened");
    assert!(find("notes.md").unwrap_err().hint().unwrap().contains("input.format"));
    assert!(find("*.parquet").unwrap_err().to_string().ends_with("nothing matches this pattern"));
    assert_eq!(find("absent.csv").unwrap_err().exit_code(), 2);
}
