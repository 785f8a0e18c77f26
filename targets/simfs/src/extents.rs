//! A file's block map.
//!
//! Kept block by block; an extent is a run of blocks of one kind at consecutive addresses. Every change moves the
//! sequence counter within the same hold of the lock, which is what makes a sampled cookie worth comparing.

use crate::device::Device;
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

    /// Whether `next` can follow `self` in one extent.
    fn continues(self, next: Block) -> bool {
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
    /// The size on the device.
    pub disk_size: u64,
}

impl Extents {
    /// Block `index` of the file.
    pub fn get(&self, index: u64) -> Block {
        self.blocks.get(index as usize).copied().unwrap_or_default()
    }

    /// Changes a block.
    pub fn set(&mut self, index: u64, block: Block) {
        if self.get(index) == block {
            return;
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
                device.free(at);
            }
            self.set(index, Block::Hole);
        }
    }
}
