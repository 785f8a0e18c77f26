//! A crash, and what comes up after it.
//!
//! What is in memory is lost: the cache, delayed allocation, transactions that are not durable. Of those the log
//! may still have a few, the oldest ones; of what was written to the device and not flushed, anything. A write that
//! was under way is one of these. What is kept is chosen by the caller, 0 being "as little as possible".
//!
//! A crash comes between two operations of the lane that crashes. That loses no states of interest: what an operation
//! has logged since the last force may be kept up to any point, and what it has written in any part.
//!
//! xfs leaves what it finds: zeroing on extension sees to it that nothing beyond the end of file shows. ext4 relies on
//! zeros there. It has the files whose size is changing on its orphan list, and cuts them at the recovered size.

use crate::device::Blocks;
use crate::extents::Block;
use crate::file::{Config, File, Io};
use crate::flavour::Flavour;
use crate::log::Inode;

/// What a crash has to be told. The answers are numbers, and 0 keeps as little as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which of the transactions that are committed and not durable the log has nonetheless: 0 none, 1 all, 2 a
    /// beginning.
    Log,
    /// How many of them behind the first one, if it is a beginning.
    Beginning,
    /// How the device's cache fares: 0 nothing of it is kept, 1 everything, 2 what is chosen, 3 all but what is chosen.
    Cache,
    /// Which version of a unit, if units are chosen: how many after the oldest there may be, or before the newest.
    Unit,
}

/// Who answers: one of `0..n`.
pub type Choose<'c> = dyn FnMut(Question, u32) -> u32 + 'c;

/// What a crash has left of a file.
#[derive(Clone, Debug)]
pub struct Wreck {
    pub(crate) inode: Inode,
    pub(crate) blocks: Blocks,
}

impl Flavour {
    /// Whether data is on the device before the transaction that shows it. xfs before Linux 5.9 logs blocks as
    /// written when it allocates them: a crash shows what the device held, in holes that were being filled. So does
    /// gfs2 here, where nothing writes the data of a transaction before the transaction.
    pub fn survives_crashes(self) -> bool {
        match self {
            Flavour::Xfs | Flavour::Ext4 => true,
            Flavour::Xfs58 | Flavour::Gfs2 | Flavour::Gfs2Journaled => false,
        }
    }
}

impl File {
    /// What is left if the machine stops now. `choose` says how much. None if the device has no
    /// volatile cache, or the flavour's rules do not survive a crash.
    pub fn crash(&self, choose: &mut Choose<'_>) -> Option<Wreck> {
        if !self.flavour.survives_crashes() {
            return None;
        }
        // No lock is held while choosing: whoever is asked may look at the file.
        let pending = self.extents.lock().pending();
        let kept = match if pending > 0 { choose(Question::Log, pending.min(2) + 1) } else { 0 } {
            0 => 0,
            1 => pending,
            _ => 1 + choose(Question::Beginning, pending - 1),
        };
        let (inode, clock) = self.extents.lock().crash(kept)?;
        let device = self.device.copy();
        for io in &*self.queue.lock() {
            // Under way: the device may have done it, or a part.
            if let Io::Write(io) = io {
                device.write(io.addr, io.data());
            }
        }
        for (addr, bytes) in self.direct_queue.lock().iter().flat_map(|submitted| submitted.io.writes()) {
            device.write(addr, bytes);
        }
        Some(Wreck { inode, blocks: device.crash(clock, choose) })
    }

    /// The file that comes up after a crash, on the same device.
    pub fn recover(config: &Config, wreck: Wreck) -> File {
        let Wreck { mut inode, blocks } = wreck;
        if config.flavour == Flavour::Ext4 {
            inode.blocks.truncate(inode.size.div_ceil(config.sizes.block) as usize);
        }
        let file = File::on_device(config, inode, blocks, true);
        if config.flavour == Flavour::Ext4 {
            file.zero_tail_on_device();
        }
        file
    }

    fn zero_tail_on_device(&self) {
        let (size, block) = (self.size(), self.mapping.sizes.block);
        if let Block::Written(at) = self.extents.lock().get(size / block) {
            let tail = size % block;
            self.device.write(self.device.addr(at) + tail, &vec![0; (block - tail) as usize]);
            self.device.flush();
        }
    }

    /// The bytes of the file as they are on the device, and nowhere else.
    pub fn content_on_device(&self) -> Vec<u8> {
        let extents = self.extents.lock();
        let block = self.mapping.sizes.block as usize;
        let mut content = vec![0; self.size() as usize];
        for (index, part) in (0..).zip(content.chunks_mut(block)) {
            if let Block::Written(at) = extents.get(index) {
                self.device.read(self.device.addr(at), part);
            }
        }
        content
    }
}
