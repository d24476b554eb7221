//! Values of the pickle machine: descriptions of Python objects in one arena, so that shared and circular ones need no
//! copies and deep ones no recursion.

use burn::tensor::DType;

use super::Fault;

/// Index of a value in its [`Heap`].
pub(in super::super) type Id = usize;

/// Values that a pickle may make; a checkpoint with all of Adam's state has some 10,000.
const MOST: usize = 8_000_000;

/// A block of numbers in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Storage {
    /// Its name in the container.
    pub(in super::super) key: String,
    /// `None` for an untyped one, measured in bytes.
    pub(in super::super) dtype: Option<DType>,
    /// Elements that it holds.
    pub(in super::super) elements: usize,
    /// Elements of the container's block before it.
    pub(in super::super) offset: usize,
}

/// A tensor: how it lies in its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct View {
    pub(in super::super) storage: Storage,
    pub(in super::super) dtype: DType,
    pub(in super::super) offset: usize,
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) strides: Vec<usize>,
}

/// One value.
#[derive(Clone, Debug)]
pub(in super::super) enum Node {
    /// `None`, bytes, and what else decides nothing.
    Other,
    Bool(bool),
    Float(f64),
    Int(i64),
    Text(String),
    /// A class or function, as `module.name`.
    Name(String),
    /// A list, tuple or set.
    Items(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Storage(Storage),
    Tensor(View),
    /// An instance of a class that is none of the above: what it holds as a mapping, and its attributes.
    Object {
        pairs: Vec<(Id, Id)>,
        state: Option<Id>,
    },
}

/// All values of one pickle.
#[derive(Debug, Default)]
pub(in super::super) struct Heap(Vec<Node>);

impl Heap {
    pub(super) fn add(&mut self, node: Node) -> Result<Id, Fault> {
        if self.0.len() >= MOST {
            return Err(format!("the pickle makes more than {MOST} objects"));
        }
        self.0.push(node);
        Ok(self.0.len() - 1)
    }

    pub(in super::super) fn get(&self, id: Id) -> &Node {
        // Ids come from `add` alone.
        self.0.get(id).unwrap_or(&Node::Other)
    }

    /// All storages that were named, also those of tensors that are no weights.
    pub(in super::super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.0.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.0.get_mut(id)
    }

    pub(super) fn items(&self, id: Id) -> &[Id] {
        match self.get(id) {
            Node::Items(items) => items,
            _ => &[],
        }
    }

    /// A text, or an integer where old files use one as a key.
    pub(in super::super) fn text(&self, id: Id) -> Option<String> {
        match self.get(id) {
            Node::Text(text) | Node::Name(text) => Some(text.clone()),
            Node::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match self.get(id) {
            Node::Items(items) => items.iter().map(|item| self.size(*item)).collect(),
            _ => None,
        }
    }
}
