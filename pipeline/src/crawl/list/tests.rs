//! Every list format gives the same rows, whole or unit by unit.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};

use super::*;

/// Url, caption, and the additional column as text.
type Rows = Vec<(Link, Option<String>, Option<String>)>;

fn input(columns: &[&str]) -> InputConfig {
    InputConfig { columns: columns.iter().map(|s| (*s).to_owned()).collect(), ..InputConfig::default() }
}

fn stored(name: &str, bytes: &[u8]) -> (tempfile::TempDir, ListFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    crate::atomic::write(&path, bytes).unwrap();
    let format = ListFormat::of(&path).unwrap();
    (folder, ListFile { path, format })
}

/// Reads a list through units of `rows_per_unit` rows.
fn read(list: &ListFile, input: &InputConfig, rows_per_unit: u64) -> Rows {
    let columns = list.columns(input).unwrap();
    let (rows, offsets) = list.scan(rows_per_unit).unwrap();
    let mut all = Vec::new();
    for index in 0..rows.div_ceil(rows_per_unit) {
        let start = index * rows_per_unit;
        let unit = Unit {
            index: index as usize,
            file: String::new(),
            start,
            rows: rows_per_unit.min(rows - start),
            offset: offsets.get(index as usize).copied(),
        };
        list.read(&columns, &unit, &mut |block| {
            for (row, (link, caption)) in block.links.into_iter().zip(block.captions).enumerate() {
                let cell = |array: &ArrayRef| {
                    array.is_valid(row).then(|| array.as_string::<i32>().value(row).to_owned())
                };
                all.push((link, caption, block.extra.first().and_then(cell)));
            }
            true
        })
        .unwrap();
    }
    all
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

#[test]
fn csv_tsv_jsonl_and_parquet_give_the_same_rows_whatever_the_units() {
    let rows = expected();
    let delimited = |by: &str| {
        let line = |(link, caption, extra): &(Link, Option<String>, Option<String>)| {
            let url = link.as_ref().ok().map(String::as_str);
            [quoted(extra.as_deref()), quoted(url), quoted(caption.as_deref())].join(by)
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        format!("\u{feff}id{by}url{by}caption\r\n{}", lines.join("\n"))
    };
    let json = |(link, caption, extra): &(Link, Option<String>, Option<String>)| {
        serde_json::json!({"url": link.as_ref().ok(), "caption": caption, "id": extra}).to_string()
    };
    let jsonl = rows.iter().map(json).collect::<Vec<_>>().join("\n\n") + "\n";
    let table = RecordBatch::try_from_iter([
        ("id", Arc::new(rows.iter().map(|r| r.2.as_deref()).collect::<StringArray>()) as ArrayRef),
        ("url", Arc::new(rows.iter().map(|r| r.0.as_deref().ok()).collect::<StringArray>())),
        ("caption", Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>())),
    ]);
    let parquet = parquet_of(&table.unwrap(), 300);
    let lists = [
        ("a.csv", delimited(",").into_bytes()),
        ("a.tsv", delimited("\t").into_bytes()),
        ("a.jsonl", jsonl.into_bytes()),
        ("a.parquet", parquet),
    ];
    for (name, bytes) in lists {
        let (_folder, list) = stored(name, &bytes);
        for rows_per_unit in [1000, 700, 299, 250, 7] {
            assert_eq!(read(&list, &input(&["id"]), rows_per_unit), rows, "{name} {rows_per_unit}");
        }
    }
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
fn folders_are_opened_and_unknown_endings_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.txt", "a.csv", "notes.md"] {
        crate::atomic::write(folder.path().join(name), "url\nhttp://h/1\n").unwrap();
    }
    let of =
        |name: &std::path::Path| InputConfig { urls: vec![name.to_str().unwrap().to_owned()], ..input(&[]) };
    let names: Vec<_> = ListFile::find(&of(folder.path()))
        .unwrap()
        .into_iter()
        .map(|list| list.path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a.csv", "b.txt"]);
    let error = ListFile::find(&of(&folder.path().join("notes.md"))).unwrap_err();
    assert!(error.hint().unwrap().contains("input.format"));
    assert_eq!(ListFile::find(&of(&folder.path().join("absent.csv"))).unwrap_err().exit_code(), 2);
}
