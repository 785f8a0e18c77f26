//! When a buffered write asks for its source pages: before it copies the first, or where a copy has ended.

use super::{Pausing, Seen};
use crate::error::{Error, Result};
use crate::{File, page_size};
use std::thread;
use std::time::Duration;

/// What a buffered write has written when it stops at a missing page of its source for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOrder {
    /// All pages before it: the copy has ended there. When the write goes on it asks for the rest of the folio first,
    /// so at further stops in that folio nothing more is written.
    CopiesFirst,
    /// Nothing of the chunk that the page is in: all of it is asked for before the first copy.
    AsksAhead,
}

/// Long enough for any write of two pages, short enough for who waits for a file system that is no good.
const PATIENCE: Duration = Duration::from_secs(10);

impl WriteOrder {
    /// Measures it on `file`, whose content is lost: an appending write of two pages stops at the second, and the size
    /// shows whether the first is written. Fails with EIO if the write does not stop there.
    pub fn of(file: &File, pausing: &Pausing) -> Result<WriteOrder> {
        const EIO: i32 = 5;
        let len = 2 * page_size();
        file.truncate(0)?;
        let (buffer, mut supervisor) = pausing.pair(len)?;
        supervisor.fill(0, &vec![1; len as usize])?;
        supervisor.leave_missing(1)?;
        let size = thread::scope(|scope| {
            let write = scope.spawn(|| buffer.during(|| buffer.pwrite_to(file, 0, len, 0)));
            let size = match supervisor.wait(PATIENCE)? {
                Seen::Paused(pause) => file.size().and_then(|size| pause.resume().map(|()| size)),
                _ => Err(Error { call: "pwrite", errno: EIO }),
            };
            drop(supervisor);
            write.join().expect("a write does not panic")?;
            size
        })?;
        file.truncate(0)?;
        Ok(if size == 0 { WriteOrder::AsksAhead } else { WriteOrder::CopiesFirst })
    }
}
