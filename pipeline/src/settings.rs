//! A TOML file merged with `--set a.b=VALUE`, read into a config struct; whatever does not fit is named with its place.
//!
//! Config structs derive `Serialize + Deserialize` with `#[serde(deny_unknown_fields, default)]`, so the defaults are
//! the documented ones and a misspelt key is an error with line, column and a suggestion.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use crate::{Error, Result};

/// Reads `path` (or nothing: all defaults), applies `sets` in order and returns the config.
///
/// # Errors
/// [`Error::Config`] with `file:line:column` or the `--set` at fault; [`Error::Io`] when the file cannot be read.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize, Default)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config { steps: u64 }
/// let config: Config = pipeline::settings::load(None, &["steps=3".to_owned()])?;
/// assert_eq!(config.steps, 3);
/// # Ok::<(), pipeline::Error>(())
/// ```
pub fn load<T: DeserializeOwned + Serialize>(path: Option<&Path>, sets: &[String]) -> Result<T> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?,
        None => String::new(),
    };
    let file = path.map_or_else(|| "defaults".to_owned(), |p| p.display().to_string());
    let from_file = parse(&text, &file);
    if sets.is_empty() || from_file.is_err() {
        return from_file;
    }
    let table: Table = toml::from_str(&text).map_err(|e| located(&file, &text, &e))?;
    let mut merged = table.clone();
    for set in sets {
        apply(&mut merged, set)?;
    }
    read(&merged).map_err(|error| config_error(guilty::<T>(table, sets, &error), error.message()))
}

/// Reads the text of a file that errors name `file`.
///
/// # Errors
/// [`Error::Config`] with `file:line:column`.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T> {
    toml::from_str::<T>(text).map_err(|error| located(file, text, &error))
}

/// The config as TOML text, every key written out.
pub fn to_toml<T: Serialize>(config: &T) -> Result<String> {
    toml::to_string_pretty(config).map_err(|e| Error::config("config", e.to_string()))
}

fn read<T: DeserializeOwned>(table: &Table) -> Result<T, toml::de::Error> {
    Value::Table(table.clone()).try_into()
}

/// Puts one `a.b=VALUE` into the table; a list or a scalar replaces, tables in between are made.
fn apply(table: &mut Table, set: &str) -> Result<()> {
    let place = || format!("--set {set}");
    let (key, value) = set
        .split_once('=')
        .ok_or_else(|| Error::config(place(), "expected KEY=VALUE, for example image.size=256"))?;
    let path: Vec<&str> = key.trim().split('.').collect();
    let Some((last, parents)) = path.split_last() else { return Ok(()) };
    let mut here = table;
    for part in parents {
        let next = here.entry((*part).to_owned()).or_insert_with(|| Value::Table(Table::new()));
        here = next
            .as_table_mut()
            .ok_or_else(|| Error::config(place(), format!("{part} is a value, it has no keys below it")))?;
    }
    here.insert((*last).to_owned(), parse_value(value.trim()));
    Ok(())
}

/// A TOML value; what is none (a bare word, a path) is taken as a string.
fn parse_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| if table.len() == 1 { table.remove("value") } else { None })
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// The first `--set` after which the config has the error that it has in the end.
fn guilty<T: DeserializeOwned>(mut table: Table, sets: &[String], error: &toml::de::Error) -> String {
    let mut breaks = |set: &&String| {
        let applied = apply(&mut table, set);
        applied.is_err() || read::<T>(&table).is_err_and(|e| e.message() == error.message())
    };
    format!("--set {}", sets.iter().find(|set| breaks(set)).map_or("", String::as_str))
}

fn located(file: &str, text: &str, error: &toml::de::Error) -> Error {
    let place = match error.span() {
        Some(span) => {
            let (line, column) = line_and_column(text, place_of(text, span.start, error.message()));
            format!("{file}:{line}:{column}")
        }
        None => file.to_owned(),
    };
    config_error(place, error.message())
}

/// Where an error lies. One in a table whose `kind` says what else it has is known to lie in that table only: then the
/// first line of the table that has the unknown key or value is the place.
fn place_of(text: &str, start: usize, message: &str) -> usize {
    let (Some(word), Some(rest)) = (message.split('`').nth(1), text.get(start..)) else { return start };
    let mut place = start;
    for line in rest.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let key = line.trim_start().strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with('='));
        match line.find(&format!("\"{word}\"")) {
            _ if message.starts_with("unknown field") && key => return place + indent,
            Some(value) if message.starts_with("unknown variant") => return place + value,
            _ if place > start && line.starts_with('[') => break,
            _ => place += line.len(),
        }
    }
    start
}

/// 1-based line and column (in characters) of a byte offset.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn config_error(place: String, message: &str) -> Error {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some((unknown, known)), true) = (words.split_first(), message.starts_with("unknown")) else {
        return Error::config(place, message.trim_end());
    };
    let kind = if message.starts_with("unknown variant") { "value" } else { "key" };
    let error = Error::config(place, format!("unknown {kind} `{unknown}`; known: {}", known.join(", ")));
    match suggest(unknown, known) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// For lists of which one item may stand alone: `paths = "a"` says the same as `paths = ["a"]`.
pub fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(path) => vec![path],
        OneOrMany::Many(paths) => paths,
    })
}

/// The known name nearest to a misspelt one, if any is near enough to be worth saying.
pub fn suggest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    // Of short words the first measure sees no likeness once two letters have changed places.
    let score = |name: &str| match (name.to_lowercase(), wrong.len()) {
        (_, 0 | 1) => 0.0,
        (name, 3..) if strsim::osa_distance(&wrong, &name) == 1 => 1.0,
        (name, _) => strsim::jaro_winkler(&wrong, &name),
    };
    known
        .iter()
        .copied()
        .map(|name| (score(name), name))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        name: String,
        net: Net,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Net {
        timeout: f64,
        allow: Vec<String>,
        mode: Mode,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        #[default]
        Fast,
        Slow,
    }

    fn sets(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        crate::atomic::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn sets_override_the_file_and_a_bare_word_is_a_string() {
        let (_folder, path) = file("name = \"a\"\n[net]\ntimeout = 5\nallow = [\"x:1\"]\n");
        let list =
            sets(&["name=data/pairs", "net.timeout=2.5", "net.allow=[\"y:2\", \"z:3\"]", "net.mode=slow"]);
        let config: Config = load(Some(&path), &list).unwrap();
        assert_eq!(config.name, "data/pairs");
        let net = Net { timeout: 2.5, allow: vec!["y:2".into(), "z:3".into()], mode: Mode::Slow };
        assert_eq!(config.net, net);
    }

    #[test]
    fn an_unknown_key_has_line_column_and_a_suggestion() {
        let (_folder, path) = file("name = \"a\"\n\n[net]\n  timout = 5\n");
        let error = load::<Config>(Some(&path), &[]).unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("c.toml:4:3: unknown key `timout`; known: timeout, allow, mode"), "{text}");
        assert_eq!(error.hint().unwrap(), "did you mean `timeout`?");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn names_near_by_are_suggested_and_others_are_not() {
        let near = |wrong| suggest(wrong, &["min", "max", "columns"]);
        assert_eq!([near("mni"), near("colums"), near("MAX")], [Some("min"), Some("columns"), Some("max")]);
        assert_eq!([near("xyz"), near("m")], [None, None]);
    }

    #[test]
    fn an_unknown_key_in_a_set_names_the_set() {
        let error = load::<Config>(None, &sets(&["name=b", "net.tiemout=3"])).unwrap_err();
        assert!(error.to_string().starts_with("--set net.tiemout=3: unknown key `tiemout`"), "{error}");
        assert_eq!(error.hint().unwrap(), "did you mean `timeout`?");
    }

    #[test]
    fn a_wrong_value_in_a_set_names_the_set() {
        let error = load::<Config>(None, &sets(&["name=b", "net.mode=fats"])).unwrap_err();
        assert!(error.to_string().starts_with("--set net.mode=fats: unknown value `fats`"), "{error}");
        let error = load::<Config>(None, &sets(&["net.timeout=soon"])).unwrap_err();
        assert!(error.to_string().starts_with("--set net.timeout=soon: invalid type"), "{error}");
    }

    #[test]
    fn a_set_without_a_value_and_a_set_below_a_scalar_are_errors() {
        let error = load::<Config>(None, &sets(&["name"])).unwrap_err();
        assert!(error.to_string().contains("expected KEY=VALUE"), "{error}");
        let error = load::<Config>(None, &sets(&["name=a", "name.b=1"])).unwrap_err();
        assert!(error.to_string().contains("name is a value"), "{error}");
    }

    #[test]
    fn broken_toml_and_missing_files_name_the_place() {
        let (_folder, path) = file("name = \n");
        let error = load::<Config>(Some(&path), &[]).unwrap_err();
        assert!(error.to_string().contains("c.toml:1:"), "{error}");
        let error = load::<Config>(Some(Path::new("absent.toml")), &[]).unwrap_err();
        assert!(error.to_string().starts_with("absent.toml:"), "{error}");
    }

    #[test]
    fn the_written_config_reads_back() {
        let config = Config { name: "ключ".into(), net: Net { timeout: 1.5, ..Net::default() } };
        let (_folder, path) = file(&to_toml(&config).unwrap());
        assert_eq!(load::<Config>(Some(&path), &[]).unwrap(), config);
    }
}
