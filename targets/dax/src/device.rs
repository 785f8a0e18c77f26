//! Persistent memory.
//!
//! Everybody sees what was stored last. What the memory keeps without power is something else: a store stays in a
//! CPU cache until its line is flushed.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;

/// Fills bytes with what the device holds, before anything was written, from this address on.
pub type Garbage = fn(&mut [u8], u64);

/// A device of equal pages, as many as are asked for. A page that was never written holds garbage; one that was
/// freed holds what it held, and is the next to be handed out.
#[derive(Debug)]
pub struct Device {
    page: u64,
    /// Bytes of a line of the CPU caches.
    line: u64,
    garbage: Garbage,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pages: Vec<Box<[u8]>>,
    freed: Vec<u32>,
    /// The lines that were stored and not flushed, by their address.
    unflushed: BTreeMap<u64, Line>,
    /// Counts stores.
    clock: u64,
}

#[derive(Debug)]
struct Line {
    /// What the memory has instead.
    kept: Box<[u8]>,
    /// When the line was stored to first.
    since: u64,
}

impl Device {
    /// A device with pages of `page` bytes.
    pub fn new(page: u64, garbage: Garbage) -> Device {
        Device { page, line: page.min(64), garbage, state: Mutex::default() }
    }

    /// Address of byte `at` of page `pfn`.
    pub fn addr(&self, pfn: u32, at: u64) -> u64 {
        u64::from(pfn) * self.page + at
    }

    fn grow(&self, state: &mut State) -> u32 {
        let pfn = state.pages.len() as u32;
        let mut bytes = vec![0; self.page as usize].into_boxed_slice();
        (self.garbage)(&mut bytes, self.addr(pfn, 0));
        state.pages.push(bytes);
        pfn
    }

    /// A free page: `goal` if that is free.
    pub fn allocate(&self, goal: Option<u32>) -> u32 {
        let mut state = self.state.lock();
        if let Some(at) = goal.and_then(|goal| state.freed.iter().position(|pfn| *pfn == goal)) {
            return state.freed.remove(at);
        }
        if goal.is_some_and(|goal| goal as usize == state.pages.len()) {
            return self.grow(&mut state);
        }
        match state.freed.pop() {
            Some(pfn) => pfn,
            None => self.grow(&mut state),
        }
    }

    /// The first of `1 << order` free pages in a row, aligned to their number.
    pub fn allocate_huge(&self, order: u8) -> u32 {
        let count = 1u32 << order;
        let mut state = self.state.lock();
        let candidates: Vec<u32> = state.freed.iter().copied().filter(|pfn| pfn.is_multiple_of(count)).collect();
        let whole = |first: &u32| (*first..first + count).all(|pfn| state.freed.contains(&pfn));
        if let Some(first) = candidates.into_iter().find(whole) {
            state.freed.retain(|pfn| !(first..first + count).contains(pfn));
            return first;
        }
        while !state.pages.len().is_multiple_of(count as usize) {
            let skipped = self.grow(&mut state);
            state.freed.insert(0, skipped);
        }
        let first = state.pages.len() as u32;
        for _ in 0..count {
            self.grow(&mut state);
        }
        first
    }

    /// Frees a page. Nobody misses what was not flushed of it.
    pub fn free(&self, pfn: u32) {
        let mut state = self.state.lock();
        state.freed.push(pfn);
        let lines = self.addr(pfn, 0)..self.addr(pfn + 1, 0);
        state.unflushed.retain(|line, _| !lines.contains(line));
    }

    /// Number of pages in use.
    pub fn used(&self) -> usize {
        let state = self.state.lock();
        state.pages.len() - state.freed.len()
    }

    /// Loads from `addr` on.
    pub fn load(&self, addr: u64, into: &mut [u8]) {
        let state = self.state.lock();
        let mut addr = addr;
        for part in self.parts(addr, into.len()) {
            let (pfn, at) = ((addr / self.page) as usize, (addr % self.page) as usize);
            into[part.clone()].copy_from_slice(&state.pages[pfn][at..at + part.len()]);
            addr += part.len() as u64;
        }
    }

    /// Stores from `addr` on; it stays in a CPU cache.
    pub fn store(&self, addr: u64, from: &[u8]) {
        let mut state = self.state.lock();
        state.clock += 1;
        for line in self.lines(addr..addr + from.len() as u64) {
            let (pfn, at) = ((line / self.page) as usize, (line % self.page) as usize);
            let State { pages, unflushed, clock, .. } = &mut *state;
            let kept = || pages[pfn][at..at + self.line as usize].into();
            unflushed.entry(line).or_insert_with(|| Line { kept: kept(), since: *clock });
        }
        self.put(&mut state, addr, from);
    }

    /// Writes from `addr` on, through the CPU caches. Lines that are touched in part are flushed as a whole.
    pub fn write(&self, addr: u64, from: &[u8]) {
        let mut state = self.state.lock();
        self.put(&mut state, addr, from);
        self.flush_lines(&mut state, addr..addr + from.len() as u64);
    }

    /// Flushes the lines of addresses `range`.
    pub fn flush(&self, range: Range<u64>) {
        self.flush_lines(&mut self.state.lock(), range);
    }

    /// The power goes and comes back: what was not flushed is lost.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        for (line, Line { kept, .. }) in std::mem::take(&mut state.unflushed) {
            self.put(&mut state, line, &kept);
        }
    }

    /// How many stores there were.
    pub fn clock(&self) -> u64 {
        self.state.lock().clock
    }

    /// The lines that are not flushed: page, and the clock at the first store that a power loss would take back.
    pub fn unflushed(&self) -> Vec<(u32, u64)> {
        let state = self.state.lock();
        state.unflushed.iter().map(|(addr, line)| ((addr / self.page) as u32, line.since)).collect()
    }

    fn lines(&self, range: Range<u64>) -> impl Iterator<Item = u64> {
        (range.start / self.line * self.line..range.end).step_by(self.line as usize)
    }

    fn flush_lines(&self, state: &mut State, range: Range<u64>) {
        for line in self.lines(range) {
            state.unflushed.remove(&line);
        }
    }

    /// `0..len`, cut where addresses from `addr` on pass from one page to the next.
    fn parts(&self, addr: u64, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let page = self.page as usize;
        let head = page - (addr as usize % page);
        let starts = std::iter::once(0).chain((head..len).step_by(page));
        starts.filter(move |start| *start < len).map(move |start| {
            let end = if start == 0 { head } else { start + page };
            start..end.min(len)
        })
    }

    fn put(&self, state: &mut State, addr: u64, from: &[u8]) {
        let mut addr = addr;
        for part in self.parts(addr, from.len()) {
            let (pfn, at) = ((addr / self.page) as usize, (addr % self.page) as usize);
            state.pages[pfn][at..at + part.len()].copy_from_slice(&from[part.clone()]);
            addr += part.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device::new(128, |bytes, _| bytes.fill(2))
    }

    fn loaded(device: &Device, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        device.load(addr, &mut bytes);
        bytes
    }

    #[test]
    fn what_is_not_flushed_is_lost_with_the_power_line_by_line() {
        let device = device();
        assert_eq!((device.allocate(None), device.allocate(Some(1))), (0, 1));
        device.store(60, &[1; 80]);
        assert_eq!(device.unflushed().iter().map(|(pfn, _)| *pfn).collect::<Vec<_>>(), [0, 0, 1]);
        device.flush(64..65);
        device.write(139, &[3]);
        device.lose_power();
        assert_eq!(loaded(&device, 60, 5), [2, 2, 2, 2, 1], "the first line had not been flushed");
        assert_eq!(loaded(&device, 127, 3), [1, 1, 1], "a write flushes the lines it touches");
        assert_eq!(loaded(&device, 138, 3), [1, 3, 2]);
    }

    #[test]
    fn a_line_keeps_what_was_there_before_its_first_store() {
        let device = device();
        device.allocate(None);
        device.store(0, &[1]);
        device.store(0, &[5]);
        assert_eq!(device.unflushed(), [(0, 1)]);
        device.lose_power();
        assert_eq!(loaded(&device, 0, 1), [2]);
    }

    #[test]
    fn huge_pages_are_aligned_and_come_back_from_what_was_freed() {
        let device = device();
        assert_eq!(device.allocate(None), 0);
        assert_eq!(device.allocate_huge(2), 4);
        assert_eq!(device.used(), 5);
        (4..8).for_each(|pfn| device.free(pfn));
        assert_eq!(device.allocate_huge(2), 4);
        assert_eq!(device.allocate(Some(2)), 2, "what was skipped is free");
        assert_eq!(device.allocate(Some(8)), 8, "the page behind the last one is a goal, too");
    }
}
