//! The stack machine of pickle, protocols 0 to 5.

use std::collections::HashMap;

use super::calls::{call, persistent, refusal};
use super::value::{Heap, Id, Node};
use super::{Bytes, Fault};

/// Runs the pickle at the front of `bytes` and leaves what comes after it.
///
/// # Errors
/// A damaged pickle, or one that calls what weights do not need: the function is named.
pub(in super::super) fn read(bytes: &mut Bytes<'_>) -> Result<(Heap, Id), Fault> {
    let mut machine = Machine::default();
    loop {
        match bytes.byte()? {
            b'.' => break,
            op => machine.step(op, bytes)?,
        }
    }
    let root = machine.pop()?;
    Ok((machine.heap, root))
}

#[derive(Default)]
struct Machine {
    heap: Heap,
    stack: Vec<Id>,
    /// Heights of the stack at each MARK.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine {
    fn step(&mut self, op: u8, bytes: &mut Bytes<'_>) -> Result<(), Fault> {
        match op {
            // Containers and calls
            b'(' => self.marks.push(self.stack.len()),
            b')' | b']' | 0x8f => self.push(Node::Items(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b't' | b'l' | 0x91 => self.gather(Node::Items)?,
            b'd' => self.gather(|items| Node::Dict(paired(&items)))?,
            0x85..=0x87 => self.tuple(usize::from(op - 0x84))?,
            b'a' => self.append(1)?,
            b'e' | 0x90 => self.append_marked()?,
            b's' => self.set(1)?,
            b'u' => self.set_marked()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            0x81 => self.instance(1)?,
            0x92 => self.instance(2)?,
            b'i' => {
                let name = name(&bytes.line()?, &bytes.line()?);
                self.gather(Node::Items)?;
                let args = self.pop()?;
                self.call(&name, args)?;
            }
            b'o' => {
                self.gather(Node::Items)?;
                return Err(refusal(&self.first_name()));
            }
            // Names and references
            b'c' => {
                let name = name(&bytes.line()?, &bytes.line()?);
                self.push(Node::Name(name))?;
            }
            0x93 => {
                let (attribute, module) = (self.pop()?, self.pop()?);
                let part = |id| self.heap.text(id).ok_or("a name in the pickle is no text");
                let name = name(&part(module)?, &part(attribute)?);
                self.push(Node::Name(name))?;
            }
            b'P' => {
                let line = bytes.line()?;
                return Err(format!("the pickle refers to {line:?} outside of it, not to a storage"));
            }
            b'Q' => {
                let id = self.pop()?;
                let found = persistent(&mut self.heap, id)?;
                self.stack.push(found);
            }
            _ => return self.plain(op, bytes),
        }
        Ok(())
    }

    /// Numbers, texts, and the bookkeeping of stack and memo.
    fn plain(&mut self, op: u8, bytes: &mut Bytes<'_>) -> Result<(), Fault> {
        match op {
            0x80 => drop(bytes.byte()?),
            0x95 => drop(bytes.array::<8>()?),
            b'0' => drop(self.pop_or_mark()),
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Node::Other)?,
            0x88 | 0x89 => self.push(Node::Bool(op == 0x88))?,
            b'I' | b'L' => {
                let line = bytes.line()?;
                let number = line.trim_end_matches('L').parse();
                self.push(number.map_or(Node::Other, Node::Int))?;
            }
            b'F' => {
                let number = bytes.line()?.parse();
                self.push(number.map_or(Node::Other, Node::Float))?;
            }
            b'G' => self.push(Node::Float(f64::from_be_bytes(bytes.array()?)))?,
            b'J' => self.push(Node::Int(i64::from(i32::from_le_bytes(bytes.array()?))))?,
            b'K' => self.push(Node::Int(i64::from(bytes.byte()?)))?,
            b'M' => self.push(Node::Int(i64::from(u16::from_le_bytes(bytes.array()?))))?,
            0x8a => long(self, bytes.length::<1>()?, bytes)?,
            0x8b => long(self, bytes.length::<4>()?, bytes)?,
            b'p' => self.remember(index(&bytes.line()?)?)?,
            b'q' => self.remember(bytes.length::<1>()?)?,
            b'r' => self.remember(bytes.length::<4>()?)?,
            0x94 => self.remember(self.memo.len())?,
            b'g' => self.recall(index(&bytes.line()?)?)?,
            b'h' => self.recall(bytes.length::<1>()?)?,
            b'j' => self.recall(bytes.length::<4>()?)?,
            _ => return self.string(op, bytes),
        }
        Ok(())
    }

    fn string(&mut self, op: u8, bytes: &mut Bytes<'_>) -> Result<(), Fault> {
        let length = match op {
            b'S' | b'V' => {
                let line = bytes.line()?;
                let quoted = line.trim_matches(|c| op == b'S' && (c == '\'' || c == '"'));
                return self.push(Node::Text(quoted.to_owned()));
            }
            b'U' | b'C' | 0x8c => bytes.length::<1>()?,
            b'T' | b'X' | b'B' => bytes.length::<4>()?,
            0x8d | 0x8e | 0x96 => bytes.length::<8>()?,
            _ => return Err(format!("the pickle is damaged: no instruction has the code 0x{op:02x}")),
        };
        if matches!(op, b'C' | b'B' | 0x8e | 0x96) {
            bytes.take(length)?;
            return self.push(Node::Other);
        }
        let text = bytes.text(length)?;
        self.push(Node::Text(text))
    }

    fn push(&mut self, node: Node) -> Result<(), Fault> {
        let id = self.heap.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    /// The stack above the newest MARK belongs to whoever takes that mark.
    fn pop(&mut self) -> Result<Id, Fault> {
        match self.stack.len() > self.marks.last().copied().unwrap_or(0) {
            true => self.stack.pop().ok_or_else(underrun),
            false => Err(underrun()),
        }
    }

    fn top(&self) -> Result<Id, Fault> {
        self.stack.last().copied().ok_or_else(underrun)
    }

    fn pop_or_mark(&mut self) -> Option<Id> {
        self.pop().ok().or_else(|| {
            self.marks.pop();
            None
        })
    }

    fn marked(&mut self) -> Result<Vec<Id>, Fault> {
        let height = self.marks.pop().ok_or_else(underrun)?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }

    fn gather(&mut self, node: impl FnOnce(Vec<Id>) -> Node) -> Result<(), Fault> {
        let items = self.marked()?;
        self.push(node(items))
    }

    fn tuple(&mut self, length: usize) -> Result<(), Fault> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Node::Items(items))
    }

    fn append(&mut self, count: usize) -> Result<(), Fault> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.extend(items)
    }

    fn append_marked(&mut self) -> Result<(), Fault> {
        let items = self.marked()?;
        self.extend(items)
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), Fault> {
        let list = self.top()?;
        if let Some(Node::Items(list)) = self.heap.get_mut(list) {
            list.extend(items);
        }
        Ok(())
    }

    fn set(&mut self, count: usize) -> Result<(), Fault> {
        let mut items = (0..2 * count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.update(&items)
    }

    fn set_marked(&mut self) -> Result<(), Fault> {
        let items = self.marked()?;
        self.update(&items)
    }

    fn update(&mut self, items: &[Id]) -> Result<(), Fault> {
        let target = self.top()?;
        if let Some(Node::Dict(pairs) | Node::Object { pairs, .. }) = self.heap.get_mut(target) {
            pairs.extend(paired(items));
        }
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Fault> {
        let (args, callee) = (self.pop()?, self.pop()?);
        match self.heap.get(callee).clone() {
            Node::Name(name) => self.call(&name, args),
            _ => Err(refusal("what another call made")),
        }
    }

    fn call(&mut self, name: &str, args: Id) -> Result<(), Fault> {
        let made = call(&mut self.heap, name, args)?;
        self.stack.push(made);
        Ok(())
    }

    /// An instance without its constructor run, as `object.__new__` makes it; `arguments` lie above the class.
    fn instance(&mut self, arguments: usize) -> Result<(), Fault> {
        for _ in 0..=arguments {
            self.pop()?;
        }
        self.push(Node::Object { pairs: Vec::new(), state: None })
    }

    /// Attributes of an instance; what a dict or a tensor gets beside its items is no weight.
    fn build(&mut self) -> Result<(), Fault> {
        let attributes = self.pop()?;
        let target = self.top()?;
        if let Some(Node::Object { state, .. }) = self.heap.get_mut(target) {
            *state = Some(attributes);
        }
        Ok(())
    }

    fn remember(&mut self, index: usize) -> Result<(), Fault> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), Fault> {
        let id = self
            .memo
            .get(&index)
            .ok_or_else(|| format!("the pickle recalls number {index} before it is kept"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn first_name(&self) -> String {
        let first = self.top().ok().and_then(|items| self.heap.items(items).first().copied());
        first.and_then(|id| self.heap.text(id)).unwrap_or_default()
    }
}

/// A long integer; one that is wider than 64 bits is none of a tensor's sizes.
fn long(machine: &mut Machine, length: usize, bytes: &mut Bytes<'_>) -> Result<(), Fault> {
    let digits = bytes.take(length)?;
    let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    let node = match wide.get_mut(..length) {
        Some(low) => {
            low.copy_from_slice(digits);
            Node::Int(i64::from_le_bytes(wide))
        }
        None => Node::Other,
    };
    machine.push(node)
}

fn paired(items: &[Id]) -> Vec<(Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

fn name(module: &str, attribute: &str) -> String {
    format!("{module}.{attribute}")
}

fn index(line: &str) -> Result<usize, Fault> {
    line.parse().map_err(|_| format!("the pickle is damaged: {line:?} is no number"))
}

fn underrun() -> Fault {
    "the pickle is damaged: it takes more from its stack than lies there".to_owned()
}
