//! What the tests of `pipeline` share: a server on loopback that answers well and badly, and a desk to work at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use pipeline::pairs::{self, Pair};
use pipeline::picture::{EncodeOptions, Picture, encode};
use pipeline::store::Store;
use pipeline::unit::{Commit, committed};
use serde_json::Value;

/// A picture that differs from row to row in size, content and format.
pub(crate) fn picture(n: u32) -> Vec<u8> {
    let (width, height) = (20 + n * 7 % 90, 20 + n * 13 % 70);
    let value = |i: u32| (i.wrapping_mul(n + 3) >> 4).to_le_bytes()[0];
    let pixels = (0..width * height * 3).map(value).collect();
    let format = if n.is_multiple_of(2) { EncodeOptions::png() } else { EncodeOptions::default() };
    encode(&Picture::new(width, height, pixels).unwrap(), &format).unwrap()
}

fn redirect(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response()
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

/// A body that never ends: `chunk` after every `pause`.
fn endless(chunk: usize, pause: Duration) -> Response {
    let chunks = futures::stream::repeat(()).then(move |()| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(Bytes::from(vec![0xFF; chunk]))
    });
    Body::from_stream(chunks).into_response()
}

async fn answer(uri: Uri) -> Response {
    let path = uri.path();
    if let Some(n) = path.strip_prefix("/img/") {
        let n: u32 = n.parse().unwrap();
        // Later rows often come first.
        tokio::time::sleep(Duration::from_millis(u64::from(n * 37 % 60))).await;
        return picture(n).into_response();
    }
    match path {
        "/html.jpg" => "<!DOCTYPE html><html><body>moved</body></html>".into_response(),
        "/truncated.jpg" => picture(1)[..900].to_vec().into_response(),
        "/huge.png" => {
            // A sound header that promises 65,536 × 65,536 pixels.
            let mut bytes = picture(0);
            bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
            let checksum = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
            bytes.into_response()
        }
        "/pixel.png" => {
            encode(&Picture::filled(1, 1, [200, 10, 10]), &EncodeOptions::png()).unwrap().into_response()
        }
        "/empty" => Bytes::new().into_response(),
        "/gone" => StatusCode::GONE.into_response(),
        "/busy" => StatusCode::TOO_MANY_REQUESTS.into_response(),
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/metadata" => redirect("http://169.254.169.254/latest/meta-data/"),
        "/file" => redirect("file:///etc/hostname"),
        "/loop" => redirect("/loop"),
        "/moved" => redirect("/img/4"),
        "/drip" => endless(1, Duration::from_millis(100)),
        "/flood" => endless(1 << 16, Duration::ZERO),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The port of a server that runs until the tests end.
pub(crate) fn server() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let (sender, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap();
            });
        });
        port.recv().unwrap()
    })
}

/// A folder to work in.
pub(crate) struct Desk(pub(crate) tempfile::TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        pipeline::atomic::write(self.path(name), content).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        command.args(arguments).current_dir(self.0.path()).env("COLUMNS", "110").stdin(Stdio::null());
        for name in ["UNIT_INDEX", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A crawl of `list` into `out`, with the server under the name `pictures.test`.
    pub(crate) fn crawl(&self, list: &str, out: &str, more: &[&str]) -> Command {
        let resolve = format!("net.resolve=[\"pictures.test=127.0.0.1:{}\"]", server());
        let mut arguments = vec!["crawl", list, "--out", out, "--image-size", "64", "--set", &resolve];
        arguments.extend(more);
        self.command(&arguments)
    }

    pub(crate) fn commits(&self, out: &str) -> Vec<Commit> {
        committed(&Store::open(self.path(out).to_str().unwrap()).unwrap()).unwrap()
    }

    /// The shards of a folder, by unit.
    pub(crate) fn shards(&self, out: &str) -> BTreeMap<usize, Vec<u8>> {
        let read = |commit: Commit| {
            (commit.unit, std::fs::read(self.path(out).join(commit.table().unwrap())).unwrap())
        };
        self.commits(out).into_iter().map(read).collect()
    }

    pub(crate) fn pairs(&self, out: &str) -> Vec<Pair> {
        pairs::open(self.path(out).to_str().unwrap()).unwrap().map(Result::unwrap).collect()
    }

    /// All names in a folder, hidden ones too, but what `object_store` leaves of a put-if-absent that was killed
    /// (`plan.json#1`), which nobody reads.
    pub(crate) fn names(&self, out: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(out)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.contains('#'));
        names.sort();
        names
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, stdout and stderr, for snapshots.
pub(crate) fn told(output: &Output) -> String {
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

pub(crate) fn good_rows(count: u32) -> String {
    let mut list = "url,caption\n".to_owned();
    for n in 0..count {
        writeln!(list, "http://pictures.test/img/{n},picture {n}").unwrap();
    }
    list
}

/// How long a run lives before it is killed for the `round`-th time: a share of an undisturbed run's time, so that a fast
/// machine is not done before the first kills.
pub(crate) fn lifetime(undisturbed: Duration, round: u64) -> Duration {
    undisturbed.mul_f64(0.05 * (1 + round % 5) as f64)
}
