use proptest::prelude::*;

use super::*;
use crate::crawl::MannersConfig;
use crate::extract::link::Link;

fn rules() -> PageRules {
    PageRules::new(&MannersConfig::default(), "troika-pipeline/1")
}

fn page_with(config: &PageConfig, html: &str) -> Page {
    let url = Url::parse("http://h.example/dir/page.html").unwrap();
    let document = Document { bytes: html.as_bytes(), url: Some(url), ..Document::default() };
    super::read(&document, config, &rules()).unwrap()
}

fn page(html: &str) -> Page {
    page_with(&PageConfig::default(), html)
}

fn links(html: &str) -> Vec<Link> {
    page(html).links
}

fn urls(html: &str) -> Vec<String> {
    links(html).iter().map(|link| link.url().unwrap().replace("http://h.example/dir/", "")).collect()
}

fn captions(html: &str) -> Vec<String> {
    let config = PageConfig::default();
    links(html).iter().map(|link| link.caption(&config.captions).unwrap_or("-").to_owned()).collect()
}

#[test]
fn an_image_has_its_attributes_with_references_resolved() {
    let html = "<IMG SRC='a&amp;b.png?x=1&copy=2' alt=' A &laquo;cat&raquo;\n on&nbsp;&#1072; mat ' title=\"5 &gt; 3\">";
    let [link] = &links(html)[..] else { panic!() };
    assert_eq!(link.src.as_deref(), Some("http://h.example/dir/a&b.png?x=1&copy=2"));
    assert_eq!((link.alt.as_deref(), link.title.as_deref()), (Some("A «cat» on а mat"), Some("5 > 3")));
    assert_eq!((&link.figcaption, &link.heading, &link.licence), (&None, &None, &None));
}

#[test]
fn the_best_reference_is_the_largest_then_the_lazy_one_then_src() {
    assert_eq!(urls("<img src=s srcset='m 640w, l 1280w' data-src=z>"), ["l"]);
    assert_eq!(urls("<img src=s data-src=z data-original=y>"), ["z"]);
    assert_eq!(urls("<img src=s data-src=z data-srcset='m 1x, n 2x'>"), ["n"]);
    assert_eq!(urls("<img src='data:image/gif;base64,R0lGOD' data-lazy-src=z>"), ["z"]);
    assert_eq!(urls("<img src=s srcset='data:image/gif;base64,R0 1w' data-src='data:,x'>"), ["s"]);
    let [link] = &links("<img src=s srcset='l 2x' data-src=z>")[..] else { panic!() };
    let all = [&link.src, &link.srcset_url, &link.lazy_url].map(|url| url.as_deref().unwrap());
    assert_eq!(all, ["http://h.example/dir/s", "http://h.example/dir/l", "http://h.example/dir/z"]);
    let none = page("<img><img src=''><img src='#a'><img src='data:,x' alt=x><img src='ftp://h/a.png'>");
    assert_eq!((none.links.len(), none.not_links), (0, 5));
}

#[test]
fn a_picture_is_one_image_with_the_largest_of_its_sources() {
    let html = "<picture><source srcset='a.avif 3000w' type='image/avif'><source srcset='b 800w, c 1600w'>
        <source media='(min-width: 9px)' srcset='d 1200w'><img src=e alt=x></picture><img src=f>";
    assert_eq!(urls(html), ["c", "f"]);
    assert_eq!(urls("<picture><source data-srcset='a 2x'><img src=b></picture>"), ["a"]);
    assert_eq!(urls("<video><source srcset='a 900w' src=v></video><img src=b>"), ["b"]);
}

#[test]
fn what_is_shown_without_scripts_stands_for_the_image_beside_it() {
    let lazy = "<img src=blank.gif class=lazy alt=''><noscript><img src=real.jpg alt='A cat'></noscript>";
    assert_eq!((urls(lazy), captions(lazy)), (vec!["real.jpg".into()], vec!["A cat".into()]));
    let known = "<a><img data-src=real.jpg alt=Cat></a> <noscript><img src=small.jpg></noscript>";
    assert_eq!((urls(known), captions(known)), (vec!["real.jpg".into()], vec!["Cat".into()]));
    assert_eq!(
        urls("<noscript><img src=a></noscript><img data-src=a><img src=a>"),
        ["a", "a"],
        "a twin, and no twin"
    );
    assert_eq!(urls("<img src=a><p>text<noscript><img src=b></noscript>"), ["a", "b"]);
    assert_eq!(urls("<img src=a>text<noscript><img src=b></noscript>"), ["a", "b"]);
}

#[test]
fn a_figure_gives_its_caption_to_its_images() {
    let html = "<img src=0><figure><img src=1 alt=''><p><img src=2 alt=two></p>
        <figcaption>A <b>red</b>\n cat<script>x()</script></figcaption></figure><img src=3>";
    assert_eq!(captions(html), ["-", "A red cat", "two", "-"]);
    let nested =
        "<figure><figcaption>All</figcaption><figure><img src=1><figcaption>One</figcaption></figure>
        <figure><img src=2></figure></figure>";
    assert_eq!(captions(nested), ["One", "All"]);
    assert_eq!(captions("<figure><img src=1><figcaption>never closed"), ["never closed"]);
    assert_eq!(captions("<figcaption>no figure</figcaption><img src=1>"), ["-"]);
    let deep = format!(
        "{}<img src=1><figcaption>x</figcaption>{}<img src=2>",
        "<figure>".repeat(99),
        "</figure>".repeat(99)
    );
    assert_eq!(captions(&deep), ["x", "-"]);
}

#[test]
fn the_heading_is_the_nearest_before_the_image() {
    let html =
        "<img src=0><h1>One<br>two</h1><img src=1><h3></h3><img src=2><h2><img src=3> Три </h2><img src=4>
        <h4>open<h5>next</h5><img src=5>";
    let headings: Vec<_> =
        links(html).iter().map(|link| link.heading.as_deref().unwrap_or("-").to_owned()).collect();
    assert_eq!(headings, ["-", "One two", "One two", "Три", "Три", "next"]);
    let endless = format!("<h1>{}<img src=1>", "слово ".repeat(9000));
    let heading = links(&endless)[0].heading.clone().unwrap();
    assert!(heading.len() <= 4096 && heading.starts_with("слово слово"));
}

#[test]
fn the_base_holds_for_the_whole_page() {
    assert_eq!(links("<img src=a><base href='/b/'><base href='/c/'>")[0].url(), Some("http://h.example/b/a"));
    assert_eq!(
        links("<base href='https://cdn.example/x'><img src=a>")[0].url(),
        Some("https://cdn.example/a")
    );
    assert_eq!(links("<base href='javascript:x'><img src=a>")[0].url(), Some("http://h.example/dir/a"));
    assert_eq!(page("<base href='/b/'>").url.as_deref(), Some("http://h.example/dir/page.html"));
}

#[test]
fn the_language_is_what_is_said_of_the_page_before_what_is_said_of_a_part() {
    let language = |html: &str, header| {
        let document = Document { bytes: html.as_bytes(), language: header, ..Document::default() };
        super::read(&document, &PageConfig::default(), &rules()).unwrap().language
    };
    let part = "<div lang=en>";
    let locale = format!("<meta property='og:locale' content='pt_BR'>{part}");
    let meta = format!("<meta http-equiv=Content-Language content=de>{locale}");
    let html = format!("<html lang=ru>{meta}");
    assert_eq!(language(&html, Some("fr")).as_deref(), Some("ru"));
    assert_eq!(language(&meta, Some("fr")).as_deref(), Some("fr"));
    assert_eq!(language(&meta, Some("fr, en")).as_deref(), Some("de"));
    assert_eq!(language(&locale, None).as_deref(), Some("pt-BR"));
    assert_eq!(language("<html xml:lang=uk>", None).as_deref(), Some("uk"));
    assert_eq!((language(part, None).as_deref(), language("<p lang=en>", None)), (Some("en"), None));
}

#[test]
fn the_licence_is_that_of_the_figure_or_of_the_page() {
    let cc = "https://creativecommons.org/licenses/by/4.0/";
    let html = format!(
        "<img src=1><figure><img src=2><figcaption><a href='{cc}'>CC BY</a></figcaption></figure>
        <footer><a rel='nofollow license' href='/terms#x'>terms</a></footer>"
    );
    let licences: Vec<_> =
        links(&html).iter().map(|link| link.licence.as_deref().unwrap().to_owned()).collect();
    assert_eq!(licences, ["http://h.example/terms", cc]);
    assert_eq!(links(&format!("<img src=1><a href='{cc}'>"))[0].licence.as_deref(), Some(cc));
    assert_eq!(links(&format!("<link rel=license href='{cc}'><img src=1>"))[0].licence.as_deref(), Some(cc));
    assert_eq!(
        links(&format!("<link rel=stylesheet href='{cc}'><a href=/x>x</a><img src=1>"))[0].licence,
        None
    );
}

#[test]
fn scripts_comments_and_templates_hold_no_images() {
    let html = "<!-- <img src=1> --><script>'<img src=2>'</script><style><img src=3></style><textarea><img src=4></textarea>
        <template><img src=5><figure></template><svg><style/><title/></svg><iframe><img src=6></iframe><img src=7>";
    assert_eq!(urls(html), ["7"]);
    assert_eq!(urls("<template shadowrootmode=open><img src=1></template>"), ["1"]);
}

#[test]
fn in_xhtml_any_element_may_close_itself() {
    let html = "<script src='x'/><title/><img src='1'/>";
    let read = |content_type| {
        let url = Url::parse("http://h/").ok();
        let document =
            Document { bytes: html.as_bytes(), url, content_type: Some(content_type), language: None };
        super::read(&document, &PageConfig::default(), &rules()).unwrap().links.len()
    };
    assert_eq!((read("application/xhtml+xml; charset=utf-8"), read("text/html")), (1, 0));
}

#[test]
fn previews_are_links_on_request() {
    let html = "<meta property='og:image' content='/p.jpg'><meta property='og:image:url' content='/p.jpg'>
        <meta property='og:image:alt' content='A  cat'><meta name='og:image' content='/q.jpg'><img src=1>";
    assert_eq!(urls(html), ["1"]);
    let config = PageConfig { og_image: true, ..PageConfig::default() };
    let links = page_with(&config, html).links;
    let told: Vec<_> = links.iter().map(|link| (link.url().unwrap(), link.alt.as_deref())).collect();
    let preview = [("http://h.example/p.jpg", Some("A cat")), ("http://h.example/q.jpg", None)];
    assert_eq!(told[1..], preview);
}

#[test]
fn a_page_may_have_too_many_images() {
    let config = PageConfig { max_links: 3, og_image: true, ..PageConfig::default() };
    let page = page_with(
        &config,
        &format!("<meta property='og:image' content='/p.jpg'>{}", "<img src=a>".repeat(10)),
    );
    assert_eq!((page.links.len(), page.over_limit), (3, 7));
}

#[test]
fn a_page_may_opt_out() {
    let read = |html: &str| {
        let document = Document { bytes: html.as_bytes(), ..Document::default() };
        super::read(&document, &PageConfig::default(), &rules()).is_some()
    };
    for out in [
        "<meta name=robots content='noai, noimageai'>",
        "<META NAME=Robots CONTENT='max-snippet:3,NOIMAGEINDEX'>",
        "<meta name=troika-pipeline content=none>",
        "<meta name=tdm-reservation content=1>",
    ] {
        assert!(!read(out), "{out}");
    }
    for fine in [
        "<meta name=robots content='index, nofollow'>",
        "<meta name=googlebot content=noindex>",
        "<meta content=noai>",
    ] {
        assert!(read(fine), "{fine}");
    }
}

#[test]
fn a_saved_page_says_where_it_is_from() {
    let read = |html: &str| {
        let document = Document { bytes: html.as_bytes(), ..Document::default() };
        let page = super::read(&document, &PageConfig::default(), &rules()).unwrap();
        (page.url, page.links.first().and_then(|link| link.url().map(str::to_owned)), page.not_links)
    };
    let known = |url: &str, link: &str| (Some(url.to_owned()), Some(link.to_owned()), 0);
    let image = "<img src=i.png>";
    assert_eq!(
        read(&format!("<!-- saved from url=(0017)http://h/a/b.html -->{image}")),
        known("http://h/a/b.html", "http://h/a/i.png")
    );
    let single = "<!--\n Page saved with SingleFile \n url: https://h/a/ \n saved date: Mon -->";
    assert_eq!(read(&format!("{single}{image}")), known("https://h/a/", "https://h/a/i.png"));
    let mirror = "<!-- Mirrored from h/a/b.html by HTTrack Website Copier/3.x [XR&CO'2014] -->";
    assert_eq!(read(&format!("{mirror}{image}")), known("http://h/a/b.html", "http://h/a/i.png"));
    assert_eq!(
        read(&format!("<link rel=canonical href='http://h/c'>{image}")),
        known("http://h/c", "http://h/i.png")
    );
    assert_eq!(read(&format!("<base href='http://h/d/'>{image}")), known("http://h/d/", "http://h/d/i.png"));
    assert_eq!(read(image), (None, None, 1));
    assert_eq!(read("<img src='http://h/i.png'>"), (None, Some("http://h/i.png".into()), 0));
}

proptest! {
    #[test]
    fn any_bytes_are_a_page(bytes: Vec<u8>, tags in "(<(/?(img|h1|h2|figure|figcaption|picture|noscript|svg|template|script|a|p|base)( src=a| alt=b| href=/c/?| srcset='d 2x')*/?>|text|&amp;?)){0,20}") {
        let html = [tags.as_bytes(), &bytes].concat();
        let document = Document { bytes: &html, url: Url::parse("http://h/").ok(), ..Document::default() };
        super::read(&document, &PageConfig::default(), &rules());
    }
}
