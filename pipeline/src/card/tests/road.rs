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
    }
    insta::assert_snapshot!(lines(&json["road"]), @"");
    let contents = &json["contents"];
    assert_eq!((&contents["rows"], &contents["licences"]), (&json!(6), &Value::Null));
    insta::assert_snapshot!(lines(&contents["original"]["width"]), @"");
    insta::assert_snapshot!(lines(&contents["captions"]), @"");
    insta::assert_snapshot!(lines(&contents["domains"]), @"");
    insta::assert_snapshot!(lines(&json["failures"]), @"");
    insta::assert_snapshot!(lines(&json["clusters"]), @"");
    insta::assert_snapshot!(lines(&json["timings"]), @"");
    insta::assert_snapshot!(lines(&json["dropped"]), @"");
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
    assert!(page.contains("1 pictures without captions, from 1 domain."), "{page}");
    assert!(page.contains("no caption"));
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
