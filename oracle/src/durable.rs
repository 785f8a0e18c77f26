//! What a file may be after a crash.
//!
//! A file that is not synced has no one content on the device. Every byte has *versions*: what it held at the last
//! durable point, and everything it was given since. A sync that returns makes durable what was complete when it
//! began, so that older versions are out; what came later may be there or not, each byte for itself, as nobody
//! promises an order. What no operation ever put there (another file's data, what the device held before) is
//! never a version. The size is one of those the file had, likewise.
//!
//! One promise binds size and bytes: a file system does not show bytes that a write has appended before it has
//! them on the device. Where the size is one that an appending write led to, the block before it has that write's
//! bytes, or later ones.
//!
//! A crash may leave old bytes behind the end of file, in the block that holds it. Whoever extends the file has to zero
//! them, but in the cache: until a sync covers them, the next crash may bring them back. (xfs of Linux 6.18 does so,
//! asked on a mount: a write with O_DSYNC makes the size durable that covers them, and not the zeros before it.)
//!
//! Events are only written down while a program runs. They are looked at once, at the crash.

use crate::fill::fill_written;
use crate::op::OpId;
use std::ops::Range;

/// What an operation left in a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The bytes this operation writes.
    Written(OpId),
    /// Zeros, or nothing: a hole, or no byte of the file any more.
    Zero,
}

/// What a sync covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All bytes and the size: fsync(2), fdatasync(2).
    File,
    /// These bytes, and as much of the size as reaching them takes: msync(2).
    Bytes(Range<u64>),
}

#[derive(Clone, Debug)]
enum Event {
    Bytes(Range<u64>, Fill),
    Size(Growth),
    /// All events before number `upto` that the scope covers are durable.
    Synced(Scope, usize),
}

/// A size the file had, `to`; on the way from `from`, every block's end may have been one on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Growth {
    from: u64,
    to: u64,
    /// The bytes of the write that led to it; none if the size was set without data.
    write: Option<Range<u64>>,
    /// How many events there were when the operation began that set it.
    since: usize,
    made: Made,
}

/// What a sync makes of a size that the file had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// Durable.
    Durable,
    /// Nothing: the file was longer already, and this was on the device in passing at most.
    Passing,
    /// Durable or not: that it became the size was a mistake which nobody need have logged.
    Doubtful,
}

/// Where the bytes of a version are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The file at the last durable point; zeros behind its end.
    Base,
    /// What the last crash has left behind the end of file: one of [`Durable::leftovers`].
    Leftover(usize),
    Fill(Fill),
}

/// When a version came to be: the number of its event and one, 0 for the last durable point.
type Time = usize;

/// The operation was under way when the machine stopped: it may have had its effect or not.
const UNFINISHED: Time = usize::MAX;

/// Bytes of the file that have the same versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which bytes.
    pub range: Range<u64>,
    versions: Vec<(Time, Source)>,
}

/// What is wrong with a file after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The size is none of those the file may have; these are the least and the largest.
    Size(u64, u64),
    /// From this byte on so many are none of their versions, which are given, oldest first.
    Bytes(u64, Vec<Vec<u8>>),
    /// From this byte on so many were appended, and the size covers them, but they are older: the bytes due.
    NotAppended(u64, Vec<u8>),
}

/// Whether a size that an appending write led to comes with that write's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The size is on the device once they are.
    Together,
    /// The size may be there first.
    Apart,
}

/// What each byte of a file, and its size, may be after a crash.
#[derive(Clone, Debug)]
pub struct Durable {
    /// Unit in which data goes to the device, bytes.
    block: u64,
    /// The file at the last point at which everything of it was on the device.
    base: Vec<u8>,
    /// What the device may have behind the end of `base`, in its block.
    leftovers: Vec<(Range<u64>, Vec<u8>)>,
    events: Vec<Event>,
    /// For each lane, how many events there were when its operation began.
    began: Vec<usize>,
    /// Changes by operations that were under way.
    unfinished: Vec<(Range<u64>, Fill)>,
}

impl Durable {
    /// A file all of which is on the device. `block` is the file system's block size in bytes.
    pub fn new(content: &[u8], block: u64) -> Durable {
        let base = content.to_vec();
        Durable { block, base, leftovers: Vec::new(), events: Vec::new(), began: Vec::new(), unfinished: Vec::new() }
    }

    /// The machine has come up again, and this is the file.
    pub fn restart(&mut self, content: &[u8]) {
        let size = content.len() as u64;
        let mut leftovers = Vec::new();
        for segment in self.segments(size) {
            if size <= segment.range.start && segment.range.end <= size.next_multiple_of(self.block) {
                let old = self.versions(&segment).into_iter().filter(|bytes| bytes.iter().any(|byte| *byte != 0));
                leftovers.extend(old.map(|bytes| (segment.range.clone(), bytes)));
            }
        }
        *self = Durable { leftovers, ..Durable::new(content, self.block) };
    }

    /// An operation of `lane` begins. If it is a sync, it promises what is complete by now.
    pub fn begin(&mut self, lane: u8) {
        let lane = lane as usize;
        if self.began.len() <= lane {
            self.began.resize(lane + 1, 0);
        }
        self.began[lane] = self.events.len();
    }

    /// An operation has completed that left `fill` in `range`.
    pub fn changed(&mut self, range: Range<u64>, fill: Fill) {
        if !range.is_empty() {
            self.events.push(Event::Bytes(range, fill));
        }
    }

    /// An operation of `lane` has completed that may have put the size `to` on the device, coming from `from`. `write`
    /// has the bytes of a write that appended them. To be said before what it [changed](Durable::changed).
    pub fn resized(&mut self, lane: u8, from: u64, to: u64, write: Option<Range<u64>>) {
        let cut = |(range, _): &(Range<u64>, Vec<u8>)| range.start.max(from)..range.end.min(to);
        let zeroed: Vec<Range<u64>> = self.leftovers.iter().map(cut).collect();
        zeroed.into_iter().for_each(|range| self.changed(range, Fill::Zero));
        let since = self.begun(lane);
        self.events.push(Event::Size(Growth { from, to, write, since, made: Made::Durable }));
    }

    /// A write of `range` has gone to the device, and the file is longer than that: until the rest is there, too, the
    /// size on the device may be where the write ended. To be said before what it changed.
    pub fn reached(&mut self, range: Range<u64>) {
        let to = range.end;
        self.became(to, to, Some(range), Made::Passing);
    }

    /// The file is longer, and until the rest is there the size on the device may be `size`.
    pub fn passed(&mut self, size: u64) {
        self.became(size, size, None, Made::Passing);
    }

    /// The size in memory has become `to`, from `from`, though nothing was to change it.
    pub fn mistaken(&mut self, from: u64, to: u64) {
        self.became(from, to, None, Made::Doubtful);
    }

    fn became(&mut self, from: u64, to: u64, write: Option<Range<u64>>, made: Made) {
        let since = self.events.len();
        self.events.push(Event::Size(Growth { from, to, write, since, made }));
    }

    /// A sync by `lane` has succeeded.
    pub fn synced(&mut self, lane: u8, scope: Scope) {
        self.events.push(Event::Synced(scope, self.begun(lane)));
    }

    /// How many events there were when the operation of `lane` began.
    fn begun(&self, lane: u8) -> usize {
        self.began.get(lane as usize).copied().unwrap_or(self.events.len())
    }

    /// All that is complete by now is durable.
    pub fn settled(&mut self) {
        self.events.push(Event::Synced(Scope::File, self.events.len()));
    }

    /// What is complete by now of `range` is durable, and the size that reaches it: a write with O_DSYNC returns.
    pub fn persisted(&mut self, range: Range<u64>) {
        self.events.push(Event::Synced(Scope::Bytes(range), self.events.len()));
    }

    /// An operation that was under way when the machine stopped would have left `fill` in `range`.
    pub fn interrupted(&mut self, range: Range<u64>, fill: Fill) {
        if !range.is_empty() {
            self.unfinished.push((range, fill));
        }
    }

    /// Whether a file of these bytes may be what a crash leaves.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn judge(&self, content: &[u8], bound: Bound) -> Result<(), Wrong> {
        let size = content.len() as u64;
        let segments = self.segments(size);
        let sizes = self.sizes(&segments);
        let explains = |growth: &Growth| {
            growth.to == size || growth.from < size && size < growth.to && size.is_multiple_of(self.block)
        };
        let explanations: Vec<&(Time, Growth)> = sizes.iter().filter(|(_, growth)| explains(growth)).collect();
        if explanations.is_empty() {
            let all = || sizes.iter().map(|(_, growth)| growth.to);
            return Err(Wrong::Size(all().min().unwrap_or(0), all().max().unwrap_or(0)));
        }
        for segment in segments.iter().filter(|segment| segment.range.end <= size) {
            self.judge_segment(segment, content)?;
        }
        if bound == Bound::Apart {
            return Ok(());
        }
        let mut wrong = None;
        for (time, growth) in explanations {
            match self.not_appended(*time, growth, &segments, content) {
                None => return Ok(()),
                Some(found) => wrong = wrong.or(Some(found)),
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    /// The file cut where the versions of its bytes change, at `size`, and at the blocks' ends around it.
    pub fn segments(&self, size: u64) -> Vec<Segment> {
        let last = size.saturating_sub(1) / self.block * self.block;
        let mut cuts = vec![0, self.base.len() as u64, size, last, size.next_multiple_of(self.block)];
        let mut cut = |range: &Range<u64>| cuts.extend([range.start, range.end]);
        for event in &self.events {
            match event {
                Event::Bytes(range, _) | Event::Synced(Scope::Bytes(range), _) => cut(range),
                Event::Size(growth) => growth.write.iter().for_each(&mut cut),
                Event::Synced(Scope::File, _) => {}
            }
        }
        self.unfinished.iter().for_each(|(range, _)| cut(range));
        self.leftovers.iter().for_each(|(range, _)| cut(range));
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|pair| self.segment(pair[0]..pair[1])).collect()
    }

    fn segment(&self, range: Range<u64>) -> Segment {
        let covers = |other: &Range<u64>| other.start <= range.start && range.end <= other.end;
        let mut versions = vec![(0, Source::Base)];
        let left = self.leftovers.iter().enumerate().filter(|(_, (left, _))| covers(left));
        versions.extend(left.map(|(number, _)| (0, Source::Leftover(number))));
        for (number, event) in self.events.iter().enumerate() {
            match event {
                Event::Bytes(changed, fill) if covers(changed) => versions.push((number + 1, Source::Fill(*fill))),
                Event::Synced(Scope::Bytes(synced), upto) if covers(synced) => forget(&mut versions, *upto),
                Event::Synced(Scope::File, upto) => forget(&mut versions, *upto),
                Event::Bytes(..) | Event::Size(_) | Event::Synced(..) => {}
            }
        }
        let unfinished = self.unfinished.iter().filter(|(changed, _)| covers(changed));
        versions.extend(unfinished.map(|(_, fill)| (UNFINISHED, Source::Fill(*fill))));
        Segment { range, versions }
    }

    /// The bytes of a segment in one of its versions.
    fn bytes(&self, range: &Range<u64>, source: Source) -> Vec<u8> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        match source {
            Source::Fill(Fill::Written(id)) => fill_written(&mut bytes, id, range.start),
            Source::Base if range.start < self.base.len() as u64 => {
                bytes.copy_from_slice(&self.base[range.start as usize..range.end as usize]);
            }
            Source::Leftover(number) => {
                let (left, old) = &self.leftovers[number];
                bytes.copy_from_slice(&old[(range.start - left.start) as usize..(range.end - left.start) as usize]);
            }
            Source::Fill(Fill::Zero) | Source::Base => {}
        }
        bytes
    }

    /// The bytes of a segment in each of its versions, oldest first.
    pub fn versions(&self, segment: &Segment) -> Vec<Vec<u8>> {
        segment.versions.iter().map(|(_, source)| self.bytes(&segment.range, *source)).collect()
    }

    fn judge_segment(&self, segment: &Segment, content: &[u8]) -> Result<(), Wrong> {
        let start = segment.range.start as usize;
        let found = &content[start..segment.range.end as usize];
        let versions = self.versions(segment);
        let is_wrong = |at: &usize| versions.iter().all(|version| version[*at] != found[*at]);
        let Some(from) = (0..found.len()).find(is_wrong) else { return Ok(()) };
        let end = (from..found.len()).find(|at| !is_wrong(at)).unwrap_or(found.len());
        let due = versions.iter().map(|version| version[from..end].to_vec()).collect();
        Err(Wrong::Bytes((start + from) as u64, due))
    }

    /// The sizes the file may have.
    fn sizes(&self, segments: &[Segment]) -> Vec<(Time, Growth)> {
        let size = self.base.len() as u64;
        let mut sizes = vec![(0, Growth { from: size, to: size, write: None, since: 0, made: Made::Durable })];
        for (number, event) in self.events.iter().enumerate() {
            match event {
                Event::Bytes(..) => {}
                Event::Size(growth) => sizes.push((number + 1, growth.clone())),
                Event::Synced(scope, upto) => {
                    let current = sizes.iter().filter(|(time, growth)| *time <= *upto && growth.made == Made::Durable);
                    let newest = current.map(|(time, _)| *time).max().unwrap_or(0);
                    let least = match scope {
                        Scope::File => u64::MAX,
                        Scope::Bytes(range) => self.end_of_data(range, *upto, segments),
                    };
                    let least = least.min(self.least_set_beside(*upto, number));
                    let stays = |time: Time, growth: &Growth| {
                        let doubtful = growth.made == Made::Doubtful && time > newest;
                        time > *upto || time == newest || growth.to >= least || doubtful
                    };
                    sizes.retain(|(time, growth)| stays(*time, growth));
                    // Of the sizes on the way those are left that are large enough.
                    for (_, growth) in sizes.iter_mut().filter(|(time, _)| *time <= newest) {
                        growth.from = growth.from.max(least.saturating_sub(1));
                    }
                }
            }
        }
        sizes
    }

    /// The least size set by an operation that was under way at some time of a sync, which began before event `upto`
    /// and is event number `synced`. A truncate takes the size back in memory before it does so on the device, and the
    /// end of a write goes by memory: what the sync waits for may leave an older size on the device, if not a lesser
    /// one.
    fn least_set_beside(&self, upto: usize, synced: usize) -> u64 {
        let beside = self.events.iter().enumerate().skip(upto).filter_map(|(number, event)| match event {
            Event::Size(growth) if growth.since <= synced && number != synced && growth.made == Made::Durable => {
                Some(growth.to)
            }
            _ => None,
        });
        beside.min().unwrap_or(u64::MAX)
    }

    /// Where the data in `range` ends that was complete before event `upto`.
    fn end_of_data(&self, range: &Range<u64>, upto: usize, segments: &[Segment]) -> u64 {
        let is_data = |segment: &&Segment| {
            let inside = range.start <= segment.range.start && segment.range.end <= range.end;
            let complete = segment.versions.iter().rfind(|(time, _)| *time <= upto);
            inside && matches!(complete, Some((_, Source::Fill(Fill::Written(_)))))
        };
        segments.iter().filter(is_data).map(|segment| segment.range.end).max().unwrap_or(0)
    }

    /// Bytes of the last block that the size covers because of a write, and that are older than the write.
    fn not_appended(&self, time: Time, growth: &Growth, segments: &[Segment], content: &[u8]) -> Option<Wrong> {
        let write = growth.write.as_ref()?;
        let size = content.len() as u64;
        let block = size.saturating_sub(1) / self.block * self.block;
        let tail = block.max(write.start)..size.min(write.end);
        let inside = |segment: &&Segment| tail.start <= segment.range.start && segment.range.end <= tail.end;
        for segment in segments.iter().filter(inside) {
            let recent = segment.versions.iter().filter(|(version, _)| *version > time);
            let versions: Vec<Vec<u8>> = recent.map(|(_, source)| self.bytes(&segment.range, *source)).collect();
            let found = &content[segment.range.start as usize..segment.range.end as usize];
            let is_old = |at: &usize| versions.iter().all(|version| version[*at] != found[*at]);
            if let Some(from) = (0..found.len()).find(is_old) {
                let end = (from..found.len()).find(|at| !is_old(at)).unwrap_or(found.len());
                let due = versions.first().map_or(Vec::new(), |version| version[from..end].to_vec());
                return Some(Wrong::NotAppended(segment.range.start + from as u64, due));
            }
        }
        None
    }
}

/// Drops what is older than the newest that was there before event `upto`: that one is durable.
fn forget(versions: &mut Vec<(Time, Source)>, upto: usize) {
    let durable = versions.iter().map(|(time, _)| *time).filter(|time| *time <= upto).max().unwrap_or(0);
    versions.retain(|(time, _)| *time >= durable);
}
