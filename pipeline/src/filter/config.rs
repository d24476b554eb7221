//! The config of a filter: the table, the rules, and how columns are called.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::preset::Preset;
use super::rules::{Language, Rule, RuleEntry, StatusRule};
use crate::pairs::sift::KEPT;
use crate::pairs::{FORMAT, Table};
use crate::unit::digest_file;
use crate::{Error, Result};

/// The detector without a model, in the version that decides what it says.
const DETECTOR: &str = "whatlang 0.18";

/// `filter.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterConfig {
    /// A folder or bucket of shards, or one Parquet file: pair shards, link tables, anybody's.
    pub input: String,
    /// A folder or bucket for what is kept, and beside it what is not.
    pub out: String,
    /// Column of the captions, for rules that name no other.
    pub caption_col: String,
    /// Column of the pictures' addresses, likewise.
    pub url_col: String,
    /// Whether rows of pair shards that have no picture may stay; else they are the first to go.
    pub keep_failed: bool,
    /// A fastText model for all rules about languages; without one whatlang tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_model: Option<PathBuf>,
    /// Rules that come before those below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Shards worked on at a time, 0: one per core. Changes nothing of the output.
    pub threads: usize,
    /// The rules, in their order: the first that takes a row gets it.
    pub rules: Vec<RuleEntry>,
}

impl Default for FilterConfig {
    /// No table and no rules yet.
    fn default() -> Self {
        Self {
            input: String::new(),
            out: String::new(),
            caption_col: "caption".to_owned(),
            url_col: "url".to_owned(),
            keep_failed: false,
            language_model: None,
            preset: None,
            threads: 0,
            rules: Vec::new(),
        }
    }
}

impl FilterConfig {
    /// Refuses what cannot work, naming the key; a dry run needs no folder for the output.
    pub(super) fn validate(&self, dry_run: bool) -> Result<()> {
        if self.input.is_empty() {
            return Err(Error::config("input", "no shards or links given")
                .with_hint("pipeline filter data/pairs --out data/clean --preset datacomp-basic"));
        }
        if self.out.is_empty() && !dry_run {
            return Err(Error::config("out", "no output folder given")
                .with_hint("add --out data/clean, or --dry-run to see what the rules would do"));
        }
        if self.out.trim_end_matches('/') == self.input.trim_end_matches('/') {
            return Err(Error::config("out", "is the folder that is to be filtered")
                .with_hint("choose another --out: nothing is changed in place"));
        }
        Ok(())
    }

    /// All rules for a table with their names: rows without a picture, the preset, the own ones.
    ///
    /// # Errors
    /// No rule at all, or two of one name.
    pub(super) fn named_rules(&self, table: &Table) -> Result<Vec<(String, RuleEntry)>> {
        let own = self.rules.iter().any(|entry| matches!(entry.rule, Rule::Status(_)));
        let pairs = table.format() == FORMAT && table.schema().column_with_name("status").is_some();
        let status = (pairs && !own && !self.keep_failed).then(|| Rule::Status(StatusRule::default()).into());
        let preset = self.preset.map_or_else(Vec::new, Preset::rules);
        let rules: Vec<RuleEntry> =
            status.into_iter().chain(preset).chain(self.rules.iter().cloned()).collect();
        if rules.is_empty() {
            return Err(Error::config("rules", "there is no rule").with_hint(
                "add --preset datacomp-basic, or rules to the config: [[rules]] kind = \"side\" min = 200",
            ));
        }
        let mut taken = BTreeSet::from([KEPT.to_owned()]);
        taken.extend(rules.iter().filter_map(|entry| entry.name.clone()));
        let given = rules.iter().filter(|entry| entry.name.is_some()).count();
        if taken.len() != given + 1 {
            return Err(Error::config(
                "rules",
                format!("two rules have one name, or one is called `{KEPT}`"),
            ));
        }
        let named = rules.into_iter().map(|entry| (name(&entry, &mut taken), entry));
        Ok(named.collect())
    }

    /// What decides the output besides the content of the shards.
    pub(super) fn decides(&self, rules: &[(String, RuleEntry)]) -> Result<Value> {
        let files = rules.iter().filter_map(|(_, entry)| self.file(&entry.rule));
        let files: Vec<String> = files.map(|path| digest_file(path)).collect::<Result<_>>()?;
        Ok(json!({
            "rules": rules,
            "caption_col": self.caption_col,
            "url_col": self.url_col,
            "files": files,
            "detector": DETECTOR,
        }))
    }

    /// The file whose content decides what a rule does.
    fn file<'a>(&'a self, rule: &'a Rule) -> Option<&'a PathBuf> {
        match rule {
            Rule::Language(Language { model: None, detect: true, .. }) => self.language_model.as_ref(),
            rule => rule.file(),
        }
    }
}

/// The given name, or the kind, with a number where it is taken.
fn name(entry: &RuleEntry, taken: &mut BTreeSet<String>) -> String {
    if let Some(name) = &entry.name {
        return name.clone();
    }
    let kind = entry.rule.kind();
    let numbered = (2..).map(|n| format!("{kind}-{n}"));
    let free = std::iter::once(kind.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_default();
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use super::*;
    use crate::pairs::TableWriter;
    use crate::settings;

    /// A table of one row with these columns, beside the folder that it lies in.
    fn table(columns: &[&str]) -> (tempfile::TempDir, Table) {
        let column = |name| (name, Arc::new(StringArray::from(vec!["x"])) as ArrayRef);
        let batch = RecordBatch::try_from_iter(columns.iter().map(|name| column(*name))).unwrap();
        let format = if columns.contains(&"status") { "pairs/1" } else { "links/1" };
        let mut writer = TableWriter::new(Vec::new(), batch.schema(), format, &[], "x").unwrap();
        writer.write(&batch).unwrap();
        let folder = tempfile::tempdir().unwrap();
        crate::atomic::write(folder.path().join("x.parquet"), writer.close().unwrap().0).unwrap();
        let table = Table::open(folder.path().to_str().unwrap()).unwrap();
        (folder, table)
    }

    fn load(text: &str) -> Result<FilterConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("filter.toml");
        crate::atomic::write(&path, text).unwrap();
        settings::load(Some(&path), &[])
    }

    fn names(config: &FilterConfig, table: &Table) -> Vec<String> {
        config.named_rules(table).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    const RULES: &str = "\
        [[rules]]\nkind = \"side\"\nmin = 200\n\
        [[rules]]\nkind = \"side\"\nmax = 5000\n\
        [[rules]]\nname = \"clip\"\nmissing = \"keep\"\nkind = \"column\"\ncolumn = \"clip_score\"\nmin = 0.28\n";

    #[test]
    fn rules_have_names_and_pair_shards_lose_failures_first() {
        let (_pairs, pairs) = table(&["key", "status", "caption"]);
        let (_links, links) = table(&["url", "caption"]);
        let config = load(RULES).unwrap();
        assert_eq!(names(&config, &pairs), ["status", "side", "side-2", "clip"]);
        assert_eq!(names(&config, &links), ["side", "side-2", "clip"]);
        let keep = FilterConfig { keep_failed: true, ..config.clone() };
        assert_eq!(names(&keep, &pairs), ["side", "side-2", "clip"]);
        let laion = FilterConfig { preset: Some(Preset::Laion), ..config };
        assert_eq!(names(&laion, &links)[..2], ["mojibake", "unicode"]);
        assert!(
            FilterConfig::default().named_rules(&links).unwrap_err().hint().unwrap().contains("--preset")
        );
    }

    #[test]
    fn a_name_is_given_once() {
        let (_folder, links) = table(&["url"]);
        for name in ["clip", "kept"] {
            let again = format!("{RULES}[[rules]]\nname = \"{name}\"\nkind = \"area\"\nmin = 1\n");
            assert!(load(&again).unwrap().named_rules(&links).unwrap_err().to_string().contains("one name"));
        }
    }

    #[test]
    fn a_misspelt_key_has_its_line_and_a_suggestion() {
        let error = load(&format!("{RULES}[[rules]]\nkind = \"area\"\n  mni = 1\n")).unwrap_err();
        assert!(
            error.to_string().contains("filter.toml:15:3: unknown key `mni`; known: min, max"),
            "{error}"
        );
        assert_eq!(error.hint().unwrap(), "did you mean `min`?");
        let error = load("[[rules]]\nkind = \"sied\"\n").unwrap_err();
        assert!(error.to_string().contains("filter.toml:2:8: unknown value `sied`"), "{error}");
        assert_eq!(error.hint().unwrap(), "did you mean `side`?");
        let error = load("[[rules]]\nkind = \"regex\"\nrefuse = \"(\"\n").unwrap_err();
        assert!(error.to_string().contains("not a regular expression: unclosed group"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_told() {
        let config = |input: &str, out: &str| FilterConfig {
            input: input.into(),
            out: out.into(),
            ..FilterConfig::default()
        };
        for (config, key) in
            [(config("", "b"), "input"), (config("a", ""), "out"), (config("a/", "a"), "out")]
        {
            assert!(config.validate(false).unwrap_err().to_string().starts_with(key));
        }
        config("a", "").validate(true).unwrap();
    }

    #[test]
    fn the_content_of_lists_and_models_decides() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.txt");
        let (_table, links) = table(&["url"]);
        let rule =
            format!("[[rules]]\nkind = \"blocked-domains\"\nfile = {:?}\n", list.display().to_string());
        let config = load(&rule).unwrap();
        let decides = |content: &str| {
            crate::atomic::write(&list, content).unwrap();
            config.decides(&config.named_rules(&links).unwrap()).unwrap()
        };
        assert_ne!(decides("a.example"), decides("b.example"));
        let models = "language_model = \"absent.ftz\"\n[[rules]]\nkind = \"language\"\nkeep = [\"en\"]\n";
        let config = load(models).unwrap();
        let error = config.decides(&config.named_rules(&links).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("absent.ftz"), "{error}");
    }

    #[test]
    fn the_written_config_reads_back() {
        let all = format!("preset = \"laion\"\n{RULES}[[rules]]\nkind = \"bytes\"\nmin = \"5 kB\"\n");
        let config = load(&all).unwrap();
        let text = settings::to_toml(&config).unwrap();
        assert_eq!(load(&text).unwrap(), config, "{text}");
        assert_eq!(config.rules.len(), 4);
    }
}
