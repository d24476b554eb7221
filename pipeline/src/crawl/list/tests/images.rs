//! Images that are there already: folders, tars, columns of bytes, and the failures of an earlier output.

use arrow::array::{BinaryArray, StructArray};
use arrow::datatypes::{DataType, Fields};

use super::*;

fn of_folder(path: &Path) -> ListFile {
    let mut config = CrawlConfig::default();
    config.input.urls = vec![path.display().to_string()];
    let mut found = ListFile::find(&config).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn place(stored: &Stored) -> String {
    match stored {
        Stored::File(source) => format!("file {}", source.name().rsplit('/').next().unwrap()),
        Stored::Part { length, .. } => format!("part of {length}"),
        Stored::Bytes(bytes) => format!("bytes {}", String::from_utf8_lossy(bytes)),
        Stored::Missing => "missing".to_owned(),
    }
}

/// Link, caption, additional column and place of every row.
fn all(list: &ListFile, input: &InputConfig, rows_per_unit: u64) -> Vec<String> {
    let columns = list.columns(input).unwrap();
    let mut lines = Vec::new();
    for unit in units(list, rows_per_unit) {
        for block in blocks(list, &columns, &unit) {
            let places: Vec<_> = block.stored.iter().map(place).collect();
            for (row, place) in rows_of(vec![block]).into_iter().zip(places) {
                let cell = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
                lines.push(format!("{} {} {} {place}", row.0.unwrap(), cell(row.1), cell(row.2)));
            }
        }
    }
    lines
}

#[test]
fn a_folder_of_images_is_walked_in_order_with_what_lies_beside() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("cats/b.PNG", "x"),
        ("cats/a.jpg", "x"),
        ("cats/a.txt", "a cat\n"),
        ("dogs/small/c.webp", "x"),
        ("dogs/small/c.json", r#"{"url": "http://h/c", "caption": "a dog", "score": 7}"#),
        ("dogs/.hidden.jpg", "x"),
        ("dogs/notes.md", "x"),
        ("out/plan.json", "{}"),
        ("out/00000/1.jpg", "x"),
    ] {
        crate::atomic::write(folder.path().join(name), content).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), folder.path().join("dogs/around")).unwrap();
    let list = of_folder(folder.path());
    assert_eq!(list.format(), ListFormat::Images);
    let expected =
        ["cats/a.jpg a cat - file a.jpg", "cats/b.PNG - - file b.PNG", "http://h/c a dog 7 file c.webp"];
    for rows_per_unit in [10, 1, 2] {
        assert_eq!(all(&list, &input(&["score"]), rows_per_unit), expected);
    }
    let classes = InputConfig { caption_col: Some("folder".into()), ..input(&["source_key"]) };
    let found = all(&list, &classes, 10);
    assert_eq!(found[0], "cats/a.jpg cats cats/a file a.jpg");
    assert!(found[2].starts_with("http://h/c small dogs/small/c "), "{}", found[2]);
    let error = list.columns(&input(&["scor"])).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean input.columns = \"score\"?");
    let before = list.digest().unwrap();
    crate::atomic::write(folder.path().join("cats/a.txt"), "a cat, longer\n").unwrap();
    assert_ne!(list.digest().unwrap(), before);
}

#[test]
fn the_samples_of_a_tar_are_the_same_whatever_the_units() {
    let mut tar = tar::Builder::new(Vec::new());
    for i in 0..70 {
        for (ending, content) in
            [("jpg", "x".repeat(i * 37)), ("txt", format!("caption {i}")), ("json", "{}".into())]
        {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, format!("{i:05}.{ending}"), content.as_bytes()).unwrap();
        }
    }
    let (_folder, list) = stored("a.tar", &tar.into_inner().unwrap());
    let expected: Vec<_> =
        (0..70).map(|i| format!("{i:05}.jpg caption {i} {i:05} part of {}", i * 37)).collect();
    for rows_per_unit in [100, 33, 7] {
        assert_eq!(all(&list, &input(&["source_key"]), rows_per_unit), expected);
    }
    // A single unit, read by itself, begins at its byte.
    let unit = &units(&list, 30)[2];
    let columns = list.columns(&input(&[])).unwrap();
    assert!(unit.offset.is_some());
    assert_eq!(blocks(&list, &columns, unit)[0].links[0].as_deref(), Ok("00060.jpg"));
}

fn bytes_column() -> ArrayRef {
    Arc::new(BinaryArray::from(vec![Some(b"one".as_slice()), None, Some(b"three")]))
}

#[test]
fn bytes_in_a_table_are_taken_instead_of_a_download() {
    let urls: ArrayRef = Arc::new(StringArray::from(vec!["http://h/1", "http://h/2", "http://h/3"]));
    let table =
        RecordBatch::try_from_iter_with_nullable([("url", urls, true), ("jpg", bytes_column(), true)]);
    let (_folder, list) = stored("a.parquet", &parquet_of(&table.unwrap(), 2));
    let found = all(&list, &input(&[]), 2);
    assert_eq!(found, ["http://h/1 - - bytes one", "http://h/2 - - missing", "http://h/3 - - bytes three"]);
    let download = InputConfig { image_col: Some(String::new()), ..input(&[]) };
    let columns = list.columns(&download).unwrap();
    let block = &blocks(&list, &columns, &units(&list, 3)[0])[0];
    assert_eq!((block.links.len(), block.stored.len()), (3, 0));
    let wrong = InputConfig { image_col: Some("url".into()), ..input(&[]) };
    assert!(list.columns(&wrong).unwrap_err().to_string().ends_with("column `url` holds no bytes"));
}

#[test]
fn hugging_faces_image_column_needs_no_url() {
    let fields: Fields =
        vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)].into();
    let paths: ArrayRef = Arc::new(StringArray::from(vec!["1.jpg", "2.jpg", "3.jpg"]));
    let image: ArrayRef = Arc::new(StructArray::new(fields, vec![bytes_column(), paths], None));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["eins", "zwei", "drei"]));
    let table = RecordBatch::try_from_iter([("image", image), ("text", text)]).unwrap();
    let (_folder, list) = stored("a.parquet", &parquet_of(&table, 10));
    let captions = InputConfig { caption_col: Some("text".into()), ..input(&[]) };
    assert_eq!(all(&list, &captions, 10), [" eins - bytes one", " zwei - missing", " drei - bytes three"]);
}

/// Two shards of img2dataset, of which every third row failed.
fn earlier(folder: &Path) {
    for shard in 0..2 {
        let rows = shard * 100..shard * 100 + 100;
        let text = |cell: &dyn Fn(i32) -> Option<String>| -> ArrayRef {
            Arc::new(rows.clone().map(cell).collect::<StringArray>())
        };
        let failed = |i: i32| i % 3 == 0;
        let message = |i: i32| match i % 2 {
            _ if !failed(i) => None,
            0 => Some("timed out".to_owned()),
            _ => Some("HTTP Error 404: Not Found".to_owned()),
        };
        let status = |i: i32| Some(if failed(i) { "failed_to_download" } else { "success" }.to_owned());
        let table = RecordBatch::try_from_iter_with_nullable([
            ("id", text(&|i| Some(format!("id{i}"))), true),
            ("caption", text(&|i| Some(format!("caption {i}"))), true),
            ("url", text(&|i| Some(format!("http://h/{i}"))), true),
            ("key", text(&|i| Some(format!("{i:09}"))), true),
            ("status", text(&status), true),
            ("error_message", text(&message), true),
            ("exif", text(&|_| None), true),
        ]);
        let bytes = parquet_of(&table.unwrap(), 30);
        crate::atomic::write(folder.join(format!("{shard:05}.parquet")), bytes).unwrap();
        crate::atomic::write(folder.join(format!("{shard:05}_stats.json")), "{}").unwrap();
    }
}

fn retried(folder: &Path, classes: &str) -> ListFile {
    let mut config = CrawlConfig::default();
    config.input.urls = vec![folder.display().to_string()];
    config.input.retry_failed = serde_json::from_str(classes).unwrap();
    ListFile::find(&config).unwrap().remove(0)
}

#[test]
fn the_failures_of_an_earlier_output_are_a_list() {
    let folder = tempfile::tempdir().unwrap();
    earlier(folder.path());
    let list = retried(folder.path(), "true");
    let columns = list.columns(&input(&[])).unwrap();
    let names: Vec<_> = columns.extra.iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names, columns.caption.as_deref()), (vec!["id", "source_key"], Some("caption")));
    let expected: Rows = (0..200)
        .step_by(6)
        .map(|i| (Ok(format!("http://h/{i}")), Some(format!("caption {i}")), Some(format!("{i:09}"))))
        .collect();
    let keyed = InputConfig { columns: Vec::new(), ..input(&[]) };
    for rows_per_unit in [100, 10, 3] {
        let columns = list.columns(&keyed).unwrap();
        let keys = |mut block: Block| {
            block.extra.remove(0);
            block
        };
        let found: Rows = units(&list, rows_per_unit)
            .iter()
            .flat_map(|unit| rows_of(blocks(&list, &columns, unit).into_iter().map(keys).collect()))
            .collect();
        assert_eq!(found, expected, "{rows_per_unit}");
    }
    assert_eq!(retried(folder.path(), "\"all\"").scan(10).unwrap().0, 67);
    assert_eq!(retried(folder.path(), "\"http_not_found\"").scan(10).unwrap().0, 33);
    assert_eq!(retried(folder.path(), "\"dns\"").scan(10).unwrap().0, 0);
}

#[test]
fn a_retry_needs_an_output_and_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = CrawlConfig::default();
    config.input.urls = vec![folder.path().display().to_string()];
    config.input.retry_failed = serde_json::from_str("true").unwrap();
    let error = ListFile::find(&config).unwrap_err();
    assert!(error.to_string().ends_with("there is no Parquet file in it"), "{error}");
    config.output.path = format!("{}/", config.input.urls[0]);
    assert!(ListFile::find(&config).unwrap_err().to_string().starts_with("output.path: "));
}
