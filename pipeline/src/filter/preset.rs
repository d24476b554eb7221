//! Published filters, with their own numbers.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::rules::{
    Aspect, Bytes, Characters, ColumnRule, Language, Missing, Mojibake, Nulls, OneOrMany, Pattern, RegexRule,
    Rule, RuleEntry, Side, Unicode, WordKind, Words,
};
use crate::crawl::ByteSize;

/// A published filter.
///
/// Rules about pictures do nothing where the table does not have their columns, so that the same preset serves a link
/// table before the download and the shards after it; the funnel names what was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// DataComp's basic filter (Gadre et al. 2023, section 3.3): English captions of more than two words and five
    /// characters, pictures of at least 200 pixels a side and at most 3 to 1. Numbers from
    /// `baselines/apply_filter.py` of mlfoundations/datacomp, which asks fastText for the language: give a
    /// `language_model` to do the same.
    DatacompBasic,
    /// LAION-5B (Schuhmann et al. 2022, section 3): captions repaired, of at least five characters, no vector graphics and
    /// animations (`ccpp.py` of rvencu/crawlingathome-gpu-hcloud), files of at least 5,000 bytes (`dbdl.py`), a
    /// similarity by CLIP ViT-B/32 of at least 0.28, where the table has such a column. Their bytes were counted as
    /// downloaded; pair shards hold pictures as the crawl resized and encoded them.
    Laion,
}

impl Preset {
    /// Its rules, in its order.
    pub fn rules(self) -> Vec<RuleEntry> {
        match self {
            Self::DatacompBasic => datacomp_basic(),
            Self::Laion => laion(),
        }
    }
}

fn datacomp_basic() -> Vec<RuleEntry> {
    vec![
        Rule::Language(Language { keep: ["en".to_owned()].into(), ..Language::default() }).into(),
        Rule::Words(Words { min: Some(3), by: WordKind::Spaced, ..Words::default() }).into(),
        Rule::Characters(Characters { min: Some(6), ..Characters::default() }).into(),
        where_there(Rule::Side(Side { min: Some(200.0), ..Side::default() })),
        where_there(Rule::Aspect(Aspect { max: Some(3.0), ..Aspect::default() })),
    ]
}

fn laion() -> Vec<RuleEntry> {
    let scores = ["similarity", "clip_score", "clip_b32_similarity_score"].map(str::to_owned);
    let address = RegexRule {
        refuse: Pattern::new(r"\.svg|\.gif|data:image|javascript:").ok(),
        column: Some("url".to_owned()),
        ..RegexRule::default()
    };
    vec![
        Rule::Mojibake(Mojibake::default()).into(),
        Rule::Unicode(Unicode::default()).into(),
        Rule::Characters(Characters { min: Some(5), ..Characters::default() }).into(),
        where_there(Rule::Regex(address)),
        where_there(Rule::Bytes(Bytes { min: Some(ByteSize(5000)), ..Bytes::default() })),
        where_there(Rule::Column(ColumnRule {
            column: OneOrMany::Many(scores.into()),
            min: Some(0.28),
            nulls: Nulls::Drop,
            ..ColumnRule::default()
        })),
    ]
}

/// A rule that does nothing where its column is not there.
fn where_there(rule: Rule) -> RuleEntry {
    RuleEntry { missing: Missing::Keep, ..rule.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};

    use super::*;
    use crate::filter::columns::Columns;
    use crate::filter::funnel::Funnel;
    use crate::filter::judge::Judge;
    use crate::filter::rules::Site;

    /// Which rule of a preset gets each row.
    fn taken(preset: Preset, table: &RecordBatch) -> Vec<Option<&'static str>> {
        let mut site = Site::new(Columns::new(table.schema()), "caption", "url", None);
        for entry in preset.rules() {
            site.add(&entry, entry.rule.kind().to_owned(), "x.parquet").unwrap();
        }
        let judge = Judge::new(site);
        let verdict = judge.judge(table, &mut Funnel::of(&judge)).unwrap();
        verdict.first.iter().map(|first| first.map(|step| judge.steps[step].kind)).collect()
    }

    const CAT: &str = "a small red cat sleeps on the roof of the house";

    fn text(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    #[test]
    fn datacomp_asks_for_english_words_and_sides() {
        let sides = |sides: [i32; 6]| Arc::new(Int32Array::from(sides.to_vec())) as ArrayRef;
        let captions = [CAT, "рыжий кот спит на крыше дома", "the cat", CAT, CAT, CAT];
        let table = RecordBatch::try_from_iter([
            ("caption", text(&captions)),
            ("original_width", sides([200, 200, 200, 199, 600, 601])),
            ("original_height", sides([200, 200, 200, 300, 200, 200])),
        ]);
        let expected = [None, Some("language"), Some("words"), Some("side"), None, Some("aspect")];
        let found = taken(Preset::DatacompBasic, &table.unwrap());
        assert_eq!((found[0], found[1], &found[3..]), (expected[0], expected[1], &expected[3..]));
        assert!(found[2].is_some(), "two words, whatever the language of so few");
    }

    #[test]
    fn laion_asks_for_characters_and_a_score() {
        let scores = Float64Array::from(vec![Some(0.28), Some(0.279), Some(0.5), None, Some(0.5)]);
        let table = RecordBatch::try_from_iter([
            ("caption", text(&["a cat", "a cat", "cats", "a cat", "ÐºÐ¾Ñ‚Ð¸Ðº"])),
            ("url", text(&["http://h/1.jpg", "http://h/2", "http://h/3", "http://h/4", "http://h/5.gif"])),
            ("similarity", Arc::new(scores)),
        ]);
        let expected = [None, Some("column"), Some("characters"), Some("column"), Some("regex")];
        assert_eq!(taken(Preset::Laion, &table.unwrap()), expected);
    }
}
