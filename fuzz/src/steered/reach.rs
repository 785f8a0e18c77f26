//! Which pause of a system call a place of the model corresponds to.
//!
//! What stops a call is its own buffer (`ffi::Pausing`). So a place can be reached where the kernel copies between file
//! and buffer, and before and behind the call.

use lanes::{LaneId, Place, Y};
use oracle::{Geometry, Op};

/// Where a lane is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Before the operation is called.
    Before,
    /// Behind the last operation of the lane.
    Finished,
    /// In the call, at this page of its buffer, counted from 0.
    Page(u64),
}

/// A stop, and what is different there from the place it stands for, if anything is.
pub(super) type Reached = (Reach, Option<&'static str>);

const NO_BUFFER: &str = "the kernel touches no memory of the caller there, so nothing can stop it";
const NO_MORE: &str = "all of the buffer is copied there, and nothing else stops the call";

/// Where `op` is to stop for `place`, which is in it; `stops` says whether its buffer can stop it. `page` is the size of
/// the machine's pages.
///
/// The model's places come once for each folio, and how large its folios were is not known here: they are taken for the
/// smallest there can be.
///
/// # Errors
/// Why no pause reaches the place.
pub(super) fn reach(
    place: Place,
    op: &Op,
    stops: bool,
    geometry: &Geometry,
    page: u64,
) -> Result<Reached, &'static str> {
    let direct = op.kind.info().direct;
    let later = match place.y {
        Y::START | Y::NEXT => return Ok((Reach::Before, None)),
        // Nothing is taken and nothing looked at yet.
        Y::W0 | Y::R0 | Y::F0 if place.nth == 1 => return Ok((Reach::Before, None)),
        _ if !place.lane.is_user() => return Err("what the kernel does in the background cannot be stopped half way"),
        Y::LOCK | Y::LOCKD | Y::WBW | Y::TREE => return Err("where the kernel waits for somebody is up to the kernel"),
        Y::W6 | Y::W7 | Y::W8 | Y::W9 | Y::W10 | Y::W11 => {
            return Err("a folio is locked there, and a call that is stopped never holds one");
        }
        Y::W2 | Y::W3 if !direct => 0,
        Y::W4b if !direct && place.nth == 1 => 0,
        Y::W4b => return Err("where the next mapping begins is up to the file system"),
        Y::W12 | Y::W13 if !direct => 1,
        Y::R5 if !direct => 0,
        Y::D1 | Y::D2 if direct && place.nth == 1 => {
            return stopping(stops).map(|()| (Reach::Page(0), Some("the blocks are looked up already")));
        }
        _ => return Err(NO_BUFFER),
    };
    stopping(stops)?;
    let unit = u64::from(geometry.page.max(geometry.block)).max(page);
    let folio = u64::from(place.nth) - 1 + later;
    let at = if folio == 0 { op.off } else { (op.off / unit + folio) * unit };
    match at < op.off + op.len {
        true => Ok((Reach::Page(at / page - op.off / page), None)),
        false => Err(NO_MORE),
    }
}

fn stopping(stops: bool) -> Result<(), &'static str> {
    if stops { Ok(()) } else { Err(NO_BUFFER) }
}

/// Why the lanes of a list that are not users' do nothing here; none if they do something.
pub(super) fn idle(lane: LaneId) -> Option<&'static str> {
    match lane {
        LaneId::DIRECT => Some("asynchronous writes are ended by the kernel, not on demand"),
        LaneId::CHECKER => Some("the file is compared at rest only"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oracle::OpKind;

    #[test]
    fn a_place_is_the_page_that_is_copied_next() {
        let geometry = Geometry { page: 4096, block: 4096, file_limit: 1 << 16, ..crate::program::PLAIN };
        let at = |kind, y, nth| {
            let op = Op::range(kind, 6000, 8192);
            let place = Place { lane: LaneId(0), op: 0, y, nth };
            reach(place, &op, true, &geometry, 4096).map(|(reach, different)| (reach, different.is_some()))
        };
        // The bytes from 6000 on are in pages 1, 2 and 3 of the file, which are 0, 1 and 2 of the buffer.
        assert_eq!(at(OpKind::Write, Y::W3, 1), Ok((Reach::Page(0), false)));
        assert_eq!(at(OpKind::Write, Y::W3, 3), Ok((Reach::Page(2), false)));
        assert_eq!(at(OpKind::Write, Y::W13, 2), Ok((Reach::Page(2), false)));
        assert_eq!(at(OpKind::Write, Y::W13, 3), Err(NO_MORE));
        assert_eq!(at(OpKind::Read, Y::R5, 2), Ok((Reach::Page(1), false)));
        assert_eq!(at(OpKind::DirectWrite, Y::D2, 1), Ok((Reach::Page(0), true)));
        assert_eq!(at(OpKind::DirectWrite, Y::W3, 1), Err(NO_BUFFER));
        assert_eq!(at(OpKind::Write, Y::W0, 1), Ok((Reach::Before, false)));
        assert!(at(OpKind::Write, Y::W0, 2).is_err(), "that is where it waits");
        assert!(at(OpKind::Write, Y::W9, 1).is_err());
    }
}
