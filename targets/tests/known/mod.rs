//! For each difference that is limited to some file systems, the shortest program that shows it.
//!
//! All of them were found by random programs against Linux 6.18 and cut down from there. On a kernel that does
//! better they agree with the flat file, permitted or not.

use crate::programs::Program;
use oracle::flat::PERMITTED;
use oracle::{Op, OpId, OpKind};

use OpKind::*;

fn fault(off: u64, len: u64, readable: u64) -> Op {
    Op { readable, ..Op::range(WriteFault, off, len) }
}

fn shown_by(row: &str) -> Vec<Op> {
    match row {
        // Single pages with something in them are freed first, for the kernel to take and show.
        "short-copy-exposes-memory" => {
            let fill = (0..16).map(|page| Op::range(Write, page * 4096, 4096));
            let renew = [Op::at(Truncate, 0), Op::at(Truncate, 65_536)];
            let faults = (0..16).map(|page| fault(page * 4096, 4000, 1000));
            fill.chain(renew).chain(faults).collect()
        }
        "seek-data-finds-end" => vec![
            Op::range(ZeroRange, 0, 32_160),
            Op::range(Write, 26_624, 64_252),
            Op::plain(Fdatasync),
            Op::at(Truncate, 25_575),
            Op::at(SeekData, 0),
        ],
        // What xfs needs, then what ext4 needs.
        "direct-read-meets-reservation" => vec![
            Op::range(Write, 8192, 59_902),
            fault(207_872, 3545, 1295),
            Op::range(Fallocate, 237_408, 523),
            Op::range(DirectRead, 216_064, 46_080),
            Op::at(Truncate, 0),
            fault(12_299, 15_872, 7996),
            Op::range(DirectRead, 17_408, 12_288),
        ],
        "direct-write-extends-behind-mapping" => vec![
            Op::range(Write, 0, 1024),
            Op::range(MapWrite, 10, 10),
            Op::range(DirectWrite, 8192, 1024),
            Op::range(MapWrite, 2048, 512),
            // Again, and the page is cut in between.
            Op::at(Truncate, 0),
            Op::range(Write, 0, 1024),
            Op::range(MapWrite, 0, 4096),
            Op::range(DirectWrite, 4096, 4096),
            Op::at(Truncate, 3584),
            Op::range(Write, 4096, 4096),
            Op::range(MapWrite, 0, 4096),
        ],
        "stores-past-eof-survive" => {
            vec![Op::at(Truncate, 1000), Op::range(MapWrite, 900, 200), Op::at(Truncate, 5000)]
        }
        "stores-past-allocated-end-survive" => vec![
            Op::range(Write, 0, 512),
            Op::range(MapWrite, 0, 4096),
            Op::range(Fallocate, 0, 3584),
            Op::at(Truncate, 8192),
        ],
        // Where a crash stands in its lane says what it saves: at 4 the log, at 6 nothing.
        "size-before-data" => vec![
            Op::range(Write, 4096, 1024),
            Op::plain(Fsync),
            Op::plain(Stat),
            Op::range(Write, 4096, 4096),
            Op::plain(Crash),
        ],
        "stores-past-eof-reach-device" => vec![
            Op::range(Write, 0, 4096),
            Op::plain(Fsync),
            Op::at(Truncate, 512),
            Op::range(MapWrite, 0, 4096),
            Op::range(Writeback, 0, 4096),
            Op::range(MapWrite, 0, 4096),
            Op::plain(Crash),
        ],
        "fallocate-logs-its-end" => vec![
            Op::range(Write, 0, 4096),
            Op::range(Write, 0, 4096),
            Op::range(Punch, 0, 512),
            Op::range(Write, 0, 4096),
            Op::plain(Crash),
        ],
        "failed-write-extends" => vec![fault(5000, 10, 0)],
        _ => panic!("no program shows {row}: add one"),
    }
}

/// The rows limited to `file_system`, each with its program.
pub(crate) fn programs(file_system: &str) -> Vec<(&'static str, Program)> {
    let numbered = |ops: Vec<Op>| ops.into_iter().zip(0..).map(|(op, index)| (OpId { lane: 0, index }, op)).collect();
    let rows = PERMITTED.iter().filter(|row| row.on.contains(&file_system));
    rows.map(|row| (row.name, numbered(shown_by(row.name)))).collect()
}
