//! How to go on: the same stages over links of one's own.

use super::place::shell;
use super::stages::Road;

/// Three commands over a link list of one's own, with the demo's codec, vocabulary and model.
pub(super) fn commands(road: &Road) -> Vec<String> {
    let path = |name: &str| road.place.config(name).display().to_string();
    let codec = road.settings.codec().display().to_string();
    let bpe = road.settings.rudolph.config.data.bpe.display().to_string();
    let cargo = |package: &str| ["cargo", "run", "--package", package, "--"].map(str::to_owned);
    let sets =
        |sets: &[String]| sets.iter().flat_map(|set| ["--set".to_owned(), set.clone()]).collect::<Vec<_>>();
    let crawl = ["input.urls=links.csv", "input.columns=[]", "output.path=data/pairs"].map(str::to_owned);
    let train = [
        "data.tokens=data/tokens".to_owned(),
        format!("data.codec={codec}"),
        format!("data.bpe={bpe}"),
        "data.train={}".to_owned(),
        "data.held_out={}".to_owned(),
        "run.out=runs/mine".to_owned(),
    ];
    let shards =
        ["shards", "data/pairs", "--codec", &codec, "--bpe", &bpe, "--out", "data/tokens"].map(str::to_owned);
    vec![
        shell([&cargo("pipeline")[..], &["crawl".to_owned(), path("crawl.toml")], &sets(&crawl)].concat()),
        shell([&cargo("tokenize")[..], &shards].concat()),
        shell([&cargo("train")[..], &[path("rudolph.toml")], &sets(&train)].concat()),
    ]
}
