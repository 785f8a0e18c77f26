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

#[inline]
fn written_word(writer: OpId, word: u64) -> [u8; 8] {
    let writer = (u64::from(writer.lane) << 32 | u64::from(writer.index)).wrapping_add(1);
    (mix(writer.wrapping_mul(WRITTEN) ^ word) | ODD).to_le_bytes()
}

fn fill_words(bytes: &mut [u8], off: u64, word: impl Fn(u64) -> [u8; 8]) {
    let head = ((8 - off % 8) % 8).min(bytes.len() as u64) as usize;
    let (first, rest) = bytes.split_at_mut(head);
    if head > 0 {
        let from = (off % 8) as usize;
        first.copy_from_slice(&word(off / 8)[from..from + head]);
    }
    let mut at = off.div_ceil(8);
    let mut chunks = rest.chunks_exact_mut(8);
    for chunk in &mut chunks {
        chunk.copy_from_slice(&word(at));
        at += 1;
    }
    let tail = chunks.into_remainder();
    let len = tail.len();
    tail.copy_from_slice(&word(at)[..len]);
}

/// Fills `bytes` with what `writer` writes at file offset `off`. Every byte is odd.
pub fn fill_written(bytes: &mut [u8], writer: OpId, off: u64) {
    fill_words(bytes, off, |word| written_word(writer, word));
}

/// Fills `bytes` with what a disk nobody has written to holds at device offset `off`: even, never zero.
pub fn fill_garbage(bytes: &mut [u8], off: u64) {
    fill_words(bytes, off, |word| ((mix(!word) & !ODD) | (ODD << 1)).to_le_bytes());
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
