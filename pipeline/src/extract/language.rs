//! The language of a page as the page says it.

/// The longest tag that is one.
const LONGEST: usize = 35;

/// A language tag (BCP 47) as pages write it: `ru`, `pt-BR`, Open Graph's `ru_RU`; of a list the only one.
pub(super) fn tag(text: &str) -> Option<String> {
    let text = text.trim();
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    (begins && text.len() <= LONGEST && text.chars().all(sound)).then(|| text.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_other_texts() {
        assert_eq!(tag(" ru_RU "), Some("ru-RU".into()));
        assert_eq!(tag("zh-Hant"), Some("zh-Hant".into()));
        for none in ["", "en, fr", "русский", "{{lang}}", "-", "1"] {
            assert_eq!(tag(none), None, "{none}");
        }
    }
}
