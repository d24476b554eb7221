//! Downloads from a server on loopback that answers well and badly, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::crawl::dns::DnsChoice;
use crate::crawl::name_server::{Answer, NameServer};
use crate::crawl::size::ByteSize;

/// What a server did.
struct Served {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

fn ok(more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n").as_bytes(), body].concat()
}

/// The bytes that a path answers with; after those of `/short`, the connection is closed.
fn answer(path: &str) -> Vec<u8> {
    match path {
        "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec(),
        "/gzip" => ok("Content-Encoding: gzip\r\n", &gzip(&[7; 5000])),
        "/bomb" => ok("Content-Encoding: gzip\r\n", &gzip(&vec![0; 4 << 20])),
        "/br" => ok("Content-Encoding: br\r\n", b"packed"),
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".to_vec()
        }
        "/busy" => b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/gone" => b"HTTP/1.1 404 Not Found\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        "/loop" => b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/silent" => Vec::new(),
        _ => ok("", &[b'x'; 20_000]),
    }
}

fn converse(stream: impl Read + Write, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).unwrap().to_owned();
        heads.lock().unwrap().push(head);
        stream.get_mut().write_all(&answer(&path))?;
        stream.get_mut().flush()?;
        match path.as_str() {
            "/short" => return Ok(()),
            "/silent" => std::thread::sleep(Duration::from_secs(1)),
            _ => {}
        }
    }
}

/// A server that speaks through what `wrap` makes of a connection.
fn serve<S: Read + Write + 'static>(wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let served = Served {
        address: listener.local_addr().unwrap(),
        connections: Arc::default(),
        heads: Arc::default(),
    };
    let (connections, heads, wrap) =
        (Arc::clone(&served.connections), Arc::clone(&served.heads), Arc::new(wrap));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            connections.fetch_add(1, Ordering::Relaxed);
            let (heads, wrap) = (Arc::clone(&heads), Arc::clone(&wrap));
            // A client that hangs up is no error.
            std::thread::spawn(move || drop(converse(wrap(stream.unwrap()), &heads)));
        }
    });
    served
}

fn plain() -> Served {
    serve(|stream| stream)
}

/// With a certificate that nobody vouches for.
fn self_signed() -> Served {
    drop(rustls::crypto::ring::default_provider().install_default());
    let certificate = CertificateDer::from(include_bytes!("testdata/self-signed.cert.der").as_slice());
    let key = PrivatePkcs8KeyDer::from(include_bytes!("testdata/self-signed.key.der").as_slice());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key.into()).unwrap());
    serve(move |stream| StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream))
}

/// A fetcher to which the server is `pictures.test`.
struct Desk {
    fetcher: Fetcher,
    bodies: Bodies,
    timings: Arc<Timings>,
}

impl Desk {
    fn new(served: &Served, adjust: impl FnOnce(&mut NetConfig)) -> Self {
        let resolve = vec![format!("pictures.test={}", served.address)];
        let mut net = NetConfig { resolve, dns: DnsChoice::System, ..NetConfig::default() };
        net.max_bytes = ByteSize::mib(1);
        adjust(&mut net);
        let bodies = Bodies::new(8 << 20, 4, net.max_bytes.0);
        let silent = MannersConfig { robots: false, tdm: false, ..MannersConfig::default() };
        let fetcher = Fetcher::new(&net, &silent, bodies.clone()).unwrap();
        Self { fetcher, bodies, timings: Arc::new(Timings::new()) }
    }

    async fn get(&self, url: &str) -> Result<Bytes, Failure> {
        let held = self.bodies.start().await.unwrap();
        self.fetcher.fetch(url, held, &self.timings).await.map(|body| body.bytes)
    }

    async fn failure(&self, url: &str) -> Failure {
        self.get(url).await.unwrap_err()
    }

    fn count(&self, phase: Phase) -> u64 {
        self.timings.quantiles(phase).map_or(0, |quantiles| quantiles.count)
    }
}

#[tokio::test]
async fn what_may_not_be_asked_is_refused_before_connecting() {
    let served = plain();
    let desk = Desk::new(&served, |net| net.resolve.clear());
    for (url, reason) in [
        (format!("http://{}/", served.address), Reason::AddressRefused),
        (format!("http://localhost:{}/", served.address.port()), Reason::AddressRefused),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), Reason::AddressRefused),
        ("file:///etc/hostname".to_owned(), Reason::UrlScheme),
        ("not a url".to_owned(), Reason::UrlInvalid),
        ("http://[::1".to_owned(), Reason::UrlInvalid),
    ] {
        assert_eq!(desk.failure(&url).await.reason, reason, "{url}");
    }
    assert_eq!(served.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn connections_are_used_again() {
    let served = plain();
    let desk = Desk::new(&served, |_| ());
    for n in 0..40 {
        // What fails or leads elsewhere leaves the connection usable, too.
        let path = ["img", "gone", "chunked", "gzip"][n % 4];
        assert_eq!(desk.get(&format!("http://pictures.test/{path}")).await.is_ok(), path != "gone");
    }
    // A second one may be opened before the first has been put back.
    let connections = served.connections.load(Ordering::Relaxed);
    assert!(connections <= 4, "{connections} connections for 40 downloads");
    assert_eq!((desk.count(Phase::FirstByte), desk.count(Phase::Body)), (40, 30));
    assert!((1..=4).contains(&desk.count(Phase::Connect)));
    assert!(served.heads.lock().unwrap().iter().all(|head| head.contains("accept-encoding: identity\r\n")));
}

#[tokio::test]
async fn a_public_name_with_a_private_address_is_refused_each_time() {
    let served = plain();
    let loopback = vec!["127.0.0.1".parse().unwrap()];
    let names = NameServer::start(Duration::ZERO, move |_| Answer::Addresses(loopback.clone(), 60));
    let port = served.address.port();
    let dns = DnsChoice::Servers(vec![names.address]);
    let desk = Desk::new(&served, |net| {
        net.allow = vec![format!("intranet.test:{port}")];
        net.dns = dns;
    });
    for _ in 0..2 {
        assert_eq!(desk.failure(&format!("http://evil.test:{port}/")).await.reason, Reason::AddressRefused);
    }
    assert_eq!(served.connections.load(Ordering::Relaxed), 0);
    assert!(desk.get(&format!("http://intranet.test:{port}/img")).await.is_ok(), "the config names it");
    assert_eq!((names.names(), desk.count(Phase::Dns)), (2, 2));
}

#[tokio::test]
async fn a_name_that_does_not_exist_and_a_server_that_fails_are_told_apart() {
    let served = plain();
    let names = NameServer::start(Duration::ZERO, |name| match name {
        "gone.test" => Answer::NoName(Some(60)),
        _ => Answer::Failure,
    });
    let desk = Desk::new(&served, |net| net.dns = DnsChoice::Servers(vec![names.address]));
    assert_eq!(desk.failure("http://gone.test/").await.reason, Reason::Dns);
    assert_eq!(desk.failure("http://broken.test/").await.reason, Reason::DnsFailed);
}

#[tokio::test]
async fn a_body_that_ends_early_is_told_as_python_does() {
    let served = plain();
    let failure = Desk::new(&served, |_| ()).failure("http://pictures.test/short").await;
    assert_eq!(failure.reason, Reason::ConnectionLost);
    assert_eq!(failure.message.as_deref(), Some("IncompleteRead(4 bytes read, 96 more expected)"));
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_the_cap() {
    let served = plain();
    let desk = Desk::new(&served, |_| ());
    assert_eq!(desk.get("http://pictures.test/gzip").await.unwrap(), [7; 5000].as_slice());
    assert_eq!(desk.get("http://pictures.test/chunked").await.unwrap(), "abcde");
    assert_eq!(desk.failure("http://pictures.test/bomb").await.reason, Reason::TooLarge);
    assert_eq!(desk.failure("http://pictures.test/br").await.reason, Reason::ContentEncoding);
}

#[tokio::test]
async fn a_server_can_ask_to_be_left_alone() {
    let served = plain();
    let desk = Desk::new(&served, |net| net.max_redirects = 2);
    let busy = desk.failure("http://pictures.test/busy").await;
    assert_eq!((busy.reason, busy.retry_after), (Reason::HttpServer, Some(Duration::from_secs(7))));
    let gone = desk.failure("http://pictures.test/gone").await;
    assert_eq!((gone.reason, gone.retry_after), (Reason::HttpNotFound, None), "for good");
    let looped = desk.failure("http://pictures.test/loop").await;
    assert_eq!(looped.reason, Reason::Redirects);
    let asked = served.heads.lock().unwrap().iter().filter(|head| head.contains("/loop")).count();
    assert_eq!(asked, 3, "the first and two redirects");
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_given_up() {
    let served = plain();
    let desk = Desk::new(&served, |net| net.first_byte_timeout = 0.1);
    let failure = desk.failure("http://pictures.test/silent").await;
    assert_eq!((failure.reason, failure.message), (Reason::TimeoutFirstByte, None));
}

#[tokio::test]
async fn a_certificate_must_be_valid_unless_the_config_says_otherwise() {
    let served = self_signed();
    let url = "https://pictures.test/img";
    let failure = Desk::new(&served, |_| ()).failure(url).await;
    assert_eq!(failure.reason, Reason::Tls);
    let told = failure.message.unwrap();
    assert!(told.starts_with("<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED]"), "{told}");
    let desk = Desk::new(&served, |net| net.ignore_ssl_certificate = true);
    assert_eq!(desk.get(url).await.unwrap().len(), 20_000);
    assert_eq!(desk.count(Phase::Connect), 1);
}

#[tokio::test]
async fn a_closed_port_is_told_as_python_does() {
    let served = plain();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let desk = Desk::new(&served, |net| net.resolve = vec![format!("pictures.test={closed}")]);
    let failure = desk.failure("http://pictures.test/").await;
    assert_eq!(failure.reason, Reason::Connect);
    let told = failure.message.unwrap();
    assert!(told.starts_with("<urlopen error [Errno "), "{told}");
}
