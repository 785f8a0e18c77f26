//! Space that runs out, for the lane that asked for it.

use lanes::Task;
use pagecache::{Error, Result};
use parking_lot::Mutex;

/// Who is about to run out of space. A lane at a time, so that the others' operations do not depend on who was first.
#[derive(Debug, Default)]
pub struct Space(Mutex<Left>);

/// Lanes as bits.
#[derive(Debug, Default)]
struct Left {
    one: u64,
    none: u64,
}

impl Space {
    /// From here on one block is left for this lane; the next after that is not there, once.
    pub fn run_out(&self, task: &Task) {
        let mut left = self.0.lock();
        left.one |= task.lane().bit();
        left.none &= !task.lane().bit();
    }

    /// Takes blocks, `wanted` at most; how many there were.
    ///
    /// # Errors
    /// [`Error::NoSpace`], once; after that there is space again.
    pub fn take(&self, task: &Task, wanted: u64) -> Result<u64> {
        let (mut left, lane) = (self.0.lock(), task.lane().bit());
        if left.none & lane != 0 {
            left.none &= !lane;
            return Err(Error::NoSpace);
        }
        if left.one & lane != 0 {
            left.one &= !lane;
            left.none |= lane;
            return Ok(wanted.min(1));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanes::LaneId;

    #[test]
    fn one_block_is_left_then_none_once_and_for_the_lane_that_asked_alone() {
        let [one, other] = [LaneId(0), LaneId(1)].map(Task::on_thread);
        let space = Space::default();
        assert_eq!(space.take(&one, 5), Ok(5));
        space.run_out(&one);
        assert_eq!((space.take(&other, 5), space.take(&one, 5)), (Ok(5), Ok(1)));
        assert_eq!((space.take(&one, 5), space.take(&one, 5)), (Err(Error::NoSpace), Ok(5)));
        space.run_out(&one);
        assert_eq!(space.take(&one, 1), Ok(1));
        space.run_out(&one);
        assert_eq!((space.take(&one, 2), space.take(&one, 2)), (Ok(1), Err(Error::NoSpace)));
    }
}
