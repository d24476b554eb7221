//! Ranks as threads of one process, for tests.

use std::sync::{Arc, Barrier, Mutex};

use super::{Ranks, Wire};

/// What all threads share.
#[derive(Debug)]
struct Table {
    barrier: Barrier,
    bytes: Vec<Mutex<Vec<u8>>>,
    numbers: Vec<Mutex<Vec<f32>>>,
}

#[derive(Debug)]
struct Thread {
    rank: usize,
    table: Arc<Table>,
}

/// So many ranks, each to be moved into a thread of its own.
pub(crate) fn ranks(world: usize) -> Vec<Ranks> {
    let table = Arc::new(Table {
        barrier: Barrier::new(world),
        bytes: (0..world).map(|_| Mutex::default()).collect(),
        numbers: (0..world).map(|_| Mutex::default()).collect(),
    });
    (0..world).map(|rank| Ranks(Some(Arc::new(Thread { rank, table: table.clone() })))).collect()
}

/// What every rank makes of `work`, each in a thread of its own.
pub(crate) fn together<T: Send>(world: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let started: Vec<_> = ranks(world).into_iter().map(|ranks| scope.spawn(|| work(ranks))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

impl Thread {
    /// Lays something on the table, waits for all, looks at the table, and waits until all have looked.
    fn pass<T: Clone>(&self, table: &[Mutex<Vec<T>>], mine: &[T], look: impl FnOnce(&[Mutex<Vec<T>>])) {
        *table[self.rank].lock().unwrap() = mine.to_vec();
        self.table.barrier.wait();
        look(table);
        self.table.barrier.wait();
    }
}

impl Wire for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.table.bytes.len()
    }

    fn local(&self) -> usize {
        self.rank
    }

    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        self.pass(&self.table.bytes, mine, |table| {
            all.extend(table.iter().map(|bytes| bytes.lock().unwrap().clone()));
        });
        all
    }

    fn exchange(&self, send: &[f32], receive: &mut [f32]) {
        let each = receive.len() / self.world();
        self.pass(&self.table.numbers, send, |table| {
            for (piece, numbers) in receive.chunks_mut(each).zip(table) {
                piece.copy_from_slice(&numbers.lock().unwrap()[self.rank * each..][..each]);
            }
        });
    }

    fn collect(&self, mine: &[f32], all: &mut [f32]) {
        self.pass(&self.table.numbers, mine, |table| {
            for (piece, numbers) in all.chunks_mut(mine.len()).zip(table) {
                piece.copy_from_slice(&numbers.lock().unwrap());
            }
        });
    }
}
