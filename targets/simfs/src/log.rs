//! The log of metadata.
//!
//! Changes of a file's blocks and of its size on the device are transactions, in order. They are committed in memory
//! at once and become durable later: when they are forced, or by themselves. A write of the log is preceded by a
//! flush of the device's cache, as with PREFLUSH | FUA in xfs and jbd2. So what was written before a transaction was
//! committed is on the device when the transaction is; and that is what keeps blocks that a transaction calls
//! written from showing what the device held before. In ext4's terms, data is ordered: `simfs` logs an extent as
//! written, and the size behind it, when the data has been written, for all flavours that can crash.
//!
//! Every single change is a transaction here. A real log groups them. So this one has all crash states of a real
//! one, and more, and each of them must be a sound file.

use crate::extents::Block;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A file's metadata on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) blocks: Vec<Block>,
    pub(crate) size: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// Block `.0` of the file.
    Block(u64, Block),
    Size(u64),
}

impl Inode {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Size(size) => self.size = size,
            Change::Block(index, block) => {
                let index = index as usize;
                if self.blocks.len() <= index {
                    self.blocks.resize(index + 1, Block::Hole);
                }
                self.blocks[index] = block;
            }
        }
    }
}

#[derive(Debug)]
struct Transaction {
    change: Change,
    /// The device's clock when it was committed: what was written before is on the device if this is.
    clock: u64,
}

/// Transactions that are committed and not durable, and what was before them.
#[derive(Debug)]
pub(crate) struct Log {
    durable: Inode,
    /// How many transactions are in `durable`.
    count: u64,
    pending: Vec<Transaction>,
    clock: Arc<AtomicU64>,
}

impl Log {
    /// A log with nothing in it, behind `durable`. `clock` is the device's.
    pub(crate) fn new(durable: Inode, clock: Arc<AtomicU64>) -> Log {
        Log { durable, count: 0, pending: Vec::new(), clock }
    }

    pub(crate) fn commit(&mut self, change: Change) {
        self.pending.push(Transaction { change, clock: self.clock.load(Relaxed) });
    }

    /// The number of the next transaction.
    pub(crate) fn end(&self) -> u64 {
        self.count + self.pending.len() as u64
    }

    /// Makes the transactions before number `upto` durable; the caller has flushed the device. The number of the
    /// first one that is not.
    pub(crate) fn force(&mut self, upto: u64) -> u64 {
        let count = upto.saturating_sub(self.count).min(self.pending.len() as u64);
        for transaction in self.pending.drain(..count as usize) {
            self.durable.apply(transaction.change);
        }
        self.count += count;
        self.count
    }

    /// How many transactions are not durable.
    pub(crate) fn pending(&self) -> u32 {
        self.pending.len() as u32
    }

    /// What is there after a crash that keeps the first `kept` of the transactions that are not durable. With it, the
    /// device's clock before which everything is on the device.
    pub(crate) fn crash(&self, kept: u32) -> (Inode, u64) {
        let kept = &self.pending[..kept as usize];
        let mut inode = self.durable.clone();
        kept.iter().for_each(|transaction| inode.apply(transaction.change));
        (inode, kept.last().map_or(0, |transaction| transaction.clock))
    }
}
