//! robots.txt: the parser and the matcher of RFC 9309, with the leniency of Google's published parser
//! (google/robotstxt) where sites rely on it: a missing colon, some misspellings, half a byte order mark.
//!
//! Only the rules for one crawler are kept. Left out on purpose is what that parser does for search alone
//! (`index.html` stands for its folder) and its cut of lines at 16,664 bytes, which makes rules mean more than they say.

use std::cmp::Reverse;
use std::time::Duration;

use super::agent::product_token;
use super::pattern::Pattern;

/// Bytes that are looked at (RFC 9309 §2.5).
pub(super) const MOST_BYTES: usize = 500 << 10;
/// Letters of a line that are kept for the column `rule`.
const MOST_LETTERS: usize = 200;
/// No site means more than a day between two requests.
const MOST_DELAY: f64 = 86_400.0;

/// The rules of a site for one crawler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Robots {
    /// The most specific first; of equally long ones those that allow.
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    pattern: Pattern,
    allow: bool,
    line: Line,
}

/// A line of a robots.txt, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
}

/// What the rules say of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict<'a> {
    Allowed,
    Disallowed(&'a Line),
}

impl Robots {
    /// Reads the groups that address `token`, or, if none does, those that address `*`.
    ///
    /// Of a body beyond [`MOST_BYTES`] the whole lines within are read: half an `Allow` would allow too much.
    pub(super) fn parse(body: &[u8], token: &str) -> Self {
        let body = without_mark(within_limit(body));
        let mut groups = Groups::new(token);
        for (number, line) in (1..).zip(lines(body)) {
            if let Some((key, value)) = record(line) {
                groups.record(key, value, || Line { number, text: shown(line) });
            }
        }
        groups.finish()
    }

    /// `path` is that of [`super::pattern::path_of`].
    pub(super) fn verdict(&self, path: &str) -> Verdict<'_> {
        // Not a rule's business (§2.2.2).
        if path == "/robots.txt" {
            return Verdict::Allowed;
        }
        match self.rules.iter().find(|rule| rule.pattern.matches(path)) {
            Some(rule) if !rule.allow => Verdict::Disallowed(&rule.line),
            _ => Verdict::Allowed,
        }
    }

    /// The pause that the site asks for between two requests: in no standard, but in use.
    pub(super) fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// Memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        let of = |rule: &Rule| size_of::<Rule>() + rule.pattern.octets() + rule.line.text.len();
        self.rules.iter().map(of).sum()
    }
}

/// What is collected while reading; groups with one token are one group (§2.2.1).
struct Groups<'a> {
    token: &'a str,
    named: Group,
    any: Group,
    /// Whether the lines at hand belong to the one, to the other.
    in_named: bool,
    in_any: bool,
    /// Whether the next `User-agent` begins a new group.
    closed: bool,
}

#[derive(Default)]
struct Group {
    found: bool,
    robots: Robots,
}

impl<'a> Groups<'a> {
    fn new(token: &'a str) -> Self {
        let group = Group::default;
        Self { token, named: group(), any: group(), in_named: false, in_any: false, closed: false }
    }

    fn record(&mut self, key: Key, value: &[u8], line: impl FnOnce() -> Line) {
        match key {
            Key::UserAgent => self.agent(value),
            Key::CrawlDelay => self.delay(value),
            Key::Allow | Key::Disallow => {
                self.closed = true;
                let Some(pattern) = Pattern::new(value) else { return };
                let rule = Rule { pattern, allow: key == Key::Allow, line: line() };
                if self.in_any {
                    self.any.robots.rules.push(rule.clone());
                }
                if self.in_named {
                    self.named.robots.rules.push(rule);
                }
            }
        }
    }

    fn agent(&mut self, value: &[u8]) {
        if std::mem::take(&mut self.closed) {
            (self.in_named, self.in_any) = (false, false);
        }
        if let [b'*'] | [b'*', b' ' | b'\t', ..] = value {
            (self.in_any, self.any.found) = (true, true);
        }
        if product_token(&String::from_utf8_lossy(value)).eq_ignore_ascii_case(self.token) {
            (self.in_named, self.named.found) = (true, true);
        }
    }

    /// Other records must not interfere with the groups (§2.2.4), so this one does not end the list of agents.
    fn delay(&mut self, value: &[u8]) {
        let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
        let Some(seconds) = seconds.filter(|s| *s >= 0.0) else { return };
        let delay = Duration::from_secs_f64(seconds.min(MOST_DELAY));
        for (inside, group) in [(self.in_named, &mut self.named), (self.in_any, &mut self.any)] {
            if inside {
                group.robots.crawl_delay = group.robots.crawl_delay.max(Some(delay));
            }
        }
    }

    fn finish(self) -> Robots {
        let mut robots = if self.named.found { self.named.robots } else { self.any.robots };
        robots.rules.sort_by_key(|rule| (Reverse(rule.pattern.octets()), !rule.allow));
        robots.rules.shrink_to_fit();
        robots
    }
}

/// The records that matter here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    UserAgent,
    Allow,
    Disallow,
    CrawlDelay,
}

impl Key {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"user-agent" | b"useragent" | b"user agent" => Self::UserAgent,
            b"allow" => Self::Allow,
            b"disallow" | b"dissallow" | b"dissalow" | b"disalow" | b"diasllow" | b"disallaw" => {
                Self::Disallow
            }
            b"crawl-delay" | b"crawldelay" | b"crawl delay" => Self::CrawlDelay,
            _ => return None,
        })
    }
}

/// Name and value of a line; the colon may be missing where two words leave no doubt.
fn record(line: &[u8]) -> Option<(Key, &[u8])> {
    let line = without_comment(line);
    if let Some(colon) = line.iter().position(|byte| *byte == b':') {
        let (name, value) = line.split_at(colon);
        return Some((Key::of(name.trim_ascii())?, value[1..].trim_ascii()));
    }
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (name, value) = (words.next()?, words.next()?);
    if words.next().is_some() { None } else { Some((Key::of(name)?, value)) }
}

fn without_comment(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii()
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(without_comment(line)).chars().take(MOST_LETTERS).collect()
}

/// Lines end with CR, LF or both (§2.2).
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            return rest.take();
        };
        let width = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&text[end + width..]);
        Some(&text[..end])
    })
}

fn within_limit(body: &[u8]) -> &[u8] {
    let Some(within) = body.get(..MOST_BYTES).filter(|within| within.len() < body.len()) else { return body };
    let whole = within.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |end| end + 1);
    &within[..whole]
}

/// Without a byte order mark, even a cut one.
fn without_mark(mut body: &[u8]) -> &[u8] {
    for byte in [0xEF, 0xBB, 0xBF] {
        match body {
            [first, rest @ ..] if *first == byte => body = rest,
            _ => break,
        }
    }
    body
}

#[cfg(test)]
#[path = "robots_tests.rs"]
mod tests;
