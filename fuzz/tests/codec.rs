//! Bytes, programs and text lead to each other without loss.

use foliofuzz::bytes::{Profile, decode, encode};
use foliofuzz::generate::Generator;
use foliofuzz::program::Program;
use lanes::{Action, Anchor, LaneId, Place, Schedule, Y};
use oracle::{Flavour, Geometry, Op, OpKind, Sharing};

fn assert_lossless(program: &Program) {
    assert_eq!(program.validate(), Ok(()), "{program:#?}");
    assert_eq!(&decode(&encode(program)), program);
}

#[test]
fn fresh_programs_are_valid_and_survive_their_bytes() {
    let mut bytes = Vec::new();
    for profile in [Profile::ANY, Profile::Kernel, Profile::Threads] {
        let generator = Generator { seed: 7, profile, strategy: None };
        for number in 0..20_000 {
            generator.fill(number, &mut bytes);
            assert_lossless(&decode(&bytes));
        }
    }
}

#[test]
fn any_bytes_are_a_valid_program() {
    bolero::check!().with_type::<Vec<u8>>().with_iterations(50_000).for_each(|bytes| assert_lossless(&decode(bytes)));
}

#[test]
fn a_prefix_of_a_program_is_a_program() {
    let generator = Generator { seed: 1, profile: Profile::ANY, strategy: None };
    let mut bytes = Vec::new();
    generator.fill(0, &mut bytes);
    (0..bytes.len()).for_each(|len| assert_lossless(&decode(&bytes[..len])));
    assert_eq!(decode(&[]).op_count(), 0);
}

#[test]
fn odd_but_valid_programs_survive_their_bytes() {
    let geometry = Geometry {
        page: 65536,
        block: 2048,
        max_order: 6,
        memory_pages: u16::MAX,
        readahead_pages: oracle::MAX_READAHEAD,
        stable_pages: false,
        flavour: Flavour::Xfs58,
        file_limit: 16 << 20,
        sharing: Sharing::Owned,
        floor: 16 << 20,
        stripe: 16 << 20,
    };
    let place = Place { lane: LaneId::RECLAIM, op: u32::MAX, y: Y::FINISH, nth: u16::MAX };
    let schedule = Schedule::Anchored(vec![
        Anchor { place, action: Action::Pick(u32::MAX) },
        Anchor { place, action: Action::Run(vec![LaneId(6); 300]) },
    ]);
    let whole = Op::range(OpKind::Write, 0, 16 << 20);
    let short = Op { kind: OpKind::WriteFault, off: 5, len: 1 << 20, readable: (1 << 20) - 1 };
    let lanes = vec![vec![whole, short, Op::at(OpKind::Truncate, 16 << 20)], vec![], vec![Op::plain(OpKind::EndIo)]];
    assert_lossless(&Program { geometry, lanes, schedule });
}
