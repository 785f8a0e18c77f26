//! The oracle that suits a program.

use crate::flat::FlatFile;
use crate::geometry::{Geometry, Sharing};
use crate::op::{Op, OpId};
use crate::outcome::{Divergence, Outcome};
use crate::overlap::Overlap;

/// The flat file where lanes own bytes, [`Overlap`] where they do not.
pub struct Judge {
    sharing: Sharing,
    flat: FlatFile,
    overlap: Overlap,
}

impl Judge {
    /// The oracle of a program. `page` is the page size of the target's mappings.
    pub fn new(geometry: &Geometry, lanes: usize, page: u64) -> Judge {
        Judge {
            sharing: geometry.sharing,
            flat: FlatFile::new(geometry, lanes, page),
            overlap: Overlap::new(geometry, page),
        }
    }

    /// As [`Judge::new`], keeping the memory.
    pub fn reset(&mut self, geometry: &Geometry, lanes: usize, page: u64) {
        self.sharing = geometry.sharing;
        match self.sharing {
            Sharing::Owned => self.flat.reset(geometry, lanes, page),
            Sharing::Overlapping => self.overlap.reset(geometry, page),
        }
    }

    /// The program has a crash in it, hence lanes that own bytes. To be called at its start.
    pub fn expect_crashes(&mut self) {
        self.flat.expect_crashes();
    }

    /// The program makes I/O fail, hence has lanes that own bytes. To be called at its start.
    pub fn expect_failures(&mut self) {
        self.flat.expect_failures();
    }

    /// The size after an operation that has failed half done. `size` is called if it is not known.
    ///
    /// # Errors
    /// It is none of those that the operation may have left behind.
    pub fn learn_size(&mut self, id: OpId, size: impl FnOnce() -> u64) -> Result<(), Divergence> {
        match self.sharing {
            Sharing::Owned => self.flat.learn_size(id, size),
            Sharing::Overlapping => Ok(()),
        }
    }

    /// An operation begins.
    pub fn begin(&mut self, id: OpId, op: &Op) {
        match self.sharing {
            Sharing::Owned => self.flat.begins(id.lane),
            Sharing::Overlapping => self.overlap.begin(id, op),
        }
    }

    /// The flat file, which judges crashes.
    pub fn flat(&self) -> &FlatFile {
        &self.flat
    }

    /// `op` was under way in another lane when the machine stopped.
    pub fn interrupted(&mut self, id: OpId, op: &Op) {
        self.flat.interrupted(id, op);
    }

    /// The machine has come up again after the crash `id`, and found `content`.
    ///
    /// # Errors
    /// It lost what it may not lose.
    pub fn recovered(&mut self, id: OpId, content: &[u8]) -> Result<(), Divergence> {
        self.flat.recovered(id, content)
    }

    /// An operation that has begun is complete.
    ///
    /// # Errors
    /// The answer is wrong.
    pub fn complete(&mut self, id: OpId, op: &Op, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        match self.sharing {
            Sharing::Owned => self.flat.apply(id, op, outcome, buf),
            Sharing::Overlapping => self.overlap.complete(id, outcome, buf),
        }
    }

    /// Compares a read of the whole file at rest.
    ///
    /// # Errors
    /// It is wrong.
    pub fn check_whole(&mut self, size: u64, content: &[u8]) -> Result<(), Divergence> {
        match self.sharing {
            Sharing::Owned => self.flat.check_whole(size, content),
            Sharing::Overlapping => self.overlap.check_whole(size, content),
        }
    }
}
