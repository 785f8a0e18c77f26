//! The device.
//!
//! Without a cache of its own what is written is there for good, and a block that is freed is the next to be handed
//! out. With a *volatile cache* (`Device::volatile`) what is written is there for whoever reads, and lost in a
//! crash unless it was flushed: unit by unit, in any order ([`crate::crash`]). A freed block is handed out again only
//! when the transaction that freed it is durable: until then a crash brings the block back to whom it belonged.

use crate::cache::Cache;
use crate::crash::Choose;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Fills bytes with what the device holds, before anything was written, from this address on.
pub type Garbage = fn(&mut [u8], u64);

/// A device of equal blocks, as many as are asked for. A block that was never written holds garbage; a block that
/// was freed holds what it held.
#[derive(Debug)]
pub struct Device {
    block: u64,
    garbage: Garbage,
    state: Mutex<State>,
    /// Units written so far. Whoever logs a change looks at it: what was written before is older than the change.
    clock: Arc<AtomicU64>,
}

#[derive(Clone, Debug, Default)]
struct State {
    blocks: Blocks,
    freed: Vec<u32>,
    /// Freed by the transaction of this number, which is not durable yet.
    busy: Vec<(u64, u32)>,
    cache: Option<Cache>,
}

/// The blocks of a device; none where nothing was written.
pub(crate) type Blocks = Vec<Option<Box<[u8]>>>;

impl Device {
    /// A device with blocks of `block` bytes.
    pub fn new(block: u64, garbage: Garbage) -> Device {
        Device { block, garbage, state: Mutex::default(), clock: Arc::default() }
    }

    /// A device with a volatile cache, which is lost by `unit` bytes, and with `blocks` on it; `is_used` says which
    /// of them are not free.
    pub(crate) fn volatile(
        block: u64,
        unit: u64,
        garbage: Garbage,
        blocks: Blocks,
        used: impl Fn(u32) -> bool,
    ) -> Device {
        let device = Device::new(block, garbage);
        {
            let mut state = device.state.lock();
            state.freed = (0..blocks.len() as u32).filter(|block| !used(*block)).collect();
            state.blocks = blocks;
            state.cache = Some(Cache::new(unit));
        }
        device
    }

    /// The number of units written so far.
    pub(crate) fn clock(&self) -> Arc<AtomicU64> {
        self.clock.clone()
    }

    /// A free block.
    pub fn allocate(&self) -> u32 {
        let mut state = self.state.lock();
        state.freed.pop().unwrap_or_else(|| {
            state.blocks.push(None);
            state.blocks.len() as u32 - 1
        })
    }

    /// Free blocks in a row: one at least, `most` at most.
    pub fn allocate_run(&self, most: u64) -> Range<u32> {
        let first = self.allocate();
        let mut run = first..first + 1;
        let mut state = self.state.lock();
        while u64::from(run.end - first) < most {
            if state.freed.last() == Some(&run.end) {
                state.freed.pop();
            } else if state.blocks.len() == run.end as usize {
                state.blocks.push(None);
            } else {
                break;
            }
            run.end += 1;
        }
        run
    }

    /// Frees a block, in the transaction of this number.
    pub fn free(&self, block: u32, transaction: u64) {
        let mut state = self.state.lock();
        match state.cache {
            Some(_) => state.busy.push((transaction, block)),
            None => state.freed.push(block),
        }
    }

    /// All transactions before number `durable` are on the device: what they freed can be handed out.
    pub(crate) fn release(&self, durable: u64) {
        let state = &mut *self.state.lock();
        let freed = state.busy.extract_if(.., |(transaction, _)| *transaction < durable);
        state.freed.extend(freed.map(|(_, block)| block));
    }

    /// Number of blocks in use.
    pub fn used(&self) -> usize {
        let state = self.state.lock();
        state.blocks.len() - state.freed.len() - state.busy.len()
    }

    /// Address of a block's first byte.
    pub fn addr(&self, block: u32) -> u64 {
        u64::from(block) * self.block
    }

    /// Reads from `addr` on.
    pub fn read(&self, addr: u64, mut into: &mut [u8]) {
        let state = self.state.lock();
        let mut addr = addr;
        while !into.is_empty() {
            let (block, at) = (addr / self.block, (addr % self.block) as usize);
            let len = into.len().min(self.block as usize - at);
            let (part, rest) = into.split_at_mut(len);
            match state.blocks.get(block as usize) {
                Some(Some(bytes)) => part.copy_from_slice(&bytes[at..at + len]),
                _ => (self.garbage)(part, addr),
            }
            into = rest;
            addr += len as u64;
        }
    }

    /// Writes from `addr` on.
    pub fn write(&self, addr: u64, mut from: &[u8]) {
        let State { blocks, cache, .. } = &mut *self.state.lock();
        let mut addr = addr;
        while !from.is_empty() {
            let (block, at) = (addr / self.block, (addr % self.block) as usize);
            let len = from.len().min(self.block as usize - at);
            let (part, rest) = from.split_at(len);
            let start = block * self.block;
            let bytes = blocks[block as usize].get_or_insert_with(|| {
                let mut bytes = vec![0; self.block as usize].into_boxed_slice();
                if len < bytes.len() || cache.is_some() {
                    (self.garbage)(&mut bytes, start);
                }
                bytes
            });
            if let Some(cache) = cache {
                cache.keep(start, bytes, at..at + len);
                self.clock.store(cache.written(), Relaxed);
            }
            bytes[at..at + len].copy_from_slice(part);
            from = rest;
            addr += len as u64;
        }
    }

    /// Everything that was written is there for good.
    pub(crate) fn flush(&self) {
        if let Some(cache) = &mut self.state.lock().cache {
            cache.flush();
        }
    }

    /// The device as it is now, with its cache.
    pub(crate) fn copy(&self) -> Device {
        let state = Mutex::new(self.state.lock().clone());
        Device { block: self.block, garbage: self.garbage, state, clock: Arc::default() }
    }

    /// What is on it after a crash: of the units written at or after number `from` and not flushed, `choose` says
    /// which are.
    pub(crate) fn crash(self, from: u64, choose: &mut Choose<'_>) -> Blocks {
        let State { mut blocks, cache, .. } = self.state.into_inner();
        if let Some(cache) = cache {
            cache.crash(self.block, from, &mut blocks, choose);
        }
        blocks
    }
}
