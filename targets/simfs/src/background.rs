//! The background lanes. Each sleeps until there is work, makes one pass over it, and sleeps again. What a pass
//! takes on is a choice of the schedule: everything, or one candidate.

use crate::file::{File, Io};
use iomap::fill::complete_read;
use iomap::writeback::{Mode, complete, write_folio, write_range};
use lanes::{Task, Y};
use pagecache::reclaim::Evicted;
use pagecache::{Folio, Mark};
use std::sync::Arc;

impl File {
    /// Writes dirty folios.
    pub async fn flusher(&self, task: &Task) {
        loop {
            self.mapping.memory.dirtied.wait(task).await;
            task.begin_pass();
            let dirty = self.dirty_folios();
            match task.choose(Y::G4, dirty.len() as u32 + 1) {
                0 => write_range(self, task, 0..u64::MAX, Mode::Background).await,
                pick => {
                    let chosen = &dirty[pick as usize - 1];
                    if let Some(folio) = self.mapping.reference(chosen) {
                        write_folio(self, task, folio, Mode::Background, &mut None).await;
                    }
                    self.mapping.memory.dirtied.raise(); // the others are still to be written
                }
            }
        }
    }

    /// What the flusher can do something about. A folio that is dirty again while it is being written has to wait;
    /// the end of its I/O makes work of it.
    fn dirty_folios(&self) -> Vec<Arc<Folio>> {
        let index = self.mapping.index();
        let ready = index.iter().filter(|slot| slot.has(Mark::Dirty) && !slot.folio.is_writeback());
        ready.map(|slot| slot.folio.clone()).collect()
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
