//! TDMRep, the TDM Reservation Protocol (W3C community group, final report): a site reserves its rights against text
//! and data mining in `/.well-known/tdmrep.json` or in the head of an answer.
//!
//! The protocol lets a header lift what the file says. That is not tried: it would take a request for a file that the
//! site keeps to itself.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::pattern::Pattern;

/// Path of the file.
pub(super) const WELL_KNOWN: &str = "/.well-known/tdmrep.json";
/// Letters of a location or a policy that are kept for the column `rule`.
const MOST_LETTERS: usize = 200;

/// The rules of a site's file, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reservations {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    pattern: Pattern,
    reserved: bool,
    /// What the column `rule` tells.
    text: String,
}

impl Reservations {
    /// A file that is none reserves nothing, and neither does a rule without its two properties.
    pub(super) fn parse(body: &[u8]) -> Self {
        let rules = match serde_json::from_slice(body) {
            Ok(Value::Array(rules)) => rules.iter().filter_map(rule).collect(),
            _ => Vec::new(),
        };
        Self { rules }
    }

    /// The rule that reserves `path`: the first that matches decides. `path` is that of [`super::pattern::path_of`].
    pub(super) fn rule(&self, path: &str) -> Option<&str> {
        let first = self.rules.iter().find(|rule| rule.pattern.matches(path))?;
        first.reserved.then_some(first.text.as_str())
    }

    /// Memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        let of = |rule: &Rule| size_of::<Rule>() + rule.pattern.octets() + rule.text.len();
        self.rules.iter().map(of).sum()
    }
}

fn rule(value: &Value) -> Option<Rule> {
    let location = value.get("location")?.as_str()?;
    let reserved = match value.get("tdm-reservation")? {
        Value::Number(number) => number.as_u64() == Some(1),
        Value::String(text) => text.trim() == "1",
        _ => false,
    };
    let policy = value.get("tdm-policy").and_then(Value::as_str);
    let text = format!("tdmrep.json: {}{}", short(location), policy.map_or_else(String::new, named));
    Some(Rule { pattern: Pattern::new(location.trim().as_bytes())?, reserved, text })
}

/// The headers that reserve, if they do: `tdm-reservation: 1, tdm-policy: https://…`.
pub(super) fn header_rule(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all("tdm-reservation");
    let reserved = values.iter().any(|value| value.as_bytes().trim_ascii() == b"1");
    let policy = headers.get("tdm-policy").map(|value| named(&String::from_utf8_lossy(value.as_bytes())));
    reserved.then(|| format!("tdm-reservation: 1{}", policy.unwrap_or_default()))
}

fn named(policy: &str) -> String {
    format!(", tdm-policy: {}", short(policy))
}

fn short(text: &str) -> String {
    text.trim().chars().take(MOST_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification's example, and a rule for all behind it.
    const FILE: &str = r#"[
        {"location": "/directory-a/", "tdm-reservation": 1},
        {"location": "/directory-b/html/", "tdm-reservation": 1, "tdm-policy": "https://provider.com/policy.json"},
        {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0},
        {"location": "/directory-b/", "tdm-reservation": "1"},
        {"location": "/exactly$", "tdm-reservation": 1},
        {"location": "/other", "tdm-reservation": 2},
        {"location": "/none"},
        {"tdm-reservation": 1},
        7
    ]"#;

    #[test]
    fn the_first_match_decides() {
        let file = Reservations::parse(FILE.as_bytes());
        assert_eq!(file.rule("/directory-a/x"), Some("tdmrep.json: /directory-a/"));
        let policy = "tdmrep.json: /directory-b/html/, tdm-policy: https://provider.com/policy.json";
        assert_eq!(file.rule("/directory-b/html/x"), Some(policy));
        assert_eq!(file.rule("/directory-b/images/x.jpg"), None);
        assert_eq!(file.rule("/directory-b/images/x.png"), Some("tdmrep.json: /directory-b/"));
        assert_eq!((file.rule("/exactly").is_some(), file.rule("/exactly/not")), (true, None));
        for path in ["/other", "/none", "/", "/Directory-a/x"] {
            assert_eq!(file.rule(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_that_is_none_reserves_nothing() {
        for body in
            ["", "{", "{\"location\": \"/\", \"tdm-reservation\": 1}", "<!DOCTYPE html>", "[1, \"a\"]"]
        {
            assert_eq!(Reservations::parse(body.as_bytes()), Reservations::default(), "{body}");
        }
    }

    #[test]
    fn a_header_reserves_with_1_alone() {
        let rule = |reservation: &str, policy: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("TDM-Reservation", reservation.parse().unwrap());
            policy.map(|policy| headers.insert("tdm-policy", policy.parse().unwrap()));
            header_rule(&headers)
        };
        assert_eq!(rule("1", None).unwrap(), "tdm-reservation: 1");
        assert_eq!(rule(" 1 ", Some("https://h/p")).unwrap(), "tdm-reservation: 1, tdm-policy: https://h/p");
        assert_eq!((rule("0", Some("https://h/p")), rule("2", None), rule("", None)), (None, None, None));
        assert_eq!(header_rule(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, path in "/[ -~]{0,20}") {
            let _ = Reservations::parse(&bytes).rule(&path);
        }
    }
}
