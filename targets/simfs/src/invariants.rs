//! What must hold between the cache, the extents and the sizes.

use crate::extents::Block;
use crate::file::File;
use pagecache::Broken;
use std::collections::BTreeSet;

impl File {
    /// Rules that hold whenever no lane is inside a short section.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Broken> {
        self.mapping.check()?;
        self.check_backing()
    }

    /// A dirty or pinned block below the end of file has somewhere to be written to, or nothing to lose: writeback drops it
    /// otherwise. (A store makes the whole folio dirty; after an extension, blocks of zeros without backing can be
    /// among it.) Not while an operation that changes blocks is under way, nor for a folio somebody is working on.
    fn check_backing(&self) -> Result<(), Broken> {
        // What was lost may still be cached, over blocks that were given up; and a fault that cannot reserve all of
        // its folio's blocks fails after the first of them has made the folio dirty, with what was lost in it.
        if self.mapping.has_lost_data() {
            return Ok(());
        }
        let excluded = || self.i_rwsem.is_write_locked() || self.mapping.invalidate_lock.is_write_locked();
        let index = self.mapping.index();
        let extents = self.extents.lock();
        for folio in index.iter().map(|slot| slot.folio).filter(|folio| !folio.is_locked()) {
            let block = self.mapping.sizes.block;
            let first = self.mapping.pos(folio) / block;
            let (dirty, pinned) = (folio.is_dirty(), folio.pinned());
            if !dirty && pinned == 0 {
                continue;
            }
            let state = *folio.blocks.lock();
            let data = folio.data.read();
            for n in 0..u64::from(self.mapping.block_count(folio)) {
                let dirty = (dirty && state.is_none_or(|state| state.is_dirty(n as u32))) || pinned >> n & 1 != 0;
                let lost = dirty && first + n < self.eof_block() && extents.get(first + n) == Block::Hole;
                let holds_data =
                    || data[(n * block) as usize..((n + 1) * block) as usize].iter().any(|byte| *byte != 0);
                if lost && holds_data() && !excluded() {
                    return Err(Broken::invariant(format!(
                        "block {} of the file is dirty and has nowhere to be written to",
                        first + n
                    )));
                }
            }
        }
        Ok(())
    }

    /// Rules that hold at rest, after everything was written.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_at_rest(&self) -> Result<(), Broken> {
        self.mapping.check_at_rest()?;
        if self.i_rwsem.holders() != 0 || !self.dio.is_idle() {
            return Err(Broken::invariant("i_rwsem or direct I/O is held though every operation has returned".into()));
        }
        self.journal.check_at_rest()?;
        let extents = self.extents.lock();
        let size = self.size();
        // Of data that was lost the device knows nothing, not even its size, and what was zeroed is not zero there.
        let lost = self.mapping.has_lost_data();
        if extents.disk_size() != size && !lost {
            return Err(Broken::invariant(format!(
                "the size on the device is {}, the file's is {size}, and everything was written",
                extents.disk_size()
            )));
        }
        let mut seen = BTreeSet::new();
        for index in 0..extents.len() {
            let block = extents.get(index);
            if block == Block::Delalloc && index < self.eof_block() {
                return Err(Broken::accounting(format!(
                    "block {index} of the file is still reserved though everything was written"
                )));
            }
            if let Some(at) = block.device_block().filter(|at| !seen.insert(*at)) {
                return Err(Broken::invariant(format!("device block {at} is in the file twice")));
            }
        }
        if seen.len() != self.device.used() {
            return Err(Broken::accounting(format!(
                "{} device blocks are in use, the file has {}",
                self.device.used(),
                seen.len()
            )));
        }
        if lost { Ok(()) } else { self.check_tail(size, &extents) }
    }

    /// On the device, the rest of the block that holds the end of file is zero: a later extension shows it. After a
    /// crash only where nothing else sees to that.
    fn check_tail(&self, size: u64, extents: &crate::extents::Extents) -> Result<(), Broken> {
        let block = self.mapping.sizes.block;
        let Block::Written(at) = extents.get(size / block) else { return Ok(()) };
        if size.is_multiple_of(block) || self.recovered && self.flavour.zeroes_on_extension() {
            return Ok(());
        }
        let mut tail = vec![0; (block - size % block) as usize];
        self.device.read(self.device.addr(at) + size % block, &mut tail);
        match tail.iter().position(|byte| *byte != 0) {
            Some(n) => Err(Broken::invariant(format!(
                "byte {} beyond the end of file is not zero on the device",
                size + n as u64
            ))),
            None => Ok(()),
        }
    }
}
