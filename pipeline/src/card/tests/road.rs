//! What a card finds in folders.

use super::*;

/// A value with its members, or its elements, in a line each.
fn lines(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name}: {value}");
            members.iter().map(member).collect::<Vec<_>>().join("\n")
        }
        Value::Array(elements) => elements.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

#[test]
fn the_figures_of_a_whole_road() {
    let ground = whole_road();
    let mut json = serde_json::to_value(ground.card(&["unique"])).unwrap();
    for stop in json["road"].as_array_mut().unwrap() {
        assert!(stop["bytes"].take().as_u64().unwrap() > 1000);
        assert_eq!(stop["plan"].take().as_str().unwrap().len(), 16);
    }
    insta::assert_snapshot!(lines(&json["road"]), @r#"
    {"name":"pairs","maker":"crawl","format":"pairs/1","plan":null,"version":"0.1.0","units":2,"units_missing":0,"bytes":null,"rows_read":12,"rows":12,"pictures":8,"removed":[{"by":"http_not_found","rows":2},{"by":"dns","rows":1},{"by":"robots","rows":1}]}
    {"name":"clean","maker":"filter","format":"pairs/1","plan":null,"version":"0.1.0","units":2,"units_missing":0,"bytes":null,"rows_read":12,"rows":7,"pictures":7,"removed":[{"by":"status","rows":4,"only":2},{"by":"side","rows":1,"only":0}]}
    {"name":"unique","maker":"dedup","format":"pairs/1","plan":null,"version":"0.1.0","units":2,"units_missing":0,"bytes":null,"rows_read":7,"rows":6,"pictures":6,"removed":[{"by":"sha256","rows":1}]}
    "#);
    let contents = &json["contents"];
    assert_eq!((&contents["rows"], &contents["licences"]), (&json!(6), &Value::Null));
    insta::assert_snapshot!(lines(&contents["original"]["width"]), @r#"
    count: 6
    min: 800
    max: 800
    mean: 800.0
    p05: 800
    p50: 800
    p95: 800
    bins: [{"from":768,"to":1024,"count":6}]
    "#);
    insta::assert_snapshot!(lines(&contents["captions"]), @r#"
    rows: 5
    characters: {"count":5,"min":9,"max":65,"mean":33.8,"p05":9,"p50":29,"p95":65,"bins":[{"from":8,"to":12,"count":2},{"from":12,"to":16,"count":0},{"from":16,"to":24,"count":0},{"from":24,"to":32,"count":1},{"from":32,"to":48,"count":0},{"from":48,"to":64,"count":1},{"from":64,"to":96,"count":1}]}
    words: {"count":5,"min":1,"max":15,"mean":6.0,"p05":1,"p50":2,"p95":15,"bins":[{"from":1,"to":2,"count":1},{"from":2,"to":3,"count":2},{"from":3,"to":4,"count":0},{"from":4,"to":5,"count":0},{"from":5,"to":6,"count":0},{"from":6,"to":8,"count":0},{"from":8,"to":10,"count":0},{"from":10,"to":12,"count":1},{"from":12,"to":16,"count":1}]}
    languages: {"sampled":5,"found":[{"code":"eng","name":"English","rows":1}],"unsure":[{"value":"Latin","rows":3},{"value":"Cyrillic","rows":1}]}
    repeated: {"rows":0,"different":0,"top":[]}
    "#);
    insta::assert_snapshot!(lines(&contents["domains"]), @r#"
    rows: 6
    different: 1
    top: [{"value":"photos.co.uk","rows":6}]
    "#);
    insta::assert_snapshot!(lines(&json["failures"]), @r#"
    folder: "pairs"
    rows: 12
    pictures: 8
    reasons: [{"code":"http_not_found","text":"the image is gone (HTTP 404, 410)","rows":2},{"code":"dns","text":"the host name does not exist, or has no address","rows":1},{"code":"robots","text":"the site's robots.txt disallows it","rows":1}]
    hosts: 3
    worst: [{"host":"gone.example","rows":4,"pictures":0,"reason":"http_not_found"}]
    opt_outs: {"robots":1}
    rules: {"rows":1,"different":1,"top":[{"value":"Disallow: /<b>","rows":1}]}
    "#);
    insta::assert_snapshot!(lines(&json["clusters"]), @r#"
    folder: "unique"
    clusters: 1
    rows: 2
    largest: 2
    sizes: [{"from":2,"to":3,"count":1}]
    top: [{"cluster":"000000002","rows":2}]
    "#);
    insta::assert_snapshot!(lines(&json["timings"]), @r#"{"step":"body","count":12,"p50_ms":10.0,"p99_ms":91.5}"#);
    insta::assert_snapshot!(lines(&json["dropped"]), @r#"
    {"key":"000000001","url":"http://www.photos.co.uk/1.jpg","caption":"picture 1","stage":"clean","by":"side"}
    {"key":"000000003","url":"http://www.photos.co.uk/3.jpg","caption":"Маленький рыжий кот спит на крыше старого дома в деревне","stage":"unique","by":"sha256","cluster":"000000002"}
    "#);
    assert_eq!(json["kept"].as_array().unwrap().len(), 6);
}

#[test]
fn folders_that_are_given_need_no_plan_that_names_them() {
    let ground = whole_road();
    let found = ground.card(&["unique"]);
    assert_eq!(ground.card(&["pairs", "clean", "unique"]), found);
    // Without the folder in the middle, pictures are found in the one before.
    let short = ground.card(&["pairs", "unique"]);
    assert_eq!(short.road.len(), 2);
    assert!(short.dropped.iter().all(|sample| sample.thumbnail.is_some()));
}

#[test]
fn folders_that_moved_together_are_found_and_lost_ones_are_not_missed() {
    let ground = whole_road();
    let elsewhere = Ground::new();
    for name in ["pairs", "clean", "unique"] {
        std::fs::rename(ground.path(name), elsewhere.path(name)).unwrap();
    }
    let card = elsewhere.card(&["unique"]);
    assert_eq!(
        card.road.iter().map(|stop| stop.name.as_str()).collect::<Vec<_>>(),
        ["pairs", "clean", "unique"]
    );
    std::fs::remove_dir_all(elsewhere.path("clean")).unwrap();
    let card = elsewhere.card(&["unique"]);
    assert_eq!((card.road.len(), card.road[0].rows_read, card.dropped.len()), (1, Some(7), 1));
    assert_eq!(card.dropped[0].thumbnail, None);
    assert!(page(&card).contains("picture not at hand") || page(&card).contains("Маленький"));
}

#[test]
fn threads_do_not_change_a_byte() {
    let ground = whole_road();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| page(&ground.card(&["unique"])))
    };
    let one = with(1);
    assert_eq!(one, with(4));
    assert_eq!(one, with(4));
}

#[test]
fn the_seed_chooses_the_rows() {
    let ground = whole_road();
    let card = |seed| {
        let config = CardConfig { seed, samples: 2, ..CardConfig::default() };
        make(&[ground.path("unique")], &config, &RunOptions::default()).unwrap()
    };
    let keys = |card: &Card| card.kept.iter().map(|sample| sample.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&card(1)).len(), 2);
    assert!((2..20).any(|seed| keys(&card(seed)) != keys(&card(1))));
}

#[test]
fn a_table_of_links_is_shown_as_text() {
    let ground = Ground::new();
    let text = |values: [Option<&str>; 3]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
    let columns = vec![
        ("url", text([Some("http://a.example/1.jpg"), Some("http://b.example/2.jpg"), Some("no url")])),
        ("caption", text([Some("one"), Some(" "), None])),
        ("licence", text([Some("https://creativecommons.org/licenses/by/4.0/"), None, Some("")])),
        ("page_language", text([Some("de-AT"), Some("de-at"), Some("ru")])),
    ];
    ground.foreign("links/00000.parquet", columns);
    let card = ground.card(&["links"]);
    let contents = card.contents.as_ref().unwrap();
    assert_eq!((contents.rows, &card.failures, contents.captions.as_ref().unwrap().rows), (3, &None, 1));
    assert_eq!(card.road[0].pictures, None);
    let top = |counted: &Option<Counted>| {
        let top = counted.as_ref().unwrap().top.iter();
        top.map(|count| (count.value.clone(), count.rows)).collect::<Vec<_>>()
    };
    assert_eq!(top(&contents.page_languages), [("de-at".into(), 2), ("ru".into(), 1)]);
    assert_eq!(top(&contents.licences), [("https://creativecommons.org/licenses/by/4.0/".into(), 1)]);
    assert_eq!(top(&contents.domains), [("a.example".into(), 1), ("b.example".into(), 1)]);
    let page = page(&card);
    assert!(page.contains("3 links to pictures, 1 with a caption, from 2 domains."), "{page}");
    assert!(page.contains("http://a.example/1.jpg") && !page.contains("<img"));
}

#[test]
fn shards_of_img2dataset_are_read_as_they_are() {
    let ground = Ground::new();
    let text = |values: [Option<&str>; 3]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
    let side = |values: [Option<i32>; 3]| {
        Arc::new(values.into_iter().collect::<arrow::array::Int32Array>()) as ArrayRef
    };
    let jpeg = picture(9, 64);
    let images = [Some(jpeg.as_ref()), None, None];
    let columns = vec![
        ("url", text([Some("http://a.example/1.jpg"), Some("http://b.example/2.jpg"), None])),
        ("key", text([Some("000000000"), Some("000000001"), Some("000000002")])),
        ("status", text([Some("success"), Some("failed_to_download"), Some("failed_to_resize")])),
        ("error_message", text([None, Some("HTTP Error 404: Not Found"), None])),
        ("width", side([Some(64), None, None])),
        ("height", side([Some(48), None, None])),
        ("exif", text([Some("{}"), None, None])),
        ("jpg", Arc::new(images.into_iter().collect::<arrow::array::BinaryArray>())),
    ];
    ground.foreign("laion/00000.parquet", columns);
    let card = ground.card(&["laion"]);
    assert_eq!((card.road[0].maker, card.road[0].pictures, card.kept.len()), (Maker::Other, Some(1), 1));
    assert!(card.kept[0].thumbnail.is_some());
    let contents = card.contents.as_ref().unwrap();
    assert_eq!((contents.rows, &contents.captions, &contents.original), (1, &None, &None));
    assert_eq!(contents.stored.as_ref().unwrap().width.single(), Some(64));
    let failures = card.failures.as_ref().unwrap();
    let reasons: Vec<_> = failures.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(reasons, ["HTTP Error 404: Not Found", "failed_to_resize"]);
    assert_eq!((failures.worst.len(), failures.worst[0].host.as_str()), (1, "b.example"));
    let page = page(&card);
    assert!(page.contains("1 picture without captions, from 1 domain."), "{page}");
    assert!(page.contains("no caption"));
}

#[test]
fn the_columns_of_laion_are_known() {
    let ground = Ground::new();
    let text = |values: [Option<&str>; 2]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
    let columns = vec![
        ("URL", text([Some("http://a.example/1.jpg"), Some("http://b.example/2.jpg")])),
        ("TEXT", text([Some("one"), Some("one")])),
    ];
    ground.foreign("laion/part.parquet", columns);
    let card = ground.card(&["laion"]);
    let contents = card.contents.as_ref().unwrap();
    let captions = contents.captions.as_ref().unwrap();
    let one = Count { value: "one".to_owned(), rows: 2 };
    assert_eq!(captions.repeated, Counted { rows: 2, different: 1, top: vec![one] });
    assert_eq!((captions.rows, contents.domains.as_ref().unwrap().different), (2, 2));
    assert!(card.kept.iter().all(|sample| sample.url.is_some() && sample.caption.is_some()));
}

#[test]
fn a_folder_of_counts_alone_has_a_road_and_failures() {
    let ground = Ground::new();
    let list = InputFile { path: "l".into(), rows: 3, bytes: 1, digest: String::new(), offsets: Vec::new() };
    let plan = Plan::new("pairs/1", &"dummy", vec![list], 10).unwrap();
    ground.stage(&plan, "dummy", |_| {
        let counts = BTreeMap::from([("ok".to_owned(), 2), ("dns".to_owned(), 1)]);
        Ok(Produced { files: Vec::new(), rows: 3, counts, stats: json!({"timings_ms": {}}) })
    });
    let card = ground.card(&["dummy"]);
    assert_eq!((&card.contents, card.road[0].rows, card.road[0].pictures), (&None, 3, Some(2)));
    let failures = card.failures.as_ref().unwrap();
    assert_eq!((failures.pictures, failures.reasons[0].code.as_str()), (2, "dns"));
    assert!(page(&card).contains("the host name does not exist"));
}

#[test]
fn rows_without_a_picture_are_no_failure_of_the_card() {
    let ground = Ground::new();
    let failed: Vec<Row> = rows().into_iter().filter(|row| row.reason != Reason::Ok).collect();
    ground.crawl("pairs", &failed, 10);
    let card = ground.card(&["pairs"]);
    assert_eq!((card.contents.as_ref().unwrap().rows, card.kept.len()), (0, 0));
    assert!(page(&card).contains("0 pictures"));
}

#[test]
fn pictures_beside_their_table_are_found_and_lost_ones_are_left_out() {
    let ground = Ground::new();
    let rows = rows();
    let text = |value: fn(&Row) -> Option<String>| {
        Arc::new(rows.iter().map(value).collect::<StringArray>()) as ArrayRef
    };
    let columns = vec![
        ("key", text(|row| Some(row.key.clone()))),
        ("status", text(|row| Some(row.reason.status().code().to_owned()))),
    ];
    ground.foreign("files/00000.parquet", columns);
    std::fs::create_dir(ground.path("files/00000")).unwrap();
    for row in rows.iter().filter(|row| row.image.is_some()) {
        crate::atomic::write(
            ground.path(&format!("files/00000/{}.jpg", row.key)),
            row.image.as_ref().unwrap(),
        )
        .unwrap();
    }
    let shown = || ground.card(&["files"]).kept.iter().filter(|sample| sample.thumbnail.is_some()).count();
    assert_eq!(shown(), 8);
    std::fs::remove_file(ground.path("files/00000/000000011.jpg")).unwrap();
    assert_eq!((shown(), ground.card(&["files"]).kept.len()), (0, 8), "those of its shard are left out");
}

#[test]
fn folders_without_shards_are_named_with_the_cure() {
    let ground = Ground::new();
    let refused =
        |dirs: &[String], config: &CardConfig| make(dirs, config, &RunOptions::default()).unwrap_err();
    std::fs::create_dir(ground.path("empty")).unwrap();
    let error = refused(&[ground.path("empty")], &CardConfig::default());
    assert!(error.to_string().ends_with("empty: no shards here"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(refused(&[ground.path("absent")], &CardConfig::default()).exit_code(), 2);
    assert_eq!(refused(&[], &CardConfig::default()).exit_code(), 2);
    let config = CardConfig { samples: 1000, ..CardConfig::default() };
    assert!(refused(&[], &config).to_string().starts_with("samples: "));
}

#[test]
fn an_interrupt_ends_the_work() {
    let ground = whole_road();
    let options = RunOptions { interrupt: Interrupt::never(), ..RunOptions::default() };
    options.interrupt.set(130);
    let error = make(&[ground.path("unique")], &CardConfig::default(), &options).unwrap_err();
    assert_eq!(error.exit_code(), 130);
}
