//! `[manners]`: which wishes of a site are respected, and how the crawler introduces itself.

use serde::{Deserialize, Serialize};

use super::agent::{is_token_char, product_token};
use crate::{Error, Result};

/// What X-Robots-Tag says of a file that is not to be used. The first four are img2dataset's.
const DIRECTIVES: [&str; 6] = ["noai", "noimageai", "noindex", "noimageindex", "none", "noml"];

/// `[manners]`: what sites say about crawling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MannersConfig {
    /// Whether robots.txt is fetched and obeyed.
    pub robots: bool,
    /// Directives of an X-Robots-Tag header that opt a file out; empty: the header is not looked at.
    pub directives: Vec<String>,
    /// Whether reservations against text and data mining (TDMRep) are looked for and obeyed.
    pub tdm: bool,
    /// The name by which sites address this crawler, letters, digits, `_` and `-`; empty: the first word of
    /// `net.user_agent`.
    pub user_agent_token: String,
    /// Where a site's keeper reaches you, a `mailto:` or web address: comes into the `User-Agent`.
    pub contact: String,
}

impl Default for MannersConfig {
    fn default() -> Self {
        Self {
            robots: true,
            directives: DIRECTIVES.map(str::to_owned).into(),
            tdm: true,
            user_agent_token: String::new(),
            contact: String::new(),
        }
    }
}

/// What of it decides which rows succeed, as part of a plan.
#[derive(Serialize)]
pub(crate) struct Decides<'a> {
    robots: bool,
    directives: Vec<String>,
    tdm: bool,
    token: &'a str,
}

impl MannersConfig {
    /// Refuses what cannot work, naming the key.
    pub(crate) fn validate(&self, user_agent: &str) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::config(key, message));
        let header = |text: &str| text.chars().all(|c| matches!(c, ' '..='~'));
        if !header(user_agent) || user_agent.trim().is_empty() {
            return wrong("net.user_agent", "is a header: printable ASCII, and not empty");
        }
        if !self.user_agent_token.chars().all(is_token_char) {
            return wrong("manners.user_agent_token", "has letters, digits, `_` and `-` alone");
        }
        if self.token(user_agent).is_empty() {
            return wrong("manners.user_agent_token", "is needed: net.user_agent begins with no name");
        }
        let address = self.contact.contains('@') || self.contact.contains("://");
        let clean = header(&self.contact) && !self.contact.contains(['(', ')']);
        if !(self.contact.is_empty() || address && clean) {
            return wrong("manners.contact", "is an address such as mailto:you@example.org or https://…");
        }
        let word = |text: &String| !text.is_empty() && !text.contains([',', ':']) && header(text);
        if !self.directives.iter().all(word) {
            return wrong("manners.directives", "holds words such as \"noai\"");
        }
        Ok(())
    }

    fn token<'a>(&'a self, user_agent: &'a str) -> &'a str {
        if self.user_agent_token.is_empty() { product_token(user_agent) } else { &self.user_agent_token }
    }

    /// The directives as they are compared.
    pub(super) fn compared(&self) -> Vec<String> {
        let mut all: Vec<_> = self.directives.iter().map(|word| word.trim().to_ascii_lowercase()).collect();
        all.sort();
        all.dedup();
        all
    }

    pub(crate) fn decides<'a>(&'a self, user_agent: &'a str) -> Decides<'a> {
        Decides {
            robots: self.robots,
            directives: self.compared(),
            tdm: self.tdm,
            token: self.token(user_agent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_names_its_key() {
        let agent = "troika-pipeline/0.1";
        let with = |change: fn(&mut MannersConfig)| {
            let mut config = MannersConfig::default();
            change(&mut config);
            config.validate(agent).map_err(|error| error.to_string())
        };
        for (result, key) in [
            (with(|c| c.user_agent_token = "my bot".into()), "manners.user_agent_token"),
            (with(|c| c.contact = "nobody".into()), "manners.contact"),
            (with(|c| c.contact = "mailto:a@b\r\nX: y".into()), "manners.contact"),
            (with(|c| c.directives = vec!["noai, noml".into()]), "manners.directives"),
            (MannersConfig::default().validate(" ").map_err(|e| e.to_string()), "net.user_agent"),
            (MannersConfig::default().validate("(x)").map_err(|e| e.to_string()), "manners.user_agent_token"),
        ] {
            assert!(result.unwrap_err().starts_with(key), "{key}");
        }
        assert_eq!(with(|c| c.contact = "https://example.org/crawl".into()), Ok(()));
    }

    #[test]
    fn spelling_and_order_of_directives_and_the_contact_decide_nothing() {
        let decides = |directives: &[&str], contact: &str| {
            let directives = directives.iter().map(|s| (*s).to_owned()).collect();
            let config = MannersConfig { directives, contact: contact.into(), ..MannersConfig::default() };
            serde_json::to_value(config.decides("bot/1")).unwrap()
        };
        assert_eq!(decides(&["NoAI", "none"], ""), decides(&["none", "noai"], "mailto:a@b"));
        assert_ne!(decides(&["noai"], ""), decides(&[], ""));
    }
}
