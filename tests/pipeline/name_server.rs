//! A name server on loopback that answers as it is told and remembers what it was asked (RFC 1035 §4).

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is said about a name.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Its addresses, of which those of the family asked for are told, and their time to live in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// It does not exist, and how long that holds, if that is said.
    NoName(Option<u32>),
    /// The server has failed.
    Failure,
}

/// The server, which runs until the tests end.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

/// The type of an IPv4 address.
pub(crate) const A: u16 = 1;
/// The type of an IPv6 address.
pub(crate) const AAAA: u16 = 28;
const SOA: u16 = 6;

impl NameServer {
    /// Answers each query after `pause`.
    pub(crate) fn start(pause: Duration, answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut packet) {
                let Some((name, kind, end)) = question(&packet[..length]) else { continue };
                std::thread::sleep(pause);
                let reply = reply(&packet[..end], kind, &answer(&name));
                log.lock().unwrap().push((name, kind));
                socket.send_to(&reply, client).unwrap();
            }
        });
        Self { address, asked }
    }

    /// How many queries for a type have come, whatever the name.
    pub(crate) fn queries(&self, kind: u16) -> usize {
        self.asked.lock().unwrap().iter().filter(|(_, asked)| *asked == kind).count()
    }

    /// How many names have been asked for.
    pub(crate) fn names(&self) -> usize {
        let mut names: Vec<_> = self.asked.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        names.len()
    }
}

/// The name and type that are asked for, and where the question ends.
fn question(packet: &[u8]) -> Option<(String, u16, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}

/// `query` is the packet up to the end of its question.
fn reply(query: &[u8], kind: u16, answer: &Answer) -> Vec<u8> {
    let (mut code, mut answers, mut authorities) = (0, Vec::new(), Vec::new());
    match answer {
        Answer::Addresses(addresses, ttl) => {
            let data = addresses.iter().map(|address| match address {
                IpAddr::V4(v4) => (A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
            });
            answers.extend(data.filter(|(of, _)| *of == kind).map(|(of, data)| record(of, *ttl, &data)));
        }
        Answer::NoName(ttl) => {
            code = 3;
            // Two root names, four times, and the time to live of "no such name".
            let zone = |ttl: u32| [[0; 18].as_slice(), &ttl.to_be_bytes()].concat();
            authorities.extend(ttl.map(|ttl| record(SOA, ttl, &zone(ttl))));
        }
        Answer::Failure => code = 2,
    }
    let count = |records: &Vec<Vec<u8>>| u16::try_from(records.len()).unwrap().to_be_bytes();
    let header = [
        &query[..2],
        &[0x81, 0x80 | code, 0, 1],
        &count(&answers),
        &count(&authorities),
        &[0, 0],
        &query[12..],
    ]
    .concat();
    [header, answers.concat(), authorities.concat()].concat()
}

/// A record about the name in the question.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [[0xC0, 12].as_slice(), &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes(), data]
        .concat()
}
