//! The device's volatile write cache.
//!
//! It is kept as what a crash may bring back: for every unit written since the last flush, what was there before.
//! The unit is what the device writes as a whole, a sector.

use crate::crash::{Choose, Question};
use crate::device::Blocks;
use std::collections::BTreeMap;
use std::ops::Range;

/// Units written and not flushed, in order.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    unit: u64,
    /// How many units were written before the last flush, in all.
    flushed: u64,
    /// Of every unit written since: its address, and what it held before.
    before: Vec<(u64, Box<[u8]>)>,
}

/// What a crash keeps of the cache, as far as nothing forces it to be kept.
const KEEP_NOTHING: u32 = 0;
const KEEP_EVERYTHING: u32 = 1;
const KEEP_CHOSEN: u32 = 2;
/// One more than the largest way to choose; what is left is to lose only what is chosen.
const WAYS: u32 = 4;

impl Cache {
    pub(crate) fn new(unit: u64) -> Cache {
        Cache { unit, flushed: 0, before: Vec::new() }
    }

    /// How many units were written so far.
    pub(crate) fn written(&self) -> u64 {
        self.flushed + self.before.len() as u64
    }

    pub(crate) fn flush(&mut self) {
        self.flushed = self.written();
        self.before.clear();
    }

    /// Keeps what the units around `range` of the block at address `start` hold.
    pub(crate) fn keep(&mut self, start: u64, block: &[u8], range: Range<usize>) {
        let unit = self.unit as usize;
        let mut at = range.start / unit * unit;
        while at < range.end {
            self.before.push((start + at as u64, block[at..at + unit].into()));
            at += unit;
        }
    }

    /// Takes back, in `blocks`, what was not flushed: each unit to what it held at some time since. What was
    /// written before number `from` stays. `choose` is asked how it goes in general, and then about each unit, in
    /// the order of addresses.
    pub(crate) fn crash(&self, block: u64, from: u64, blocks: &mut Blocks, choose: &mut Choose<'_>) {
        let mut units: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
        for (number, (addr, before)) in (self.flushed..).zip(&self.before) {
            if number >= from {
                units.entry(*addr).or_default().push(before);
            }
        }
        if units.is_empty() {
            return;
        }
        let way = choose(Question::Cache, WAYS);
        for (addr, versions) in units {
            let newest = versions.len() as u32;
            // Versions are what was there before each write; behind the last one stands what is there now.
            let version = match way {
                KEEP_NOTHING => 0,
                KEEP_EVERYTHING => newest,
                KEEP_CHOSEN => choose(Question::Unit, newest + 1),
                _ => newest - choose(Question::Unit, newest + 1),
            };
            if let Some(bytes) = versions.get(version as usize) {
                let at = (addr % block) as usize;
                let held = blocks[(addr / block) as usize].as_mut().expect("it was written");
                held[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::device::Device;
    use std::collections::BTreeSet;

    const UNIT: u64 = 2;
    const BLOCK: u64 = 4;

    /// Every outcome of a crash of `device`, as what it then holds from address 0 on.
    fn outcomes(device: &Device, from: u64) -> BTreeSet<Vec<u8>> {
        let mut found = BTreeSet::new();
        let mut script: Vec<(u32, u32)> = Vec::new();
        loop {
            let mut next = 0;
            let blocks = device.copy().crash(from, &mut |_, n| {
                if next == script.len() {
                    script.push((0, n));
                }
                next += 1;
                script[next - 1].0
            });
            found.insert(blocks.iter().flat_map(|block| block.as_ref().unwrap().to_vec()).collect());
            while script.last().is_some_and(|(choice, n)| choice + 1 == *n) {
                script.pop();
            }
            let Some((choice, _)) = script.last_mut() else { return found };
            *choice += 1;
        }
    }

    fn device() -> Device {
        let blocks = vec![Some(vec![0; BLOCK as usize].into()); 2];
        Device::volatile(BLOCK, UNIT, |bytes, _| bytes.fill(99), blocks, |_| true)
    }

    #[test]
    fn a_crash_keeps_any_units_each_as_it_was_at_some_time() {
        let device = device();
        device.write(0, &[1, 1, 1, 1]);
        device.write(4, &[2, 2]);
        device.write(0, &[3, 3]);
        let mut expected = BTreeSet::new();
        for a in [[0, 0], [1, 1], [3, 3]] {
            for b in [[0, 0], [1, 1]] {
                for c in [[0, 0], [2, 2]] {
                    expected.insert([a, b, c, [0, 0]].concat());
                }
            }
        }
        assert_eq!(outcomes(&device, 0), expected);
    }

    #[test]
    fn what_was_flushed_stays_and_so_does_what_is_older_than_the_log() {
        let device = device();
        device.write(0, &[1, 1, 1, 1]);
        device.flush();
        let logged = device.clock().load(std::sync::atomic::Ordering::Relaxed);
        device.write(4, &[2, 2]);
        assert_eq!(outcomes(&device, logged).len(), 2);
        assert_eq!(outcomes(&device, logged + 1), [vec![1, 1, 1, 1, 2, 2, 0, 0]].into());
        device.flush();
        assert_eq!(outcomes(&device, 0), [vec![1, 1, 1, 1, 2, 2, 0, 0]].into());
    }

    #[test]
    fn a_freed_block_is_not_reused_before_the_transaction_is_durable() {
        let device = device();
        device.free(1, 7);
        assert_eq!((device.used(), device.allocate()), (1, 2), "a block from behind the others");
        device.release(7);
        assert_eq!(device.allocate(), 3, "transaction 7 is not among those before number 7");
        device.release(8);
        assert_eq!(device.allocate(), 1);
    }
}
