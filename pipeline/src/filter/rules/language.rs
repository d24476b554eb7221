//! `language`: the language of a text, detected or as its page declares it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use isolang::Language as Iso;
use serde::{Deserialize, Serialize};

use super::{Site, Trouble, bad_texts};
use crate::filter::detect::detect;
use crate::filter::judge::Catcher;
use crate::filter::labels::Labels;

/// The usual codes of whatlang's languages, by their numbers.
static CODES: LazyLock<Vec<Option<&'static str>>> =
    LazyLock::new(|| whatlang::Lang::all().iter().map(|lang| iso(lang.code())).collect());

/// What is done with a text whose language is not known: too short, no letters, below the confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// Removed.
    #[default]
    Drop,
    /// Kept.
    Keep,
}

/// Keeps rows whose text is in one of the languages. A null is in no known language.
///
/// Without a model whatlang decides, by letters and triples of letters: good on sentences, poor on captions of a few
/// words. fastText's `lid.176.ftz` (1 MB) or `lid.176.bin` is better on those, and what DataComp used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Language {
    /// ISO 639 codes of two or three letters: `en`, `ru`; `zh` for every Chinese, `no` for both Norwegians.
    pub keep: BTreeSet<String>,
    /// How sure the detector must be, 0 to 1.
    pub confidence: f64,
    /// What is done with texts whose language is not known.
    pub unknown: Unknown,
    /// False: the column holds language tags such as `en-GB`, as `page_language` does, and nothing is detected.
    pub detect: bool,
    /// A fastText model; by default the `language_model` of the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Default for Language {
    /// No languages yet, any confidence.
    fn default() -> Self {
        Self {
            keep: BTreeSet::new(),
            confidence: 0.0,
            unknown: Unknown::Drop,
            detect: true,
            model: None,
            column: None,
        }
    }
}

impl Language {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let unlike = |code: &String| Trouble::Wrong(format!("`{code}` is no ISO 639 code of a language"));
        let keep = self.keep.iter().map(|code| iso(code).ok_or_else(|| unlike(code)));
        let keep: Vec<&str> = keep.collect::<Result<_, _>>()?;
        if keep.is_empty() {
            return Err(Trouble::Wrong("name the languages: keep = [\"en\", \"ru\"]".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            return Err(Trouble::Wrong("confidence lies between 0 and 1".to_owned()));
        }
        let column = site.caption_or(self.column.as_deref())?;
        let model = self.model.as_deref().or(site.language_model);
        let detector = if self.detect { Detector::open(model)? } else { Detector::Declared };
        let (confidence, unknown) = (self.confidence, self.unknown);
        Ok(bad_texts(column, move |text| match detector.language(text) {
            Some((code, sure)) if sure >= confidence => !keep.contains(&&*code),
            _ => unknown == Unknown::Drop,
        }))
    }
}

/// Who tells the language.
enum Detector {
    Whatlang,
    FastText(Box<Labels>),
    /// The text is a language tag.
    Declared,
}

impl Detector {
    fn open(model: Option<&Path>) -> Result<Self, Trouble> {
        Ok(match model {
            Some(path) => Self::FastText(Box::new(Labels::open(path)?)),
            None => Self::Whatlang,
        })
    }

    /// The code of a text's language, and how sure it is.
    fn language(&self, text: &str) -> Option<(Cow<'static, str>, f64)> {
        match self {
            Self::Whatlang => {
                let (lang, sure) = detect(text)?;
                Some((CODES.get(lang as usize).copied()??.into(), sure))
            }
            Self::FastText(model) => {
                // A line break would end the text.
                let line = text.replace(['\n', '\r'], " ");
                let (label, likely) = model.best(&line)?;
                Some((iso(&label).map_or_else(|| label.into_owned().into(), Cow::Borrowed), likely))
            }
            Self::Declared => Some((iso(text)?.into(), 1.0)),
        }
    }
}

/// The usual code of a language: two letters where it has them, languages that one word covers as one.
fn iso(code: &str) -> Option<&'static str> {
    let code = code.trim().split(['-', '_']).next()?.to_ascii_lowercase();
    let language = Iso::from_639_1(&code).or_else(|| Iso::from_639_3(&code))?;
    Some(match language.to_639_1().unwrap_or_else(|| language.to_639_3()) {
        "nb" | "nn" => "no",
        "cmn" => "zh",
        "pes" => "fa",
        "azj" => "az",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::rules::testing::{captions, caught, refused, texts};

    fn table() -> arrow::array::RecordBatch {
        captions(&[
            Some("A small red cat sleeps on the roof of an old house"),
            Some("Маленький рыжий кот спит на крыше старого дома"),
            Some("Eine kleine rote Katze schläft auf dem Dach des alten Hauses"),
            Some("赤い小さな猫が古い家の屋根で眠っています"),
            Some("12345"),
            None,
        ])
    }

    #[test]
    fn sentences_are_told_apart() {
        assert_eq!(caught("kind = \"language\"\nkeep = [\"en\", \"rus\"]", &table()), [2, 3, 4, 5]);
        let keep = "kind = \"language\"\nkeep = [\"de\", \"ja\"]\nunknown = \"keep\"";
        assert_eq!(caught(keep, &table()), [0, 1]);
    }

    #[test]
    fn unsure_is_unknown() {
        let table = captions(&[Some("I am begging pardon")]);
        let rule = |more: &str| caught(&format!("kind = \"language\"\nkeep = [\"fr\"]\n{more}"), &table);
        assert_eq!(rule("confidence = 0.99\nunknown = \"keep\""), [0; 0]);
        assert_eq!(rule("unknown = \"keep\""), [0]);
    }

    #[test]
    fn declared_languages_are_tags() {
        let tags = ["en-US", "EN", "ru", "", "x-klingon"];
        let table = texts(&[("page_language", &tags.map(Some))]);
        let rule = "kind = \"language\"\ncolumn = \"page_language\"\ndetect = false\nkeep = [\"en\"]";
        assert_eq!(caught(rule, &table), [2, 3, 4]);
        assert_eq!(caught(&format!("{rule}\nunknown = \"keep\""), &table), [2]);
    }

    #[test]
    fn every_language_of_the_detector_has_a_code() {
        for lang in whatlang::Lang::all() {
            assert!(iso(lang.code()).is_some_and(|code| code.len() == 2 || lang.code().len() == 3), "{lang}");
            assert_eq!(CODES[*lang as usize], iso(lang.code()));
        }
        assert_eq!(
            [iso("cmn"), iso("zh-TW"), iso("nob"), iso("no")].map(Option::unwrap),
            ["zh", "zh", "no", "no"]
        );
    }

    #[test]
    fn wrong_codes_and_models_are_refused() {
        assert!(
            refused("kind = \"language\"\nkeep = [\"english\"]", &table())
                .contains("`english` is no ISO 639")
        );
        assert!(refused("kind = \"language\"", &table()).contains("name the languages"));
        let rule = "kind = \"language\"\nkeep = [\"en\"]\nmodel = \"absent.ftz\"";
        assert!(refused(rule, &table()).starts_with("absent.ftz: not a readable fastText model"));
    }

    /// A model of two languages, trained here: the published ones are too large for a repository.
    #[test]
    fn a_fasttext_model_decides_where_one_is_given() {
        use fasttext::FastText;
        use fasttext::args::{Args, LossName, ModelName};
        let folder = tempfile::tempdir().unwrap();
        let (lines, path) = (folder.path().join("lines.txt"), folder.path().join("lid.bin"));
        let lesson = "__label__en a small cat on the old roof of a house\n__label__xx kissa katolla talo vanha pieni\n";
        crate::atomic::write(&lines, lesson.repeat(50)).unwrap();
        let args = Args {
            input: lines,
            model: ModelName::Supervised,
            loss: LossName::Softmax,
            epoch: 20,
            lr: 0.5,
            dim: 8,
            bucket: 1000,
            minn: 2,
            maxn: 4,
            thread: 1,
            ..Args::default()
        };
        FastText::train(args).unwrap().save_model(&path).unwrap();
        let table = captions(&[Some("a cat\non a roof"), Some("pieni kissa"), Some("")]);
        let rule = format!("kind = \"language\"\nkeep = [\"en\"]\nmodel = {:?}", path.display().to_string());
        assert_eq!(caught(&rule, &table), [1, 2]);
        crate::atomic::write(&path, b"no model").unwrap();
        assert!(refused(&rule, &table).contains("not a readable fastText model"));
    }
}
