//! Zero-shot accuracy over labelled pictures: the class whose text RuDOLPH finds least surprising after the picture.
//!
//! Source: `rudolph/api.py` (`zs_clf`): for each class the picture with the class in a template as the right text; the
//! class of the lowest perplexity (mean of `exp(loss)` over the words) is the label. Several templates are averaged.

use serde::Serialize;

use crate::classify::classify_images;
use crate::rudolph::Rudolph;
use crate::{Error, Result};

/// Where a template's class name goes.
pub const PLACE: &str = "{}";

/// Texts of the classes: for each class one list of ids per template.
#[derive(Clone, Debug)]
pub struct Classes {
    /// Names, as the labels are spelled.
    pub names: Vec<String>,
    texts: Vec<Vec<Vec<u32>>>,
}

impl Classes {
    /// Class names in templates that hold `{}`.
    ///
    /// # Errors
    /// Fewer than two classes, one twice, or a template without a place for the name.
    pub fn new(names: Vec<String>, templates: &[String], encode: impl Fn(&str) -> Vec<u32>) -> Result<Self> {
        if names.len() < 2 {
            return Err(Error::config(format!("--classes: {} class, at least two are needed", names.len())));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::config(format!("--classes: {name:?} stands there twice")));
        }
        if let Some(template) = templates.iter().find(|template| !template.contains(PLACE)) {
            return Err(Error::config(format!("--template {template:?}: no {PLACE} for the class name")));
        }
        let texts = names
            .iter()
            .map(|name| templates.iter().map(|template| encode(&template.replace(PLACE, name))).collect());
        Ok(Self { texts: texts.collect(), names })
    }

    /// The place of a class by its name, or by its number counted from 0.
    #[must_use]
    pub fn place(&self, label: &str) -> Option<usize> {
        let named = self.names.iter().position(|name| name == label);
        named.or_else(|| label.parse().ok().filter(|number| *number < self.names.len()))
    }
}

/// The most likely class of one picture; `batch` class texts are scored together.
///
/// # Errors
/// The codes or a class text do not fit the model, or its logits are NaN.
pub fn classify(model: &Rudolph, classes: &Classes, codes: &[u16], batch: usize) -> Result<usize> {
    let texts = classes.texts.iter().flatten().cloned().collect::<Vec<_>>();
    let found =
        classify_images(model, &[codes], &texts, &[], batch, &mut |_| ())?.swap_remove(0).perplexities;
    let templates = found.len() / classes.names.len();
    let sums = found.chunks(templates.max(1)).map(|of_class| of_class.iter().sum::<f32>());
    let lowest = sums.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
    Ok(lowest.map_or(0, |(class, _)| class))
}

/// How often each class was taken for each.
#[derive(Clone, Debug)]
pub struct Confusion {
    names: Vec<String>,
    counts: Vec<Vec<u64>>,
}

/// The accuracy and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Pictures.
    pub pictures: u64,
    /// Share of the pictures whose label was the first choice.
    pub accuracy_top_1: f64,
    /// What guessing one class at random reaches.
    pub chance: f64,
    /// Templates of the class texts.
    pub templates: Vec<String>,
}

impl Confusion {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: &Classes) -> Self {
        let n = classes.names.len();
        Self { names: classes.names.clone(), counts: vec![vec![0; n]; n] }
    }

    /// Counts a picture of class `label` that was taken for `found`.
    pub fn add(&mut self, label: usize, found: usize) {
        self.counts[label][found] += 1;
    }

    /// The accuracy.
    #[must_use]
    pub fn accuracy(&self, templates: &[String]) -> Accuracy {
        let pictures: u64 = self.counts.iter().flatten().sum();
        let right: u64 = (0..self.names.len()).map(|class| self.counts[class][class]).sum();
        Accuracy {
            pictures,
            accuracy_top_1: right as f64 / pictures.max(1) as f64,
            chance: 1.0 / self.names.len() as f64,
            templates: templates.to_vec(),
        }
    }

    /// Tab-separated: a row per label, a column per found class.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = vec![format!("label\t{}", self.names.join("\t"))];
        for (name, counts) in self.names.iter().zip(&self.counts) {
            let counts = counts.iter().map(u64::to_string).collect::<Vec<_>>();
            lines.push(format!("{name}\t{}", counts.join("\t")));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::rudolph::tests::{model, tiny};
    use crate::rudolph::{Row, Task};
    use crate::score::perplexities;

    fn classes(names: &[&str], templates: &[&str]) -> Result<Classes> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        // Ids that differ with the text and fit the tiny model.
        Classes::new(owned(names), &owned(templates), |text| {
            text.bytes().map(|b| 5 + u32::from(b % 15)).take(2).collect()
        })
    }

    #[test]
    fn the_lowest_perplexity_wins_whatever_the_batch() {
        let (model, device) = (model(&tiny()), Device::flex());
        let classes = classes(&["cat", "dog", "owl"], &["{}", "a {}"]).unwrap();
        let codes = vec![1; 9];
        let label = |batch| classify(&model, &classes, &codes, batch).unwrap();
        let alone = classes.texts.iter().map(|texts| {
            let one = |text: &Vec<u32>| {
                let row = Row { task: Task::ImageToText, text, codes: &codes };
                perplexities(&model, &model.config().batch(&[row], &device).unwrap().0).right[0]
            };
            texts.iter().map(one).sum::<f32>()
        });
        let alone = alone.collect::<Vec<_>>();
        assert!((0..3).all(|other| alone[label(4)] <= alone[other]), "{alone:?}");
        assert_eq!([label(1), label(2), label(64)], [label(4); 3]);
    }

    #[test]
    fn labels_are_names_or_numbers_and_faults_are_named() {
        let good = classes(&["cat", "7", "dog"], &["{}"]).unwrap();
        assert_eq!(
            [good.place("dog"), good.place("0"), good.place("7"), good.place("3")],
            [Some(2), Some(0), Some(1), None]
        );
        let fault = |names: &[&str], template| classes(names, &[template]).unwrap_err().to_string();
        assert!(fault(&["cat"], "{}").contains("at least two"));
        assert!(fault(&["cat", "cat"], "{}").contains("twice"));
        assert!(fault(&["cat", "dog"], "a picture").contains("no {} for the class name"));
    }

    #[test]
    fn the_table_counts_labels_by_row() {
        let classes = classes(&["cat", "dog"], &["{}"]).unwrap();
        let mut confusion = Confusion::new(&classes);
        [(0, 0), (0, 1), (1, 1), (1, 1)].into_iter().for_each(|(label, found)| confusion.add(label, found));
        assert_eq!(confusion.table(), "label\tcat\tdog\ncat\t1\t1\ndog\t0\t2");
        let accuracy = confusion.accuracy(&["{}".to_owned()]);
        assert_eq!((accuracy.pictures, accuracy.accuracy_top_1, accuracy.chance), (4, 0.75, 0.5));
    }
}
