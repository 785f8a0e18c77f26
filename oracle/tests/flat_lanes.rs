//! Several lanes: each is held to the bytes that only it may change, and to nothing else.

mod common;

use common::{Bench, LIMIT, PAGE};
use oracle::fill::fill_written;
use oracle::{Class, Errno, Op, OpId, OpKind, Outcome};

use OpKind::*;
use Outcome::{Bytes, Done, Position, Sigbus};

const ENXIO: Outcome = Outcome::Errno(Errno::ENXIO);

/// Two lanes, a floor of 6000 bytes in stripes of 1024: lane 1 owns `[1024, 2048)`, `[3072, 4096)` and
/// `[5120, 6000)`. Both have written the first stripe that is theirs.
fn shared() -> Bench {
    let mut bench = Bench::shared(2, 6000, 1024);
    bench.write(0, 1024);
    assert_eq!(bench.answer(1, Op::range(Write, 1024, 1024), Bytes(1024), &[]), Ok(()));
    bench
}

fn content() -> Vec<u8> {
    let mut bytes = vec![0; 6000];
    fill_written(&mut bytes[..1024], OpId { lane: 0, index: 0 }, 0);
    fill_written(&mut bytes[1024..2048], OpId { lane: 1, index: 0 }, 1024);
    bytes
}

#[test]
fn a_lane_is_held_to_its_own_bytes() {
    // (reader, damaged byte, whether the reader must see it)
    for (lane, at, seen) in [(0, 0, true), (1, 0, false), (0, 1024, false), (1, 2047, true), (0, 2048, true)] {
        for kind in [Read, MapRead] {
            let mut found = content();
            found[at] ^= 2;
            let answer = shared().answer(lane, Op::range(kind, 0, 6000), Bytes(6000), &found);
            let offset = answer.err().map(|divergence| divergence.offset);
            assert_eq!(offset, seen.then_some(Some(at as u64)), "{kind} of lane {lane}, byte {at}");
        }
    }
}

#[test]
fn the_file_at_rest_is_compared_whole() {
    for at in [0, 1024, 2048, 5999] {
        let mut found = content();
        assert_eq!(shared().file.check_whole(6000, &found), Ok(()));
        found[at] ^= 2;
        assert_eq!(shared().file.check_whole(6000, &found).unwrap_err().offset, Some(at as u64));
    }
}

#[test]
fn only_lane_0_knows_the_size() {
    let answers = [
        // The floor cuts `[5000, 7000)` at 1000 bytes.
        (Op::range(Read, 5000, 2000), Bytes(1000), true, true),
        (Op::range(Read, 5000, 2000), Bytes(2000), false, true),
        (Op::range(Read, 5000, 2000), Bytes(1500), false, true),
        (Op::range(Read, 5000, 2000), Bytes(999), false, false),
        (Op::range(Read, 5000, 2000), Bytes(2001), false, false),
        (Op::range(Read, 9000, 10), Bytes(0), true, true),
        (Op::range(Read, 9000, 10), Bytes(7), false, true),
        (Op::range(MapRead, 5000, 6000), Sigbus(3192), true, true),
        (Op::range(MapRead, 5000, 9000), Sigbus(3192 + PAGE), false, true),
        (Op::range(MapRead, 5000, 6000), Bytes(6000), false, true),
        (Op::range(MapRead, 5000, 6000), Sigbus(3191), false, false),
        (Op::range(MapRead, 3000, 6000), Sigbus(1096), false, false),
        (Op::range(MapRead, 9000, 10), Sigbus(0), true, true),
        (Op::plain(Stat), Position(6000), true, true),
        (Op::plain(Stat), Position(LIMIT), false, true),
        (Op::plain(Stat), Position(5999), false, false),
        (Op::plain(Stat), Position(LIMIT + 1), false, false),
        (Op::at(SeekHole, 5000), Position(6000), true, true),
        (Op::at(SeekHole, 5000), Position(7000), false, true),
        (Op::at(SeekHole, 5000), ENXIO, false, false),
        (Op::at(SeekHole, 7000), ENXIO, true, true),
        (Op::at(SeekHole, 7000), Position(7000), false, true),
        (Op::at(SeekData, 7000), Position(7000), false, true),
        (Op::at(SeekData, 7000), Position(6999), false, false),
    ];
    for (op, outcome, lane_0, lane_1) in answers {
        for (lane, right) in [(0, lane_0), (1, lane_1)] {
            let mut found = content();
            found.resize(16_384, 0);
            let found = found.get(op.off as usize..).unwrap_or_default();
            let answer = shared().answer(lane, op, outcome, found);
            assert_eq!(answer.is_ok(), right, "{op} answering {outcome} to lane {lane}: {answer:?}");
        }
    }
}

#[test]
fn what_lies_past_the_floor_is_nothing_to_lane_1() {
    let mut bench = shared();
    bench.write(6000, 100);
    let mut found = content();
    found.resize(6100, 9);
    assert_eq!(bench.answer(1, Op::range(Read, 0, 6100), Bytes(6100), &found), Ok(()));
    let divergence = bench.answer(0, Op::range(Read, 0, 6100), Bytes(6100), &found).unwrap_err();
    assert_eq!((divergence.class, divergence.offset), (Class::Content, Some(6000)));
}

#[test]
fn a_hole_over_ones_own_bytes_is_seen_and_over_anothers_is_not() {
    let over = |lane| shared().answer(lane, Op::at(SeekData, 0), Position(2048), &[]);
    assert_eq!(over(0).unwrap_err().offset, Some(0));
    assert_eq!(over(1).unwrap_err().offset, Some(1024));
    let hole = |lane| shared().answer(lane, Op::at(SeekHole, 0), Position(1500), &[]);
    assert_eq!(hole(0), Ok(()), "the byte at 1500 belongs to lane 1");
    assert_eq!(hole(1).unwrap_err().offset, Some(1500));
}

#[test]
fn lane_0_knows_the_bytes_past_the_end_of_file() {
    let load = Op::range(MapRead, 5990, 20);
    let mut found = vec![0; 20];
    found[15] = 1;
    assert_eq!(shared().answer(1, load, Bytes(20), &found), Ok(()));
    assert_eq!(shared().answer(0, load, Bytes(20), &found).unwrap_err().offset, Some(6005));
    let mut bench = shared();
    bench.fine(Op::range(MapWrite, 6000, 20), Bytes(20));
    assert_eq!(bench.answer(0, load, Bytes(20), &found), Ok(()));
}

#[test]
fn a_lane_that_must_not_set_the_size_does_not_move_it() {
    let mut bench = shared();
    for kind in [Fallocate, ZeroRange] {
        assert_eq!(bench.answer(1, Op::range(kind, 5120, 880), Done, &[]), Ok(()));
        assert_eq!(bench.file.size(), 6000);
    }
}
