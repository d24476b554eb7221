//! Licence links: `rel=license`, and the addresses of Creative Commons.

/// Whether the `rel` of a link says that it leads to the licence of the page (or of the figure around it).
pub(in crate::extract) fn is_licence_rel(rel: &str) -> bool {
    rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("license"))
}

/// Whether a reference leads to a licence or a public domain tool of Creative Commons. No copy is made: of the links of an
/// archive there are millions.
pub(in crate::extract) fn is_creative_commons(href: &str) -> bool {
    let href = href.trim_start();
    let href = without(href, "https:").or_else(|| without(href, "http:")).unwrap_or(href);
    let Some(place) = href.strip_prefix("//") else { return false };
    let path = without(without(place, "www.").unwrap_or(place), "creativecommons.org/");
    path.is_some_and(|path| path.starts_with("licenses/") || path.starts_with("publicdomain/"))
}

/// What is behind a prefix, whatever its case.
fn without<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let begin = text.get(..prefix.len())?;
    begin.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creative_commons_is_known_by_its_address() {
        for href in [
            "https://creativecommons.org/licenses/by-sa/4.0/",
            " HTTP://www.CreativeCommons.org/licenses/by/2.0/deed.ru",
            "//creativecommons.org/publicdomain/zero/1.0/",
        ] {
            assert!(is_creative_commons(href), "{href}");
        }
        for href in [
            "https://creativecommons.org/",
            "https://example.org/?u=https://creativecommons.org/licenses/by/4.0/",
            "https://notcreativecommons.org/licenses/by/4.0/",
            "/licenses/by/4.0/",
            "",
        ] {
            assert!(!is_creative_commons(href), "{href}");
        }
        assert!(is_licence_rel("nofollow License") && !is_licence_rel("licensed"));
    }
}
