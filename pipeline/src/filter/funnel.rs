//! What the rules did: rows per rule, what only that rule catches, a few examples, as figures and as a table.

use serde::{Deserialize, Serialize};

use super::judge::{Judge, Verdict, Work};

/// Examples that are kept per rule.
const EXAMPLES: usize = 2;
/// Characters of an example's caption, and of its URL, that people are shown.
const SHOWN: (usize, usize) = (60, 80);

/// The rows of a filter, from rule to rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Funnel {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows that no rule removes.
    pub kept: u64,
    /// The rules in their order.
    pub rules: Vec<RuleFigures>,
}

/// What one rule did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleFigures {
    /// Its name, as in the column `dropped_by`.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Rows that it removed: those that no rule before it would have.
    pub dropped: u64,
    /// Rows among them that no rule after it would have removed either.
    pub only: u64,
    /// Rows whose text it changed.
    pub rewritten: u64,
    /// The column that it needs and the table does not have, for which reason it did nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The first rows that it removed or changed.
    pub examples: Vec<Example>,
}

/// A row that a rule removed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The caption, or the text before.
    pub caption: Option<String>,
    /// Where the picture comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The text after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<String>,
}

impl Funnel {
    /// No rows yet.
    pub(super) fn of(judge: &Judge) -> Self {
        let rules = judge.steps.iter().map(|step| RuleFigures {
            name: step.name.clone(),
            kind: step.kind.to_owned(),
            missing: match &step.work {
                Work::Skip(column) => Some(column.clone()),
                _ => None,
            },
            ..RuleFigures::default()
        });
        Self { rows: 0, kept: 0, rules: rules.collect() }
    }

    /// Counts a batch; `example` tells caption and URL of a row.
    pub(super) fn add(&mut self, verdict: &Verdict, example: impl Fn(usize) -> [Option<String>; 2]) {
        self.rows += verdict.first.len() as u64;
        for (row, first) in verdict.first.iter().enumerate() {
            let Some(rule) = first.and_then(|step| self.rules.get_mut(step)) else {
                self.kept += 1;
                continue;
            };
            rule.dropped += 1;
            rule.only += u64::from(verdict.only(row));
            if rule.examples.len() < EXAMPLES {
                let [caption, url] = example(row);
                rule.examples.push(Example { caption, url, became: None });
            }
        }
    }

    /// Counts a row whose text a step changed.
    pub(super) fn rewrote(&mut self, step: usize, before: &str, after: &str) {
        let rule = &mut self.rules[step];
        rule.rewritten += 1;
        if rule.examples.len() < EXAMPLES {
            let (caption, became) = (Some(before.to_owned()), Some(after.to_owned()));
            rule.examples.push(Example { caption, url: None, became });
        }
    }

    /// Adds the figures of later rows.
    pub(super) fn merge(&mut self, later: Self) {
        if self.rules.is_empty() {
            *self = later;
            return;
        }
        self.rows += later.rows;
        self.kept += later.kept;
        for (rule, later) in self.rules.iter_mut().zip(later.rules) {
            rule.dropped += later.dropped;
            rule.only += later.only;
            rule.rewritten += later.rewritten;
            let room = EXAMPLES.saturating_sub(rule.examples.len());
            rule.examples.extend(later.examples.into_iter().take(room));
        }
    }

    /// An aligned table, then examples.
    pub fn text(&self) -> String {
        let mut lines = vec![["rule", "dropped", "", "only this", "left", ""].map(str::to_owned)];
        let mut left = self.rows;
        for rule in &self.rules {
            left -= rule.dropped;
            lines.push(self.line(rule, left));
        }
        lines.push(["kept", "", "", "", &self.kept.to_string(), &self.share(self.kept)].map(str::to_owned));
        let examples = self.rules.iter().filter(|rule| !rule.examples.is_empty()).map(examples);
        std::iter::once(aligned(&lines)).chain(examples).collect::<Vec<_>>().join("\n\n")
    }

    fn line(&self, rule: &RuleFigures, left: u64) -> [String; 6] {
        let (name, left) = (rule.name.clone(), left.to_string());
        let nothing = String::new;
        match &rule.missing {
            Some(column) => [name, nothing(), nothing(), nothing(), left, format!("no column `{column}`")],
            None if rule.rewritten > 0 => {
                [name, nothing(), nothing(), nothing(), left, format!("{} rewritten", rule.rewritten)]
            }
            None => {
                let (dropped, only) = (rule.dropped.to_string(), rule.only.to_string());
                [name, dropped, self.share(rule.dropped), only, left, nothing()]
            }
        }
    }

    fn share(&self, rows: u64) -> String {
        format!("{:.1} %", 100.0 * rows as f64 / self.rows.max(1) as f64)
    }
}

/// The first column to the left, the last as it comes, the others to the right.
fn aligned(lines: &[[String; 6]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |line: &[String; 6]| {
        let [name, numbers @ .., note] = line;
        let numbers = numbers.iter().zip(&widths[1..]).map(|(number, &width)| format!("  {number:>width$}"));
        let text = format!("{name:<width$}{}  {note}", numbers.collect::<String>(), width = widths[0]);
        text.trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn examples(rule: &RuleFigures) -> String {
    let mut lines = vec![rule.name.clone()];
    for Example { caption, url, became } in &rule.examples {
        let caption = caption.as_ref().map_or("no caption".to_owned(), |caption| quoted(caption));
        let more = match (became, url) {
            (Some(became), _) => format!(" → {}", quoted(became)),
            (None, Some(url)) => format!("  {}", cut(url, SHOWN.1)),
            (None, None) => String::new(),
        };
        lines.push(format!("  {caption}{more}"));
    }
    lines.join("\n")
}

/// As in a program: quotes and control characters escaped, so that a caption cannot disturb the terminal.
fn quoted(text: &str) -> String {
    format!("{:?}", cut(text, SHOWN.0))
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &str, dropped: u64, only: u64) -> RuleFigures {
        RuleFigures { name: name.into(), kind: name.into(), dropped, only, ..RuleFigures::default() }
    }

    fn funnel() -> Funnel {
        let example = |caption: &str, url: &str| Example {
            caption: Some(caption.into()),
            url: Some(url.into()),
            became: None,
        };
        let mut side = figures("side", 1203, 90);
        side.examples =
            vec![example("a \"cat\"\n", "http://h/1"), example(&"long ".repeat(20), "http://h/2")];
        let mut mojibake = figures("mojibake", 0, 0);
        mojibake.rewritten = 12;
        mojibake.examples =
            vec![Example { caption: Some("cafÃ©".into()), url: None, became: Some("café".into()) }];
        let mut clip = figures("clip", 0, 0);
        clip.missing = Some("clip_score".into());
        Funnel { rows: 10_000, kept: 8787, rules: vec![side, mojibake, clip, figures("words", 10, 3)] }
    }

    #[test]
    fn the_table_is_aligned_and_has_examples() {
        insta::assert_snapshot!(funnel().text(), @r#"
        rule      dropped          only this  left
        side         1203  12.0 %         90  8797
        mojibake                              8797  12 rewritten
        clip                                  8797  no column `clip_score`
        words          10   0.1 %          3  8787
        kept                                  8787  87.9 %

        side
          "a \"cat\"\n"  http://h/1
          "long long long long long long long long long long long long …"  http://h/2

        mojibake
          "cafÃ©" → "café"
        "#);
    }

    #[test]
    fn funnels_add_up_and_keep_the_first_examples() {
        let mut whole = Funnel::default();
        whole.merge(funnel());
        whole.merge(funnel());
        assert_eq!((whole.rows, whole.kept, whole.rules[0].dropped), (20_000, 17_574, 2406));
        assert_eq!(whole.rules[0].examples, funnel().rules[0].examples);
        assert_eq!(whole.rules[1].examples.len(), 2);
        let read: Funnel = serde_json::from_value(serde_json::to_value(&whole).unwrap()).unwrap();
        assert_eq!(read, whole);
    }

    #[test]
    fn no_rows_are_no_division_by_zero() {
        assert!(Funnel::default().text().contains("0.0 %"));
    }
}
