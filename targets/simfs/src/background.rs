//! The background lanes. Each sleeps until there is work, makes one pass over it, and sleeps again. What a pass
//! takes on is a choice of the schedule: everything, or one candidate.

use crate::file::{File, Io};
use faults::Fault;
use iomap::fill::complete_read;
use iomap::writeback::{Mode, complete, write_folio, write_range};
use lanes::{Task, Y};
use pagecache::reclaim::Evicted;
use pagecache::{Folio, Index, Mark};
use std::sync::Arc;

impl File {
    /// Writes dirty folios.
    pub async fn flusher(&self, task: &Task) {
        loop {
            self.mapping.memory.dirtied.wait(task).await;
            task.begin_pass();
            // Woken for memory or by who is throttled, too; but what is not in the queue is not written.
            if !self.mapping.inode.has_dirty_pages() {
                continue;
            }
            let dirty = self.dirty_folios();
            let pick = task.choose(Y::G4, dirty.len() as u32 + 1);
            if pick == 0 {
                write_range(self, task, 0..u64::MAX, Mode::Background).await;
            } else if let Some(folio) = self.mapping.reference(&dirty[pick as usize - 1]) {
                write_folio(self, task, folio, Mode::Background, &mut None).await;
            }
            drop(dirty);
            self.write_inode(task).await;
            task.at(Y::G5).await;
            if pick > 0 || self.writable(&self.mapping.index()).next().is_some() {
                self.mapping.memory.dirtied.raise();
            }
        }
    }

    /// The end of the flusher's pass: brings the inode's flag in line with its pages, and writes its metadata.
    async fn write_inode(&self, task: &Task) {
        let any_dirty = || {
            let index = self.mapping.index();
            index.iter_marked(Mark::Dirty).next().is_some() || index.iter().any(|slot| slot.folio.is_pinned())
        };
        task.at(Y::B9).await;
        let tested_before = self.armed(Fault::InodeFlagLost).then(any_dirty);
        if tested_before.is_some() {
            task.at(Y::B9).await;
        }
        self.mapping.inode.refresh(|| tested_before.unwrap_or_else(any_dirty));
        task.at(Y::B10).await;
        self.force_log(u64::MAX);
    }

    fn dirty_folios(&self) -> Vec<Arc<Folio>> {
        self.writable(&self.mapping.index()).cloned().collect()
    }

    /// What the flusher can do something about. A folio that is dirty again while it is being written has to wait;
    /// the end of its I/O makes work of it.
    fn writable<'a>(&self, index: &'a Index) -> impl Iterator<Item = &'a Arc<Folio>> {
        index.iter_marked(Mark::Dirty).map(|slot| slot.folio).filter(|folio| !folio.is_writeback())
    }

    /// Completes what is submitted, in any order.
    pub async fn end_io(&self, task: &Task) {
        loop {
            self.submitted.wait(task).await;
            task.begin_pass();
            loop {
                let queued = self.queue.lock().len() as u32;
                if queued == 0 {
                    break;
                }
                let pick = task.choose(Y::E6, queued) as usize;
                let Some(io) = self.queue.lock().remove(pick) else { break };
                match io {
                    Io::Read(io) => complete_read(self, task, io).await,
                    Io::Write(io) => complete(self, task, io).await,
                }
                task.at(Y::E6).await;
            }
        }
    }

    /// Evicts clean folios.
    pub async fn reclaimer(&self, task: &Task) {
        loop {
            self.mapping.memory.evictable.wait(task).await;
            task.begin_pass();
            let mut candidates = self.mapping.candidates(0..u64::MAX);
            match task.choose(Y::C0, candidates.len() as u32 + 1) {
                0 => {
                    for folio in candidates {
                        self.mapping.evict(task, &folio).await;
                    }
                }
                pick => {
                    let chosen = candidates.swap_remove(pick as usize - 1);
                    drop(candidates);
                    // One that cannot go now would be picked again and again; nobody waits for the others.
                    if self.mapping.evict(task, &chosen).await == Evicted::Yes {
                        self.mapping.memory.evictable.raise();
                    }
                }
            }
        }
    }
}
