//! `pipeline extract`: from archives, saved pages, pages on a server and sitemaps to link tables, and from there to images.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use arrow::array::{Array, AsArray};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use pipeline::pairs::Table;

use crate::desk::{Desk, lifetime, picture, text, told};

/// A file of `tests/pipeline/web`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pipeline/web").join(name)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// The records of an archive, each packed into a member of its own, as Common Crawl does.
fn members(archive: &[u8]) -> Vec<Vec<u8>> {
    let begins: Vec<usize> = memchr::memmem::find_iter(archive, b"WARC/1.0\r\n").collect();
    let ends = begins.iter().copied().skip(1).chain([archive.len()]);
    begins.iter().zip(ends).map(|(begin, end)| gzip(&archive[*begin..end])).collect()
}

fn packed(name: &str) -> Vec<u8> {
    members(&std::fs::read(fixture(name)).unwrap()).concat()
}

/// Some columns of all rows; `-` for null.
fn rows(desk: &Desk, out: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let table = Table::open(desk.path(out).to_str().unwrap()).unwrap();
    let mut rows = Vec::new();
    for shard in 0..table.shards().len() {
        for batch in table.scan_columns(shard, columns).unwrap() {
            let batch = batch.unwrap();
            let cells = |name: &&str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            let cells: Vec<_> = columns.iter().map(cells).collect();
            let cell = |column: &arrow::array::StringArray, row| match column.is_null(row) {
                true => "-".to_owned(),
                false => column.value(row).to_owned(),
            };
            rows.extend(
                (0..batch.num_rows()).map(|row| cells.iter().map(|column| cell(column, row)).collect()),
            );
        }
    }
    rows
}

fn extract(desk: &Desk, arguments: &[&str]) -> Output {
    let output = desk.run(&[&["extract"], arguments].concat());
    assert!(output.status.success(), "{}", told(&output));
    output
}

/// What is told, without times and sizes.
fn said(output: &Output) -> String {
    let unit = |line: &str| match line.split_once(" units in ") {
        Some((count, _)) => format!("{count} units"),
        None => line.to_owned(),
    };
    text(&output.stderr)
        .lines()
        .filter(|line| !line.contains("MiB") && !line.contains("KiB") && !line.contains(" page,"))
        .map(unit)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn an_archive_gives_the_images_of_its_pages() {
    let desk = Desk::new();
    desk.write("sample.warc.wat.gz", packed("common-crawl.wat"));
    desk.write("sample.warc.gz", packed("common-crawl.warc"));
    let wat = extract(&desk, &["sample.warc.wat.gz", "--out", "wat"]);
    insta::assert_snapshot!(said(&wat), @r"
    looking at the inputs
    1 units
    9 records, 1 pages: 4 links, 0 of them without a caption (0.0 %)
    next: pipeline crawl wat --out data/pairs
    ");
    let warc = extract(&desk, &["sample.warc.gz", "--out", "warc"]);
    insta::assert_snapshot!(said(&warc), @r"
    looking at the inputs
    1 units
    10 records, 2 pages: 4 links, 0 of them without a caption (0.0 %)
    1 pages opt out of collection
    next: pipeline crawl warc --out data/pairs
    ");
    let columns = ["url", "caption", "alt", "heading", "page_url", "licence"];
    let (from_wat, from_warc) = (rows(&desk, "wat", &columns), rows(&desk, "warc", &columns));
    insta::assert_snapshot!(from_warc.iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n"), @r"
    http://0pointer.de/photos/galleries/Australia/lq/img-496.jpg | 496 | 496 | Photo Gallery | http://0pointer.de/photos/?gallery=Australia&photo=496 | http://creativecommons.org/licenses/by-sa/3.0/
    http://0pointer.de/photos/galleries/Australia/thumbs/img-495.jpg | Previous | Previous | Photo Gallery | http://0pointer.de/photos/?gallery=Australia&photo=496 | http://creativecommons.org/licenses/by-sa/3.0/
    http://0pointer.de/photos/galleries/Australia/thumbs/img-497.jpg | Next | Next | Photo Gallery | http://0pointer.de/photos/?gallery=Australia&photo=496 | http://creativecommons.org/licenses/by-sa/3.0/
    http://creativecommons.org/images/public/somerights20.png | Creative Commons License | Creative Commons License | Photo Gallery | http://0pointer.de/photos/?gallery=Australia&photo=496 | http://creativecommons.org/licenses/by-sa/3.0/
    ");
    // The same images; only the page itself has headings.
    let but_heading =
        |rows: &[Vec<String>]| rows.iter().map(|row| [&row[..3], &row[4..]].concat()).collect::<Vec<_>>();
    assert_eq!(but_heading(&from_wat), but_heading(&from_warc));
    let table = Table::open(desk.path("wat").to_str().unwrap()).unwrap();
    let names: Vec<_> = table.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        (names.as_slice(), table.schema().metadata()["troika.format"].as_str()),
        (&pipeline::extract::COLUMNS[..], "links/1")
    );
    let stats = desk.json("warc/00000_stats.json");
    assert_eq!((&stats["records"], &stats["pages"], &stats["opted_out"]), (&10.into(), &2.into(), &1.into()));
}

#[test]
fn on_request_it_is_what_cc2dataset_extracts() {
    let desk = Desk::new();
    for name in ["common-crawl", "corners"] {
        desk.write(&format!("{name}.wat.gz"), packed(&format!("{name}.wat")));
        extract(&desk, &[&format!("{name}.wat.gz"), "--compat", "cc2dataset", "--out", name]);
        let wanted = std::fs::read_to_string(fixture(&format!("{name}.cc2dataset.jsonl"))).unwrap();
        let wanted: Vec<Vec<String>> =
            wanted.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = rows(&desk, name, &["uid", "url", "alt", "cc_filename", "page_url"]);
        assert_eq!(found, wanted, "{name}");
    }
    assert!(rows(&desk, "corners", &["uid"]).len() > 50);
    let refused =
        desk.run(&["extract", fixture("gimp").to_str().unwrap(), "--compat", "cc2dataset", "--out", "x"]);
    assert!(
        text(&refused.stderr).contains("cc2dataset reads WAT files, and this is none"),
        "{}",
        told(&refused)
    );
}

#[test]
fn saved_pages_get_addresses_below_a_base() {
    let desk = Desk::new();
    let folder = fixture("gimp");
    let output =
        extract(&desk, &[folder.to_str().unwrap(), "--base", "http://127.0.0.1:8000", "--out", "links"]);
    insta::assert_snapshot!(said(&output).replace(folder.to_str().unwrap(), "gimp"), @r"
    looking at the inputs
    1 units
    3 pages: 21 links, 0 of them without a caption (0.0 %)
    next: pipeline crawl links --out data/pairs
    ");
    let columns = ["url", "caption", "heading", "page_url"];
    let all = rows(&desk, "links", &columns);
    let menus: Vec<_> =
        all.iter().filter(|row| row[0].contains("/menus/")).map(|row| row.join(" | ")).collect();
    insta::assert_snapshot!(menus.join("\n"), @r"
    http://127.0.0.1:8000/en/images/menus/filters/web.png | The Web filters menu | 15.1. Introduction | http://127.0.0.1:8000/en/filters-web.html
    http://127.0.0.1:8000/ru/images/menus/filters/web.png | Меню фильтров для Интернета | 15.1. Введение | http://127.0.0.1:8000/ru/filters-web.html
    http://127.0.0.1:8000/ru/images/menus/image/metadata-editor-dialog.png | «Metadata Editor» dialog | 6.37. Metadata Editor | http://127.0.0.1:8000/ru/plug-in-metadata-editor.html
    ");
    // Without a base they do not say where they are from.
    let output = extract(&desk, &[folder.to_str().unwrap(), "--out", "nowhere"]);
    assert!(text(&output.stderr).contains("add --base http://…/"), "{}", told(&output));
    let outside = desk.run(&[
        "extract",
        folder.to_str().unwrap(),
        "--base",
        "http://h/",
        "--root",
        "/nowhere",
        "--out",
        "x",
    ]);
    assert!(text(&outside.stderr).contains("lies outside of /nowhere"), "{}", told(&outside));
}

#[test]
fn damage_is_counted_and_what_is_sound_is_read() {
    let desk = Desk::new();
    let mut parts = members(&std::fs::read(fixture("corners.wat")).unwrap());
    let whole = parts.len();
    let middle = parts[1].len() / 2;
    parts[1][middle] ^= 0x10;
    let cut = parts[whole - 1].len() - 5;
    parts[whole - 1].truncate(cut);
    parts.insert(4, b"garbage between members".to_vec());
    desk.write("damaged.wat.gz", parts.concat());
    extract(&desk, &["damaged.wat.gz", "--out", "links"]);
    let stats = desk.json("links/00000_stats.json");
    let malformed = stats["malformed"].as_object().unwrap();
    let count: u64 = malformed.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(
        (count, &malformed["truncated"], &malformed["json"]),
        (4, &1.into(), &1.into()),
        "{malformed:?}"
    );
    assert_eq!(stats["records"], whole - 2);
    desk.write("empty.warc", "");
    desk.write("garbage.warc.gz", [0x1F, 0x8B, 8, 0, 1, 2, 3]);
    extract(&desk, &["empty.warc", "garbage.warc.gz", "--out", "nothing"]);
    assert_eq!(rows(&desk, "nothing", &["url"]), [[""; 0]; 0]);
}

/// Archives with some hundreds of pages each.
fn archives(desk: &Desk, count: usize) -> Vec<String> {
    let name = |number: usize| format!("{number}.wat.gz");
    for number in 0..count {
        let pages = packed("corners.wat").repeat(5 + number);
        desk.write(&name(number), pages);
    }
    (0..count).map(name).collect()
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let desk = Desk::new();
    let mut inputs = archives(&desk, 3);
    inputs.push(fixture("gimp").display().to_string());
    for (out, threads) in [("one", "1"), ("many", "5")] {
        let mut arguments: Vec<&str> = inputs.iter().map(String::as_str).collect();
        arguments.extend([
            "--base",
            "http://h/",
            "--dedup",
            "--pages-per-unit",
            "2",
            "--threads",
            threads,
            "--out",
            out,
        ]);
        extract(&desk, &arguments);
    }
    assert_eq!(desk.shards("one").len(), 5);
    assert!(desk.shards("one") == desk.shards("many"), "the tables differ");
}

#[test]
fn killed_at_any_moment_and_run_again_gives_the_same_bytes() {
    let desk = Desk::new();
    let inputs = archives(&desk, 12);
    let run = |out: &str| {
        let mut arguments = vec!["extract"];
        arguments.extend(inputs.iter().map(String::as_str));
        arguments.extend(["--threads", "1", "--out", out]);
        let mut command = desk.command(&arguments);
        command.stderr(Stdio::null());
        command
    };
    let began = Instant::now();
    assert!(run("whole").status().unwrap().success());
    let undisturbed = began.elapsed();
    let mut kills = 0;
    for round in 0..10_u64 {
        let mut child = run("killed").spawn().unwrap();
        std::thread::sleep(lifetime(undisturbed, round));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 2, "the run is too short for this test: {kills} kills");
    assert!(run("killed").status().unwrap().success());
    assert!(desk.shards("whole") == desk.shards("killed"), "the tables differ");
    let tables = |out| desk.names(out).iter().filter(|name| name.contains("parquet")).count();
    assert_eq!((desk.shards("whole").len(), tables("killed")), (12, 12));
}

#[test]
fn a_second_run_does_nothing_and_another_config_is_refused() {
    let desk = Desk::new();
    desk.write("a.wat.gz", packed("common-crawl.wat"));
    extract(&desk, &["a.wat.gz", "--out", "links"]);
    let second = extract(&desk, &["a.wat.gz", "--out", "links"]);
    assert!(text(&second.stderr).contains("all 1 units already done\n"), "{}", told(&second));
    let last = text(&second.stderr).lines().last().unwrap().to_owned();
    assert_eq!(last, "next: pipeline crawl links --out data/pairs");
    let other = desk.run(&["extract", "a.wat.gz", "--out", "links", "--og-image"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("holds the output of another plan"), "{}", told(&other));
    extract(&desk, &["a.wat.gz", "--out", "links", "--og-image", "--fresh"]);
    let status = desk.run(&["status", "links"]);
    assert_eq!(text(&status.stdout), "1 of 1 units done, 4 rows\n");
    let finish = desk.run(&["finish", "links"]);
    assert_eq!(text(&finish.stderr), "1 of 1 units, 4 rows, captioned 4, without_caption 0\n");
    let show = text(&desk.run(&["show", "links"]).stdout);
    assert!(
        show.contains("  troika.format = links/1\n") && show.contains("rows\n  captioned: 4\n"),
        "{show}"
    );
}

#[test]
fn lists_of_archives_and_patterns_are_opened_up() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("data/deep")).unwrap();
    desk.write("data/a.wat.gz", packed("common-crawl.wat"));
    desk.write("data/deep/b.warc", std::fs::read(fixture("common-crawl.warc")).unwrap());
    desk.write("data/notes.txt", "nothing");
    desk.write("data/page", "<html><img src='http://h/a.png' alt=x>");
    desk.write("wat.paths.gz", gzip(b"a.wat.gz\ndeep/b.warc\n"));
    let planned = |arguments: &[&str]| {
        let output = desk.run(&[&["extract"], arguments, &["--dry-run", "--json", "--out", "x"]].concat());
        let plan: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
        let inputs = plan["inputs"].as_array().unwrap().clone();
        inputs.iter().map(|input| input["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(planned(&["wat.paths.gz", "--paths-base", "data/"]), ["data/a.wat.gz", "data/deep/b.warc"]);
    assert_eq!(planned(&["data"]), ["data", "data/a.wat.gz", "data/deep/b.warc"]);
    assert_eq!(planned(&["data/*.gz", "data/page"]), ["data/a.wat.gz", "data/page"]);
    assert_eq!(desk.names("x"), [""; 0], "nothing was made");
}

#[test]
fn what_cannot_be_read_is_named_with_a_cure() {
    let desk = Desk::new();
    desk.write("notes.txt", "nothing");
    std::fs::create_dir_all(desk.path("empty")).unwrap();
    desk.write("a.wat", std::fs::read(fixture("common-crawl.wat")).unwrap());
    insta::assert_snapshot!(told(&desk.run(&["extract", "notes.txt", "--out", "x", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: notes.txt: cannot tell what this is: no WARC, no page, no sitemap, no list of archives
    hint: set input.kind to warc, html, sitemap or paths
    ");
    insta::assert_snapshot!(told(&desk.run(&["extract", "empty", "--out", "x", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: empty: no archives and no pages in this folder
    hint: sitemaps and lists of archives are to be named themselves
    ");
    insta::assert_snapshot!(told(&desk.run(&["extract", "absent.wat", "--out", "x", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: absent.wat: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(told(&desk.run(&["extract", "a.wat"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.path: no output folder given
    hint: add --out data/links
    ");
    insta::assert_snapshot!(told(&desk.run(&["extract", "a.wat", "--out", "x", "--captions", "alt,caption"])), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --set page.captions=["alt", "caption"]: unknown value `caption`; known: alt, figcaption, title, heading
    hint: did you mean `figcaption`?
    "#);
    insta::assert_snapshot!(told(&desk.run(&["extract", "a.wat", "--out", "x", "--set", "page.og_images=true"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: --set page.og_images=true: unknown key `og_images`; known: captions, lazy, og_image, max_links
    hint: did you mean `og_image`?
    ");
    assert_eq!(desk.names("x"), [""; 0], "nothing was made");
}

#[test]
fn the_config_of_the_repository_runs_as_it_stands() {
    let desk = Desk::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = format!("output.path={}", desk.path("links").display());
    let mut command = desk.command(&["extract", "configs/extract.toml", "--set", &out]);
    let output = command.current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert!(rows(&desk, "links", &["url"]).len() > 10);
}

async fn site(uri: Uri) -> Response {
    let page = |body: &'static str| Html(body).into_response();
    if let Some(n) = uri.path().strip_prefix("/img/") {
        return picture(n.parse().unwrap()).into_response();
    }
    match uri.path() {
        "/robots.txt" => "User-agent: *\nDisallow: /private/\n".into_response(),
        "/index.xml" => "<sitemapindex><sitemap><loc>http://site.test/a.xml</loc></sitemap>
            <sitemap><loc>http://site.test/absent.xml</loc></sitemap>
            <sitemap><loc>http://site.test/index.xml</loc></sitemap></sitemapindex>".into_response(),
        "/a.xml" => "<urlset><url><loc>http://site.test/moved</loc></url><url><loc>http://site.test/private/p</loc></url>
            <url><loc>http://site.test/gone</loc></url><url><loc>http://site.test/optout</loc></url>
            <url><loc>http://site.test/img/1</loc></url>
            <url><loc>http://site.test/gallery</loc><image><loc>http://site.test/img/3</loc><caption>три</caption></image></url>
            </urlset>".into_response(),
        "/moved" => (StatusCode::FOUND, [(header::LOCATION, "/dir/page")]).into_response(),
        "/dir/page" => page("<html lang=ru><h1>Заголовок</h1><img src='../img/2' alt='два'><img src='/img/4'>"),
        "/optout" => page("<meta name=robots content=noai><img src='/img/5' alt=x>"),
        "/windows" => ([(header::CONTENT_TYPE, "text/html; charset=windows-1251")], b"<img src=/img/6 alt='\xEA\xEE\xF2'>".to_vec()).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The server's address as a setting.
fn resolve() -> String {
    static PORT: OnceLock<u16> = OnceLock::new();
    let port = PORT.get_or_init(|| {
        let (sender, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap().port()).unwrap();
                axum::serve(listener, axum::Router::new().fallback(site)).await.unwrap();
            });
        });
        port.recv().unwrap()
    });
    format!("net.resolve=[\"site.test=127.0.0.1:{port}\"]")
}

#[test]
fn a_sitemap_leads_to_pages_that_are_fetched_with_manners() {
    let desk = Desk::new();
    let resolve = resolve();
    let output = extract(
        &desk,
        &["http://site.test/index.xml", "--set", &resolve, "--pages-per-unit", "4", "--out", "links"],
    );
    insta::assert_snapshot!(said(&output), @r"
    looking at the inputs
    http://site.test/absent.xml: left out (http_not_found)
    note: sites cannot reach you: add --contact mailto:you@example.org, it goes into the User-Agent
    2 units
    3 pages: 3 links, 1 of them without a caption (33.3 %)
    1 malformed: not_page 1
    2 pages did not arrive: robots 1, http_not_found 1
    1 pages opt out of collection
    next: pipeline crawl links --out data/pairs
    ");
    let columns = ["url", "caption", "heading", "page_url", "page_language"];
    let found: Vec<_> = rows(&desk, "links", &columns).iter().map(|row| row.join(" | ")).collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    http://site.test/img/2 | два | Заголовок | http://site.test/dir/page | ru
    http://site.test/img/4 | - | Заголовок | http://site.test/dir/page | ru
    http://site.test/img/3 | три | - | http://site.test/gallery | -
    ");
    assert_eq!(desk.commits("links").len(), 2);

    let pages = ["http://site.test/windows", "http://site.test/dir/page", "http://127.0.0.1:9/"];
    let arguments = [&pages[..], &["--set", &resolve, "--captioned-only", "--out", "pages"]].concat();
    let output = extract(&desk, &arguments);
    assert!(text(&output.stderr).contains("1 pages did not arrive: address_refused 1"), "{}", told(&output));
    assert_eq!(rows(&desk, "pages", &["caption"]), [["кот"], ["два"]]);
}

#[test]
fn a_crawl_takes_the_table_as_it_is() {
    let desk = Desk::new();
    let resolve = resolve();
    extract(&desk, &["http://site.test/index.xml", "--set", &resolve, "--out", "links"]);
    let crawl = desk.run(&["crawl", "links", "--out", "pairs", "--image-size", "32", "--set", &resolve]);
    assert!(crawl.status.success(), "{}", told(&crawl));
    let pairs = desk.pairs("pairs");
    let told: Vec<_> = pairs
        .iter()
        .map(|pair| {
            (
                pair.caption.as_deref().unwrap_or("-"),
                pair.text("page_url").unwrap_or_default().to_owned(),
                pair.image.is_some(),
            )
        })
        .collect();
    let page = "http://site.test/dir/page".to_owned();
    assert_eq!(
        told,
        [
            ("два", page.clone(), true),
            ("-", page, true),
            ("три", "http://site.test/gallery".to_owned(), true)
        ]
    );
    assert_eq!((pairs[0].text("heading"), pairs[0].text("page_language")), (Some("Заголовок"), Some("ru")));
    let named = desk.run(&[
        "crawl",
        "links",
        "--out",
        "few",
        "--columns",
        "page_url",
        "--image-size",
        "32",
        "--set",
        &resolve,
    ]);
    assert!(named.status.success());
    assert_eq!(desk.pairs("few")[0].text("heading"), None);
}
