//! The plain values of a pickle as JSON: what a checkpoint says beside its tensors.

use serde_json::{Map, Value};

use super::Fault;
use super::value::{Heap, Id, Node};

/// How deep the values may nest.
const DEEPEST: usize = 16;
/// How many values are handed out.
const MOST: usize = 100_000;

/// The value below `root` under `key`: numbers, texts, lists (also tuples and sets) and mappings; `null` for anything
/// else. `None` where `root` is no mapping that has the key.
///
/// # Errors
/// A value that is deeper or larger than any set of hyper-parameters.
pub(in super::super) fn plain(heap: &Heap, root: Id, key: &str) -> Result<Option<Value>, Fault> {
    let Node::Dict(pairs) = heap.get(root) else { return Ok(None) };
    let named = pairs.iter().rev().find(|(name, _)| heap.text(*name).as_deref() == Some(key));
    let mut left = MOST;
    named.map(|(_, id)| value(heap, *id, DEEPEST, &mut left)).transpose()
}

fn value(heap: &Heap, id: Id, deep: usize, left: &mut usize) -> Result<Value, Fault> {
    *left = left.saturating_sub(1);
    if deep == 0 || *left == 0 {
        return Err("the pickle's settings nest deeper or wider than any model's".to_owned());
    }
    let mut inner = |id: &Id| value(heap, *id, deep - 1, left);
    Ok(match heap.get(id) {
        Node::Bool(truth) => Value::from(*truth),
        Node::Int(number) => Value::from(*number),
        Node::Float(number) => Value::from(*number),
        Node::Text(text) => Value::from(text.as_str()),
        Node::Items(items) => items.iter().map(inner).collect::<Result<Vec<_>, _>>()?.into(),
        Node::Dict(pairs) => {
            let mut map = Map::new();
            for (key, id) in pairs {
                if let Some(key) = heap.text(*key) {
                    map.insert(key, inner(id)?);
                }
            }
            map.into()
        }
        _ => Value::Null,
    })
}
