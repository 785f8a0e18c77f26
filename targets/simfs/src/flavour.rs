//! Whose policies the file system follows.

/// Whose policies the file system follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// xfs, Linux 6.12.
    Xfs,
    /// xfs before Linux 5.9: delayed allocation becomes written blocks at once, those preallocated beyond the end
    /// of file included.
    Xfs58,
    /// ext4.
    Ext4,
    /// gfs2, data not journaled.
    Gfs2,
    /// gfs2, a file with the attribute `j`: its data goes through the journal.
    Gfs2Journaled,
}

impl Flavour {
    fn is_xfs(self) -> bool {
        matches!(self, Flavour::Xfs | Flavour::Xfs58)
    }

    fn is_gfs2(self) -> bool {
        matches!(self, Flavour::Gfs2 | Flavour::Gfs2Journaled)
    }

    /// Whether raising the size zeroes the range that becomes visible. Otherwise the tail on the device is kept
    /// zero, and only the cached tail is zeroed.
    pub fn zeroes_on_extension(self) -> bool {
        self.is_xfs()
    }

    /// Whether a range is written back and dropped before its blocks are removed.
    pub fn flushes_before_punch(self) -> bool {
        self != Flavour::Ext4
    }

    /// Whether reads take i_rwsem shared.
    pub fn locks_reads(self) -> bool {
        self.is_xfs()
    }

    /// Whether direct writes of whole blocks that begin in the file and extend it run beside others, and may end after
    /// they have given their locks back. Otherwise they run alone, to their end.
    pub fn extends_beside(self) -> bool {
        self.is_xfs()
    }

    /// Whether a cluster lock is held across everything that looks at blocks or changes them: reads and faults
    /// included, writeback excluded.
    pub fn has_glock(self) -> bool {
        self.is_gfs2()
    }

    /// Whether a write allocates blocks at once. They are written ones, because there are no unwritten ones: what
    /// they hold is garbage until the write has come to them, and a write that does not frees them again.
    pub fn allocates_at_once(self) -> bool {
        self.is_gfs2()
    }

    /// Whether data goes through the journal before it may be written in place.
    pub fn journals_data(self) -> bool {
        self == Flavour::Gfs2Journaled
    }

    /// Blocks reserved beyond the end of an appending write.
    pub(crate) fn preallocates(self) -> u64 {
        if self.is_xfs() { 3 } else { 0 }
    }
}
