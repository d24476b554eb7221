//! A server on loopback that speaks as much of S3 as `object_store` asks for, and crawls that write to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::desk::{Desk, good_rows, text, told};

/// Objects by `bucket/key`, and the parts of uploads that are not complete.
#[derive(Default)]
struct Objects {
    objects: BTreeMap<String, Bytes>,
    parts: BTreeMap<(u32, u32), Bytes>,
    uploads: u32,
    /// Refuses everything.
    locked: bool,
}

/// The decoded value of a query parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn xml(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

fn etag() -> [(header::HeaderName, &'static str); 2] {
    [(header::ETAG, "\"e\""), (header::LAST_MODIFIED, "Tue, 24 Nov 2026 00:00:00 GMT")]
}

impl Objects {
    fn answer(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Response {
        if self.locked {
            return StatusCode::FORBIDDEN.into_response();
        }
        let (path, query) = (uri.path().trim_matches('/').to_owned(), uri.query().unwrap_or(""));
        let upload = parameter(query, "uploadId").map(|id| id.parse::<u32>().unwrap());
        match (method.as_str(), upload) {
            ("PUT", Some(id)) => {
                let part = parameter(query, "partNumber").unwrap().parse().unwrap();
                self.parts.insert((id, part), body);
                etag().into_response()
            }
            ("POST", Some(id)) => {
                let parts = self.parts.range((id, 0)..(id + 1, 0));
                let whole = parts.flat_map(|(_, part)| part.to_vec()).collect::<Vec<u8>>();
                self.objects.insert(path, whole.into());
                xml("<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
                    .into())
            }
            ("PUT", None) => self.put(path, headers, body),
            ("POST", None) if query.starts_with("uploads") => {
                self.uploads += 1;
                let id = self.uploads;
                xml(format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            ("POST", None) => self.delete_all(&path, &text(&body)),
            ("GET", None) if query.contains("list-type") => self.list(&path, query),
            ("GET" | "HEAD", None) => self.get(&path, headers),
            _ => StatusCode::NOT_IMPLEMENTED.into_response(),
        }
    }

    fn put(&mut self, path: String, headers: &HeaderMap, body: Bytes) -> Response {
        if headers.contains_key(header::IF_NONE_MATCH) && self.objects.contains_key(&path) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        let Some(source) = headers.get("x-amz-copy-source") else {
            self.objects.insert(path, body);
            return etag().into_response();
        };
        match self.objects.get(source.to_str().unwrap().trim_matches('/')).cloned() {
            None => StatusCode::NOT_FOUND.into_response(),
            Some(bytes) => {
                self.objects.insert(path, bytes);
                xml("<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>".into())
            }
        }
    }

    fn get(&self, path: &str, headers: &HeaderMap) -> Response {
        let Some(bytes) = self.objects.get(path) else { return StatusCode::NOT_FOUND.into_response() };
        let Some(range) = headers.get(header::RANGE) else { return (etag(), bytes.clone()).into_response() };
        let (start, end) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        let end = end.min(bytes.len() - 1);
        let place = format!("bytes {start}-{end}/{}", bytes.len());
        let part = bytes.slice(start..=end);
        (StatusCode::PARTIAL_CONTENT, etag(), [(header::CONTENT_RANGE, place)], part).into_response()
    }

    fn delete_all(&mut self, bucket: &str, body: &str) -> Response {
        let keys = body.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap());
        let mut deleted = String::new();
        for key in keys {
            self.objects.remove(&format!("{bucket}/{key}"));
            write!(deleted, "<Deleted><Key>{key}</Key></Deleted>").unwrap();
        }
        xml(format!("<DeleteResult>{deleted}</DeleteResult>"))
    }

    fn list(&self, bucket: &str, query: &str) -> Response {
        let prefix = parameter(query, "prefix").unwrap_or_default();
        let (mut contents, mut folders) = (String::new(), std::collections::BTreeSet::new());
        for (path, bytes) in &self.objects {
            let Some(key) = path.strip_prefix(bucket).map(|key| &key[1..]) else { continue };
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            match rest.split_once('/').filter(|_| query.contains("delimiter")) {
                Some((folder, _)) => drop(folders.insert(format!("{prefix}{folder}/"))),
                None => write!(
                    contents,
                    "<Contents><Key>{key}</Key><Size>{}</Size><ETag>\"e\"</ETag>\
                     <LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>",
                    bytes.len()
                )
                .unwrap(),
            }
        }
        for folder in folders {
            write!(contents, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>").unwrap();
        }
        xml(format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"))
    }
}

/// A bucket of its own for a test.
struct Bucket {
    objects: Arc<Mutex<Objects>>,
    port: u16,
}

impl Bucket {
    fn new() -> Self {
        let objects = Arc::new(Mutex::new(Objects::default()));
        let (sender, port) = std::sync::mpsc::channel();
        let shared = Arc::clone(&objects);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                    let response = shared.lock().unwrap().answer(&method, &uri, &headers, body);
                    std::future::ready(response)
                };
                let router = axum::Router::new().fallback(answer);
                let router = router.layer(axum::extract::DefaultBodyLimit::disable());
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { objects, port: port.recv().unwrap() }
    }

    /// A command that finds the bucket.
    fn known_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
    }

    /// The units' files, without those that tell times.
    fn data(&self) -> BTreeMap<String, Bytes> {
        let objects = &self.objects.lock().unwrap().objects;
        let named =
            objects.iter().filter_map(|(path, bytes)| Some((path.strip_prefix("bucket/pairs/")?, bytes)));
        let data = named.filter(|(name, _)| name.starts_with('0') && !name.ends_with("_stats.json"));
        data.map(|(name, bytes)| (name.to_owned(), bytes.clone())).collect()
    }
}

#[test]
fn a_bucket_gets_the_same_bytes_as_a_folder() {
    let (desk, bucket) = (Desk::new(), Bucket::new());
    desk.write("links.csv", good_rows(12));
    for format in ["parquet", "webdataset"] {
        let flags = ["--rows-per-unit", "5", "--output-format", format];
        let here = desk.crawl("links.csv", format, &flags).output().unwrap();
        assert!(here.status.success(), "{}", told(&here));
        let mut fresh = flags.to_vec();
        fresh.push("--fresh");
        let there =
            bucket.known_to(&mut desk.crawl("links.csv", "s3://bucket/pairs", &fresh)).output().unwrap();
        assert!(there.status.success(), "{}", told(&there));
        let data = bucket.data();
        let mut names = desk.names(format);
        names.retain(|name| name.starts_with('0') && !name.ends_with("_stats.json"));
        assert_eq!(data.keys().cloned().collect::<Vec<_>>(), names);
        for (name, bytes) in data {
            assert!(std::fs::read(desk.path(format).join(&name)).unwrap() == bytes, "{name} differs");
        }
    }
    let shown =
        bucket.known_to(&mut desk.command(&["show", "s3://bucket/pairs", "--json"])).output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["rows"], &shown["reasons"]["ok"]), (&12.into(), &12.into()));
    let status = bucket.known_to(&mut desk.command(&["status", "s3://bucket/pairs"])).output().unwrap();
    assert_eq!(text(&status.stdout), "3 of 3 units done, 12 of 12 rows\n");
}

#[test]
fn of_two_attempts_at_a_unit_in_a_bucket_one_wins() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(10));
    for format in ["parquet", "files"] {
        let bucket = Bucket::new();
        let race = || {
            let mut crawl =
                desk.crawl("links.csv", "s3://bucket/pairs", &["--unit", "0", "--output-format", format]);
            bucket.known_to(&mut crawl).stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let racers = [race(), race(), race()];
        for racer in racers {
            let output = racer.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", told(&output));
        }
        let data = bucket.data();
        let files = match format {
            "parquet" => 1,
            _ => 10 * 3 + 1,
        };
        assert_eq!(data.len(), files, "{:?}", data.keys());
        let shown = bucket.known_to(&mut desk.command(&["show", "s3://bucket/pairs"])).output().unwrap();
        assert!(text(&shown.stdout).contains("1 shards, 10 rows"), "{}", told(&shown));
    }
}

#[test]
fn a_store_that_refuses_is_told_with_its_url_and_a_cure() {
    let (desk, bucket) = (Desk::new(), Bucket::new());
    bucket.objects.lock().unwrap().locked = true;
    desk.write("links.csv", good_rows(1));
    let output =
        bucket.known_to(&mut desk.crawl("links.csv", "s3://bucket/pairs", &["-q"])).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{stderr}");
    assert!(stderr.starts_with("error: s3://bucket/pairs/plan.json: "), "{stderr}");
    assert!(stderr.contains("hint: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION"), "{stderr}");
}
