//! RFC 9309's examples and the cases that google/robotstxt tests, as tables of our own; then laws.

use proptest::prelude::*;
use url::Url;

use super::super::pattern::path_of;
use super::*;

/// Whether `token` may fetch `path`.
fn allowed(robots: &str, token: &str, path: &str) -> bool {
    let url = Url::parse(&format!("http://foo.bar{path}")).unwrap();
    Robots::parse(robots.as_bytes(), token).verdict(&path_of(&url)) == Verdict::Allowed
}

/// A file for `FooBot` with paths that it may and may not fetch.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

fn check(cases: &[Case]) {
    for (robots, may, may_not) in cases {
        let robots = format!("user-agent: FooBot\n{robots}");
        for path in *may {
            assert!(allowed(&robots, "FooBot", path), "{path} is allowed by\n{robots}");
        }
        for path in *may_not {
            assert!(!allowed(&robots, "FooBot", path), "{path} is not allowed by\n{robots}");
        }
    }
}

#[test]
fn the_longest_match_wins_and_allow_wins_ties() {
    check(&[
        ("disallow: /x/page.html\nallow: /x/", &["/x/", "/y"], &["/x/page.html"]),
        ("allow: /x/page.html\ndisallow: /x/", &["/x/page.html"], &["/x/"]),
        ("disallow:\nallow:", &["/x/page.html"], &[]),
        ("disallow: /\nallow: /", &["/x/page.html"], &[]),
        ("disallow: /x\nallow: /x/", &["/x/"], &["/x"]),
        ("disallow: /x/page.html\nallow: /x/page.html", &["/x/page.html"], &[]),
        ("allow: /page\ndisallow: /*.html", &["/page"], &["/page.html"]),
        ("allow: /x/page.\ndisallow: /*.html", &["/x/page.html"], &["/x/y.html"]),
        ("allow: /p\ndisallow: /", &["/page"], &["/"]),
        ("allow: /folder\ndisallow: /folder", &["/folder/page"], &[]),
        ("allow: /page\ndisallow: /*.htm", &[], &["/page.htm"]),
        ("allow: /$\ndisallow: /", &["/"], &["/page.html"]),
        ("disallow: /\nallow: /robots.txt$", &["/robots.txt"], &["/robots.txt?x"]),
        ("disallow: /", &["/robots.txt"], &["/", "/x"]),
    ]);
}

#[test]
fn googles_documentation_of_path_values() {
    let fish: &[&str] = &["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fish.html?id=anything"];
    let none: &[&str] = &["/bar", "/Fish.asp", "/catfish", "/?id=fish"];
    check(&[
        ("disallow: /\nallow: /fish", fish, none),
        ("disallow: /\nallow: /fish*", fish, none),
        (
            "disallow: /\nallow: /fish/",
            &["/fish/", "/fish/salmon", "/fish/?salmon", "/fish/?id=anything"],
            &["/bar", "/fish", "/fish.html", "/Fish/Salmon.html"],
        ),
        (
            "disallow: /\nallow: /*.php",
            &["/a.php", "/b/a.php", "/b/a.php?x", "//b/any.php.file.html", "/a.php/", "/index?f=a.php/"],
            &["/bar", "/php/", "/index?php", "/windows.PHP"],
        ),
        (
            "disallow: /\nallow: /*.php$",
            &["/a.php", "/b/a.php"],
            &["/a.php?x", "/a.php/", "/a.php5", "/php/", "/filename?php", "/aaaphpaaa", "/w.PHP"],
        ),
        (
            "disallow: /\nallow: /fish*.php",
            &["/fish.php", "/fishheads/catfish.php?x"],
            &["/bar", "/Fish.PHP"],
        ),
    ]);
}

#[test]
fn special_characters_and_escapes() {
    check(&[
        (
            "disallow: /foo/bar/quz\nallow: /foo/*/qux",
            &["/foo/quz", "/foo//quz", "/foo/bax/quz"],
            &["/foo/bar/quz"],
        ),
        (
            "disallow: /foo/bar$\nallow: /foo/bar/qux",
            &["/foo/bar/qux", "/foo/bar/", "/foo/bar/baz"],
            &["/foo/bar"],
        ),
        ("# disallow: /\ndisallow: /foo/quz#qux\nallow: /", &["/foo/bar"], &["/foo/quz"]),
        (
            "disallow: /\nallow: /foo/bar?qux=taz&baz=http://foo.bar?tar&par",
            &["/foo/bar?qux=taz&baz=http://foo.bar?tar&par"],
            &["/foo/bar?qux=taz"],
        ),
        ("disallow: /\nallow: /foo/bar/ツ", &["/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"], &["/foo/bar/"]),
        ("disallow: /\nallow: /foo/bar/%E3%83%84", &["/foo/bar/ツ"], &["/foo/bar/%E3%83%85"]),
        // RFC 9309 undoes escapes of unreserved characters; Google's code compares them as they stand.
        ("disallow: /\nallow: /foo/bar/%62%61%7A", &["/foo/bar/baz", "/foo/bar/%62%61%7A"], &["/foo/bar/ba"]),
        ("disallow: /x/", &["/X/y", "/xy"], &["/x/y", "/x/?y"]),
        ("disallow: x", &["/x"], &[]),
    ]);
}

#[test]
fn groups_are_merged_by_their_token() {
    let robots = "allow: /foo/bar/\n\nuser-agent: FooBot\ndisallow: /\nallow: /x/\nuser-agent: BarBot\n\
                  disallow: /\nallow: /y/\n\n\nallow: /w/\nuser-agent: BazBot\n\nuser-agent: FooBot\n\
                  allow: /z/\ndisallow: /\n";
    for (token, path, wanted) in [
        ("FooBot", "/x/b", true),
        ("FooBot", "/z/d", true),
        ("FooBot", "/y/c", false),
        ("BarBot", "/y/c", true),
        ("BarBot", "/w/a", true),
        ("BarBot", "/z/d", false),
        ("BazBot", "/z/d", true),
        // A rule outside of any group is none.
        ("FooBot", "/foo/bar/", false),
        ("BarBot", "/foo/bar/", false),
        ("BazBot", "/foo/bar/", false),
    ] {
        assert_eq!(allowed(robots, token, path), wanted, "{token} {path}");
    }
}

#[test]
fn the_group_for_all_counts_where_no_other_does() {
    let all = "user-agent: *\nallow: /\nuser-agent: FooBot\ndisallow: /\n";
    assert!(allowed("", "FooBot", "/x"));
    assert!(!allowed(all, "FooBot", "/x") && allowed(all, "BarBot", "/x"));
    let others =
        "user-agent: FooBot\nallow: /\nuser-agent: BarBot\ndisallow: /\nuser-agent: BazBot\ndisallow: /\n";
    assert!(allowed(others, "QuxBot", "/x"));
    let both = "User-agent: *\nDisallow: /x/\nUser-agent: FooBot\nDisallow: /y/\n";
    assert!(allowed(both, "FooBot", "/x/page") && !allowed(both, "FooBot", "/y/page"));
    let several = "User-agent: *\nDisallow: /x/\n\nUser-agent: BarBot\nUser-agent: *\nDisallow: /y/\n";
    assert!(!allowed(several, "FooBot", "/x/") && !allowed(several, "FooBot", "/y/"));
    let silent = "User-agent: *\nDisallow: /\nUser-agent: FooBot\n";
    assert!(allowed(silent, "FooBot", "/x"), "a group without a rule allows all");
}

#[test]
fn names_have_no_case_and_end_where_the_version_begins() {
    for agent in ["FOO BAR", "foo bar", "FoO/2.1", "Foo", "foo\t# comment"] {
        for keys in [["User-Agent", "Allow", "Disallow"], ["uSeR-aGeNt", "AlLoW", "dIsAlLoW"]] {
            let [user_agent, allow, disallow] = keys;
            let robots = format!("{user_agent}: {agent}\n{allow}: /x/\n{disallow}: /\n");
            for token in ["Foo", "foo"] {
                assert!(allowed(&robots, token, "/x/y") && !allowed(&robots, token, "/a/b"), "{robots}");
            }
            assert!(allowed(&robots, "Fo", "/a") && allowed(&robots, "FooBar", "/a"));
        }
    }
    let wild = "User-Agent: *\nDisallow: /\nUser-Agent: Foo Bar\nAllow: /x/\nDisallow: /\n";
    assert!(allowed(wild, "Foo", "/x/y") && !allowed(wild, "Bar", "/x/y"));
}

#[test]
fn lines_are_read_leniently() {
    assert!(!allowed("user-agent FooBot\ndisallow /\n", "FooBot", "/x"));
    assert!(allowed("foo: FooBot\nbar: /\n", "FooBot", "/x"));
    assert!(allowed("user-agent: FooBot\ndisallow / x\n", "FooBot", "/x"), "three words leave a doubt");
    assert!(!allowed("useragent: FooBot\ndissalow: /\n", "FooBot", "/x"));
    assert!(!allowed("  user-agent : FooBot  \n\tdisallow\t:\t/ \n", "FooBot", "/x"));
    let mapped = "user-agent: FooBot\nsitemap: http://h/s.xml\nuser-agent: BarBot\ndisallow: /\n";
    assert!(!allowed(mapped, "FooBot", "/x"), "other records do not part the agents");
}

#[test]
fn the_deciding_line_is_told_whatever_ends_the_lines() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["User-Agent: foo", "Allow: /some", "", "User-Agent: bar", "", "Disallow: /p # why", ""];
        let robots = Robots::parse(text.join(end).as_bytes(), "bar");
        let line = Line { number: 6, text: "Disallow: /p".into() };
        assert_eq!(robots.verdict("/p/q"), Verdict::Disallowed(&line), "{end:?}");
    }
    let mixed = Robots::parse(b"User-Agent: foo\nAllow: /a\r\nUser-Agent: bar\n\r\n\nDisallow: /", "bar");
    assert!(matches!(mixed.verdict("/"), Verdict::Disallowed(line) if line.number == 6));
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_beginning_alone() {
    let read = |mark: &[u8]| {
        let robots = [mark, b"User-Agent: foo\nDisallow: /"].concat();
        Robots::parse(&robots, "foo").verdict("/x") != Verdict::Allowed
    };
    assert!(read(b"\xEF\xBB\xBF") && read(b"\xEF\xBB") && read(b"\xEF") && read(b""));
    assert!(!read(b"\xEF\x11\xBF"), "the first line is garbage");
    let middle = Robots::parse(b"User-Agent: foo\n\xEF\xBB\xBFDisallow: /\n", "foo");
    assert_eq!(middle.verdict("/x"), Verdict::Allowed);
}

#[test]
fn beyond_500_kib_nothing_is_read_and_no_line_in_half() {
    let head = "user-agent: foo\ndisallow: /\n";
    let filler = format!("# {}\n", "x".repeat(MOST_BYTES - head.len() - 13));
    let robots = format!("{head}{filler}allow: /only/this\n");
    assert_eq!(&robots[..MOST_BYTES][head.len() + filler.len()..], "allow: /on");
    assert!(!allowed(&robots, "foo", "/one"), "half a line would allow it");
    assert!(!allowed(&robots, "foo", "/only/this"));
}

#[test]
fn crawl_delay_belongs_to_its_group() {
    let delay = |robots: &str| Robots::parse(robots.as_bytes(), "foo").crawl_delay();
    assert_eq!(delay("user-agent: *\ncrawl-delay: 2.5\n"), Some(Duration::from_millis(2500)));
    assert_eq!(delay("user-agent: *\ncrawl-delay: 2\nuser-agent: foo\ndisallow:\n"), None);
    assert_eq!(delay("user-agent: *\ncrawl-delay: 2\ndisallow: /\nuser-agent: foo\ndisallow:\n"), None);
    assert_eq!(delay("user-agent: foo\ncrawl-delay: 2\ncrawl-delay: 7\n"), Some(Duration::from_secs(7)));
    assert_eq!(delay("user-agent: foo\nCrawl-Delay 1e300\n"), Some(Duration::from_secs(86_400)));
    for bad in ["-1", "nan", "soon", ""] {
        assert_eq!(delay(&format!("user-agent: foo\ncrawl-delay: {bad}\n")), None, "{bad}");
    }
}

/// Files of lines that mean something.
fn robots_txt() -> impl Strategy<Value = Vec<String>> {
    let agent = prop::sample::select(vec!["foo", "bar", "*"]);
    let rule = ("(allow|disallow): ", "/[ab/*]{0,4}").prop_map(|(key, path)| key + &path);
    let group = (agent, prop::collection::vec(rule, 1..4))
        .prop_map(|(agent, rules)| format!("user-agent: {agent}\n{}\n", rules.join("\n")));
    prop::collection::vec(group, 0..5)
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>, path in "/[ -~]{0,20}") {
        let robots = Robots::parse(&bytes, "foo");
        let _ = robots.verdict(&path);
        prop_assert!(robots.bytes() < 1 << 20);
    }

    #[test]
    fn a_file_that_disallows_nothing_allows_all(groups in robots_txt(), path in "/[ab/]{0,5}") {
        prop_assert!(allowed(&groups.concat().replace("disallow", "allow"), "foo", &path));
    }

    #[test]
    fn the_order_of_groups_does_not_matter(groups in robots_txt(), path in "/[ab/]{0,5}") {
        let turned: String = groups.iter().rev().map(String::as_str).collect();
        prop_assert_eq!(allowed(&groups.concat(), "foo", &path), allowed(&turned, "foo", &path));
    }

    #[test]
    fn the_line_that_is_told_disallows(groups in robots_txt(), path in "/[ab/]{0,5}") {
        let text = groups.concat();
        let robots = Robots::parse(text.as_bytes(), "foo");
        if let Verdict::Disallowed(line) = robots.verdict(&path) {
            prop_assert_eq!(text.lines().nth(line.number - 1), Some(line.text.as_str()));
            prop_assert!(line.text.starts_with("disallow: "));
        }
    }
}
