//! `net.dns`: who is asked for the addresses of hosts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The port of name servers (RFC 1035 §4.2).
const PORT: u16 = 53;

/// `"system"`, `"built-in"`, or a list of name servers like `["1.1.1.1:53"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub enum DnsChoice {
    /// The operating system's resolver, with all that it is configured to do (search domains, mDNS, NIS).
    System,
    /// The name servers of `/etc/resolv.conf`, asked by the crawler itself; the system where there are none.
    #[default]
    BuiltIn,
    /// These name servers, asked by the crawler itself.
    Servers(Vec<SocketAddr>),
}

/// How it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Words> for DnsChoice {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        let servers = match words {
            Words::One(word) if word == "system" => return Ok(Self::System),
            Words::One(word) if word == "built-in" => return Ok(Self::BuiltIn),
            Words::One(word) => vec![word],
            Words::Many(words) if words.is_empty() => return Err("no name server given".to_owned()),
            Words::Many(words) => words,
        };
        servers.iter().map(|word| server(word)).collect::<Result<_, _>>().map(Self::Servers)
    }
}

fn server(word: &str) -> Result<SocketAddr, String> {
    let plain = || word.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    word.parse()
        .or_else(|_| plain())
        .map_err(|_| format!("`{word}` is neither system nor built-in nor the ADDRESS:PORT of a name server"))
}

impl From<DnsChoice> for Words {
    fn from(choice: DnsChoice) -> Self {
        match choice {
            DnsChoice::System => Self::One("system".to_owned()),
            DnsChoice::BuiltIn => Self::One("built-in".to_owned()),
            DnsChoice::Servers(servers) => Self::Many(servers.iter().map(ToString::to_string).collect()),
        }
    }
}

impl fmt::Display for DnsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Words::from(self.clone()) {
            Words::One(word) => f.write_str(&word),
            Words::Many(words) => f.write_str(&words.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<DnsChoice, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn words_and_servers_are_read_and_written_back() {
        let servers = |list: &[&str]| DnsChoice::Servers(list.iter().map(|s| s.parse().unwrap()).collect());
        for (json, choice, written) in [
            (r#""system""#, DnsChoice::System, r#""system""#),
            (r#""built-in""#, DnsChoice::BuiltIn, r#""built-in""#),
            (r#""1.1.1.1""#, servers(&["1.1.1.1:53"]), r#"["1.1.1.1:53"]"#),
            (
                r#"["1.1.1.1:5353","::1"]"#,
                servers(&["1.1.1.1:5353", "[::1]:53"]),
                r#"["1.1.1.1:5353","[::1]:53"]"#,
            ),
        ] {
            assert_eq!(read(json).unwrap(), choice, "{json}");
            assert_eq!(serde_json::to_string(&choice).unwrap(), written);
        }
    }

    #[test]
    fn what_is_no_server_is_named() {
        assert!(read(r#""sytem""#).unwrap_err().starts_with("`sytem` is neither system nor built-in"));
        assert!(read("[]").unwrap_err().starts_with("no name server given"));
    }
}
