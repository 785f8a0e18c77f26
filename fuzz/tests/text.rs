//! The text form: lossless, stable, and helpful when it is wrong.

use foliofuzz::bytes::{Profile, decode};
use foliofuzz::generate::Generator;
use foliofuzz::program::Program;
use foliofuzz::reproducer::{Expect, Reproducer};
use lanes::{Action, Anchor, LaneId, Place, Schedule, Y};
use oracle::Class;

const SAMPLE: &str = "\
# A write whose mapping goes stale.
#
# Replay: foliofuzz replay stale.folio
foliofuzz 1
fault stale-iomap-write-vs-writeback-reclaim
expect content
trace 0x00000000deadbeef

page 256
block 128
max_order 0
memory_pages 0
flavour xfs
file_limit 4096
floor 1024
stripe 64

lane 0
  write off=0 len=64
  truncate size=2048
  fsync

lane 1
  mapread off=5 len=300
  write_fault off=64 len=64 readable=1
  seek_data off=0

schedule anchored
  at 0.0 W13 #1 run flusher, end-io, reclaim
  at reclaim.0 C0 #2 pick 2
";

fn wrap(program: Program, number: u64) -> Reproducer {
    let comment =
        if number.is_multiple_of(2) { vec!["one".to_owned(), String::new(), "three".to_owned()] } else { vec![] };
    let expect = if number.is_multiple_of(3) { Expect::Agree } else { Expect::Diverge(Class::KernelLog) };
    Reproducer { comment, fault: None, expect, trace: number.is_multiple_of(5).then_some(number), program }
}

#[test]
fn a_printed_file_reads_and_prints_back_identically() {
    let reproducer: Reproducer = SAMPLE.parse().unwrap();
    assert_eq!(reproducer.to_string(), SAMPLE);
    assert_eq!(reproducer.comment[0], "A write whose mapping goes stale.");
    assert_eq!(reproducer.program.op_count(), 6);
}

#[test]
fn fresh_programs_survive_their_text() {
    let generator = Generator { seed: 3, profile: Profile::ANY, strategy: None };
    let mut bytes = Vec::new();
    for number in 0..5_000 {
        generator.fill(number, &mut bytes);
        let mut program = decode(&bytes);
        if number.is_multiple_of(7) {
            let place = |y| Place { lane: LaneId::FLUSHER, op: number as u32, y, nth: 1 };
            let run = Anchor { place: place(Y::B2), action: Action::Run(vec![LaneId(6), LaneId::CHECKER]) };
            program.schedule = Schedule::Anchored(vec![run, Anchor { place: place(Y::LK1), action: Action::Pick(0) }]);
        }
        let reproducer = wrap(program, number);
        let text = reproducer.to_string();
        let again: Reproducer = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again, reproducer);
        assert_eq!(again.to_string(), text);
    }
}

#[test]
fn a_file_need_not_be_printed_to_be_read() {
    let short = "\nfoliofuzz 1\npage 0x100\n\tblock 1024\r\n# why not\nfile_limit 4096\nlane 0\nfsync\n";
    let reproducer: Reproducer = short.parse().unwrap();
    assert_eq!(reproducer.expect, Expect::Agree);
    assert_eq!(reproducer.program.geometry.max_order, 2);
    assert_eq!(reproducer.program.schedule, Schedule::default());
}

/// Replaces `from` in the sample and gives what the parser says.
fn complaint(from: &str, to: &str) -> String {
    assert!(SAMPLE.contains(from));
    SAMPLE.replacen(from, to, 1).parse::<Reproducer>().unwrap_err().to_string()
}

#[test]
fn errors_say_where_and_what_was_expected() {
    let cases = [
        (
            ("write off=0", "wirte off=0"),
            "line 19, column 3: expected an operation or a keyword, found `wirte`; did you mean `write`?",
        ),
        (("write off=0 len=64", "write off=0"), "line 19, column 14: expected `len`, as in `write off=0 len=4096`"),
        (("len=64", "len=6x4"), "line 19, column 19: expected a number, decimal or after `0x` hexadecimal"),
        (("  fsync", "  fsync now"), "line 21, column 9: expected the end of the line, found `now`"),
        (("foliofuzz 1", "foliofuzz 2"), "line 4, column 11: expected version 1, this is a file of version 2"),
        (("foliofuzz 1", "page 256"), "line 4, column 1: expected `foliofuzz 1`, which begins every reproducer"),
        (
            ("expect content", "expect contents"),
            "line 6, column 8: expected `agree` or a class of divergence, found `contents`; did you mean `content`?",
        ),
        (("W13 #1", "W31 #1"), "line 29, column 10: expected a place, found `W31`; did you mean `W11`?"),
        (
            ("run flusher", "run flsher"),
            "line 29, column 21: expected a lane, 0 to 6 or one of flusher, end-io, reclaim and checker, found `flsher`; did you mean `flusher`?",
        ),
        (("lane 1", "lane 2"), "line 23, column 6: expected lane 1, lanes come in order"),
        (("lane 0", "lane 0\nlane 1\nlane 3"), "line 20, column 6: expected lane 2, lanes come in order"),
        (("block 128", "block 128\nblock 64"), "line 11, column 1: expected `block` only once"),
        (("block 128\n", ""), "line 29, column 1: expected a line `block N` before the end"),
        (("block 128", "block 100"), "line 9, column 1: block must be a power of two between 32 and 65536"),
        (("page 256", "page 0"), "line 9, column 1: page must be a power of two between 128 and 65536"),
        (("max_order 0", "max_order 256"), "line 11, column 11: expected a number of at most 255"),
        (
            ("write off=0 len=64", "write off=0 len=65"),
            "line 19, column 1: the range holds bytes that belong to another lane",
        ),
        (
            ("schedule anchored", "schedule rare seed=1 one_in=0"),
            "line 29, column 3: expected `schedule anchored` before the first `at`",
        ),
        (
            ("at 0.0", "at 0"),
            "line 29, column 6: expected a lane, a dot and the number of its operation, as in `at 0.2 W13 #1 run flusher, end-io`",
        ),
    ];
    for ((from, to), expected) in cases {
        assert_eq!(complaint(from, to), expected);
    }
}

/// Every way to spoil one character, and random text: an error or a program, never a panic.
#[test]
fn no_text_makes_the_parser_panic() {
    let spoilers = ["", "0", "-", " ", "\n", "=", ".", "#", ",", "x", "ä", "99999999999999999999999"];
    let (mut good, mut bad) = (0, 0);
    for at in 0..SAMPLE.len() {
        for spoiler in spoilers {
            let text = format!("{}{spoiler}{}", &SAMPLE[..at], &SAMPLE[at + 1..]);
            match text.parse::<Reproducer>() {
                Ok(reproducer) => {
                    good += 1;
                    assert_eq!(reproducer.to_string().parse(), Ok(reproducer));
                }
                Err(_) => bad += 1,
            }
        }
    }
    assert!(good > 100 && bad > 1000, "{good} {bad}");
    bolero::check!().with_type::<String>().with_iterations(5_000).for_each(|text| {
        let _ = text.parse::<Reproducer>();
        let _ = format!("foliofuzz 1\npage 256\nblock 256\nfile_limit 1024\nlane 0\n{text}").parse::<Reproducer>();
    });
}
