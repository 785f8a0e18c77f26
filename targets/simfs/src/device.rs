//! The device.

use parking_lot::Mutex;
use std::ops::Range;

/// Fills bytes with what the device holds, before anything was written, from this address on.
pub type Garbage = fn(&mut [u8], u64);

/// A device of equal blocks, as many as are asked for. A block that was never written holds garbage; a block that
/// was freed holds what it held, and is the next to be handed out.
#[derive(Debug)]
pub struct Device {
    block: u64,
    garbage: Garbage,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: Vec<Option<Box<[u8]>>>,
    freed: Vec<u32>,
}

impl Device {
    /// A device with blocks of `block` bytes.
    pub fn new(block: u64, garbage: Garbage) -> Device {
        Device { block, garbage, state: Mutex::default() }
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

    /// Frees a block.
    pub fn free(&self, block: u32) {
        self.state.lock().freed.push(block);
    }

    /// Number of blocks in use.
    pub fn used(&self) -> usize {
        let state = self.state.lock();
        state.blocks.len() - state.freed.len()
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
        let mut state = self.state.lock();
        let mut addr = addr;
        while !from.is_empty() {
            let (block, at) = (addr / self.block, (addr % self.block) as usize);
            let len = from.len().min(self.block as usize - at);
            let (part, rest) = from.split_at(len);
            let bytes = state.blocks[block as usize].get_or_insert_with(|| {
                let mut bytes = vec![0; self.block as usize].into_boxed_slice();
                if len < bytes.len() {
                    (self.garbage)(&mut bytes, block * self.block);
                }
                bytes
            });
            bytes[at..at + len].copy_from_slice(part);
            from = rest;
            addr += len as u64;
        }
    }
}
