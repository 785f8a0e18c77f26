//! Per-block state of a folio that holds more than one block of the file system.
//!
//! Without it (`None`) a folio is uptodate as a whole or not at all, and dirty as a whole or not at all.

use std::ops::Range;

/// Most blocks a folio may have; larger folios are not created.
pub const MAX_BLOCKS: u32 = 128;

/// Which blocks are uptodate and dirty, and how many bytes of I/O are in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockState {
    /// Number of blocks, at most [`MAX_BLOCKS`].
    pub count: u32,
    uptodate: u128,
    dirty: u128,
    /// Bytes of read I/O in flight, including the submitter's bias.
    pub reads_pending: u32,
    /// Units of write I/O in flight, including the submitter's bias.
    pub writes_pending: u32,
}

/// The bits of a range of blocks.
pub(crate) fn bits(blocks: &Range<u32>) -> u128 {
    let len = blocks.end.saturating_sub(blocks.start);
    match len {
        0 => 0,
        128.. => u128::MAX,
        _ => ((1 << len) - 1) << blocks.start,
    }
}

impl BlockState {
    /// New state of `count` blocks. It inherits what the folio's flags say about all of them.
    pub fn new(count: u32, uptodate: bool, dirty: bool) -> BlockState {
        let all = bits(&(0..count));
        BlockState {
            count,
            uptodate: if uptodate { all } else { 0 },
            dirty: if dirty { all } else { 0 },
            reads_pending: 0,
            writes_pending: 0,
        }
    }

    /// Marks blocks uptodate. True if now all of them are.
    pub fn set_uptodate(&mut self, blocks: Range<u32>) -> bool {
        self.uptodate |= bits(&blocks);
        self.is_full()
    }

    /// `len` pending bytes have been read, or not: `blocks` are uptodate now. True if they were the last ones.
    pub fn end_read(&mut self, blocks: Range<u32>, len: u32) -> bool {
        self.uptodate |= bits(&blocks);
        self.reads_pending = self.reads_pending.saturating_sub(len);
        self.reads_pending == 0
    }

    /// Whether every block is uptodate.
    pub fn is_full(&self) -> bool {
        self.uptodate == bits(&(0..self.count))
    }

    /// The blocks that are uptodate, a bit each.
    pub(crate) fn uptodate(&self) -> u128 {
        self.uptodate
    }

    /// Whether these blocks are all uptodate.
    pub fn is_uptodate(&self, blocks: Range<u32>) -> bool {
        let bits = bits(&blocks);
        self.uptodate & bits == bits
    }

    /// Marks blocks dirty.
    pub fn set_dirty(&mut self, blocks: Range<u32>) {
        self.dirty |= bits(&blocks);
    }

    /// Marks the blocks of these bits dirty.
    pub(crate) fn set_dirty_bits(&mut self, bits: u128) {
        self.dirty |= bits;
    }

    /// Marks blocks clean. True if now none is dirty.
    pub fn clear_dirty(&mut self, blocks: Range<u32>) -> bool {
        self.dirty &= !bits(&blocks);
        self.dirty == 0
    }

    /// Whether any block is dirty.
    pub fn any_dirty(&self) -> bool {
        self.dirty != 0
    }

    /// Whether this block is dirty.
    pub fn is_dirty(&self, block: u32) -> bool {
        self.dirty & bits(&(block..block + 1)) != 0
    }

    /// Whether some block is dirty but not uptodate: writing it would put undefined bytes on the device.
    pub fn dirty_but_not_uptodate(&self) -> bool {
        self.dirty & !self.uptodate != 0
    }

    /// The first maximal run of dirty blocks at or after `from`, ending before `end`.
    pub fn dirty_run(&self, from: u32, end: u32) -> Option<Range<u32>> {
        let start = (from..end).find(|b| self.is_dirty(*b))?;
        let stop = (start..end).find(|b| !self.is_dirty(*b)).unwrap_or(end);
        Some(start..stop)
    }

    /// The state without the dirty bits of these blocks.
    pub(crate) fn without_dirty(mut self, bits: u128) -> BlockState {
        self.dirty &= !bits;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_of_the_largest_folio_fits() {
        let mut state = BlockState::new(MAX_BLOCKS, false, false);
        assert!(!state.set_uptodate(0..127));
        assert!(state.set_uptodate(127..128));
        state.set_dirty(126..128);
        assert_eq!(state.dirty_run(0, 128), Some(126..128));
        assert!(state.clear_dirty(0..128));
    }

    #[test]
    fn new_state_inherits_the_folio_flags() {
        let state = BlockState::new(4, true, true);
        assert!(state.is_full() && state.dirty_run(0, 4) == Some(0..4));
        let state = BlockState::new(4, false, false);
        assert!(!state.is_uptodate(0..1) && !state.any_dirty());
    }
}
