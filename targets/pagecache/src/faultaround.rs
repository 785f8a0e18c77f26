//! Fault-around: a read fault installs entries for the cached pages around it, too, as far as that goes without
//! waiting. It takes no invalidate_lock; what keeps a page from being shown after it was removed is the folio lock,
//! under which a removal takes the entries away.

use crate::folio::Locked;
use crate::mapping::Mapping;
use lanes::{Task, Y};
use std::ops::Range;

impl Mapping {
    /// Installs read-only entries for the cached, valid pages around `page` below the end of file; whether `page`
    /// is among them.
    pub(crate) async fn fault_around(&self, task: &Task, page: u64) -> bool {
        let size = 1u64 << self.windows.most.checked_ilog2().unwrap_or(0);
        if size == 1 {
            return false;
        }
        let window = page / size * size..(page / size + 1) * size;
        let mut rest = window.clone();
        let mut mapped = false;
        while let Some(folio) = self.next_valid(task, &mut rest).await {
            let pages = folio.index().max(window.start)..folio.end_index().min(window.end);
            for shown in pages.filter(|shown| !self.is_beyond_eof(*shown)) {
                self.page_table.install_absent(shown, folio.folio());
                mapped |= shown == page;
            }
        }
        mapped
    }

    /// The next folio of `rest` that is valid and can be locked at once; `rest` begins behind it then.
    async fn next_valid(&self, task: &Task, rest: &mut Range<u64>) -> Option<Locked> {
        loop {
            let found = self.index().find(rest.start, rest.end).map(|slot| slot.folio.clone())?;
            rest.start = found.end_index().max(rest.start + 1);
            let Some(folio) = self.reference(&found) else { continue };
            task.at(Y::F8).await;
            // Whoever meets a mark has more to do than install an entry.
            if folio.is_marked() || !folio.is_uptodate() {
                continue;
            }
            let Ok(locked) = folio.try_lock(task) else { continue };
            if locked.is_attached() && locked.is_uptodate() {
                return Some(locked);
            }
        }
    }
}
