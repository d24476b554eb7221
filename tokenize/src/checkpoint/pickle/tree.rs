//! From a pickled object to its tensors by dotted names, as `state_dict()` would name them.

use std::collections::BTreeMap;

use super::Fault;
use super::value::{Heap, Id, Node, View};

/// How deep dictionaries and modules may nest.
const DEEPEST: usize = 64;
/// How many values may be visited: shared ones count as often as they appear.
const MOST: usize = 4_000_000;

/// All tensors under `root`: those of nested dictionaries and lists, and the parameters and persistent buffers of whole
/// pickled modules.
///
/// # Errors
/// A structure that is deeper or larger than any checkpoint.
pub(in super::super) fn tensors(heap: &Heap, root: Id) -> Result<BTreeMap<String, View>, Fault> {
    let mut walk = Walk { heap, found: BTreeMap::new(), path: Vec::new(), visited: 0 };
    walk.visit(root)?;
    Ok(walk.found)
}

struct Walk<'a> {
    heap: &'a Heap,
    found: BTreeMap<String, View>,
    path: Vec<String>,
    visited: usize,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id) -> Result<(), Fault> {
        self.visited += 1;
        if self.path.len() > DEEPEST || self.visited > MOST {
            return Err("the pickle nests deeper or wider than any checkpoint does".to_owned());
        }
        let heap = self.heap;
        match heap.get(id) {
            Node::Tensor(view) => drop(self.found.insert(self.path.join("."), view.clone())),
            Node::Items(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.enter(index.to_string(), *item)?;
                }
            }
            Node::Dict(pairs) => self.pairs(pairs, &[])?,
            Node::Object { pairs, state } => {
                self.pairs(pairs, &[])?;
                if let Some(state) = state {
                    self.module(*state)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, name: String, id: Id) -> Result<(), Fault> {
        self.path.push(name);
        self.visit(id)?;
        self.path.pop();
        Ok(())
    }

    fn pairs(&mut self, pairs: &[(Id, Id)], without: &[String]) -> Result<(), Fault> {
        for (key, value) in pairs {
            // Keys that are neither texts nor numbers (None, tuples) name no tensor of a model.
            if let Some(name) = self.heap.text(*key).filter(|name| !without.contains(name)) {
                self.enter(name, *value)?;
            }
        }
        Ok(())
    }

    /// The parts of a `torch.nn.Module` that its `state_dict` holds.
    fn module(&mut self, state: Id) -> Result<(), Fault> {
        let heap = self.heap;
        let attribute = |name: &str| match heap.get(state) {
            Node::Dict(pairs) => pairs
                .iter()
                .rev()
                .find(|(key, _)| heap.text(*key).as_deref() == Some(name))
                .map(|pair| pair.1),
            _ => None,
        };
        let kept = attribute("_non_persistent_buffers_set").map(|id| heap.items(id)).unwrap_or_default();
        let transient: Vec<String> = kept.iter().filter_map(|id| heap.text(*id)).collect();
        for part in ["_parameters", "_buffers", "_modules"] {
            if let Some(Node::Dict(pairs)) = attribute(part).map(|id| heap.get(id)) {
                self.pairs(pairs, if part == "_buffers" { &transient } else { &[] })?;
            }
        }
        Ok(())
    }
}
