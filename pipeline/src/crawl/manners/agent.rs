//! Who asks: the `User-Agent` header, and the product token by which robots.txt and X-Robots-Tag address the crawler
//! (RFC 9309 §2.2.1).

use super::config::MannersConfig;

/// How the crawler introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Agent {
    /// The name in rules, compared without regard to case.
    pub(super) token: String,
    /// The `User-Agent` header.
    pub(in super::super) header: String,
}

impl Agent {
    /// `base` is `net.user_agent`. A token of the config's own comes before it where it does not name it already, the
    /// contact after it.
    pub(in super::super) fn new(config: &MannersConfig, base: &str) -> Self {
        let mut header = base.trim().to_owned();
        let token = match config.user_agent_token.as_str() {
            "" => product_token(base).to_owned(),
            own => own.to_owned(),
        };
        if !header.to_ascii_lowercase().contains(&token.to_ascii_lowercase()) {
            header = format!("{token} {header}").trim_end().to_owned();
        }
        if !config.contact.is_empty() {
            header += &format!(" (+{})", config.contact);
        }
        Self { token, header }
    }
}

/// The first word of a `User-Agent` without its version, or of an agent's line in robots.txt. The RFC knows letters,
/// `_` and `-` alone; digits are taken too, as sites do write `User-agent: img2dataset`.
pub(super) fn product_token(text: &str) -> &str {
    let text = text.trim_start();
    text.split(|c: char| !is_token_char(c)).next().unwrap_or_default()
}

pub(super) fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(base: &str, token: &str, contact: &str) -> (String, String) {
        let config = MannersConfig {
            user_agent_token: token.into(),
            contact: contact.into(),
            ..MannersConfig::default()
        };
        let Agent { token, header } = Agent::new(&config, base);
        (token, header)
    }

    #[test]
    fn the_header_names_the_token_and_the_contact() {
        let pair = |token: &str, header: &str| (token.to_owned(), header.to_owned());
        assert_eq!(agent("bot/1.0 (x)", "", ""), pair("bot", "bot/1.0 (x)"));
        assert_eq!(agent("bot/1.0", "", "mailto:me@h.org"), pair("bot", "bot/1.0 (+mailto:me@h.org)"));
        assert_eq!(agent("bot/1.0", "Lab-Bot", ""), pair("Lab-Bot", "Lab-Bot bot/1.0"));
        assert_eq!(agent("Lab-Bot/2", "lab-bot", ""), pair("lab-bot", "Lab-Bot/2"));
    }

    #[test]
    fn a_token_ends_where_the_version_begins() {
        for (text, token) in [
            ("Foobot", "Foobot"),
            ("Foobot-Bar/2.1", "Foobot-Bar"),
            (" Foo_Bar baz", "Foo_Bar"),
            ("img2dataset", "img2dataset"),
            ("Foobot*", "Foobot"),
            ("ツ", ""),
            ("", ""),
        ] {
            assert_eq!(product_token(text), token, "{text}");
        }
    }
}
