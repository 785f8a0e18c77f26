//! A program: everything that decides a run.

use lanes::{Action, Anchor, LaneId, Schedule};
use oracle::{Effect, Flavour, Geometry, Op, OpId, OpKind, Ownership, Shape, Sharing};
use std::fmt;

/// Sizes, operations, and who runs when. The same program means the same on every target: nothing in it
/// depends on what a target answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The sizes it runs under.
    pub geometry: Geometry,
    /// The operations of each user lane, 1 to 7 lanes. A lane may be empty.
    pub lanes: Vec<Vec<Op>>,
    /// Who runs when. Targets that cannot be scheduled ignore it.
    pub schedule: Schedule,
}

/// Largest [`Geometry::file_limit`] of a program with pages of so many bytes: 1024 pages, and 16 MiB. File and flat
/// file are held in memory, and the checker reads all of it.
pub const fn max_file_limit(page: u32) -> u64 {
    let pages = 1024 * page as u64;
    if pages < 16 << 20 { pages } else { 16 << 20 }
}

/// Most lanes of an overlapping program. What its oracle keeps grows with every operation in flight.
pub(crate) const MAX_OVERLAPPING: usize = 4;

/// The plainest geometry there is.
pub(crate) const PLAIN: Geometry = Geometry {
    page: 256,
    block: 256,
    max_order: 0,
    memory_pages: 0,
    readahead_pages: 0,
    stable_pages: false,
    flavour: Flavour::Xfs,
    file_limit: 256,
    sharing: Sharing::Owned,
    floor: 0,
    stripe: 0,
};

/// Why a program is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The operation at fault; none if it is the geometry, the number of lanes or the schedule.
    pub op: Option<OpId>,
    /// The rule it breaks.
    pub rule: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            Some(op) => write!(f, "operation {op}: {}", self.rule),
            None => f.write_str(self.rule),
        }
    }
}

impl std::error::Error for Invalid {}

impl Program {
    /// A program without operations, for its memory to be used.
    pub fn empty() -> Program {
        Program { geometry: PLAIN, lanes: vec![Vec::new()], schedule: Schedule::default() }
    }

    /// The program's operations with their names, lane by lane.
    pub fn ops(&self) -> impl Iterator<Item = (OpId, &Op)> {
        self.lanes.iter().enumerate().flat_map(|(lane, ops)| {
            ops.iter().enumerate().map(move |(index, op)| (OpId { lane: lane as u8, index: index as u32 }, op))
        })
    }

    /// Drops all operations of other kinds than these, unless there are none.
    pub fn keep(&mut self, kinds: &[OpKind]) {
        if !kinds.is_empty() {
            self.lanes.iter_mut().for_each(|ops| ops.retain(|op| kinds.contains(&op.kind)));
        }
    }

    /// How many operations it has.
    pub fn op_count(&self) -> usize {
        self.lanes.iter().map(Vec::len).sum()
    }

    /// Checks every rule a runnable program keeps, and names the first one broken.
    pub fn validate(&self) -> Result<(), Invalid> {
        let whole = |rule| Invalid { op: None, rule };
        check_geometry(&self.geometry, self.lanes.len()).map_err(whole)?;
        check_schedule(&self.schedule).map_err(whole)?;
        let rules = Ownership::new(&self.geometry, self.lanes.len());
        let mut exclusive = Exclusive::new(&self.geometry, self.lanes.len());
        for (id, op) in self.ops() {
            check_op(&self.geometry, &rules, id.lane, op).map_err(|rule| Invalid { op: Some(id), rule })?;
            exclusive.admit(op.kind).map_err(|rule| Invalid { op: Some(id), rule })?;
        }
        Ok(())
    }
}

/// Operations that exclude each other in one program, because the flat file would have no answer.
///
/// With several lanes, direct I/O and mapped stores: no kernel promises coherence between direct I/O and another
/// thread's store through a mapping of the same page. A store that slips in between the flush and the I/O makes a
/// direct read fail with EIO or see a block that was only just allocated, and a direct write is undone by the page's
/// writeback. Either of them beside buffered I/O has an answer, and with one lane so have both.
/// Overlapping programs keep to it as well: their oracle knows what is open then, but not yet every error that follows.
///
/// Overlapping programs have no mapped stores: one that races with an extension of the file may go to a page whose
/// blocks behind the old end are in nobody's hands, and is there until the page is evicted, and then not.
///
/// With several lanes, asynchronous direct writes and buffered ones, for the same reason: an asynchronous write holds no
/// lock while it is under way. A write that dirties its folio then, or another part of it, keeps the folio in the cache
/// with what was there before, and the kernel says so in its log (`collision with buffered I/O`). Truncate and punch
/// wait for it, so they are admitted beside it.
///
/// Crashes and I/O that fails: what a sync says is durable has other exceptions after an error that was told of, and
/// the two are not counted together.
#[derive(Clone, Copy, Debug)]
pub struct Exclusive {
    applies: bool,
    overlapping: bool,
    /// Whether the first of the two that was met was direct.
    direct: Option<bool>,
    /// Whether the first of the two that was met was asynchronous.
    asynchronous: Option<bool>,
    /// Whether the first of the two that was met was a crash.
    crashes: Option<bool>,
}

impl Exclusive {
    /// The sentence that says what is wrong with direct I/O beside mapped stores.
    pub const DIRECT: &str = "with several lanes a program may use mapwrite or direct I/O, not both";
    /// The sentence that says what is wrong with asynchronous writes beside buffered ones.
    pub const ASYNC: &str = "with several lanes a program may use aio_write or buffered writes, not both";
    /// The sentence that says what is wrong with crashes beside I/O that fails.
    pub const CRASH: &str = "a program may crash or make I/O fail, not both";

    /// The sentence that says what is wrong with mapped stores in an overlapping program.
    pub const MAPPED: &str = "an overlapping program cannot use mapwrite";

    /// The rules for a program of `lanes` lanes, before its first operation.
    pub fn new(geometry: &Geometry, lanes: usize) -> Exclusive {
        let overlapping = geometry.sharing == Sharing::Overlapping;
        Exclusive { applies: lanes > 1, overlapping, direct: None, asynchronous: None, crashes: None }
    }

    /// Whether the program may go on with an operation of this kind.
    ///
    /// # Errors
    /// The rule it would break.
    pub fn admit(&mut self, kind: OpKind) -> Result<(), &'static str> {
        if self.overlapping && kind == OpKind::MapWrite {
            return Err(Exclusive::MAPPED);
        }
        let direct = kind.info().direct;
        if self.applies && (direct || kind == OpKind::MapWrite) && *self.direct.get_or_insert(direct) != direct {
            return Err(Exclusive::DIRECT);
        }
        let asynchronous = kind == OpKind::AioWrite;
        let meets = asynchronous || is_buffered_write(kind);
        if self.applies && meets && *self.asynchronous.get_or_insert(asynchronous) != asynchronous {
            return Err(Exclusive::ASYNC);
        }
        let crash = kind == OpKind::Crash;
        if (crash || kind.breaks_io()) && *self.crashes.get_or_insert(crash) != crash {
            return Err(Exclusive::CRASH);
        }
        Ok(())
    }
}

/// Whether it leaves data in the cache that is newer than the device's, without having waited for direct I/O.
pub(crate) fn is_buffered_write(kind: OpKind) -> bool {
    let info = kind.info();
    info.effect == Effect::Write && !info.direct && kind != OpKind::Punch
}

/// Checks the sizes, and how many lanes share the file.
pub fn check_geometry(geometry: &Geometry, lanes: usize) -> Result<(), &'static str> {
    // The sector, which the other rules are about, has no meaning with smaller pages.
    if geometry.page < 128 {
        return Err("page must be a power of two between 128 and 65536");
    }
    geometry.validate()?;
    if !(1..=LaneId::MAX_USERS).contains(&lanes) {
        Err("a program has 1 to 7 lanes")
    } else if geometry.file_limit > max_file_limit(geometry.page) {
        Err("file_limit may be at most 1024 pages and 16 MiB")
    } else if geometry.sharing == Sharing::Overlapping {
        if lanes > MAX_OVERLAPPING {
            Err("an overlapping program has at most 4 lanes")
        } else if geometry.flavour == Flavour::Dax {
            Err("there is no oracle for overlapping programs on persistent memory yet")
        } else {
            Ok(())
        }
    } else if lanes == 1 && (geometry.floor, geometry.stripe) != (0, 0) {
        Err("floor and stripe are for several lanes, with one lane they are 0")
    } else if lanes > 1 && (geometry.floor == 0 || geometry.stripe == 0) {
        Err("several lanes share the bytes below floor in turns of stripe, so neither can be 0")
    } else {
        Ok(())
    }
}

/// Checks one operation of one lane by itself.
pub fn check_op(geometry: &Geometry, rules: &Ownership, lane: u8, op: &Op) -> Result<(), &'static str> {
    let info = op.kind.info();
    let limit = geometry.file_limit;
    let ranged = matches!(info.shape, Shape::Range | Shape::RangeReadable);
    if info.shape == Shape::Plain && op.off != 0 || !ranged && op.len != 0 {
        return Err("an operand the operation does not have is not 0");
    }
    if op.off > limit || op.len > limit - op.off {
        return Err("the operation reaches beyond file_limit");
    }
    if ranged && op.len == 0 {
        return Err("len must not be 0");
    }
    match info.shape {
        Shape::RangeReadable if op.readable >= op.len => return Err("readable must be less than len"),
        Shape::RangeReadable => {}
        _ if op.readable != 0 => return Err("an operand the operation does not have is not 0"),
        _ => {}
    }
    let sector = u64::from(geometry.sector());
    if info.direct && !(op.off.is_multiple_of(sector) && op.len.is_multiple_of(sector)) {
        return Err("offset and length of direct I/O must be multiples of the sector");
    }
    rules.check(lane, op)
}

fn check_schedule(schedule: &Schedule) -> Result<(), &'static str> {
    match schedule {
        Schedule::Anchored(anchors) => anchors.iter().try_for_each(check_anchor),
        Schedule::Rare { one_in: 0, .. } => Err("one_in must be at least 1"),
        Schedule::RoundRobin { quantum: 0 } => Err("quantum must be at least 1"),
        Schedule::Pct(_) | Schedule::Rare { .. } | Schedule::Uniform { .. } | Schedule::RoundRobin { .. } => Ok(()),
    }
}

fn check_anchor(anchor: &Anchor) -> Result<(), &'static str> {
    let exists = |lane: &LaneId| (lane.0 as usize) < LaneId::COUNT;
    if !exists(&anchor.place.lane) {
        return Err("an anchor stands in a lane that cannot exist");
    }
    if anchor.place.nth == 0 {
        return Err("arrivals at a place are counted from 1");
    }
    match &anchor.action {
        Action::Run(lanes) if lanes.is_empty() => Err("an anchor must run at least one lane"),
        Action::Run(lanes) if !lanes.iter().all(exists) => Err("an anchor runs a lane that cannot exist"),
        Action::Run(_) | Action::Pick(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(lanes: Vec<Vec<Op>>) -> Program {
        let shared = lanes.len() > 1;
        let geometry = Geometry {
            page: 256,
            block: 128,
            max_order: 0,
            memory_pages: 0,
            readahead_pages: 0,
            stable_pages: false,
            flavour: Flavour::Xfs,
            file_limit: 4096,
            sharing: Sharing::Owned,
            floor: if shared { 1024 } else { 0 },
            stripe: if shared { 64 } else { 0 },
        };
        Program { geometry, lanes, schedule: Schedule::default() }
    }

    fn rule(lanes: Vec<Vec<Op>>) -> Option<&'static str> {
        program(lanes).validate().err().map(|invalid| invalid.rule)
    }

    #[test]
    fn an_operation_keeps_to_the_file_its_granule_and_its_operands() {
        assert_eq!(rule(vec![vec![Op::range(OpKind::Write, 4000, 96)]]), None);
        assert!(rule(vec![vec![Op::range(OpKind::Write, 4000, 97)]]).unwrap().contains("file_limit"));
        assert!(rule(vec![vec![Op::range(OpKind::Write, u64::MAX, 2)]]).unwrap().contains("file_limit"));
        assert!(rule(vec![vec![Op::range(OpKind::Write, 0, 0)]]).unwrap().contains("len"));
        assert!(rule(vec![vec![Op::range(OpKind::DirectWrite, 33, 32)]]).unwrap().contains("sector"));
        let short = Op { kind: OpKind::WriteFault, off: 0, len: 8, readable: 8 };
        assert!(rule(vec![vec![short]]).unwrap().contains("readable"));
        assert!(rule(vec![vec![Op::at(OpKind::Fsync, 1)]]).unwrap().contains("does not have"));
    }

    #[test]
    fn lanes_share_the_file_by_the_rules() {
        let (mapped, direct) = (Op::range(OpKind::MapWrite, 0, 8), Op::range(OpKind::DirectWrite, 64, 64));
        assert_eq!(rule(vec![vec![mapped, direct]]), None);
        assert_eq!(rule(vec![vec![mapped], vec![direct]]), Some(Exclusive::DIRECT));
        let (aio, buffered) = (Op::range(OpKind::AioWrite, 64, 64), Op::range(OpKind::Write, 0, 8));
        assert_eq!(rule(vec![vec![buffered, aio, mapped]]), None);
        assert_eq!(rule(vec![vec![buffered], vec![aio]]), Some(Exclusive::ASYNC));
        assert_eq!(rule(vec![vec![Op::range(OpKind::Punch, 0, 8)], vec![aio]]), None);
        assert_eq!(rule(vec![vec![mapped], vec![aio]]), Some(Exclusive::DIRECT));
        let (crash, fail) = (Op::plain(OpKind::Crash), Op::plain(OpKind::FailRead));
        assert_eq!(rule(vec![vec![fail, crash]]), Some(Exclusive::CRASH));
        assert_eq!(rule(vec![vec![crash, crash]]), None);
        assert_eq!(rule(vec![vec![], vec![direct]]), None);
        assert!(rule(vec![vec![], vec![mapped]]).unwrap().contains("another lane"));
        assert!(rule(vec![]).unwrap().contains("1 to 7"));
    }
}
