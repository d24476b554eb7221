//! Foreign text on the page: cut, escaped, kept in its own direction, with what would be invisible made visible.

use std::fmt::Write;

use maud::{Escaper, Markup, PreEscaped, Render, html};

use crate::page::thousands;

/// A text that nobody has vetted.
pub(super) struct Foreign<'a> {
    pub(super) text: &'a str,
    /// Characters that are shown.
    pub(super) most: usize,
}

impl Render for Foreign<'_> {
    /// `bdi`, so that a text from right to left turns nothing around it.
    fn render_to(&self, buffer: &mut String) {
        buffer.push_str("<bdi>");
        for c in self.text.chars().take(self.most) {
            match sign(c) {
                Some(sign) => html! { span.sign { (sign) } }.render_to(buffer),
                // Writing to a string does not fail.
                None => drop(Escaper::new(buffer).write_char(c)),
            }
        }
        if self.text.chars().nth(self.most).is_some() {
            buffer.push('…');
        }
        buffer.push_str("</bdi>");
    }
}

/// A foreign text of a sensible length.
pub(super) fn foreign(text: &str) -> Foreign<'_> {
    Foreign { text, most: 160 }
}

/// The same for attributes, which hold no elements.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for c in text.chars().take(most) {
        match sign(c) {
            Some(sign) => plain += &sign,
            None => plain.push(c),
        }
    }
    plain
}

/// What stands for a character that is not seen, or that would turn what follows; those that a page may not hold among
/// them. Joiners stay: emoji and several scripts need them.
fn sign(c: char) -> Option<String> {
    let code = u32::from(c);
    match c {
        '\0'..'\u{20}' => char::from_u32(0x2400 + code).map(String::from),
        '\u{7f}' => Some('\u{2421}'.to_string()),
        '\u{80}'..='\u{9f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => Some(format!("U+{code:04X}")),
        _ if code & 0xfffe == 0xfffe => Some(format!("U+{code:04X}")),
        _ => None,
    }
}

/// `1 row`, `2,500 rows`.
pub(super) fn number(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// A caption, or the remark that there is none.
pub(super) fn caption(caption: Option<&str>) -> Markup {
    match caption.filter(|caption| !caption.trim().is_empty()) {
        Some(caption) => html! { (foreign(caption)) },
        None => PreEscaped("<em>no caption</em>".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_is_shown() {
        let shown = |text| foreign(text).render().into_string();
        assert_eq!(shown("a\n<b>\"&"), "<bdi>a<span class=\"sign\">␊</span>&lt;b&gt;&quot;&amp;</bdi>");
        assert_eq!(
            shown("\u{202e}x\0"),
            "<bdi><span class=\"sign\">U+202E</span>x<span class=\"sign\">␀</span></bdi>"
        );
        assert_eq!(shown("👩\u{200d}🚀 שלום"), "<bdi>👩\u{200d}🚀 שלום</bdi>");
        assert_eq!(Foreign { text: "абвг", most: 3 }.render().into_string(), "<bdi>абв…</bdi>");
        assert_eq!(plain("a\tb\u{ffff}c", 4), "a␉bU+FFFF");
        assert_eq!(caption(Some(" \n")).into_string(), "<em>no caption</em>");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in any::<String>()) {
            let html = foreign(&text).render().into_string();
            let inner = html.strip_prefix("<bdi>").and_then(|html| html.strip_suffix("</bdi>")).unwrap();
            let bare = inner.replace("<span class=\"sign\">", "").replace("</span>", "");
            prop_assert!(!bare.contains(['<', '>', '"', '\0', '\u{202e}']), "{}", html);
            prop_assert!(bare.split('&').skip(1).all(|entity| entity.contains(';')), "{}", html);
            prop_assert!(!plain(&text, 50).chars().any(char::is_control));
        }
    }
}
