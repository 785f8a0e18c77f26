//! How much a crash of a real file system loses.

use crate::op::OpId;
use std::fmt;

/// What a file system that is shut down saves before it stops. The model's crashes are drawn by the schedule instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing is saved: what is on the device is what there is.
    Unwritten,
    /// The log is forced: metadata is there as it was, data that was not written is lost.
    Data,
    /// Everything is written back: nothing is lost.
    Nothing,
}

impl Loss {
    /// What the crash `id` loses. Each position in a lane has its own way, so that a program says all by itself.
    pub fn of(id: OpId) -> Loss {
        [Loss::Unwritten, Loss::Data, Loss::Nothing][id.index as usize % 3]
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Unwritten => "lost all that was not on the device",
            Loss::Data => "saved the log and lost data that was not written",
            Loss::Nothing => "came after everything was written back",
        })
    }
}
