//! One lane: every rule of the flat file, from both sides.

mod common;

use common::{Bench, LIMIT, PAGE, written};
use oracle::{Class, Errno, Op, OpKind, Outcome};

use OpKind::*;
use Outcome::{Bytes, Done, Position, Sigbus};

const ENXIO: Outcome = Outcome::Errno(Errno::ENXIO);
const EFAULT: Outcome = Outcome::Errno(Errno::EFAULT);

#[test]
fn a_read_ends_at_the_end_of_file() {
    // (off, len, count due) on a file of 5000 bytes.
    for (off, len, due) in [(0, 5000, 5000), (4999, 1, 1), (4000, 4096, 1000), (5000, 1, 0), (60_000, 10, 0)] {
        for kind in [Read, DirectRead] {
            let mut bench = Bench::alone();
            bench.write(0, 5000);
            let found = written(0, off, due);
            let op = Op::range(kind, off, len);
            assert_eq!(bench.answer(0, op, Bytes(due), &found), Ok(()), "{op}");
            for wrong in [due + 1, due.wrapping_sub(1)].into_iter().filter(|n| *n <= len) {
                let mut found = found.clone();
                found.resize(wrong as usize, 0);
                assert_eq!(bench.answer(0, op, Bytes(wrong), &found).unwrap_err().class, Class::Size, "{op}");
            }
        }
    }
}

#[test]
fn every_single_wrong_byte_is_seen_and_located() {
    for kind in [Read, DirectRead, MapRead] {
        for at in [0, 1, 700, 4095] {
            let mut bench = Bench::alone();
            bench.write(0, 8192);
            let mut found = written(0, 100, 4096);
            found[at] ^= 2;
            let divergence = bench.answer(0, Op::range(kind, 100, 4096), Bytes(4096), &found).unwrap_err();
            assert_eq!((divergence.class, divergence.offset), (Class::Content, Some(100 + at as u64)));
        }
    }
}

#[test]
fn a_count_without_its_bytes_is_a_divergence() {
    let mut bench = Bench::alone();
    bench.write(0, 100);
    let divergence = bench.answer(0, Op::range(Read, 0, 100), Bytes(100), &[0; 99]).unwrap_err();
    assert_eq!(divergence.class, Class::Size);
}

/// What each operation does to a file of 3000 bytes written by operation 0.
#[test]
fn operations_change_content_and_size_as_documented() {
    let old = written(0, 0, 3000);
    let patch = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut file = old.clone();
        file.resize(file.len().max(range.end), 0);
        file[range].copy_from_slice(bytes);
        file
    };
    let cut = |size: usize| {
        let mut file = old.clone();
        file.resize(size, 0);
        file
    };
    let cases = [
        (Op::range(Write, 100, 50), Bytes(50), patch(100..150, &written(1, 100, 50))),
        (Op::range(Write, 5000, 50), Bytes(50), patch(5000..5050, &written(1, 5000, 50))),
        (Op::range(DirectWrite, 512, 4096), Bytes(4096), patch(512..4608, &written(1, 512, 4096))),
        (Op::range(AioWrite, 512, 4096), Bytes(4096), patch(512..4608, &written(1, 512, 4096))),
        (Op::range(MapWrite, 2900, 200), Bytes(200), patch(2900..3000, &written(1, 2900, 100))),
        (Op::range(MapWrite, 2900, 2000), Sigbus(1196), patch(2900..3000, &written(1, 2900, 100))),
        (Op::range(MapWrite, 4096, 1), Sigbus(0), old.clone()),
        (Op::at(Truncate, 100), Done, cut(100)),
        (Op::at(Truncate, 9000), Done, cut(9000)),
        (Op::at(Truncate, 0), Done, cut(0)),
        (Op::range(Fallocate, 2000, 4000), Done, cut(6000)),
        (Op::range(Fallocate, 0, 4), Done, old.clone()),
        (Op::range(KeepSize, 2000, 4000), Done, old.clone()),
        (Op::range(Punch, 1000, 500), Done, patch(1000..1500, &[0; 500])),
        (Op::range(Punch, 2900, 9000), Done, patch(2900..3000, &[0; 100])),
        (Op::range(Punch, 5000, 10), Done, old.clone()),
        (Op::range(ZeroRange, 1000, 500), Done, patch(1000..1500, &[0; 500])),
        (Op::range(ZeroRange, 2900, 200), Done, patch(2900..3100, &[0; 200])),
        (Op::range(ZeroRange, 5000, 10), Done, cut(5010)),
        (Op { readable: 7, ..Op::range(WriteFault, 10, 90) }, Bytes(7), patch(10..17, &written(1, 10, 7))),
        (Op { readable: 7, ..Op::range(WriteFault, 4000, 90) }, Bytes(7), patch(4000..4007, &written(1, 4000, 7))),
        (Op::range(WriteFault, 4000, 90), EFAULT, old.clone()),
        (Op::range(Write, 0, 3000), Outcome::Unsupported(Errno::EOPNOTSUPP), old.clone()),
    ];
    for (op, outcome, expected) in cases {
        let mut bench = Bench::alone();
        bench.write(0, 3000);
        bench.fine(op, outcome);
        assert_eq!(bench.file.check_whole(expected.len() as u64, &expected), Ok(()), "{op}");
        assert_eq!(bench.file.bytes(), expected, "{op}");
    }
}

#[test]
fn what_changes_nothing_must_succeed() {
    for kind in [Fsync, Fdatasync, Reopen, EndIo] {
        let mut bench = Bench::alone();
        bench.fine(Op::plain(kind), Done);
        let failed = bench.answer(0, Op::plain(kind), Outcome::Errno(Errno::EIO), &[]);
        assert_eq!(failed.unwrap_err().class, Class::Errno, "{kind}");
    }
    for kind in [Msync, SyncRange, DontNeed, Writeback, Evict, KeepSize] {
        let mut bench = Bench::alone();
        bench.fine(Op::range(kind, 8192, 4096), Done);
        let failed = bench.answer(0, Op::range(kind, 0, 1), Outcome::Errno(Errno::ENOSPC), &[]);
        assert_eq!(failed.unwrap_err().class, Class::Errno, "{kind}");
    }
}

#[test]
fn a_write_that_is_short_or_fails_is_a_divergence() {
    let wrong = [
        (Op::range(Write, 0, 100), Bytes(99), Class::Size),
        (Op::range(DirectWrite, 0, 1024), Bytes(512), Class::Size),
        (Op::range(Write, 0, 100), Outcome::Errno(Errno::EIO), Class::Errno),
        (Op { readable: 7, ..Op::range(WriteFault, 0, 90) }, Bytes(8), Class::Size),
        (Op { readable: 7, ..Op::range(WriteFault, 0, 90) }, Outcome::Errno(Errno::EIO), Class::Errno),
        (Op::range(WriteFault, 0, 90), Bytes(0), Class::Errno),
        (Op::at(Truncate, 5), Outcome::Errno(Errno::EFBIG), Class::Errno),
        (Op::plain(Stat), Position(1), Class::Size),
    ];
    for (op, outcome, class) in wrong {
        assert_eq!(Bench::alone().answer(0, op, outcome, &[]).unwrap_err().class, class, "{op} {outcome}");
    }
}

#[test]
fn a_mapping_faults_at_the_first_page_past_the_end_of_file() {
    // (size, off, len, SIGBUS due after), with pages of 4096 bytes.
    let cases = [
        (0, 0, 1, Some(0)),
        (1, 0, 4096, None),
        (1, 4095, 1, None),
        (1, 4095, 2, Some(1)),
        (4096, 4096, 1, Some(0)),
        (4096, 0, 8192, Some(4096)),
        (4097, 0, 8192, None),
        (4097, 20_000, 10, Some(0)),
    ];
    for (size, off, len, due) in cases {
        for kind in [MapRead, MapWrite] {
            let mut bench = Bench::alone();
            bench.truncate(size);
            let op = Op::range(kind, off, len);
            let (right, wrong) = match due {
                None => (Bytes(len), Sigbus(len - 1)),
                Some(n) => (Sigbus(n), Bytes(len)),
            };
            let zeros = vec![0; len as usize];
            assert_eq!(bench.answer(0, op, wrong, &zeros).unwrap_err().class, Class::Size, "{op} of {size}");
            assert_eq!(bench.answer(0, op, right, &zeros), Ok(()), "{op} of {size}");
        }
    }
}

/// Operation 0 makes the file 1000 bytes long, operation 1 stores past its end, or not.
fn polluted(stores: bool) -> Bench {
    let mut bench = Bench::alone();
    bench.truncate(1000);
    if stores {
        bench.fine(Op::range(MapWrite, 1000, 24), Bytes(24));
    }
    bench
}

#[test]
fn stores_past_the_end_of_file_leave_open_what_loads_find_there() {
    let mut found = vec![0; 100];
    found[50] = 3;
    let load = Op::range(MapRead, 950, 100);
    let divergence = polluted(false).answer(0, load, Bytes(100), &found).unwrap_err();
    assert_eq!((divergence.class, divergence.offset), (Class::Content, Some(1000)));
    assert_eq!(polluted(true).answer(0, load, Bytes(100), &found), Ok(()));

    let mut beside = vec![0; 100];
    beside[74] = 3;
    let divergence = polluted(true).answer(0, load, Bytes(100), &beside).unwrap_err();
    assert_eq!(divergence.offset, Some(1024), "only the bytes stored to are open");
}

#[test]
fn growing_shows_zeros_where_a_mapping_stored() {
    let extend =
        [(Op::at(Truncate, 1020), Done), (Op::range(Fallocate, 0, 1020), Done), (Op::range(ZeroRange, 1010, 10), Done)];
    for (op, outcome) in extend {
        let mut bench = polluted(true);
        bench.fine(op, outcome);
        let stale = written(1, 1000, 20);
        let divergence = bench.answer(0, Op::range(Read, 1000, 20), Bytes(20), &stale).unwrap_err();
        assert_eq!((divergence.class, divergence.offset), (Class::Content, Some(1000)), "{op}");
        assert_eq!(bench.answer(0, Op::range(Read, 1000, 20), Bytes(20), &[0; 20]), Ok(()), "{op}");
        // Past the new end, in the same page, the stores may still stand.
        let load = Op::range(MapRead, 1020, 4);
        assert_eq!(bench.answer(0, load, Bytes(4), &written(1, 1020, 4)), Ok(()), "{op}");
        assert_eq!(bench.answer(0, load, Bytes(4), &[0; 4]), Ok(()), "{op}");
    }
}

#[test]
fn cutting_the_file_ends_the_pollution() {
    let mut bench = polluted(true);
    bench.truncate(999);
    let stale = written(1, 1000, 24);
    let load = Op::range(MapRead, 1000, 24);
    assert_eq!(bench.answer(0, load, Bytes(24), &stale).unwrap_err().offset, Some(1000));
    assert_eq!(bench.answer(0, load, Bytes(24), &[0; 24]), Ok(()));
}

#[test]
fn seeking_is_an_envelope_that_never_hides_data() {
    // Data in [4096, 8192), zeros in [0, 4096) and [8192, 16384).
    let accepted = [
        (SeekData, 0, Position(0)),
        (SeekData, 0, Position(1024)),
        (SeekData, 0, Position(4096)),
        (SeekData, 5000, Position(5000)),
        (SeekData, 8192, Position(8192)),
        (SeekData, 8192, Position(12_288)),
        (SeekData, 8192, ENXIO),
        (SeekData, 16_384, ENXIO),
        (SeekHole, 0, Position(0)),
        (SeekHole, 0, Position(16_384)),
        (SeekHole, 4096, Position(8192)),
        (SeekHole, 9000, Position(9000)),
        (SeekHole, 9000, Position(16_384)),
        (SeekHole, 16_384, ENXIO),
        (SeekHole, LIMIT, ENXIO),
    ];
    let refused = [
        (SeekData, 0, Position(4097), Class::Size, Some(4096)),
        (SeekData, 5000, Position(6000), Class::Size, Some(5000)),
        (SeekData, 5000, Position(4096), Class::Size, None),
        (SeekData, 9000, Position(16_384), Class::Size, None),
        (SeekData, 5000, ENXIO, Class::Errno, Some(5000)),
        (SeekData, 16_384, Position(16_384), Class::Errno, None),
        (SeekHole, 4096, Position(4096), Class::Size, Some(4096)),
        (SeekHole, 0, Position(8191), Class::Size, Some(8191)),
        (SeekHole, 9000, Position(8999), Class::Size, None),
        (SeekHole, 0, Position(16_385), Class::Size, None),
        (SeekHole, 0, ENXIO, Class::Errno, None),
        (SeekHole, 16_384, Position(16_384), Class::Errno, None),
    ];
    let sparse = || {
        let mut bench = Bench::alone();
        bench.truncate(16_384);
        bench.write(PAGE, PAGE);
        bench
    };
    for (kind, off, outcome) in accepted {
        sparse().fine(Op::at(kind, off), outcome);
    }
    for (kind, off, outcome, class, offset) in refused {
        let divergence = sparse().answer(0, Op::at(kind, off), outcome, &[]).unwrap_err();
        assert_eq!((divergence.class, divergence.offset), (class, offset), "{kind} {off} {outcome}: {divergence}");
    }
}

#[test]
fn the_whole_file_is_compared_at_rest() {
    let mut bench = Bench::alone();
    bench.write(0, 100);
    let mut content = written(0, 0, 100);
    assert_eq!(bench.file.check_whole(100, &content), Ok(()));
    assert_eq!(bench.file.check_whole(101, &[0; 101]).unwrap_err().class, Class::Size);
    assert_eq!(bench.file.check_whole(100, &content[..99]).unwrap_err().class, Class::Size);
    content[99] = 0;
    let divergence = bench.file.check_whole(100, &content).unwrap_err();
    assert_eq!((divergence.class, divergence.offset, divergence.op), (Class::Content, Some(99), None));
}

#[test]
fn a_reset_file_is_a_new_one() {
    let mut bench = polluted(true);
    bench.file.reset(&common::geometry(1000, 512), 2, PAGE);
    assert_eq!(bench.file.check_whole(1000, &[0; 1000]), Ok(()));
    let stale = written(1, 1000, 24);
    assert!(bench.answer(0, Op::range(MapRead, 1000, 24), Bytes(24), &stale).is_err(), "pollution outlived the reset");
}

#[test]
fn a_write_from_the_files_own_mapping_changes_nothing_and_ends_where_the_file_does() {
    let mut bench = Bench::alone();
    bench.write(0, 700);
    bench.fine(Op::range(OpKind::WriteFromMap, 100, 1000), Outcome::Bytes(600));
    bench.fine(Op::range(OpKind::WriteFromMap, 700, 10), Outcome::Bytes(0));
    assert_eq!((bench.file.size(), bench.file.bytes()), (700, &written(0, 0, 700)[..]));
    let more = Op::range(OpKind::WriteFromMap, 0, 1000);
    assert_eq!(bench.answer(0, more, Outcome::Bytes(1000), &[]).unwrap_err().class, Class::Size);
}
