//! Cases of text tokenizers: `expected.jsonl`, a line per text, every field of it compared exactly.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Case, Comparison, Verdict};
use crate::bpe::{Bpe, hex};
use crate::{Error, Result};

/// Models that these cases are of.
pub(super) const MODELS: [&str; 3] = ["yttm", "hf-bpe", "clip-bpe"];

/// Compares every line with what the case's tokenizer gives, field by field.
///
/// # Errors
/// A tokenizer that cannot be loaded or is of another kind, or a line that cannot be read.
pub(super) fn compare(case: &Case) -> Result<Vec<Comparison>> {
    let bpe = Bpe::load(tokenizer(case)?)?;
    if bpe.kind() != case.model {
        return Err(case.fault(&format!("the tokenizer is of the kind {}, not {}", bpe.kind(), case.model)));
    }
    let mut fields = BTreeMap::<String, Field>::new();
    let exact = exact_lines(case);
    for (line, expected) in lines(case)?.into_iter().enumerate() {
        if exact.as_ref().is_some_and(|exact| !exact.contains(&line)) {
            continue;
        }
        let text = expected.get("text").and_then(Value::as_str).unwrap_or_default();
        let found = outputs(&bpe, text);
        for (name, expected) in expected.iter().filter(|(name, _)| *name != "text") {
            let found = found
                .get(name.as_str())
                .ok_or_else(|| case.fault(&format!("no output {name:?} here to compare with")))?;
            fields.entry(name.clone()).or_default().add(line, found == expected);
        }
    }
    let mut comparisons: Vec<Comparison> =
        fields.into_iter().map(|(name, field)| field.comparison(case, name)).collect();
    comparisons.extend(vocabulary(case, &bpe));
    Ok(comparisons)
}

/// The tokenizer's file; CLIP's is looked for under its own name.
fn tokenizer(case: &Case) -> Result<PathBuf> {
    let Some(file) = case.json.pointer("/vocabulary/file").and_then(Value::as_str) else {
        return case.checkpoint();
    };
    let name = file.rsplit('/').next().unwrap_or(file);
    let path = case.dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let package = case.json.pointer("/vocabulary/package").and_then(Value::as_str).unwrap_or("openai/CLIP");
    Err(case.fault(&format!("{name} is missing: copy it here from {package}")))
}

/// The lines that must be equal where not all must: those that ftfy, which is not part of this program, leaves alone.
fn exact_lines(case: &Case) -> Option<HashSet<usize>> {
    let listed = case.json.pointer("/expected/lines_without_ftfy_or_html_effect")?.as_array()?;
    Some(listed.iter().filter_map(|line| usize::try_from(line.as_u64()?).ok()).collect())
}

fn lines(case: &Case) -> Result<Vec<Map<String, Value>>> {
    let path = case.dir.join("expected.jsonl");
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let parsed = text.lines().enumerate().map(|(line, text)| {
        serde_json::from_str(text)
            .map_err(|fault| Error::Case { path: path.clone(), why: format!("line {}: {fault}", line + 1) })
    });
    parsed.collect()
}

/// What the tokenizer makes of one text, by the names of the fields.
fn outputs(bpe: &Bpe, text: &str) -> BTreeMap<&'static str, Value> {
    let ids = bpe.encode(text);
    if let Some(model) = bpe.as_yttm() {
        let specials = model.specials();
        let framed: Vec<u32> =
            specials.bos.into_iter().chain(ids.iter().copied()).chain(specials.eos).collect();
        return BTreeMap::from([
            ("pieces", json!(model.segment(text))),
            ("decoded", json!(model.decode(&ids, true))),
            ("decoded_skip_special", json!(bpe.decode(&ids))),
            ("ids_bos_eos", json!(framed)),
            ("ids", json!(ids)),
        ]);
    }
    if let Some(model) = bpe.as_hf() {
        let (framed, tokens) = model.framed(text);
        return BTreeMap::from([
            ("decoded", json!(bpe.decode(&framed))),
            ("ids_no_special", json!(ids)),
            ("ids", json!(framed)),
            ("tokens", json!(tokens)),
        ]);
    }
    let mut outputs = BTreeMap::from([("ids", json!(ids))]);
    if let Some(model) = bpe.as_clip() {
        let (context, truncated) = model.framed(&ids, 77);
        outputs.extend([("context_77", json!(context)), ("truncated", json!(truncated))]);
        outputs.insert("decoded", json!(model.decode(&ids, true)));
    }
    outputs
}

/// The vocabulary's strings in the order of ids, by their hash, where the case has it.
fn vocabulary(case: &Case, bpe: &Bpe) -> Option<Comparison> {
    let expected = case.json.pointer("/expected/vocab_sha256")?.as_str()?;
    let model = bpe.as_yttm()?;
    let pieces: Vec<&str> = (0..).map_while(|id| model.piece(id)).collect();
    let equal = hex(&Sha256::digest(pieces.join("\n"))) == expected;
    let mut field = Field::default();
    field.add(0, equal);
    Some(Comparison { tolerance: "equal".to_owned(), ..field.comparison(case, "vocabulary".to_owned()) })
}

/// Lines compared so far.
#[derive(Default)]
struct Field {
    lines: usize,
    unequal: usize,
    first: Option<usize>,
}

impl Field {
    fn add(&mut self, line: usize, equal: bool) {
        self.lines += 1;
        if !equal {
            self.unequal += 1;
            self.first.get_or_insert(line + 1);
        }
    }

    fn comparison(&self, case: &Case, output: String) -> Comparison {
        let first = self.first.map(|line| format!(", line {line} is not")).unwrap_or_default();
        Comparison {
            case: case.name.clone(),
            output,
            difference: self.unequal as f64,
            tolerance: format!("{} lines equal{first}", self.lines),
            verdict: if self.unequal == 0 { Verdict::Pass } else { Verdict::Fail },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pipeline::atomic;

    use super::*;
    use crate::parity::all_pass;

    fn golden(name: &str) -> Case {
        Case::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
    }

    fn check(name: &str, lines: usize, outputs: &[&str]) {
        let compared = compare(&golden(name)).unwrap();
        assert!(all_pass(&compared), "{compared:#?}");
        assert!(compared[0].tolerance.starts_with(&format!("{lines} lines")), "{compared:#?}");
        let names: Vec<&str> = compared.iter().map(|line| line.output.as_str()).collect();
        assert_eq!(names, outputs);
    }

    #[test]
    fn yttm_is_youtokentomes() {
        let outputs = ["decoded", "decoded_skip_special", "ids", "ids_bos_eos", "pieces", "vocabulary"];
        check("yttm", 300, &outputs);
        check("yttm-ids", 115, &outputs);
    }

    #[test]
    fn a_yttm_model_is_written_byte_for_byte() {
        for name in ["yttm", "yttm-ids"] {
            let path = golden(name).checkpoint().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(Bpe::load(&path).unwrap().as_yttm().unwrap().to_text(), text);
        }
    }

    #[test]
    fn hugging_faces_are_the_librarys() {
        let outputs = ["decoded", "ids", "ids_no_special", "tokens"];
        check("hf-bpe-bytelevel", 150, &outputs);
        check("hf-bpe-whitespace", 200, &outputs);
    }

    #[test]
    fn clip_is_openais() {
        check("clip-bpe", 83, &["context_77", "decoded", "ids", "truncated"]);
        let case = golden("clip-bpe");
        let (bpe, lines) = (Bpe::load(tokenizer(&case).unwrap()).unwrap(), lines(&case).unwrap());
        // HTML entities and white space, which the case does not ask for.
        for line in [2, 3, 21, 36, 48] {
            let text = lines[line]["text"].as_str().unwrap();
            assert_eq!(json!(bpe.encode(text)), lines[line]["ids"], "{text:?}");
        }
    }

    #[test]
    fn an_unequal_line_fails_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let case = golden("yttm-ids");
        for name in ["case.json", "bpe.model"] {
            std::fs::copy(case.dir.join(name), folder.path().join(name)).unwrap();
        }
        let lines =
            "{\"text\":\"\",\"ids\":[]}\n{\"text\":\"кот\",\"ids\":[9]}\n{\"text\":\" \",\"ids\":[9]}\n";
        atomic::write(folder.path().join("expected.jsonl"), lines).unwrap();
        let compared = compare(&Case::open(folder.path()).unwrap()).unwrap();
        assert_eq!((compared[0].difference, compared[0].verdict), (2.0, Verdict::Fail));
        assert_eq!(compared[0].tolerance, "3 lines equal, line 2 is not");
        atomic::write(folder.path().join("expected.jsonl"), "{\"text\":\"\",\"odds\":1}\n").unwrap();
        let error = compare(&Case::open(folder.path()).unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("no output \"odds\" here to compare with"), "{error}");
    }
}
