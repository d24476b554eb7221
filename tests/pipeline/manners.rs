//! What sites say about crawling, against hosts on loopback that count every request.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::picture::{EncodeOptions, Picture, encode};

use crate::desk::{Desk, text, told};

/// Hosts on one port, told apart by their names.
struct Hosts {
    port: u16,
    /// `host/path`, and how often it was asked for.
    requests: Arc<Mutex<BTreeMap<String, usize>>>,
    /// The last `User-Agent`.
    agent: Arc<Mutex<String>>,
}

/// What `host/path` answers.
type Answer = fn(&str) -> Response;

impl Hosts {
    fn start(answer: Answer) -> Self {
        let (requests, agent) = (Arc::<Mutex<BTreeMap<_, _>>>::default(), Arc::<Mutex<String>>::default());
        let (counts, last) = (Arc::clone(&requests), Arc::clone(&agent));
        let handle = move |headers: HeaderMap, uri: Uri| {
            let named =
                |name| headers.get(name).map(|v: &header::HeaderValue| v.to_str().unwrap().to_owned());
            let asked = named(header::HOST).unwrap() + &uri.to_string();
            *counts.lock().unwrap().entry(asked.clone()).or_default() += 1;
            *last.lock().unwrap() = named(header::USER_AGENT).unwrap_or_default();
            std::future::ready(answer(&asked))
        };
        let (sender, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                axum::serve(listener, axum::Router::new().fallback(handle)).await.unwrap();
            });
        });
        Self { port: port.recv().unwrap(), requests, agent }
    }

    /// How often URLs that begin so were asked for.
    fn asked(&self, prefix: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(asked, _)| asked.starts_with(prefix)).map(|(_, count)| count).sum()
    }

    /// Crawls `urls`; the hosts are found without DNS.
    fn crawl(&self, desk: &Desk, urls: &[&str], more: &[&str]) -> Output {
        desk.write("links.txt", urls.join("\n") + "\n");
        let host = |url: &&str| url.split('/').nth(2).unwrap().to_owned();
        let mut hosts: Vec<_> = urls.iter().map(host).chain(["rules.test".to_owned()]).collect();
        hosts.sort();
        hosts.dedup();
        let found = |host: &String| match host.as_str() {
            // A port on which nobody listens.
            "nobody.test" => format!("\"{host}=127.0.0.1:1\""),
            _ => format!("\"{host}=127.0.0.1:{}\"", self.port),
        };
        let resolve = format!("net.resolve=[{}]", hosts.iter().map(found).collect::<Vec<_>>().join(","));
        let mut arguments =
            vec!["crawl", "links.txt", "--out", "out", "--image-size", "16", "--set", &resolve];
        arguments.extend(more);
        desk.run(&arguments)
    }
}

fn picture() -> Response {
    encode(&Picture::filled(2, 2, [1, 2, 3]), &EncodeOptions::png()).unwrap().into_response()
}

fn with(headers: &[(&'static str, &'static str)], mut response: Response) -> Response {
    for (name, value) in headers {
        response.headers_mut().append(*name, header::HeaderValue::from_static(value));
    }
    response
}

fn moved(to: &'static str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

/// A body that never ends.
fn endless(chunk: &'static [u8]) -> Response {
    Body::from_stream(futures::stream::repeat_with(move || {
        Ok::<_, std::io::Error>(Bytes::from_static(chunk))
    }))
    .into_response()
}

/// Reason and rule of each row.
fn decided(desk: &Desk) -> Vec<(String, Option<String>)> {
    let mut rows = Vec::new();
    for shard in desk.shards("out").into_values() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(shard)).unwrap().build().unwrap();
        for batch in reader.map(Result::unwrap) {
            let column = |name| batch.column_by_name(name).unwrap().as_string::<i32>();
            let (reasons, rules) = (column("reason"), column("rule"));
            let rule = |i| rules.is_valid(i).then(|| rules.value(i).to_owned());
            rows.extend((0..batch.num_rows()).map(|i| (reasons.value(i).to_owned(), rule(i))));
        }
    }
    rows
}

/// Each URL with the reason and the rule that it is to get.
type Expected = [(&'static str, &'static str, Option<&'static str>)];

fn check(hosts: &Hosts, desk: &Desk, expected: &Expected, more: &[&str]) {
    let urls: Vec<_> = expected.iter().map(|(url, ..)| *url).collect();
    let output = hosts.crawl(desk, &urls, more);
    assert!(output.status.success(), "{}", told(&output));
    for ((url, reason, rule), found) in expected.iter().zip(decided(desk)) {
        assert_eq!((found.0.as_str(), found.1.as_deref()), (*reason, *rule), "{url}");
    }
}

fn with_robots(asked: &str) -> Response {
    let rules = "User-agent: *\nDisallow: /private # all of it\n";
    match asked {
        "closed.test/robots.txt" | "rules.test/elsewhere.txt" => rules.into_response(),
        "named.test/robots.txt" => {
            "User-agent: Troika-Pipeline/9\nDisallow: /\n\nUser-agent: *\nAllow: /\n".into_response()
        }
        "forbidden.test/robots.txt" => StatusCode::FORBIDDEN.into_response(),
        "broken.test/robots.txt" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "busy.test/robots.txt" => StatusCode::TOO_MANY_REQUESTS.into_response(),
        "moved.test/robots.txt" => moved("http://rules.test/elsewhere.txt"),
        "loop.test/robots.txt" => moved("/robots.txt"),
        "inside.test/robots.txt" => moved("http://127.0.0.1:9/robots.txt"),
        "endless.test/robots.txt" => endless(b"User-agent: *\nDisallow: /private\n"),
        "open.test/to-private" => moved("http://closed.test/private/moved"),
        _ if asked.ends_with(".txt") || asked.ends_with(".json") => StatusCode::NOT_FOUND.into_response(),
        _ => picture(),
    }
}

#[test]
fn robots_txt_is_obeyed_before_the_first_request() {
    let (desk, hosts) = (Desk::new(), Hosts::start(with_robots));
    let private = Some("robots.txt line 2: Disallow: /private");
    let expected = [
        ("http://open.test/a", "ok", None),
        ("http://open.test/to-private", "robots", private),
        ("http://closed.test/public", "ok", None),
        ("http://closed.test/private/1", "robots", private),
        ("http://closed.test/private?2", "robots", private),
        ("http://closed.test/%70rivate", "robots", private),
        ("http://named.test/a", "robots", Some("robots.txt line 2: Disallow: /")),
        ("http://forbidden.test/a", "ok", None),
        ("http://broken.test/a", "robots_unreachable", Some("robots.txt: HTTP 503")),
        ("http://busy.test/a", "robots_unreachable", Some("robots.txt: HTTP 429")),
        ("http://moved.test/private", "robots", private),
        ("http://moved.test/a", "ok", None),
        ("http://loop.test/a", "ok", None),
        (
            "http://inside.test/a",
            "robots_unreachable",
            Some("robots.txt: the host is a private, local or reserved address"),
        ),
        ("http://endless.test/private", "robots", private),
        ("http://endless.test/a", "ok", None),
        ("http://nobody.test/a", "connect", None),
    ];
    check(&hosts, &desk, &expected, &[]);
    for untouched in [
        "closed.test/private",
        "closed.test/%70rivate",
        "named.test/a",
        "named.test/.well-known",
        "broken.test/a",
        "busy.test/a",
        "moved.test/private",
        "inside.test/a",
        "endless.test/private",
    ] {
        assert_eq!(hosts.asked(untouched), 0, "{untouched}");
    }
    assert_eq!(hosts.asked("closed.test/robots.txt"), 1, "once for all rows");
    assert_eq!(hosts.asked("loop.test/robots.txt"), 6, "five redirects are followed");
}

fn with_wishes(asked: &str) -> Response {
    match asked {
        "wish.test/noai" => with(&[("X-Robots-Tag", "noai")], endless(b"12345678")),
        "wish.test/several" => {
            with(&[("X-Robots-Tag", "otherbot: noai"), ("X-Robots-Tag", "all, None")], picture())
        }
        "wish.test/others" => with(&[("X-Robots-Tag", "otherbot: nofollow, noai")], picture()),
        "wish.test/ours" => with(&[("X-Robots-Tag", "Troika-Pipeline: noml")], picture()),
        "wish.test/date" => {
            let value = "unavailable_after: Friday, 25-Jun-49 15:00:00 UTC, noimageai";
            with(&[("X-Robots-Tag", value)], picture())
        }
        "wish.test/later" => {
            with(&[("X-Robots-Tag", "unavailable_after: 25 Jun 2950 15:00:00 PST")], picture())
        }
        "wish.test/tdm" => {
            with(&[("TDM-Reservation", "1"), ("TDM-Policy", "https://wish.test/policy")], endless(b"12345678"))
        }
        "wish.test/free" => with(&[("TDM-Reservation", "0")], picture()),
        "art.test/.well-known/tdmrep.json" => {
            r#"[{"location": "/art/free/", "tdm-reservation": 0}, {"location": "/art/*.png$", "tdm-reservation": 1}]"#
                .into_response()
        }
        "private.test/robots.txt" => "User-agent: *\nDisallow: /.well-known/\n".into_response(),
        "odd.test/.well-known/tdmrep.json" => "{\"location\": \"/\", \"tdm-reservation\": 1}".into_response(),
        "down.test/.well-known/tdmrep.json" => StatusCode::BAD_GATEWAY.into_response(),
        _ if asked.ends_with(".txt") || asked.ends_with(".json") => StatusCode::NOT_FOUND.into_response(),
        _ => picture(),
    }
}

#[test]
fn opt_outs_and_reservations_are_obeyed_before_the_body() {
    let (desk, hosts) = (Desk::new(), Hosts::start(with_wishes));
    let expected = [
        ("http://wish.test/noai", "opt_out", Some("X-Robots-Tag: noai")),
        ("http://wish.test/several", "opt_out", Some("X-Robots-Tag: all, None")),
        ("http://wish.test/others", "ok", None),
        ("http://wish.test/ours", "opt_out", Some("X-Robots-Tag: Troika-Pipeline: noml")),
        (
            "http://wish.test/date",
            "opt_out",
            Some("X-Robots-Tag: unavailable_after: Friday, 25-Jun-49 15:00:00 UTC, noimageai"),
        ),
        ("http://wish.test/later", "ok", None),
        (
            "http://wish.test/tdm",
            "tdm_reserved",
            Some("tdm-reservation: 1, tdm-policy: https://wish.test/policy"),
        ),
        ("http://wish.test/free", "ok", None),
        ("http://art.test/art/a.png", "tdm_reserved", Some("tdmrep.json: /art/*.png$")),
        ("http://art.test/art/free/a.png", "ok", None),
        ("http://art.test/art/a.png?size=2", "ok", None),
        ("http://private.test/a", "ok", None),
        ("http://odd.test/a", "ok", None),
        ("http://down.test/a", "ok", None),
    ];
    check(&hosts, &desk, &expected, &[]);
    assert_eq!(hosts.asked("art.test/art/a.png"), 1, "only the one that is not reserved");
    assert_eq!(hosts.asked("art.test/.well-known/tdmrep.json"), 1, "once for all rows");
    assert_eq!(hosts.asked("private.test/.well-known/"), 0, "robots.txt disallows it");
    let stats = desk.json("out/00000_stats.json");
    assert_eq!(stats["status_dict"]["Use of image disallowed by X-Robots-Tag directive"], 4);
}

#[test]
fn manners_can_be_changed_and_the_plan_notices() {
    let (desk, hosts) = (Desk::new(), Hosts::start(with_wishes));
    let expected = [
        ("http://wish.test/several", "ok", None),
        ("http://wish.test/ours", "ok", None),
        ("http://art.test/art/a.png", "ok", None),
    ];
    let rude = ["--no-robots", "--disallowed-header-directives", "[]", "--set", "manners.tdm=false"];
    check(&hosts, &desk, &expected, &rude);
    assert_eq!((hosts.asked("wish.test/robots.txt"), hosts.asked("art.test/.well-known")), (0, 0));

    let urls = expected.map(|(url, ..)| url);
    let polite = hosts.crawl(&desk, &urls, &[]);
    assert!(
        text(&polite.stderr).contains("error: out holds the output of another plan"),
        "{}",
        told(&polite)
    );

    let otherbot = [
        ("http://wish.test/others", "opt_out", Some("X-Robots-Tag: otherbot: nofollow, noai")),
        ("http://wish.test/ours", "ok", None),
        ("http://wish.test/noai", "too_large", None),
    ];
    let named = ["--user-agent-token", "OtherBot", "--fresh", "--set", "net.max_bytes=\"64 KiB\""];
    let words = ["--disallowed-header-directives", "[\"nofollow\", \"noml\"]"];
    check(&hosts, &desk, &otherbot, &[named.as_slice(), &words].concat());
    assert_eq!(*hosts.agent.lock().unwrap(), "OtherBot troika-pipeline/0.1.0 (image-text dataset crawler)");
}

#[test]
fn the_crawler_says_who_asks_and_asks_for_a_contact() {
    let (desk, hosts) = (Desk::new(), Hosts::start(with_robots));
    let note = "note: sites cannot reach you: add --contact mailto:you@example.org";
    let silent = hosts.crawl(&desk, &["http://open.test/a"], &[]);
    assert_eq!(text(&silent.stderr).matches(note).count(), 1, "{}", told(&silent));
    assert_eq!(*hosts.agent.lock().unwrap(), "troika-pipeline/0.1.0 (image-text dataset crawler)");

    let contact = ["--contact", "mailto:me@example.org", "--fresh"];
    let output = hosts.crawl(&desk, &["http://open.test/a"], &contact);
    assert!(output.status.success() && !text(&output.stderr).contains("note:"), "{}", told(&output));
    let agent = "troika-pipeline/0.1.0 (image-text dataset crawler) (+mailto:me@example.org)";
    assert_eq!(*hosts.agent.lock().unwrap(), agent);

    let wrong = hosts.crawl(&desk, &["http://open.test/a"], &["--contact", "me"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("error: manners.contact: is an address"), "{}", told(&wrong));
}
