//! The best label of a text by a fastText model.
//!
//! The crate reads models and makes a vector of a text. The walk down a tree of labels (hierarchical softmax, which both
//! published models for languages use) is here: the crate takes the labels of compressed models for a flat list, and names
//! wrong ones.

use std::borrow::Cow;
use std::path::Path;

use fasttext::args::LossName;
use fasttext::{FastText, FastTextError};

use crate::{Error, Result};

/// A model, ready to be asked.
pub(super) struct Labels {
    model: FastText,
    names: Vec<String>,
    /// Of each inner node of the tree the two below it: labels first, then inner nodes, the root last. Empty: no tree.
    tree: Vec<[usize; 2]>,
}

impl Labels {
    /// # Errors
    /// A file that is no such model, or none that can be asked.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let unreadable =
            |error: FastTextError| refused(path, &format!("not a readable fastText model: {error}"));
        let model = FastText::load_model(path).map_err(unreadable)?;
        let (names, counts) = model.get_labels();
        if names.is_empty() {
            return Err(refused(path, "a fastText model without labels"));
        }
        let tree = match model.args().loss {
            LossName::HierarchicalSoftmax if model.quant_output().is_some() => {
                return Err(refused(
                    path,
                    "a fastText model with a compressed tree of labels, which is not read",
                ));
            }
            LossName::HierarchicalSoftmax => tree(&counts),
            _ => Vec::new(),
        };
        let dimension = usize::try_from(model.get_dimension()).unwrap_or(0);
        if model.output_matrix().data().len() < tree.len() * dimension {
            return Err(refused(path, "a fastText model that lacks a part"));
        }
        Ok(Self { model, names, tree })
    }

    /// The best label of a text in one line, without its prefix, and how likely it is; of no words none.
    pub(super) fn best(&self, text: &str) -> Option<(Cow<'_, str>, f64)> {
        if self.tree.is_empty() {
            let found = self.model.predict(text, 1, 0.0).into_iter().next()?;
            return Some((bare(&found.label).to_owned().into(), found.prob.into()));
        }
        if text.trim().is_empty() {
            return None;
        }
        let (label, likely) = self.walk(&self.model.get_sentence_vector(text))?;
        Some((bare(&self.names[label]).into(), likely.into()))
    }

    /// The likeliest leaf; a branch that is less likely than a leaf found before is not followed.
    fn walk(&self, vector: &[f32]) -> Option<(usize, f32)> {
        let labels = self.names.len();
        let mut best: Option<(usize, f32)> = None;
        let mut open = vec![(labels + self.tree.len() - 1, 0.0_f32)];
        while let Some((node, score)) = open.pop() {
            if best.is_some_and(|(_, best)| score <= best) {
                continue;
            }
            let Some(inner) = node.checked_sub(labels) else {
                best = Some((node, score));
                continue;
            };
            let row = self.model.output_matrix().row(inner as i64);
            let right = sigmoid(row.iter().zip(vector).map(|(a, b)| a * b).sum());
            let mut below =
                [(self.tree[inner][0], score + log(1.0 - right)), (self.tree[inner][1], score + log(right))];
            below.sort_by(|a, b| a.1.total_cmp(&b.1));
            open.extend(below);
        }
        best.map(|(label, score)| (label, score.exp()))
    }
}

/// The Huffman tree of labels by how often each was seen, the most frequent first, as `buildTree` of fastText's `loss.cc`
/// makes it.
fn tree(counts: &[i64]) -> Vec<[usize; 2]> {
    let mut weights = counts.to_vec();
    let (mut leaves, mut inner) = (counts.len(), counts.len());
    let mut tree = Vec::new();
    for _ in 1..counts.len() {
        let mut lightest = || {
            if leaves > 0 && weights.get(inner).is_none_or(|weight| weights[leaves - 1] < *weight) {
                leaves -= 1;
                return leaves;
            }
            inner += 1;
            inner - 1
        };
        let two = [lightest(), lightest()];
        weights.push(weights[two[0]].saturating_add(weights[two[1]]));
        tree.push(two);
    }
    tree
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// As fastText has it: never infinite.
fn log(x: f32) -> f32 {
    (x + 1e-5).ln()
}

fn bare(label: &str) -> &str {
    label.strip_prefix("__label__").unwrap_or(label)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::input(path, why.to_owned()).with_hint("lid.176.ftz and lid.176.bin are the models for languages")
}

#[cfg(test)]
mod tests {
    use fasttext::args::{Args, ModelName};

    use super::*;

    const LESSONS: [(&str, &str, usize); 5] = [
        ("en", "a small cat on the old roof of a house", 50),
        ("fi", "kissa katolla talo vanha pieni punainen", 40),
        ("ru", "маленький кот на старой крыше дома", 30),
        ("de", "eine kleine katze auf dem alten dach des hauses", 20),
        ("fr", "un petit chat sur le vieux toit de la maison", 10),
    ];

    /// A model of five languages, trained here: the published ones are too large for a repository.
    fn trained(folder: &Path) -> FastText {
        let lines: String = LESSONS
            .iter()
            .map(|(name, text, times)| format!("__label__{name} {text}\n").repeat(*times))
            .collect();
        crate::atomic::write(folder.join("lines.txt"), lines).unwrap();
        let args = Args {
            input: folder.join("lines.txt"),
            model: ModelName::Supervised,
            loss: LossName::HierarchicalSoftmax,
            epoch: 20,
            lr: 0.5,
            dim: 16,
            bucket: 2000,
            minn: 2,
            maxn: 4,
            thread: 1,
            ..Args::default()
        };
        FastText::train(args).unwrap()
    }

    fn open(model: &FastText, path: &Path) -> Result<Labels> {
        model.save_model(path).unwrap();
        Labels::open(path)
    }

    #[test]
    fn the_walk_finds_what_the_crate_finds_in_a_model_as_trained() {
        let folder = tempfile::tempdir().unwrap();
        let model = trained(folder.path());
        let labels = open(&model, &folder.path().join("lid.bin")).unwrap();
        for text in LESSONS.map(|(_, text, _)| text).into_iter().chain(["katze kissa", "un cat", "кот"]) {
            let expected = model.predict(text, 1, 0.0).remove(0);
            let (label, likely) = labels.best(text).unwrap();
            assert_eq!(label, bare(&expected.label), "{text}");
            assert!((likely - f64::from(expected.prob)).abs() < 1e-5, "{text}: {likely} {}", expected.prob);
        }
        assert!(labels.best("").is_none() && labels.best("  ").is_none());
    }

    #[test]
    fn compressed_models_name_the_right_labels() {
        let folder = tempfile::tempdir().unwrap();
        let mut model = trained(folder.path());
        model.quantize(&Args { dsub: 2, qnorm: true, ..Args::default() }).unwrap();
        let labels = open(&model, &folder.path().join("lid.ftz")).unwrap();
        // Of so small a model the rarest label is lost in the compression.
        for (name, text, _) in &LESSONS[..4] {
            let (label, likely) = labels.best(text).unwrap();
            assert_eq!((&*label, likely > 0.8), (*name, true), "{text}: {likely}");
        }
    }

    #[test]
    fn a_compressed_tree_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut model = trained(folder.path());
        model.quantize(&Args { dsub: 2, qout: true, ..Args::default() }).unwrap();
        let error = open(&model, &folder.path().join("lid.ftz")).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("compressed tree of labels"), "{error}");
    }

    #[test]
    fn trees_join_the_lightest_first() {
        assert_eq!(tree(&[10, 6, 3, 2]), [[3, 2], [4, 1], [0, 5]]);
        assert_eq!(tree(&[5]), [[0; 2]; 0]);
    }
}
