//! X-Robots-Tag: directives in the head of an answer that opt a file out of collection.
//!
//! No standard defines it; the form is that of Google's documentation ("Robots meta tag, data-nosnippet, and
//! X-Robots-Tag specifications"): `directive, directive: value, agent: directive, …`. An agent counts for all that
//! follows it in its header, up to the next agent.

use reqwest::header::HeaderMap;

use super::agent::is_token_char;
use super::config::MannersConfig;
use super::date::is_past;

const HEADER: &str = "x-robots-tag";
/// Letters of a header that are kept for the column `rule`.
const MOST_LETTERS: usize = 200;
/// Directives that take a value, besides all `max-…`.
const UNAVAILABLE_AFTER: &str = "unavailable_after";

/// Which directives count, and for whom.
#[derive(Clone, Debug)]
pub(super) struct OptOut {
    directives: Vec<String>,
    token: String,
}

impl OptOut {
    pub(super) fn new(config: &MannersConfig, token: &str) -> Self {
        Self { directives: config.compared(), token: token.to_ascii_lowercase() }
    }

    /// The header that opts out, if one does: `X-Robots-Tag: noai`.
    pub(super) fn rule(&self, headers: &HeaderMap) -> Option<String> {
        if self.directives.is_empty() {
            return None;
        }
        let values =
            headers.get_all(HEADER).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = values.into_iter().find(|value| self.forbids(value))?;
        let shown: String = value.trim().chars().take(MOST_LETTERS).collect();
        Some(format!("X-Robots-Tag: {shown}"))
    }

    /// Whether the value of a header, or of a `<meta>`, opts out.
    pub(super) fn forbids(&self, header: &str) -> bool {
        let mut rest = Some(header);
        let mut for_us = true;
        while let Some(text) = rest {
            let (element, behind) = match text.split_once(',') {
                Some((element, behind)) => (element, Some(behind)),
                None => (text, None),
            };
            rest = behind;
            let (agent, directive) = self.parts(element);
            if let Some(agent) = agent {
                for_us = agent == "*" || agent.eq_ignore_ascii_case(&self.token);
            }
            let (name, value) = directive.split_once(':').unwrap_or((directive, ""));
            let name = name.trim().to_ascii_lowercase();
            let over = name == UNAVAILABLE_AFTER && {
                let (over, behind) = after(value, rest);
                rest = behind;
                over
            };
            if for_us && (self.counts(&name) || over && self.counts("noindex")) {
                return true;
            }
        }
        false
    }

    fn counts(&self, directive: &str) -> bool {
        self.directives.iter().any(|word| word == directive)
    }

    /// Agent and directive of an element. A word before a colon is an agent unless it is a directive that takes a
    /// value, or one that counts here: `noai: 1` means no agent called noai.
    fn parts<'a>(&self, element: &'a str) -> (Option<&'a str>, &'a str) {
        let element = element.trim();
        let Some((word, behind)) = element.split_once(':') else { return (None, element) };
        let word = word.trim();
        let name = word.to_ascii_lowercase();
        let directive = name == UNAVAILABLE_AFTER || name.starts_with("max-") || self.counts(&name);
        if directive || !is_agent(word) { (None, element) } else { (Some(word), behind.trim()) }
    }
}

/// What is no word without a blank is a piece of something else, like `15:00:00` of a date.
fn is_agent(word: &str) -> bool {
    let named = word.chars().any(|c| c.is_ascii_alphabetic());
    word == "*" || named && word.chars().all(|c| is_token_char(c) || matches!(c, '.' | '/'))
}

/// Whether the date that begins with `value` and may go on behind the next commas has come, and what is behind it.
/// A date that nobody can read is skipped up to the first comma.
fn after<'a>(value: &str, behind: Option<&'a str>) -> (bool, Option<&'a str>) {
    let mut text = value.to_owned();
    let mut rest = behind;
    // `Friday, 25-Jun-10 …` has one comma, `Friday, June 25, 2010` two.
    for _ in 0..3 {
        if let Some(past) = is_past(&text) {
            return (past, rest);
        }
        let Some(more) = rest else { break };
        let (piece, behind) = match more.split_once(',') {
            Some((piece, behind)) => (piece, Some(behind)),
            None => (more, None),
        };
        text = format!("{text},{piece}");
        rest = behind;
    }
    (false, behind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opt_out() -> OptOut {
        OptOut::new(&MannersConfig::default(), "OurBot")
    }

    fn forbids(header: &str) -> bool {
        opt_out().forbids(header)
    }

    #[test]
    fn directives_count_in_any_case_and_place() {
        for header in
            ["noai", " NOAI ", "all, noindex", "nofollow,noml", "none", "max-snippet: 20, noimageai"]
        {
            assert!(forbids(header), "{header}");
        }
        for header in [
            "",
            "all",
            "nofollow",
            "index, follow",
            "noai2",
            "noarchive, nosnippet",
            ",,:,",
            "max-snippet: 0",
        ] {
            assert!(!forbids(header), "{header}");
        }
    }

    #[test]
    fn an_agent_counts_for_what_follows_it() {
        for header in [
            "ourbot: noai",
            "OURBOT: nofollow, noai",
            "*: noai",
            "otherbot: noai, ourbot: noindex",
            "noai: 1",
        ] {
            assert!(forbids(header), "{header}");
        }
        for header in
            ["otherbot: noai", "otherbot: nofollow, noai", "ourbot: all, otherbot: none", "ourbots: noai"]
        {
            assert!(!forbids(header), "{header}");
        }
    }

    #[test]
    fn dates_are_not_split() {
        for date in [
            "25 Jun 2010 15:00:00 PST",
            "Friday, 25-Jun-10 15:00:00 UTC",
            "25-Jun-2010 15:00:00 PST",
            "Fri, 25 Jun 2010 15:00:00 +0200",
            "2010-06-25T15:00:00Z",
            "2010-06-25",
        ] {
            assert!(forbids(&format!("unavailable_after: {date}")), "{date} is past");
            assert!(forbids(&format!("ourbot: unavailable_after: {date}")), "{date}");
            assert!(!forbids(&format!("otherbot: unavailable_after: {date}, noai")), "{date}");
            let coming = date.replace("2010", "2910").replace("-10", "-49");
            assert!(!forbids(&format!("unavailable_after: {coming}")), "{coming} is to come");
            assert!(forbids(&format!("unavailable_after: {coming}, noai")), "{coming}");
            assert!(!forbids(&format!("unavailable_after: {coming}, otherbot: noai")), "{coming}");
            assert!(forbids(&format!("noindex, unavailable_after: {coming}")), "{coming}");
        }
        assert!(forbids("unavailable_after: Freitag, 25. Juni 15:00:00, noai"));
        assert!(!forbids("unavailable_after: soon"));
    }

    #[test]
    fn every_header_is_read_and_the_one_that_decides_is_told() {
        let mut headers = HeaderMap::new();
        headers.append("X-Robots-Tag", "otherbot: noai".parse().unwrap());
        assert_eq!(opt_out().rule(&headers), None);
        headers.append("X-Robots-Tag", "nofollow, NoAI".parse().unwrap());
        assert_eq!(opt_out().rule(&headers).unwrap(), "X-Robots-Tag: nofollow, NoAI");
        let none = MannersConfig { directives: Vec::new(), ..MannersConfig::default() };
        assert_eq!(OptOut::new(&none, "ourbot").rule(&headers), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read(header in ".*") {
            let _ = forbids(&header);
        }

        #[test]
        fn what_comes_after_other_directives_is_heard(
            before in prop::collection::vec("(all|nofollow|max-snippet: 3|unavailable_after: 1 Jan 2900 00:00 GMT)", 0..4),
        ) {
            let header = [before, vec!["noai".to_owned()]].concat().join(", ");
            prop_assert!(forbids(&header));
        }
    }
}
