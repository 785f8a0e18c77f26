//! A divergence names whose bytes were due and whose were found.

mod common;

use common::{Bench, written};
use oracle::fill::fill_garbage;
use oracle::{Op, OpKind, Outcome};

use OpKind::*;
use Outcome::{Bytes, Done};

/// The message when `found` is read at `[8192, 8192 + found.len())` after a few operations.
fn detail(found: &[u8]) -> String {
    let mut bench = Bench::alone();
    bench.write(0, 16_384);
    bench.write(8192, 4096);
    bench.fine(Op::range(Punch, 12_288, 4096), Done);
    bench.write(30_000, 10);
    let op = Op::range(Read, 8192, found.len() as u64);
    bench.answer(0, op, Bytes(found.len() as u64), found).unwrap_err().detail
}

#[test]
fn the_writer_whose_bytes_were_lost_is_named() {
    let detail = detail(&[0; 512]);
    assert!(detail.contains("expected what 0.1 write off=8192 len=4096 wrote there ["), "{detail}");
    assert!(detail.contains("found zeros"), "{detail}");
    assert!(detail.contains("512 wrong byte(s) from offset 8192"), "{detail}");
}

#[test]
fn an_older_writer_is_named() {
    // A byte on which the two writers agree by chance would end the run early, not change who is named.
    let detail = detail(&written(0, 8192, 512));
    assert!(detail.contains("found what 0.0 write off=0 len=16384 wrote there"), "{detail}");
}

#[test]
fn a_misplaced_write_is_named_with_its_distance() {
    let detail = detail(&written(0, 1024, 4096));
    assert!(detail.contains("found what 0.0 write off=0 len=16384 wrote at 1024, misplaced by 7168 bytes"), "{detail}");
}

#[test]
fn garbage_is_called_garbage() {
    let mut found = vec![0; 4096];
    fill_garbage(&mut found, 8192);
    assert!(detail(&found).contains("found what the disk held before anything was written"));
}

#[test]
fn bytes_nobody_wrote_are_not_blamed_on_anyone() {
    let detail = detail(&written(77, 8192, 4096));
    assert!(detail.contains("found bytes of no operation that can be named"), "{detail}");
}

#[test]
fn who_zeroed_last_is_named() {
    let mut found = written(1, 8192, 4096);
    found.extend(written(0, 12_288, 4096));
    let detail = detail(&found);
    assert!(detail.contains("expected zeros (last zeroed by 0.2 punch off=12288 len=4096)"), "{detail}");
    assert!(detail.contains("found what 0.0 write off=0 len=16384 wrote there"), "{detail}");
}

#[test]
fn data_reported_as_a_hole_names_its_writer() {
    let mut bench = Bench::alone();
    bench.truncate(65_536);
    bench.write(8192, 4096);
    let divergence = bench.answer(0, Op::at(SeekData, 0), Outcome::Position(9000), &[]).unwrap_err();
    assert!(
        divergence.detail.contains("reported as a hole: what 0.1 write off=8192 len=4096 wrote there at 8192"),
        "{divergence}"
    );
}
