//! Against a name server on loopback that counts what it is asked.

use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::crawl::name_server::{A, AAAA, Answer as Said, NameServer};

const NOW: Duration = Duration::ZERO;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn resolver(server: &NameServer, ipv6: bool) -> Dns {
    Dns::of(Source::servers(vec![source::at(server.address)], ipv6).unwrap())
}

fn public() -> Said {
    Said::Addresses(vec![ip("192.0.1.7")], 300)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_links_on_a_hundred_hosts_are_a_hundred_lookups() {
    let server = NameServer::start(NOW, |_| public());
    let dns = resolver(&server, true);
    let tasks: Vec<_> = (0..10_000)
        .map(|n| {
            let dns = dns.clone();
            tokio::spawn(async move { dns.lookup(&format!("host{}.test", n % 100)).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok([ip("192.0.1.7")].into()));
    }
    assert_eq!((dns.lookups(), server.names()), (100, 100));
    // A busy machine answers late, and is then asked again.
    assert!((100..300).contains(&server.queries(A)), "{}", server.queries(A));
    assert!((100..300).contains(&server.queries(AAAA)), "{}", server.queries(AAAA));
}

#[tokio::test]
async fn those_that_ask_at_the_same_time_share_one_query() {
    let server = NameServer::start(Duration::from_millis(50), |_| public());
    let dns = resolver(&server, false);
    let asked = futures::future::join_all((0..50).map(|_| dns.lookup("a.test"))).await;
    assert!(asked.iter().all(Result::is_ok));
    assert_eq!((dns.lookups(), server.queries(AAAA)), (1, 0));
    assert!(server.queries(A) < 10, "{}", server.queries(A));
}

#[tokio::test]
async fn an_answer_comes_to_the_others_when_the_first_gives_up() {
    let server = NameServer::start(Duration::from_millis(50), |_| public());
    let dns = resolver(&server, false);
    let patience = Duration::from_millis(5);
    assert!(tokio::time::timeout(patience, dns.lookup("a.test")).await.is_err());
    assert!(dns.lookup("a.test").await.is_ok());
    assert_eq!(dns.lookups(), 1);
}

#[tokio::test]
async fn that_there_is_nothing_is_remembered_too() {
    let server = NameServer::start(NOW, |name| match name {
        "gone.test" => Said::NoName(Some(120)),
        "unsaid.test" => Said::NoName(None),
        _ => Said::Addresses(Vec::new(), 0),
    });
    let dns = resolver(&server, true);
    for name in ["gone.test", "unsaid.test", "mail-only.test"] {
        for _ in 0..5 {
            assert_eq!(dns.lookup(name).await, Err(NoAddress::Unknown), "{name}");
        }
    }
    assert_eq!((dns.lookups(), server.names()), (3, 3));
}

#[tokio::test]
async fn a_server_that_fails_is_no_proof_that_the_name_does_not_exist() {
    let server = NameServer::start(NOW, |_| Said::Failure);
    let dns = resolver(&server, false);
    assert_eq!(dns.lookup("a.test").await, Err(NoAddress::Failed));
    assert_eq!(dns.known("a.test"), Some(Err(NoAddress::Failed)));
    assert_eq!(dns.lookup("a.test").await, Err(NoAddress::Failed));
    assert_eq!(dns.lookups(), 1, "remembered for a while");
}

#[tokio::test]
async fn both_families_are_handed_out_and_names_are_absolute() {
    let server = NameServer::start(NOW, |name| match name {
        "two.test" => Said::Addresses(vec![ip("2606:4700::1"), ip("192.0.1.7")], 60),
        _ => Said::NoName(None),
    });
    let dns = resolver(&server, true);
    assert_eq!(dns.lookup("two.test").await, Ok([ip("192.0.1.7"), ip("2606:4700::1")].into()));
    assert_eq!(dns.lookup("two").await, Err(NoAddress::Unknown));
    assert_eq!(server.names(), 2, "no search domain was tried");
}

#[tokio::test]
async fn local_names_are_asked_of_nobody() {
    let server = NameServer::start(NOW, |_| public());
    let dns = resolver(&server, true);
    for name in ["localhost", "pictures.localhost"] {
        let found = dns.lookup(name).await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{name}: {found:?}");
    }
    assert_eq!(server.names(), 0);
}

#[test]
fn times_to_live_are_kept_within_bounds() {
    let seconds = |answer| kept(answer).1.as_secs();
    let addresses = |ttl| Answer::Addresses(vec![ip("192.0.1.7")], Duration::from_secs(ttl));
    assert_eq!(seconds(addresses(0)), 30);
    assert_eq!(seconds(addresses(300)), 300);
    assert_eq!(seconds(addresses(1 << 31)), 3600);
    assert_eq!(seconds(Answer::Nothing(Duration::from_secs(86_400))), 3600);
    assert_eq!(seconds(Answer::Failed), 10);
}
