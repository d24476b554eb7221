//! `urllib.parse.urljoin` of CPython 3.11: references resolved as RFC 3986 does, but neither checked nor normalised. Tests
//! compare it with what that function returned.

use std::net::Ipv6Addr;

/// Characters that compatibility normalisation (NFKC) turns into one of `/?#@:`; a host with one of them is refused.
const MISLEADING: [char; 19] = [
    '\u{2047}', '\u{2048}', '\u{2049}', '\u{2100}', '\u{2101}', '\u{2105}', '\u{2106}', '\u{2a74}',
    '\u{fe13}', '\u{fe16}', '\u{fe55}', '\u{fe56}', '\u{fe5f}', '\u{fe6b}', '\u{ff03}', '\u{ff0f}',
    '\u{ff1a}', '\u{ff1f}', '\u{ff20}',
];

/// A URL taken apart.
#[derive(Debug, Default)]
struct Parts {
    scheme: String,
    host: String,
    path: String,
    params: String,
    query: String,
    fragment: String,
}

/// Python raises `ValueError`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// `urljoin(base, reference)` for bases of the web; with another base a reference comes back as it is, which is no URL of
/// the web either way.
pub(super) fn join(base: &str, reference: &str) -> Result<String, Refused> {
    if base.is_empty() || reference.is_empty() {
        return Ok(if base.is_empty() { reference } else { base }.to_owned());
    }
    let base = Parts::of(base, "")?;
    let mut parts = Parts::of(reference, &base.scheme)?;
    if parts.scheme != base.scheme || !matches!(parts.scheme.as_str(), "http" | "https") {
        return Ok(reference.to_owned());
    }
    if !parts.host.is_empty() {
        return Ok(parts.joined());
    }
    parts.host = base.host;
    if parts.path.is_empty() && parts.params.is_empty() {
        (parts.path, parts.params) = (base.path, base.params);
        if parts.query.is_empty() {
            parts.query = base.query;
        }
        return Ok(parts.joined());
    }
    parts.path = resolve(&base.path, &parts.path);
    Ok(parts.joined())
}

/// Whether a URL begins as one of the web, letter by letter.
pub(super) fn is_web(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// A path against that of the base, dots resolved.
fn resolve(base: &str, path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    if !path.starts_with('/') {
        segments.extend(base.split('/'));
        if segments.last().is_some_and(|last| !last.is_empty()) {
            segments.pop();
        }
        segments.extend(path.split('/'));
        // Empty segments stay at the ends alone.
        let last = segments.len() - 1;
        let mut at = 0..;
        segments.retain(|segment| at.next().is_some_and(|at| at == 0 || at == last || !segment.is_empty()));
    } else {
        segments.extend(path.split('/'));
    }
    let mut resolved: Vec<&str> = Vec::new();
    for segment in &segments {
        match *segment {
            ".." => drop(resolved.pop()),
            "." => {}
            segment => resolved.push(segment),
        }
    }
    if matches!(segments.last(), Some(&"." | &"..")) {
        resolved.push("");
    }
    match resolved.join("/") {
        path if path.is_empty() => "/".to_owned(),
        path => path,
    }
}

impl Parts {
    /// Takes a URL apart; `scheme` is that of one which has none.
    fn of(url: &str, scheme: &str) -> Result<Self, Refused> {
        let url = url.trim_start_matches(|c: char| c <= ' ').replace(['\t', '\r', '\n'], "");
        let (scheme, rest) = split_scheme(&url).unwrap_or((scheme.to_owned(), url.as_str()));
        let (host, rest) = match rest.strip_prefix("//") {
            Some(behind) => behind.split_at(behind.find(['/', '?', '#']).unwrap_or(behind.len())),
            None => ("", rest),
        };
        if !is_sound(host) {
            return Err(Refused);
        }
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (path, params) = match scheme.as_str() {
            "http" | "https" | "" => split_params(path),
            _ => (path, ""),
        };
        let [host, path, params, query, fragment] = [host, path, params, query, fragment].map(str::to_owned);
        Ok(Self { scheme, host, path, params, query, fragment })
    }

    fn joined(self) -> String {
        let Self { scheme, host, mut path, params, query, fragment } = self;
        if !params.is_empty() {
            path = format!("{path};{params}");
        }
        if !host.is_empty() || !path.starts_with("//") {
            let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
            path = format!("//{host}{slash}{path}");
        }
        let mut url = format!("{scheme}:{path}");
        for (mark, part) in [('?', query), ('#', fragment)] {
            if !part.is_empty() {
                url.push(mark);
                url += &part;
            }
        }
        url
    }
}

fn split_scheme(url: &str) -> Option<(String, &str)> {
    let (scheme, behind) = url.split_once(':')?;
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let sound = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    (begins && sound).then(|| (scheme.to_ascii_lowercase(), behind))
}

/// Parameters stand behind the first semicolon of the last segment.
fn split_params(path: &str) -> (&str, &str) {
    let segment = path.rfind('/').unwrap_or(0);
    match path[segment..].find(';') {
        Some(at) => (&path[..segment + at], &path[segment + at + 1..]),
        None => (path, ""),
    }
}

fn is_sound(host: &str) -> bool {
    let brackets = match (host.split_once('['), host.contains(']')) {
        (None, false) => true,
        (Some((_, behind)), true) => {
            is_address(behind.split_once(']').map_or(behind, |(address, _)| address))
        }
        _ => false,
    };
    brackets && !host.contains(MISLEADING)
}

/// An address as it stands in brackets.
fn is_address(text: &str) -> bool {
    if let Some(future) = text.strip_prefix('v') {
        let (version, rest) = future.split_once('.').unwrap_or((future, ""));
        return !version.is_empty() && version.bytes().all(|b| b.is_ascii_hexdigit()) && !rest.is_empty();
    }
    let (address, scope) = text.split_once('%').unwrap_or((text, "scope"));
    !scope.is_empty() && !scope.contains('%') && address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// References and what CPython 3.11.7 makes of them; `-` for what is no URL of the web.
    const CASES: &str = include_str!("python_url.tsv");

    #[test]
    fn references_are_joined_as_python_joins_them() {
        let mut cases = 0;
        for line in CASES.lines() {
            let fields: Vec<String> =
                line.split('\t').map(|field| field.replace("\\t", "\t").replace("\\n", "\n")).collect();
            let [base, reference, wanted] = &fields[..] else { panic!("{line}") };
            let found = join(base, reference).ok().filter(|url| is_web(url));
            assert_eq!(found.as_deref().unwrap_or("-"), wanted, "{base} {reference}");
            cases += 1;
        }
        assert!(cases > 300, "{cases}");
    }

    proptest! {
        #[test]
        fn any_text_is_joined(base in ".{0,30}", reference in "[a-z./:?#;@\\[\\]%é]{0,30}") {
            let _ = (join(&base, &reference), join("http://h/a/b", &base));
        }
    }
}
