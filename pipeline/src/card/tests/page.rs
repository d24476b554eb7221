//! What the page looks like, and that no text can change that.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// All elements of the page. None of them can run or load anything without the attributes that [`check`] refuses.
const ELEMENTS: [&str; 40] = [
    "a",
    "b",
    "bdi",
    "body",
    "code",
    "div",
    "em",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "i",
    "img",
    "li",
    "line",
    "main",
    "meta",
    "nav",
    "ol",
    "p",
    "rect",
    "section",
    "small",
    "span",
    "style",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
];
const EMPTY: [&str; 2] = ["img", "meta"];

/// Goes through the tags of a page: they are closed in order, are those that we write, and load nothing.
fn check(page: &str) -> Result<(), String> {
    let page = page.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?;
    let mut open: Vec<&str> = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').ok_or_else(|| format!("`<{part}` is not closed"))?;
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last != Some(name) {
                return Err(format!("</{name}> closes {last:?}"));
            }
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if !ELEMENTS.contains(&name) {
            return Err(format!("element <{name}>"));
        }
        for (name, value) in split(attributes)? {
            let fine = match name {
                "src" => value.starts_with("data:image/jpeg;base64,"),
                "href" => value.starts_with('#'),
                name => !name.starts_with("on") && name != "srcset" && name != "xlink:href",
            };
            if !fine {
                return Err(format!("{name}=\"{value}\""));
            }
        }
        if !EMPTY.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("left open: {open:?}")) }
}

/// `a="b" c="d"` as pairs.
fn split(attributes: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut pairs = Vec::new();
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or_else(|| format!("`{rest}` is no attribute"))?;
        let (value, after) = after.split_once('"').ok_or_else(|| format!("`{after}` does not end"))?;
        pairs.push((name, value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// Texts that are counted, and are all this one.
fn counted(text: &str) -> Counted {
    Counted { rows: 2, different: 9, top: vec![Count { value: text.to_owned(), rows: 2 }] }
}

/// Failures of hosts and rules of this name.
fn failures_of(text: &str) -> Failures {
    Failures {
        folder: text.to_owned(),
        rows: 3,
        pictures: 1,
        reasons: vec![FailureReason { code: text.to_owned(), text: None, rows: 2 }],
        hosts: 2,
        worst: vec![Host { host: text.to_owned(), rows: 3, pictures: 1, reason: text.to_owned() }],
        opt_outs: [(text.to_owned(), 1)].into(),
        rules: counted(text),
    }
}

/// A card whose every foreign text is this one.
fn card_of(text: &str) -> Card {
    let sample = |by: Option<&str>| Sample {
        key: Some(text.to_owned()),
        url: Some(text.to_owned()),
        caption: Some(text.to_owned()),
        stage: by.map(str::to_owned),
        by: by.map(str::to_owned),
        cluster: by.map(|_| format!("{text}2")),
        thumbnail: Some(Thumbnail { width: 4, height: 3, jpeg: vec![1, 2, 3] }),
        stands_in: by.map(|_| Thumbnail { width: 4, height: 3, jpeg: vec![1, 2, 3] }),
    };
    let stop = Stop {
        name: text.to_owned(),
        maker: Maker::Filter,
        format: Some(text.to_owned()),
        plan: Some(text.to_owned()),
        version: Some(text.to_owned()),
        units: 1,
        units_missing: 1,
        bytes: 5,
        rows_read: Some(3),
        rows: 2,
        pictures: Some(1),
        removed: vec![Removed { by: text.to_owned(), rows: 1, only: Some(1) }],
    };
    let repeated = counted(text);
    let captions =
        Captions { rows: 2, characters: None, words: None, languages: Languages::default(), repeated };
    let contents = Contents {
        rows: 2,
        columns: vec![Column { name: text.to_owned(), kind: text.to_owned() }],
        stored: None,
        original: None,
        picture_bytes: None,
        captions: Some(captions),
        domains: Some(counted(text)),
        licences: Some(counted(text)),
        page_languages: Some(counted(text)),
    };
    Card {
        title: text.to_owned(),
        program: "0.1.0".to_owned(),
        seed: 0,
        road: vec![stop],
        contents: Some(contents),
        failures: Some(failures_of(text)),
        clusters: Some(Clusters {
            folder: text.to_owned(),
            clusters: 1,
            rows: 2,
            largest: 2,
            sizes: Vec::new(),
            top: vec![Cluster {
                cluster: text.to_owned(),
                rows: 2,
                thumbnail: Some(Thumbnail { width: 4, height: 3, jpeg: vec![1, 2, 3] }),
            }],
        }),
        timings: vec![Timing { step: text.to_owned(), count: 1, p50_ms: 0.5, p99_ms: 1500.0 }],
        kept: vec![sample(None)],
        dropped: vec![sample(Some(text))],
    }
}

#[test]
fn a_whole_page_is_well_formed_and_loads_nothing() {
    let page = page(&whole_road().card(&["unique"]));
    check(&page).unwrap();
    let used: BTreeSet<&str> = page.split('<').filter_map(|part| part.split([' ', '>']).next()).collect();
    let unused: Vec<_> = ELEMENTS.iter().filter(|element| !used.contains(*element)).collect();
    assert!(unused.is_empty(), "{unused:?}");
    // Six rows that are there; the narrow one and the duplicate were removed, the latter beside what was kept instead; the
    // only group of duplicates.
    assert_eq!(page.matches("<img ").count(), 10);
    assert!(page.contains("default-src 'none'") && !page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert('x')&lt;/script&gt;"));
}

#[test]
fn the_checker_finds_what_must_not_be() {
    let wrap = |body: &str| format!("<!DOCTYPE html><html><body>{body}</body></html>");
    assert_eq!(check(&wrap("<p>fine</p>")), Ok(()));
    for bad in [
        "<script>1</script>",
        "<p><b></p></b>",
        "<p",
        "<img src=\"http://x\">",
        "<p onclick=\"x\"></p>",
        "<a href=\"javascript:x\"></a>",
        "<p class=x></p>",
        "<p>",
    ] {
        assert!(check(&wrap(bad)).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_text_becomes_part_of_the_page(
        text in prop_oneof![
            any::<String>(),
            "[<>\"'&;=/! \\-a-d\u{0}\u{202e}\u{feff}\n]{0,40}",
            "(</bdi>|<script>|\"><img src=x onerror=x>|&#60;|-->|\\]\\]>|</style>|</title>){1,4}",
        ],
    ) {
        let page = page(&card_of(&text));
        prop_assert_eq!(check(&page), Ok(()), "{}", page);
        let unseen = |c: char| c != '\n' && c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        prop_assert!(!page.contains(unseen), "{:?}", page);
    }
}

/// A section of the page of the whole road, a line for each element.
fn part(id: &str) -> String {
    let mut card = whole_road().card(&["unique"]);
    card.road.iter_mut().for_each(|stop| stop.bytes = 25_600);
    let page = page(&card);
    let (_, body) = page.split_once(&format!("<section id=\"{id}\">")).unwrap();
    let (body, _) = body.split_once("</section>").unwrap();
    ["<h", "<p", "<ol", "<li", "<div", "<table", "<tr", "<th s", "<td"]
        .iter()
        .fold(body.to_owned(), |body, tag| body.replace(tag, &format!("\n{tag}")))
}

#[test]
fn the_road_on_the_page() {
    insta::assert_snapshot!(part("road").split("<li>").nth(2).unwrap(), @r#"

    <h3>Rows removed by rules <small>folder <bdi>clean</bdi></small></h3>
    <div class="track" role="img" aria-label="7 of 12 rows left"><i class="with" style="width:58.33%"></i><i class="without" style="width:0.00%"></i></div>
    <p class="note">7 of 12 rows left; 25.0 KiB in 2 shards</p>
    <table><thead>
    <tr>
    <th scope="col">removed by rule</th><th class="number" scope="col">rows</th><th class="number" scope="col">share</th></tr></thead><tbody>
    <tr>
    <th scope="row"><code><bdi>status</bdi></code><span>2 of them caught by no other rule</span><i class="bar" style="width:100.0%"></i></th>
    <td class="number">4</td>
    <td class="number">33.3%</td></tr>
    <tr>
    <th scope="row"><code><bdi>side</bdi></code><span>0 of them caught by no other rule</span><i class="bar" style="width:25.0%"></i></th>
    <td class="number">1</td>
    <td class="number">8.3%</td></tr></tbody></table></li>
    "#);
}

#[test]
fn the_failures_on_the_page() {
    insta::assert_snapshot!(part("failures"), @r#"

    <h2>Links without a picture</h2>
    <p class="text">4 of 12 links in folder <b><bdi>pairs</bdi></b> gave no picture (33.3%). <code>pipeline explain REASON</code> tells what to do about it.</p>
    <table><thead>
    <tr>
    <th scope="col">reason</th><th class="number" scope="col">rows</th><th class="number" scope="col">share</th></tr></thead><tbody>
    <tr>
    <th scope="row"><code>http_not_found</code><span>the image is gone (HTTP 404, 410)</span><i class="bar" style="width:100.0%"></i></th>
    <td class="number">2</td>
    <td class="number">16.7%</td></tr>
    <tr>
    <th scope="row"><code>dns</code><span>the host name does not exist, or has no address</span><i class="bar" style="width:50.0%"></i></th>
    <td class="number">1</td>
    <td class="number">8.3%</td></tr>
    <tr>
    <th scope="row"><code>robots</code><span>the site's robots.txt disallows it</span><i class="bar" style="width:50.0%"></i></th>
    <td class="number">1</td>
    <td class="number">8.3%</td></tr></tbody></table>
    <h3>Hosts with the most failures</h3>
    <table><thead>
    <tr>
    <th scope="col">host, and its most frequent reason</th><th class="number" scope="col">failures</th><th class="number" scope="col">of rows</th></tr></thead><tbody>
    <tr>
    <th scope="row"><bdi>gone.example</bdi><span><bdi>http_not_found</bdi></span><i class="bar" style="width:100.0%"></i></th>
    <td class="number">4</td>
    <td class="number">4</td></tr></tbody></table>
    <p class="note">There are 3 hosts in all.</p>
    <h3>Opt-outs</h3>
    <p class="text">1 row was not taken because the sites ask not to be collected: <code><bdi>robots</bdi></code> 1.</p>
    <table><thead>
    <tr>
    <th scope="col">what the sites say</th><th class="number" scope="col">rows</th><th class="number" scope="col">share</th></tr></thead><tbody>
    <tr>
    <th scope="row"><bdi>Disallow: /&lt;b&gt;</bdi><i class="bar" style="width:100.0%"></i></th>
    <td class="number">1</td>
    <td class="number">100.0%</td></tr></tbody></table>
    <h3>How long a download takes</h3>
    <p class="note">From the figures of each shard: the median of their medians, and the largest of their 99%.</p>
    <table><thead>
    <tr>
    <th scope="col">step</th><th class="number" scope="col">times</th><th class="number" scope="col">median</th><th class="number" scope="col">99% within</th></tr></thead><tbody>
    <tr>
    <th scope="row"><bdi>reading the body</bdi></th>
    <td class="number">12</td>
    <td class="number">10 ms</td>
    <td class="number">92 ms</td></tr></tbody></table>
    "#);
}

#[test]
fn the_duplicates_on_the_page() {
    insta::assert_snapshot!(part("duplicates").split("<h3>").next().unwrap(), @r#"

    <h2>Duplicates</h2>
    <p class="text">1 group of duplicates, 2 rows in all, found on the way to <b><bdi>unique</bdi></b>.</p>
    <table><thead>
    <tr>
    <th scope="col">size of a group</th><th class="number" scope="col">groups</th><th class="number" scope="col">share</th></tr></thead><tbody>
    <tr>
    <th scope="row">2 rows<i class="bar" style="width:100.0%"></i></th>
    <td class="number">1</td>
    <td class="number">100.0%</td></tr></tbody></table>
    "#);
}

/// 64 rows and 64 removed ones, all of them as hard to compress as pictures can be.
#[test]
fn a_full_page_stays_below_one_and_a_half_megabytes() {
    let ground = Ground::new();
    let mut state = 7_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels: Vec<u8> = (0..3 * 128 * 128).map(|_| noise()).collect();
    let image: Bytes =
        encode(&Picture::new(128, 128, pixels).unwrap(), &EncodeOptions::default()).unwrap().into();
    let row = |i: u32| Row {
        caption: Some("слово ".repeat(100)),
        key: format!("{i:09}"),
        image: Some(image.clone()),
        ..Row::new("", Reason::Ok)
    };
    ground.crawl("pairs", &(0..140).map(row).collect::<Vec<_>>(), 100);
    ground.sift("pairs", "clean", &Sift::default(), &json!({"rules": []}), |batch, row| {
        let key = batch.column_by_name("key").unwrap().as_string::<i32>().value(row);
        (key < "000000070").then_some("half")
    });
    let card = ground.card(&["clean"]);
    let page = page(&card);
    assert_eq!((card.kept.len(), card.dropped.len(), page.matches("<img ").count()), (64, 64, 128));
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}
