//! The pickle inside a `torch.save` file: which tensors it names, and which calls it asks for. Nothing is ever executed.
//!
//! A pickle is a program for a stack machine, and one of its instructions calls any function of any Python module.
//! [`read`] runs that program with values that are only descriptions: the handful of calls that rebuild tensors have a
//! meaning here ([`calls`]), some are known to be inert, every other is refused by name. pytorch-reader, which burn-store
//! uses, passes over foreign calls in silence and cannot read Lightning's checkpoints, whose `callbacks` have classes as
//! keys; hence an own one. Source of the format: CPython's `Lib/pickletools.py` and torch's `serialization.py`.

mod bytes;
mod calls;
mod machine;
mod plain;
mod tree;
mod value;

pub(super) use bytes::Bytes;
pub(super) use machine::read;
pub(super) use plain::plain;
pub(super) use tree::tensors;
pub(super) use value::{Heap, Node, Storage, View};

/// Why a pickle cannot be used, in words.
pub(super) type Fault = String;

#[cfg(test)]
mod tests;
