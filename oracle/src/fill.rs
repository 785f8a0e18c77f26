//! The bytes operations write, chosen so that a wrong byte tells where it came from.
//!
//! Every byte on the file or the device is one of three kinds, apart at a glance:
//! *zero* is a hole, *odd* was written by an operation, *even and not zero* is what the simulated disk held
//! before anything was written. A written byte depends on the operation and on its file offset, seven bits of
//! it; a run of a few wrong bytes therefore names its writer, even when it landed at the wrong offset.

use crate::op::OpId;
use std::ops::Range;

/// SplitMix64's finalizer: every output bit depends on every input bit.
#[inline]
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const ODD: u64 = 0x0101_0101_0101_0101;
const WRITTEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes are made a line at a time: one mixing for all of it, as mixing is what filling costs.
const LINE: usize = 64;

/// Tells a line's words apart in every byte, leaving alone the bits that tell the kinds of bytes apart.
const WORDS: [u64; LINE / 8] = {
    let mut words = [0; LINE / 8];
    let mut index = 0;
    while index < words.len() {
        words[index] = (ODD << 1) * index as u64;
        index += 1;
    }
    words
};

/// Fills `bytes`, which stand at `off`, with lines that `first` gives the first word of.
#[inline(always)]
fn fill_lines(bytes: &mut [u8], off: u64, first: impl Fn(u64) -> u64) {
    let make = |line: &mut [u8; LINE], number: u64| {
        let first = first(number);
        for (word, distinct) in line.as_chunks_mut::<8>().0.iter_mut().zip(WORDS) {
            *word = (first ^ distinct).to_le_bytes();
        }
    };
    let part = |bytes: &mut [u8], off: u64| {
        let mut line = [0; LINE];
        make(&mut line, off / LINE as u64);
        let from = (off % LINE as u64) as usize;
        bytes.copy_from_slice(&line[from..from + bytes.len()]);
    };
    let head = (off.next_multiple_of(LINE as u64) - off).min(bytes.len() as u64) as usize;
    let (start, rest) = bytes.split_at_mut(head);
    part(start, off);
    let mut number = off.div_ceil(LINE as u64);
    let (lines, end) = rest.as_chunks_mut::<LINE>();
    for line in lines {
        make(line, number);
        number += 1;
    }
    part(end, number * LINE as u64);
}

/// Fills `bytes` with what `writer` writes at file offset `off`. Every byte is odd.
pub fn fill_written(bytes: &mut [u8], writer: OpId, off: u64) {
    let writer = (u64::from(writer.lane) << 32 | u64::from(writer.index)).wrapping_add(1);
    let seed = writer.wrapping_mul(WRITTEN);
    fill_lines(bytes, off, |line| mix(seed ^ line) | ODD);
}

/// Fills `bytes` with what a disk nobody has written to holds at device offset `off`: even, never zero.
pub fn fill_garbage(bytes: &mut [u8], off: u64) {
    fill_lines(bytes, off, |line| (mix(!line) & !ODD) | (ODD << 7));
}

/// Whether `found`, read at file offset `off`, is what `writer` wrote at file offset `from`.
pub fn is_written_by(found: &[u8], writer: OpId, from: u64) -> bool {
    let mut expect = vec![0; found.len()];
    fill_written(&mut expect, writer, from);
    expect == found
}

/// The first maximal run in `found` that differs from `expected`, as indices; `None` if they are equal.
pub fn first_difference(expected: &[u8], found: &[u8]) -> Option<Range<usize>> {
    let start = expected.iter().zip(found).position(|(a, b)| a != b)?;
    let len = expected[start..].iter().zip(&found[start..]).take_while(|(a, b)| a != b).count();
    Some(start..start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: OpId = OpId { lane: 1, index: 7 };

    #[test]
    fn a_byte_does_not_depend_on_where_its_fill_started() {
        let mut whole = [0; 100];
        fill_written(&mut whole, ME, 3);
        for start in 0..40 {
            for len in 0..30 {
                let mut part = vec![0; len];
                fill_written(&mut part, ME, 3 + start as u64);
                assert_eq!(part, whole[start..start + len], "start {start} len {len}");
            }
        }
    }

    #[test]
    fn written_bytes_are_odd_and_garbage_is_even_but_not_zero() {
        let mut bytes = [0; 4096];
        fill_written(&mut bytes, ME, 5);
        assert!(bytes.iter().all(|b| b % 2 == 1));
        fill_garbage(&mut bytes, 5);
        assert!(bytes.iter().all(|b| b % 2 == 0 && *b != 0));
    }

    #[test]
    fn the_first_difference_is_the_whole_run() {
        assert_eq!(first_difference(b"aXYb", b"aZZb"), Some(1..3));
        assert_eq!(first_difference(b"abc", b"abc"), None);
    }
}
