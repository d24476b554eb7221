//! `srcset`: the images that a page offers for screens of several sizes, by the algorithm of the HTML standard ("Parsing a
//! srcset attribute").

/// An image of a `srcset`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate<'a> {
    pub(super) url: &'a str,
    size: Size,
}

/// How large it is: pixels across say more than a density, whose base nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Size {
    Density(f64),
    Width(u32),
}

/// The largest image of a `srcset` for which `usable` holds; of equal ones the first.
pub(super) fn largest<'a>(srcset: &'a str, usable: impl Fn(&str) -> bool) -> Option<(&'a str, Size)> {
    let mut best: Option<Candidate<'a>> = None;
    for candidate in candidates(srcset) {
        if usable(candidate.url) && best.as_ref().is_none_or(|best| candidate.size > best.size) {
            best = Some(candidate);
        }
    }
    best.map(|best| (best.url, best.size))
}

/// The images whose descriptors are sound, in order.
pub(super) fn candidates(srcset: &str) -> impl Iterator<Item = Candidate<'_>> {
    let mut rest = srcset;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(|c: char| is_space(c) || c == ',');
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(is_space).unwrap_or(rest.len());
            let (url, behind) = rest.split_at(end);
            // A comma at the end of a URL ends the image: it has no descriptor.
            let (descriptors, behind) = match url.ends_with(',') {
                true => ("", behind),
                false => split_descriptors(behind),
            };
            rest = behind;
            if let Some(size) = size(descriptors) {
                return Some(Candidate { url: url.trim_end_matches(','), size });
            }
        }
    })
}

/// Everything up to the next comma outside of parentheses, and what is behind it.
fn split_descriptors(text: &str) -> (&str, &str) {
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            ',' if !inside => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// The size that descriptors tell; `None` where they contradict themselves or tell nothing that is known.
fn size(descriptors: &str) -> Option<Size> {
    let (mut width, mut density, mut height) = (None, None, None);
    for word in descriptors.split(is_space).filter(|word| !word.is_empty()) {
        let number = &word[..word.len() - word.chars().next_back().map_or(0, char::len_utf8)];
        let taken = width.is_some() || density.is_some();
        match word.chars().next_back() {
            Some('w') if !taken => width = Some(whole(number)?),
            Some('x') if !taken && height.is_none() => density = Some(decimal(number)?),
            Some('h') if height.is_none() && density.is_none() => height = Some(whole(number)?),
            _ => return None,
        }
    }
    match (width, density, height) {
        (Some(width), None, _) => Some(Size::Width(width)),
        (None, Some(density), None) => Some(Size::Density(density)),
        (None, None, None) => Some(Size::Density(1.0)),
        _ => None,
    }
}

/// A number above zero, digits alone.
fn whole(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// A number that is not below zero, as HTML writes it.
fn decimal(text: &str) -> Option<f64> {
    let sound =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+'));
    text.parse().ok().filter(|number: &f64| sound && *number >= 0.0 && number.is_finite())
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best(srcset: &str) -> Option<&str> {
        largest(srcset, |_| true).map(|(url, _)| url)
    }

    #[test]
    fn the_largest_wins_by_width_or_density() {
        assert_eq!(best("s.jpg 320w, l.jpg 1024w, m.jpg 640w"), Some("l.jpg"));
        assert_eq!(best("a.jpg, b.jpg 1.5x, c.jpg 2x"), Some("c.jpg"));
        assert_eq!(best("a.jpg"), Some("a.jpg"));
        assert_eq!(best("a.jpg 2x, b.jpg 300w"), Some("b.jpg"), "mixed");
        assert_eq!(best("first.jpg 2x, second.jpg 2x"), Some("first.jpg"));
        assert_eq!(best(" \n "), None);
        let not = |url: &str| !url.starts_with("data:");
        assert_eq!(largest("data:image/gif;base64,R0 900w, a.jpg 20w", not).unwrap().0, "a.jpg");
    }

    /// Cases of the platform's tests (web-platform-tests, `parse-a-srcset-attribute`), in words of our own.
    #[test]
    fn commas_parentheses_and_bad_descriptors_are_read_as_browsers_do() {
        let urls = |srcset| candidates(srcset).map(|candidate| candidate.url).collect::<Vec<_>>();
        assert_eq!(urls("a,b,c 1x, d"), ["a,b,c", "d"]);
        assert_eq!(urls("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(urls(",,a 1x,,, ,b 2x,"), ["a", "b"]);
        assert_eq!(urls("data:,a 1x"), ["data:,a"]);
        assert_eq!(urls("data:,a ( , data:,b 1x, ), data:,c"), ["data:,c"]);
        assert_eq!(urls("a 1w 2x, b"), ["b"]);
        for bad in [
            "a 0w", "a -1w", "a 1.5w", "a -1x", "a 1h", "a 1x 1h", "a 1q", "a x", "a 1x 1x", "a nanx",
            "a infx",
        ] {
            assert_eq!(urls(bad), [""; 0], "{bad}");
        }
        for good in ["a 1w 1h", "a 1h 1w", "a 0x", "a 1e3x", "a .5x"] {
            assert_eq!(urls(good), ["a"], "{good}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(srcset in "[a, 1wxhé().e\\n-]{0,40}") {
            for candidate in candidates(&srcset) {
                prop_assert!(!candidate.url.is_empty() && !candidate.url.contains(is_space));
            }
        }

        #[test]
        fn widths_are_compared_as_numbers(widths in proptest::collection::vec(1_u32..100_000, 1..12)) {
            let srcset: Vec<String> = widths.iter().map(|width| format!("{width}.jpg {width}w")).collect();
            let srcset = srcset.join(", ");
            let wanted = format!("{}.jpg", widths.iter().max().unwrap());
            prop_assert_eq!(best(&srcset), Some(wanted.as_str()));
        }
    }
}
