//! Hosts under a crawl: limits, turns, retries and the breaker, as a server sees them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use pipeline::picture::{EncodeOptions, Picture, encode};
use pipeline::reason::Reason;
use tokio::sync::watch;

use crate::desk::{Desk, told};

/// A request that has come.
#[derive(Clone, Debug)]
struct Request {
    /// `HOST/PATH`.
    url: String,
    at: Instant,
}

/// What the server has seen.
#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    in_flight: BTreeMap<String, usize>,
    most: BTreeMap<String, usize>,
}

/// A server that answers under every name.
struct Server {
    port: u16,
    seen: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Seen>,
    /// Pictures served.
    served: watch::Sender<usize>,
    /// `/last.png` is served once so many others were.
    others: usize,
}

impl Server {
    fn start(others: usize) -> Self {
        let seen = Arc::new(Shared { seen: Mutex::default(), served: watch::Sender::new(0), others });
        let (sender, port) = std::sync::mpsc::channel();
        let state = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                axum::serve(listener, Router::new().fallback(answer).with_state(state)).await.unwrap();
            });
        });
        Self { port: port.recv().unwrap(), seen }
    }

    /// A crawl of `list` that finds `hosts` at this server.
    fn crawl(&self, desk: &Desk, hosts: &[&str], out: &str, more: &[&str]) -> Command {
        let resolve: Vec<String> =
            hosts.iter().map(|host| format!("\"{host}=127.0.0.1:{}\"", self.port)).collect();
        let resolve = format!("net.resolve=[{}]", resolve.join(","));
        let mut arguments = vec!["crawl", "links.txt", "--out", out, "--image-size", "16", "--set", &resolve];
        arguments.extend(["--set", "net.retry_backoff=0.01"]);
        arguments.extend(more);
        desk.command(&arguments)
    }

    /// The requests so far, in order.
    fn requests(&self) -> Vec<Request> {
        self.seen.seen.lock().unwrap().requests.clone()
    }

    fn count(&self, url: &str) -> usize {
        self.requests().iter().filter(|request| request.url.starts_with(url)).count()
    }
}

fn picture() -> Response {
    encode(&Picture::filled(20, 20, [200, 10, 10]), &EncodeOptions::png()).unwrap().into_response()
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> Response {
    // Not what the tests are about; other files of a site's root are.
    if uri.path().starts_with("/robots.txt") || uri.path().starts_with("/.well-known") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let host = headers[header::HOST].to_str().unwrap().split(':').next().unwrap().to_owned();
    let url = format!("{host}{}", uri.path());
    let domain = host.rsplitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let times = {
        let mut seen = shared.seen.lock().unwrap();
        seen.requests.push(Request { url: url.clone(), at: Instant::now() });
        let now = seen.in_flight.entry(domain.clone()).or_default();
        *now += 1;
        let now = *now;
        let most = seen.most.entry(domain.clone()).or_default();
        *most = now.max(*most);
        seen.requests.iter().filter(|request| request.url == url).count()
    };
    let response = respond(&shared, uri.path(), times).await;
    *shared.seen.lock().unwrap().in_flight.get_mut(&domain).unwrap() -= 1;
    response
}

/// The answer to the `times`-th request for a path.
async fn respond(shared: &Shared, path: &str, times: usize) -> Response {
    match path {
        "/gone.png" => StatusCode::NOT_FOUND.into_response(),
        "/broken.png" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/flaky.png" if times == 1 => StatusCode::BAD_GATEWAY.into_response(),
        "/busy.png" if times == 1 => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response()
        }
        "/closed.png" => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "86400")]).into_response(),
        "/last.png" => {
            shared.served.subscribe().wait_for(|served| *served >= shared.others).await.unwrap();
            picture()
        }
        _ => {
            tokio::time::sleep(Duration::from_millis(5)).await;
            shared.served.send_modify(|served| *served += 1);
            picture()
        }
    }
}

fn reasons(desk: &Desk, out: &str) -> Vec<Reason> {
    desk.pairs(out).iter().map(|pair| pair.reason.unwrap()).collect()
}

fn run(mut crawl: Command) {
    let output = crawl.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn no_domain_gets_more_requests_at_a_time_than_its_limit() {
    let (desk, server) = (Desk::new(), Server::start(0));
    let hosts = ["a.one.com", "b.one.com", "one.com", "www.two.com"];
    let mut list = String::new();
    for n in 0..30 {
        hosts.iter().for_each(|host| writeln!(list, "http://{host}/{n}.png").unwrap());
    }
    desk.write("links.txt", list);
    run(server.crawl(&desk, &hosts, "out", &["--per-host", "3", "--rows-per-unit", "40"]));
    assert!(reasons(&desk, "out").iter().all(|reason| *reason == Reason::Ok));
    let most = server.seen.seen.lock().unwrap().most.clone();
    assert_eq!(most, [("com.one".to_owned(), 3), ("com.two".to_owned(), 3)].into());
}

/// The slow host comes first in every unit and answers when all other rows of all units are served: had anything
/// waited for it, its rows would be timeouts.
#[test]
fn a_slow_host_holds_up_nobody() {
    let (desk, server) = (Desk::new(), Server::start(4 * 49));
    let hosts = ["slow.com", "a.com", "b.com", "c.com", "d.com", "e.com", "f.com", "g.com"];
    let mut list = String::new();
    for row in 0..200 {
        match row % 50 {
            0 => writeln!(list, "http://slow.com/last.png").unwrap(),
            n => writeln!(list, "http://{}/{row}.png", hosts[1 + n % 7]).unwrap(),
        }
    }
    desk.write("links.txt", list);
    let flags = ["--rows-per-unit", "50", "--concurrency", "8", "--per-host", "4"];
    run(server.crawl(&desk, &hosts, "out", &flags));
    assert_eq!(reasons(&desk, "out"), [Reason::Ok; 200]);
}

#[test]
fn only_what_may_pass_is_tried_again_and_last_of_all() {
    let (desk, server) = (Desk::new(), Server::start(0));
    let mut list = "http://a.com/flaky.png\nhttp://b.com/gone.png\nhttp://c.com/broken.png\n".to_owned();
    (0..40).for_each(|n| writeln!(list, "http://d.com/{n}.png").unwrap());
    desk.write("links.txt", list);
    let flags = ["--concurrency", "4", "--retries", "2"];
    run(server.crawl(&desk, &["a.com", "b.com", "c.com", "d.com"], "out", &flags));
    assert_eq!(
        reasons(&desk, "out")[..4],
        [Reason::Ok, Reason::HttpNotFound, Reason::HttpServer, Reason::Ok]
    );
    let counts = ["a.com", "b.com", "c.com", "d.com"].map(|host| server.count(host));
    assert_eq!(counts, [2, 1, 3, 40]);
    // Of the first tries at most those in flight come in behind a second one.
    let requests: Vec<String> = server.requests().into_iter().map(|request| request.url).collect();
    let second = (0..requests.len()).find(|at| requests[..*at].contains(&requests[*at])).unwrap();
    assert!(second >= 43 - 4, "{requests:?}");
}

#[test]
fn a_server_that_asks_for_a_pause_is_not_asked_before() {
    let (desk, server) = (Desk::new(), Server::start(0));
    desk.write("links.txt", "http://a.com/busy.png\nhttp://a.com/1.png\n");
    run(server.crawl(&desk, &["a.com"], "out", &["--per-host", "1"]));
    assert_eq!(reasons(&desk, "out"), [Reason::Ok; 2]);
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(950), "{requests:?}");
}

#[test]
fn a_server_that_asks_for_a_day_is_left_alone() {
    let (desk, server) = (Desk::new(), Server::start(0));
    desk.write("links.txt", "http://a.com/closed.png\nhttp://a.com/1.png\nhttp://b.com/1.png\n");
    run(server.crawl(&desk, &["a.com", "b.com"], "out", &["--per-host", "1"]));
    assert_eq!(reasons(&desk, "out"), [Reason::HttpServer, Reason::HostStopped, Reason::Ok]);
    assert_eq!(server.count("a.com"), 1);
}

#[test]
fn a_host_that_keeps_failing_is_stopped() {
    let (desk, server) = (Desk::new(), Server::start(0));
    let mut list = String::new();
    (0..40).for_each(|_| writeln!(list, "http://a.com/broken.png\nhttp://b.com/1.png").unwrap());
    desk.write("links.txt", list);
    run(server.crawl(&desk, &["a.com", "b.com"], "out", &["--set", "net.breaker=5"]));
    // Five, a probe after five more, a probe after ten more.
    assert_eq!(server.count("a.com"), 7);
    let stopped = reasons(&desk, "out").iter().filter(|reason| **reason == Reason::HostStopped).count();
    assert_eq!((stopped, server.count("b.com")), (33, 40));
}

#[test]
fn a_failing_host_gives_the_same_bytes_after_every_kill() {
    let (desk, server) = (Desk::new(), Server::start(0));
    let hosts = ["a.com", "b.com", "c.com"];
    let mut list = String::new();
    for n in 0..60 {
        writeln!(list, "http://a.com/broken.png\nhttp://b.com/{n}.png\nhttp://c.com/gone.png").unwrap();
    }
    desk.write("links.txt", list);
    let flags = ["--rows-per-unit", "30", "--concurrency", "6", "--set", "net.breaker=3"];
    run(server.crawl(&desk, &hosts, "whole", &flags));
    for round in 0..6_u64 {
        let mut child = server.crawl(&desk, &hosts, "killed", &flags).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + round * 61 % 150));
        // SIGKILL, or too late for it.
        drop(child.kill());
        child.wait().unwrap();
    }
    run(server.crawl(&desk, &hosts, "killed", &flags));
    assert_eq!(desk.shards("whole").len(), 6);
    assert!(desk.shards("whole") == desk.shards("killed"), "the shards differ");
    assert!(reasons(&desk, "whole").contains(&Reason::HostStopped));
}
