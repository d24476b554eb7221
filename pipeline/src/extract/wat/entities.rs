//! Character references in WAT records: until about 2017 Common Crawl wrote attributes into them as they stand in the page.

use std::borrow::Cow;
use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

/// An attribute with its character references resolved, as browsers do. In newer records they have been resolved already,
/// and few of them look as if there were more.
pub(super) fn resolved(value: &str) -> Cow<'_, str> {
    let reference = memchr::memchr(b'&', value.as_bytes()).is_some_and(|at| value[at..].contains(';'));
    if !reference {
        return Cow::Borrowed(value);
    }
    let tag = format!("<a b=\"{}\">", value.replace('"', "&quot;"));
    let mut resolved = None;
    let read = |event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        if let CallbackEvent::AttributeValue { value } = event {
            resolved = Some(String::from_utf8_lossy(value).into_owned());
        }
        None
    };
    let Ok(()) = Tokenizer::new_with_emitter(tag.as_str(), CallbackEmitter::new(read)).finish();
    resolved.map_or(Cow::Borrowed(value), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_resolved_as_in_an_attribute() {
        assert_eq!(resolved("/?a=1&amp;b=2&copy=3"), "/?a=1&b=2&copy=3");
        assert_eq!(resolved("&laquo;caf&eacute;\"&raquo; &#1072;&#x42F; &#146;"), "«café\"» аЯ ’");
        for same in ["/?a=1&copy=2", "a & b; c", "&unknown;", "&;", "&", "plain", ""] {
            assert_eq!(resolved(same), same);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_resolved(text in "[&#x;a-z0-9é\"'<> ]{0,40}") {
            let once = resolved(&text);
            prop_assert!(text.contains('&') && text.contains(';') || once == text);
        }
    }
}
