//! The file, and what `iomap` asks of it.

use crate::device::{Blocks, Device, Garbage};
use crate::direct::Submitted;
use crate::extents::{Block, Extents};
use crate::failures::{Failing, Failures};
use crate::flavour::Flavour;
use crate::journal::Journal;
use crate::log::Inode;
use crate::space::Space;
use faults::{Fault, FaultSet};
use iomap::{FileSystem, Iomap, Purpose, ReadIo, WriteIo};
use lanes::{Event, Held, InFlight, RwSem, Task, Y};
use pagecache::{FileOps, FolioRef, Locked, Mapping, Memory, Result, Sizes};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// What a file is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Sizes of page, block and folio.
    pub sizes: Sizes,
    /// Policies.
    pub flavour: Flavour,
    /// Pages the cache may hold; 0 is no limit.
    pub memory_pages: u64,
    /// Most pages to read ahead.
    pub readahead_pages: u64,
    /// The device needs stable data.
    pub stable_pages: bool,
    /// Largest offset a preallocation may reach.
    pub limit: u64,
    /// What the device holds before anything is written.
    pub garbage: Garbage,
    /// The device has a volatile cache, and this many bytes of it are lost or kept as a whole, at most a block; none
    /// if what is written and logged is there for good.
    pub volatile: Option<u64>,
    /// The historical bugs that are armed.
    pub faults: FaultSet,
}

/// What the device has been asked for.
#[derive(Debug)]
pub(crate) enum Io {
    Read(ReadIo),
    Write(WriteIo),
}

/// A file on its own device.
#[derive(Debug)]
pub struct File {
    pub(crate) mapping: Mapping,
    pub(crate) flavour: Flavour,
    pub(crate) limit: u64,
    /// Exclusive for whoever changes the file's content by system call, its size or its blocks.
    pub(crate) i_rwsem: RwSem,
    /// What keeps the other machines of the cluster out, for flavours that have it: inside i_rwsem, outside
    /// invalidate_lock.
    pub(crate) glock: RwSem,
    /// Direct I/O under way.
    pub(crate) dio: InFlight,
    pub(crate) extents: Mutex<Extents>,
    pub(crate) device: Device,
    /// What is going to fail.
    pub(crate) failures: Failures,
    /// What is submitted, oldest first.
    pub(crate) queue: Mutex<VecDeque<Io>>,
    pub(crate) journal: Journal,
    pub(crate) space: Space,
    /// Raised when something is submitted: work for the end-io worker.
    pub(crate) submitted: Event,
    /// Asynchronous direct writes that are submitted, oldest first.
    pub(crate) direct_queue: Mutex<VecDeque<Submitted>>,
    /// Raised when one is.
    pub(crate) direct_submitted: Event,
    /// The file has come up after a crash: beyond its end the last block may hold anything.
    pub(crate) recovered: bool,
}

impl File {
    /// A file of this size, all of it a hole.
    pub fn new(config: &Config, size: u64) -> File {
        File::on_device(config, Inode { blocks: Vec::new(), size }, Vec::new(), false)
    }

    /// The file that is on a device: metadata and blocks.
    pub(crate) fn on_device(config: &Config, inode: Inode, blocks: Blocks, recovered: bool) -> File {
        let Config { sizes, garbage, .. } = *config;
        let memory = Arc::new(Memory::new(config.memory_pages));
        let mapping = Mapping::new(sizes, memory, config.faults)
            .with_readahead(config.readahead_pages)
            .with_stable_pages(config.stable_pages);
        mapping.set_i_size(inode.size);
        let (device, extents) = match config.volatile {
            Some(unit) => {
                let used: BTreeSet<u32> = inode.blocks.iter().filter_map(|block| block.device_block()).collect();
                let device = Device::volatile(sizes.block, unit, garbage, blocks, |block| used.contains(&block));
                let extents = Extents::logged(inode, &device);
                (device, extents)
            }
            None => (Device::new(sizes.block, garbage), Extents::of_hole(inode.size)),
        };
        File {
            mapping,
            flavour: config.flavour,
            limit: config.limit,
            i_rwsem: RwSem::new("i_rwsem"),
            glock: RwSem::new("glock"),
            dio: InFlight::default(),
            extents: Mutex::new(extents),
            device,
            failures: Failures::default(),
            queue: Mutex::default(),
            submitted: Event::default(),
            direct_queue: Mutex::default(),
            direct_submitted: Event::default(),
            journal: Journal::default(),
            recovered,
            space: Space::default(),
        }
    }

    pub(crate) fn armed(&self, fault: Fault) -> bool {
        self.mapping.faults.armed(fault)
    }

    /// Takes the cluster lock where there is one.
    pub(crate) async fn hold_glock<'a>(&'a self, task: &'a Task, y: Y, exclusive: bool) -> Held<'a> {
        match (self.flavour.has_glock(), exclusive) {
            (false, _) => Held::Nothing,
            (true, false) => Held::Shared(self.glock.read(task, y).await),
            (true, true) => Held::Exclusive(self.glock.write(task, y).await),
        }
    }

    /// The blocks that bytes `range` touches.
    pub(crate) fn blocks_of(&self, range: &Range<u64>) -> Range<u64> {
        let block = self.mapping.sizes.block;
        range.start / block..range.end.div_ceil(block)
    }

    /// The first block wholly beyond the end of file.
    pub(crate) fn eof_block(&self) -> u64 {
        self.mapping.i_size().div_ceil(self.mapping.sizes.block)
    }
}

impl FileOps for File {
    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    async fn read_folio(&self, task: &Task, folio: Locked) -> Result<FolioRef> {
        iomap::fill::read_folio(self, task, folio).await
    }

    async fn readahead(&self, task: &Task, folios: &mut VecDeque<Locked>) {
        iomap::fill::readahead(self, task, folios).await;
    }

    async fn lock_for_fault<'a>(&'a self, task: &'a Task, y: Y, store: bool) -> Held<'a> {
        self.hold_glock(task, y, store).await
    }

    async fn reserve_for_store(&self, task: &Task, folio: &Locked, len: u64) -> Result<()> {
        let start = self.mapping.pos(folio);
        let range = start..start + len;
        let (mut pos, mut last) = (start, None);
        while pos < range.end {
            task.at(Y::M3).await;
            match self.begin(task, pos..range.end, Purpose::Write).await {
                Ok(map) => pos = last.insert(map).range.end,
                Err(error) => {
                    if let Some(map) = last {
                        self.keep_for_store(task, folio, &map, range).await;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl FileSystem for File {
    async fn begin(&self, task: &Task, range: Range<u64>, purpose: Purpose) -> Result<Iomap> {
        if purpose != Purpose::Read {
            task.at(Y::W4a).await;
        }
        let mut map = self.begin_locked(task, &mut self.extents.lock(), range, purpose)?;
        if self.armed(Fault::CookieAfterUnlock) {
            task.at(Y::W4a).await;
            map.cookie = self.extents.lock().sequence;
        }
        Ok(map)
    }

    async fn get_folio(&self, task: &Task, range: Range<u64>) -> Locked {
        let journaled = self.flavour.journals_data();
        if journaled {
            self.journal.begin(task, &self.mapping).await;
        }
        let index = self.mapping.sizes.index(range.start);
        let folio = self.mapping.lock_or_create(task, index, range.end - range.start).await;
        if journaled {
            self.mapping.attach_buffers(&folio);
        }
        folio
    }

    async fn put_folio(&self, task: &Task, folio: Locked, changed: Range<u64>) {
        if !self.flavour.journals_data() {
            return drop(folio);
        }
        if self.armed(Fault::FolioDoneUnlocked) {
            let folio = folio.unlock();
            task.at(Y::W12).await;
            self.journal.add(&self.mapping, &folio, &changed);
        } else {
            self.journal.add(&self.mapping, folio.folio(), &changed);
            drop(folio);
        }
        self.journal.end(task);
    }

    fn journals_data(&self) -> bool {
        self.flavour.journals_data()
    }

    async fn before_writeback(&self, task: &Task) {
        self.journal.flush(task, &self.mapping).await;
    }

    async fn end_write(&self, task: &Task, map: &Iomap, range: Range<u64>, written_to: u64) {
        self.give_back(task, map, range, written_to).await;
    }

    fn is_valid(&self, map: &Iomap) -> bool {
        self.extents.lock().sequence == map.cookie
    }

    async fn map_blocks(&self, task: &Task, range: Range<u64>) -> Result<Iomap> {
        task.at(Y::B4a).await;
        self.failures.meet(Failing::Map)?;
        let blocks = self.blocks_of(&range);
        let mut extents = self.extents.lock();
        if extents.get(blocks.start) == Block::Delalloc {
            self.allocate_delayed(&mut extents, blocks.clone());
        }
        Ok(self.lookup(&extents, blocks.start, extents.len()))
    }

    fn submit(&self, io: WriteIo) {
        self.queue.lock().push_back(Io::Write(io));
        self.submitted.raise();
    }

    fn submit_read(&self, io: ReadIo) {
        self.queue.lock().push_back(Io::Read(io));
        self.submitted.raise();
    }

    fn discard(&self, range: Range<u64>) {
        self.release(range);
    }

    fn read_device(&self, addr: u64, into: &mut [u8]) -> Result<()> {
        self.failures.meet(Failing::Read)?;
        self.device.read(addr, into);
        Ok(())
    }

    fn write_device(&self, addr: u64, from: &[u8]) -> Result<()> {
        self.failures.meet(Failing::Write)?;
        self.device.write(addr, from);
        Ok(())
    }

    fn convert(&self, range: Range<u64>) {
        let mut extents = self.extents.lock();
        let before = extents.sequence;
        for index in self.blocks_of(&range) {
            match extents.get(index) {
                Block::Unwritten(at) => extents.set(index, Block::Written(at)),
                Block::Written(_) => {}
                lost => self.mapping.report(pagecache::Broken::invariant(format!(
                    "a write to block {index} of the file ended and found {lost:?} there"
                ))),
            }
        }
        if self.armed(Fault::NoBumpOnConversion) {
            extents.sequence = before;
        }
    }

    fn raise_disk_size(&self, end: u64) {
        let mut extents = self.extents.lock();
        let raised = extents.disk_size().max(end.min(self.mapping.i_size()));
        extents.set_disk_size(if self.armed(Fault::DiskSizeFromIo) { end } else { raised });
    }
}
