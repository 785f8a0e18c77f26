//! A file's block map.
//!
//! Kept block by block; an extent is a run of blocks of one kind at consecutive addresses. Every change moves the
//! sequence counter within the same hold of the lock, which is what makes a sampled cookie worth comparing.

use crate::device::Device;
use crate::log::{Change, Inode, Log};
use iomap::{Iomap, Kind};
use std::ops::Range;

/// One block of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Block {
    /// Nothing.
    #[default]
    Hole,
    /// Reserved.
    Delalloc,
    /// Allocated, content does not count.
    Unwritten(u32),
    /// Allocated, with data.
    Written(u32),
}

impl Block {
    fn kind(self) -> Kind {
        match self {
            Block::Hole => Kind::Hole,
            Block::Delalloc => Kind::Delalloc,
            Block::Unwritten(_) => Kind::Unwritten,
            Block::Written(_) => Kind::Mapped,
        }
    }

    /// The device block, if there is one.
    pub fn device_block(self) -> Option<u32> {
        match self {
            Block::Unwritten(at) | Block::Written(at) => Some(at),
            Block::Hole | Block::Delalloc => None,
        }
    }

    /// The block as metadata on the device has it, which knows no reservations.
    fn on_device(self) -> Block {
        if self == Block::Delalloc { Block::Hole } else { self }
    }

    /// Whether `next` can follow `self` in one extent.
    pub(crate) fn continues(self, next: Block) -> bool {
        match (self, next) {
            (Block::Unwritten(a), Block::Unwritten(b)) | (Block::Written(a), Block::Written(b)) => a + 1 == b,
            _ => self == next,
        }
    }
}

/// The block map, with what its lock protects.
#[derive(Debug, Default)]
pub struct Extents {
    blocks: Vec<Block>,
    /// Moved by every change of the map.
    pub sequence: u64,
    disk_size: u64,
    /// Where changes are logged; none if they are durable at once.
    log: Option<Log>,
}

impl Extents {
    /// The map of a file that is on a device which may crash.
    pub(crate) fn logged(inode: Inode, device: &Device) -> Extents {
        let log = Log::new(inode.clone(), device.clock());
        Extents { blocks: inode.blocks, sequence: 0, disk_size: inode.size, log: Some(log) }
    }

    /// The map of a file of this size, all of it a hole. Changes are durable at once.
    pub(crate) fn of_hole(size: u64) -> Extents {
        Extents { disk_size: size, ..Extents::default() }
    }

    /// The size on the device.
    pub fn disk_size(&self) -> u64 {
        self.disk_size
    }

    /// Sets the size on the device.
    pub fn set_disk_size(&mut self, size: u64) {
        if size != self.disk_size {
            self.disk_size = size;
            self.commit(Change::Size(size));
        }
    }

    fn commit(&mut self, change: Change) {
        if let Some(log) = &mut self.log {
            log.commit(change);
        }
    }

    /// The number of the next transaction.
    pub(crate) fn log_end(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::end)
    }

    /// Makes the transactions before number `upto` durable, the device's cache flushed before.
    pub(crate) fn force_log(&mut self, upto: u64, device: &Device) {
        if let Some(log) = &mut self.log {
            device.flush();
            device.release(log.force(upto));
        }
    }

    /// How many transactions are not durable.
    pub(crate) fn pending(&self) -> u32 {
        self.log.as_ref().map_or(0, Log::pending)
    }

    /// What a crash leaves that keeps the first `kept` of the transactions that are not durable, and the device's
    /// clock before which all writes are on the device; none if nothing is ever lost.
    pub(crate) fn crash(&self, kept: u32) -> Option<(Inode, u64)> {
        self.log.as_ref().map(|log| log.crash(kept))
    }

    /// Block `index` of the file.
    pub fn get(&self, index: u64) -> Block {
        self.blocks.get(index as usize).copied().unwrap_or_default()
    }

    /// Changes a block.
    pub fn set(&mut self, index: u64, block: Block) {
        let before = self.get(index);
        if before == block {
            return;
        }
        if before.on_device() != block.on_device() {
            self.commit(Change::Block(index, block.on_device()));
        }
        if self.blocks.len() <= index as usize {
            self.blocks.resize(index as usize + 1, Block::Hole);
        }
        self.blocks[index as usize] = block;
        self.sequence += 1;
    }

    /// Number of blocks the map reaches to; everything behind is a hole.
    pub fn len(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Whether there is nothing in the map.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The extent that block `first` begins, up to block `end` at most. `block` is the block size in bytes.
    pub fn lookup(&self, first: u64, end: u64, block: u64, device: &Device) -> Iomap {
        let here = self.get(first);
        let mut stop = first + 1;
        while stop < end && self.get(stop - 1).continues(self.get(stop)) {
            stop += 1;
        }
        Iomap {
            range: first * block..stop * block,
            kind: here.kind(),
            addr: here.device_block().map_or(u64::MAX, |at| device.addr(at)),
            new: false,
            cookie: self.sequence,
        }
    }

    /// Gives `blocks` back: device blocks to the device, reservations to nobody.
    pub fn remove(&mut self, blocks: Range<u64>, device: &Device) {
        for index in blocks.start..blocks.end.min(self.len()) {
            if let Some(at) = self.get(index).device_block() {
                device.free(at, self.log_end());
            }
            self.set(index, Block::Hole);
        }
    }
}
