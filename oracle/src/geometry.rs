//! The sizes a program runs under.

use std::fmt;

/// Which file system's policies the model follows.
///
/// A real mount ignores it: there the file system is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// xfs of Linux 6.12: delayed allocation turns into unwritten extents, converted when the I/O ends;
    /// the range between the old and the new end of file is zeroed explicitly.
    Xfs,
    /// xfs before Linux 5.9: as `Xfs`, but delayed allocation turns into written extents at once, so that
    /// blocks preallocated beyond the end of file hold whatever was on the disk.
    Xfs58,
    /// ext4: no zeroing when the size is raised inside a page (the tail on disk is kept zero instead), no
    /// lock across reads, punch does not write the cache back first.
    Ext4,
    /// gfs2: a write allocates blocks at once, written ones, new to it alone; no unwritten extents, no delayed
    /// allocation. A cluster lock is held across reads, writes and page faults. The size is raised as by ext4.
    Gfs2,
    /// gfs2, a file whose data is journaled: what a write changes may be written in place only after it has gone to the
    /// log. No direct I/O, no fallocate.
    Gfs2Journaled,
    /// A file mapped straight from persistent memory, on xfs: no page cache, blocks of a page, and huge pages of
    /// [`Geometry::max_order`]. What is stored through a mapping is in CPU caches until it is flushed.
    Dax,
}

impl Flavour {
    /// All flavours, in the order of the byte form.
    pub const ALL: [Flavour; 6] =
        [Flavour::Xfs, Flavour::Xfs58, Flavour::Ext4, Flavour::Gfs2, Flavour::Gfs2Journaled, Flavour::Dax];

    /// Whether reads take i_rwsem, or gfs2's cluster lock, shared: a buffered read sees each buffered write wholly or
    /// not at all.
    pub const fn locks_reads(self) -> bool {
        !matches!(self, Flavour::Ext4)
    }

    /// The name used in reproducers.
    pub const fn name(self) -> &'static str {
        match self {
            Flavour::Xfs => "xfs",
            Flavour::Xfs58 => "xfs-5.8",
            Flavour::Ext4 => "ext4",
            Flavour::Gfs2 => "gfs2",
            Flavour::Gfs2Journaled => "gfs2-jdata",
            Flavour::Dax => "dax",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How several lanes share the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Every byte belongs to a lane, and only that lane changes it: see [`crate::Ownership`].
    #[default]
    Owned,
    /// All lanes do what they like where they like. On a target that cannot be scheduled they do so one after the
    /// other.
    Overlapping,
}

impl Sharing {
    /// Both.
    pub const ALL: [Sharing; 2] = [Sharing::Owned, Sharing::Overlapping];

    /// The name used in reproducers.
    pub const fn name(self) -> &'static str {
        match self {
            Sharing::Owned => "owned",
            Sharing::Overlapping => "overlapping",
        }
    }
}

/// Most pages a window of readahead may have: twice Linux's 128 KiB in pages of 4 KiB. A window may come to nothing for
/// every page that is read, so with windows as large as a file a read takes the square of its length.
pub const MAX_READAHEAD: u16 = 64;

/// Everything about a run that is not an operation or a scheduling choice.
///
/// All sizes are in bytes; page and block are powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Page size: the granule of mappings and of the page cache's index.
    pub page: u32,
    /// Block size of the file system. May be larger than the page; folios then have at least a block.
    pub block: u32,
    /// Largest folio the cache may create is `page << max_order`.
    pub max_order: u8,
    /// Pages the cache may hold before an allocation has to reclaim; 0 is no limit.
    pub memory_pages: u16,
    /// Most pages the cache reads ahead, or maps around a fault, up to [`MAX_READAHEAD`]; 0 is neither.
    pub readahead_pages: u16,
    /// The device computes checksums: what is being written must not change.
    pub stable_pages: bool,
    /// The file system's policies, for the model.
    pub flavour: Flavour,
    /// No operation reaches beyond this offset.
    pub file_limit: u64,
    /// How lanes share the file.
    pub sharing: Sharing,
    /// The file starts with this size (a hole). With several lanes that own bytes it never gets smaller; bytes below
    /// belong to the lanes in turn, bytes above to lane 0. Zero with one lane, unless it is an overlapping program.
    pub floor: u64,
    /// With several lanes that own bytes: how many bytes below the floor belong to one lane before the next one's begin.
    /// A multiple of [`Geometry::sector`].
    pub stripe: u32,
}

impl Geometry {
    /// Granule of direct I/O: 512 bytes with pages of 4 KiB and up, scaled down with smaller pages.
    pub fn sector(&self) -> u32 {
        if self.page >= 4096 { 512 } else { (self.block / 4).max(32).min(self.page) }
    }

    /// Smallest order a folio may have, so that it holds at least one block.
    pub fn min_order(&self) -> u8 {
        (self.block / self.page).max(1).trailing_zeros() as u8
    }

    /// Checks the relations between the sizes, saying which one is broken.
    pub fn validate(&self) -> Result<(), &'static str> {
        let sector = u64::from(self.sector());
        if !self.page.is_power_of_two() || !(128..=65536).contains(&self.page) {
            Err("page must be a power of two between 128 and 65536")
        } else if !self.block.is_power_of_two() || !(32..=65536).contains(&self.block) {
            Err("block must be a power of two between 32 and 65536")
        } else if self.block / self.page > 16 {
            Err("block may be at most 16 pages")
        } else if self.page / self.block > 32 {
            Err("a page may hold at most 32 blocks")
        } else if self.flavour == Flavour::Dax && self.block != self.page {
            Err("dax needs blocks of a page")
        } else if self.max_order > 6 || self.max_order < self.min_order() {
            Err("max_order must be at most 6, and a folio of that order must hold a block")
        } else if self.readahead_pages > MAX_READAHEAD {
            Err("readahead_pages must be at most 64")
        } else if self.file_limit == 0 || !self.file_limit.is_multiple_of(u64::from(self.page.max(self.block))) {
            Err("file_limit must be a positive multiple of page and block")
        } else if self.floor > self.file_limit {
            Err("floor must not exceed file_limit")
        } else if self.sharing == Sharing::Overlapping && self.stripe != 0 {
            Err("stripe is for lanes that own bytes, in an overlapping program it is 0")
        } else if self.sharing == Sharing::Owned
            && self.floor > 0
            && (u64::from(self.stripe) == 0 || u64::from(self.stripe) % sector != 0)
        {
            Err("stripe must be a positive multiple of the sector when there is a floor")
        } else {
            Ok(())
        }
    }
}
