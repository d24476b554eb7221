//! What a page says about its own use: the same directives as for files, in the head of its answer or in a `<meta>`.

use super::agent::Agent;
use super::config::MannersConfig;
use super::opt_out::OptOut;

/// The `<meta>` and the header of TDMRep.
const TDM: &str = "tdm-reservation";

/// Which wishes of a page are respected.
#[derive(Clone, Debug)]
pub(crate) struct PageRules {
    opt_out: OptOut,
    token: String,
    tdm: bool,
}

impl PageRules {
    pub(crate) fn new(config: &MannersConfig, user_agent: &str) -> Self {
        let token = Agent::new(config, user_agent).token;
        Self { opt_out: OptOut::new(config, &token), token, tdm: config.tdm }
    }

    /// Whether a header line keeps the page from being used.
    pub(crate) fn header(&self, name: &str, value: &str) -> bool {
        let name = name.trim();
        self.reserves(name, value) || name.eq_ignore_ascii_case("x-robots-tag") && self.opt_out.forbids(value)
    }

    /// Whether a `<meta>` does; a name is `robots` or the crawler's own.
    pub(crate) fn meta(&self, name: &str, content: &str) -> bool {
        let name = name.trim();
        let robots = name.eq_ignore_ascii_case("robots") || name.eq_ignore_ascii_case(&self.token);
        self.reserves(name, content) || robots && self.opt_out.forbids(content)
    }

    fn reserves(&self, name: &str, value: &str) -> bool {
        self.tdm && name.eq_ignore_ascii_case(TDM) && value.trim() == "1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_count_in_headers_and_metas() {
        let rules = PageRules::new(&MannersConfig::default(), "our-bot/1.0 (x)");
        assert!(
            rules.header("X-Robots-Tag", "all, our-bot: noai")
                && !rules.header("X-Robots-Tag", "otherbot: noai")
        );
        assert!(rules.meta(" ROBOTS", "NoImageIndex") && rules.meta("Our-Bot", "none"));
        assert!(!rules.meta("otherbot", "none") && !rules.meta("robots", "index, follow"));
        assert!(!rules.header("robots", "noai") && !rules.meta("x-robots-tag", "noai"));
    }

    #[test]
    fn what_the_config_does_not_ask_for_is_not_respected() {
        let rules = |directives: Vec<String>, tdm| {
            let config = MannersConfig { directives, tdm, ..MannersConfig::default() };
            PageRules::new(&config, "bot/1")
        };
        assert!(
            rules(vec![], true).meta("tdm-reservation", " 1 ") && !rules(vec![], true).meta("robots", "noai")
        );
        assert!(!rules(vec!["noai".into()], false).header("TDM-Reservation", "1"));
    }
}
