//! The rules in order: which of them has a row, and whether another would have taken it too.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::DataType;

use super::columns::{Columns, Text, View, named, text_of, to_type};
use super::funnel::Funnel;
use super::repeats::Repeats;
use super::rules::Site;
use crate::{Error, Result};

/// Tells which of the given rows a rule removes, in their order.
pub(super) type Catcher = Box<dyn Fn(&View, &[usize]) -> Vec<usize> + Send + Sync>;

/// Another text in the place of one, or the same.
pub(super) type Rewriter = Box<dyn Fn(&str) -> Cow<'_, str> + Send + Sync>;

/// What a rule does with a batch.
pub(super) enum Work {
    /// Removes rows.
    Catch(Catcher),
    /// Removes every row.
    CatchAll,
    /// Changes a text.
    Rewrite(Text, Rewriter),
    /// Nothing, as this column is not there.
    Skip(String),
}

/// How early a rule is asked among those between two rewritings. The order of the rules, not this one, says which rule
/// gets a row that several would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// Before all others, which are not asked about the rows that it takes.
    Gate,
    /// Nanoseconds a row.
    Cheap,
    /// Microseconds a row: not asked about rows of which all is known.
    Dear,
}

/// A rule ready for work.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) turn: Turn,
    pub(super) work: Work,
}

/// What becomes of the rows of a batch.
pub(super) struct Verdict {
    /// The step that has the row.
    pub(super) first: Vec<Option<usize>>,
    /// Whether a later step would have taken it as well.
    also: Vec<bool>,
    /// Whether no step need be asked any more.
    closed: Vec<bool>,
    /// Texts that were changed.
    changed: Vec<Text>,
    view: View,
}

impl Verdict {
    fn new(view: View, rows: usize) -> Self {
        Self {
            first: vec![None; rows],
            also: vec![false; rows],
            closed: vec![false; rows],
            changed: Vec::new(),
            view,
        }
    }

    /// The rows about which a step has something to say.
    fn open(&self, step: usize) -> Vec<usize> {
        let undecided = |row: &usize| self.first[*row].is_none_or(|first| first > step) || !self.also[*row];
        (0..self.first.len()).filter(|row| !self.closed[*row] && undecided(row)).collect()
    }

    fn catch(&mut self, row: usize, step: usize, turn: Turn) {
        match self.first[row] {
            Some(first) => {
                self.also[row] = true;
                self.first[row] = Some(first.min(step));
            }
            None => self.first[row] = Some(step),
        }
        self.closed[row] |= turn == Turn::Gate;
    }

    /// Whether the step that has the row is the only one that takes it.
    pub(super) fn only(&self, row: usize) -> bool {
        !self.also[row]
    }
}

/// All rules of a filter.
pub(super) struct Judge {
    pub(super) columns: Columns,
    pub(super) steps: Vec<Step>,
    /// In which order the steps are asked.
    order: Vec<usize>,
    /// What is to be counted before rows are judged.
    pub(super) repeats: Vec<Arc<Repeats>>,
    /// Held by whoever counts.
    pub(super) counting: Mutex<()>,
    /// What examples show.
    caption: Option<Text>,
    url: Option<Text>,
}

impl Judge {
    /// Examples show captions and addresses, where the table has them.
    pub(super) fn new(site: Site<'_>) -> Self {
        let Site { mut columns, caption, url, steps, repeats, .. } = site;
        let (caption, url) = (columns.text(caption).ok(), columns.text(url).ok());
        let order = order(&steps);
        Self { columns, steps, order, repeats, counting: Mutex::new(()), caption, url }
    }

    /// Asks the rules about a batch, which may have more columns than they need, and counts the answers in `funnel`.
    pub(super) fn judge(&self, batch: &RecordBatch, funnel: &mut Funnel) -> Result<Verdict> {
        let mut verdict = Verdict::new(self.columns.view(batch)?, batch.num_rows());
        for &index in &self.order {
            let step = &self.steps[index];
            match &step.work {
                Work::Catch(catch) => {
                    for row in catch(&verdict.view, &verdict.open(index)) {
                        verdict.catch(row, index, step.turn);
                    }
                }
                Work::CatchAll => {
                    verdict.open(index).into_iter().for_each(|row| verdict.catch(row, index, step.turn));
                }
                Work::Rewrite(column, rewrite) => self.rewrite(&mut verdict, index, *column, rewrite, funnel),
                Work::Skip(_) => {}
            }
        }
        funnel.add(&verdict, |row| self.example(&verdict.view, row));
        Ok(verdict)
    }

    fn rewrite(
        &self,
        verdict: &mut Verdict,
        step: usize,
        column: Text,
        rewrite: &Rewriter,
        funnel: &mut Funnel,
    ) {
        let before = verdict.view.texts(column);
        let Some((after, rows)) = rewritten(before, |row| !verdict.closed[row], rewrite) else { return };
        for row in rows.into_iter().filter(|row| verdict.first[*row].is_none()) {
            funnel.rewrote(step, text_of(before, row), text_of(&after, row));
        }
        verdict.view.replace(column, after);
        if !verdict.changed.contains(&column) {
            verdict.changed.push(column);
        }
    }

    /// Caption and URL of a row.
    fn example(&self, view: &View, row: usize) -> [Option<String>; 2] {
        let shown = |column: Option<Text>| {
            let texts = view.texts(column?);
            (!texts.is_null(row)).then(|| texts.value(row).to_owned())
        };
        [shown(self.caption), shown(self.url)]
    }

    /// Row by row the name of the rule that has it.
    pub(super) fn names(&self, verdict: &Verdict) -> Vec<Option<&str>> {
        verdict.first.iter().map(|first| first.map(|step| self.steps[step].name.as_str())).collect()
    }

    /// The hashes of a batch's texts, as the steps before the one that counts them leave them.
    pub(super) fn hashes(&self, repeats: &Repeats, batch: &RecordBatch) -> Result<Vec<u64>> {
        let name = self.columns.name(repeats.column);
        let mut texts = to_type(named(batch, name)?, &DataType::Utf8, name)?.as_string::<i32>().clone();
        for step in &self.steps[..repeats.step] {
            if let Work::Rewrite(column, rewrite) = &step.work
                && *column == repeats.column
                && let Some((changed, _)) = rewritten(&texts, |_| true, rewrite)
            {
                texts = changed;
            }
        }
        let mut template = String::new();
        Ok(texts.iter().flatten().filter_map(|text| repeats.hash(text, &mut template)).collect())
    }

    /// The batch with the texts that were changed.
    pub(super) fn changed(&self, batch: &RecordBatch, verdict: &Verdict) -> Result<RecordBatch> {
        let schema = batch.schema();
        let mut columns = batch.columns().to_vec();
        for &column in &verdict.changed {
            let name = self.columns.name(column);
            let texts: ArrayRef = Arc::new(verdict.view.texts(column).clone());
            if let Some((index, field)) = schema.column_with_name(name) {
                columns[index] = to_type(&texts, field.data_type(), name)?;
            }
        }
        RecordBatch::try_new(schema, columns).map_err(|e| Error::input("batch", e.to_string()))
    }
}

/// Between two rewritings the cheap steps come first.
fn order(steps: &[Step]) -> Vec<usize> {
    let rewrites = |step: usize| matches!(steps[step].work, Work::Rewrite(..));
    let mut order: Vec<usize> = (0..steps.len()).collect();
    for run in order.chunk_by_mut(|a, b| !rewrites(*a) && !rewrites(*b)) {
        run.sort_by_key(|step| steps[*step].turn);
    }
    order
}

/// The texts with those of the rows that `wanted` names rewritten, and the rows that changed; `None` if none did.
pub(super) fn rewritten(
    texts: &StringArray,
    wanted: impl Fn(usize) -> bool,
    rewrite: &Rewriter,
) -> Option<(StringArray, Vec<usize>)> {
    let change = |row: usize| match rewrite(texts.value(row)) {
        Cow::Owned(text) if text != texts.value(row) => Some((row, text)),
        _ => None,
    };
    let rows = (0..texts.len()).filter(|row| texts.is_valid(*row) && wanted(*row));
    let changes: Vec<(usize, String)> = rows.filter_map(change).collect();
    if changes.is_empty() {
        return None;
    }
    let mut all = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    let mut next = changes.iter().peekable();
    for row in 0..texts.len() {
        match next.next_if(|(changed, _)| *changed == row) {
            Some((_, text)) => all.append_value(text),
            None => all.append_option(texts.is_valid(row).then(|| texts.value(row))),
        }
    }
    Some((all.finish(), changes.into_iter().map(|(row, _)| row).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;
    use crate::filter::rules::testing::{captions, judge};

    const TURNS: [Turn; 3] = [Turn::Gate, Turn::Cheap, Turn::Dear];

    /// Rules that take the rows that `answers` tells, of a table of as many rows.
    fn of(rules: &[(Turn, Vec<bool>)]) -> (Judge, RecordBatch) {
        let rows = rules.first().map_or(0, |(_, answers)| answers.len());
        let table = captions(&vec![Some("x"); rows]);
        let mut site = Site::new(Columns::new(table.schema()), "caption", "url", None);
        for (index, (turn, answers)) in rules.iter().cloned().enumerate() {
            let work = Work::Catch(Box::new(move |_, rows| {
                rows.iter().copied().filter(|row| answers[*row]).collect()
            }));
            site.steps.push(Step { name: format!("r{index}"), kind: "column", turn, work });
        }
        (Judge::new(site), table)
    }

    proptest! {
        #[test]
        fn the_order_of_asking_changes_neither_who_has_a_row_nor_who_alone_takes_it(
            rules in proptest::collection::vec((1..3_usize, proptest::collection::vec(any::<bool>(), 30)), 1..6),
        ) {
            let rules: Vec<_> = rules.into_iter().map(|(turn, answers)| (TURNS[turn], answers)).collect();
            let (judge, table) = of(&rules);
            let verdict = judge.judge(&table, &mut Funnel::of(&judge)).unwrap();
            for row in 0..30 {
                let takers: Vec<usize> = (0..rules.len()).filter(|rule| rules[*rule].1[row]).collect();
                prop_assert_eq!(verdict.first[row], takers.first().copied());
                prop_assert_eq!(verdict.only(row), takers.len() < 2);
            }
        }
    }

    #[test]
    fn a_gate_closes_its_rows_and_dear_rules_are_not_asked_in_vain() {
        let (gate, cheap) = ((Turn::Gate, vec![true, false, false]), (Turn::Cheap, vec![true, true, false]));
        let (mut judge, table) = of(&[cheap.clone(), gate, cheap.clone(), cheap]);
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        judge.steps[3].turn = Turn::Dear;
        judge.steps[3].work = Work::Catch(Box::new(move |_, rows| {
            counter.fetch_add(rows.len(), Ordering::Relaxed);
            Vec::new()
        }));
        judge.order = order(&judge.steps);
        let verdict = judge.judge(&table, &mut Funnel::of(&judge)).unwrap();
        assert_eq!(verdict.first, [Some(1), Some(0), None]);
        assert_eq!([0, 1, 2].map(|row| verdict.only(row)), [true, false, true]);
        assert_eq!(asked.load(Ordering::Relaxed), 1, "row 0 is closed, of row 1 all is known");
    }

    #[test]
    fn rules_see_what_those_before_them_rewrote_and_removed_rows_do_not_count_as_rewritten() {
        let table = captions(&[Some("&amp;&amp;"), Some("a  cat"), Some("cafÃ©"), None]);
        let short = "kind = \"characters\"\nmin = 5";
        let judge = judge(&[short, "kind = \"mojibake\"", "kind = \"unicode\"", short], &table).unwrap();
        let mut funnel = Funnel::of(&judge);
        let verdict = judge.judge(&table, &mut funnel).unwrap();
        assert_eq!(verdict.first, [Some(3), None, Some(3), Some(0)]);
        let figures: Vec<_> =
            funnel.rules.iter().map(|rule| (rule.dropped, rule.only, rule.rewritten)).collect();
        assert_eq!(figures, [(1, 0, 0), (0, 0, 1), (0, 0, 2), (2, 2, 0)]);
        let changed = judge.changed(&table, &verdict).unwrap();
        assert_eq!(changed.column(0).as_string::<i32>().value(1), "a cat");
        assert!(changed.column(0).is_null(3));
    }

    #[test]
    fn repeated_captions_are_counted_as_they_are_after_the_rewriting() {
        let table = captions(&[Some("Page 1"), Some("page  2"), Some("Page &#51;"), Some("a cat"), None]);
        let repeated = "kind = \"repeated\"\nmax = 2";
        let judge = judge(&["kind = \"unicode\"", repeated], &table).unwrap();
        let repeats = &judge.repeats[0];
        let tally = crate::tally::Tally::new().unwrap();
        tally.add(judge.hashes(repeats, &table).unwrap().into_iter()).unwrap();
        repeats.settle(tally).unwrap();
        let verdict = judge.judge(&table, &mut Funnel::of(&judge)).unwrap();
        assert_eq!(verdict.first, [Some(1), Some(1), Some(1), None, None]);
    }
}
