//! A target of one's own, right and wrong in known ways: what somebody does who tests a cache of theirs.

use foliofuzz::bytes::Profile;
use foliofuzz::finding::Finding;
use foliofuzz::generate::Generator;
use foliofuzz::sequential::{Sequential, fuzz};
use foliofuzz::{Program, Reproducer};
use oracle::fill::fill_written;
use oracle::{Class, Divergence, Errno, Geometry, Op, OpId, OpKind, Outcome, Target, TargetError};

/// What is wrong with the toy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// A write that ends in the middle of a page loses its last byte.
    LosesLastByte,
    /// Punching raises the size.
    PunchExtends,
    /// Reopening fails.
    CannotReopen,
    /// What DONTNEED drops is not on the device.
    NeverWritten,
    /// The check at the end finds something.
    Miscounts,
    /// The target itself breaks down.
    BreaksDown,
}

/// A vector of bytes as a file. It has no mappings, no direct I/O and no way to seek.
struct Toy {
    content: Vec<u8>,
    bug: Bug,
}

impl Toy {
    fn change(&mut self, id: OpId, op: &Op) -> Outcome {
        let (from, to) = (op.off as usize, (op.off + op.len) as usize);
        let size = self.content.len();
        match op.kind {
            OpKind::Write => {
                let lost = usize::from(self.bug == Bug::LosesLastByte && !to.is_multiple_of(256));
                self.content.resize(size.max(to), 0);
                fill_written(&mut self.content[from..to - lost], id, op.off);
                Outcome::Bytes(op.len)
            }
            OpKind::Punch if self.bug == Bug::PunchExtends => {
                self.content.resize(size.max(to), 0);
                Outcome::Done
            }
            OpKind::Punch => {
                self.content[from.min(size)..to.min(size)].fill(0);
                Outcome::Done
            }
            OpKind::DontNeed if self.bug == Bug::NeverWritten => {
                self.content.fill(0);
                Outcome::Done
            }
            OpKind::Reopen if self.bug == Bug::CannotReopen => Outcome::Errno(Errno::EIO),
            OpKind::Truncate => {
                self.content.resize(from, 0);
                Outcome::Done
            }
            OpKind::Fsync | OpKind::SyncRange | OpKind::DontNeed | OpKind::Reopen => Outcome::Done,
            OpKind::Stat => Outcome::Position(size as u64),
            _ => Outcome::Unsupported(Errno::EOPNOTSUPP),
        }
    }
}

impl Target for Toy {
    fn name(&self) -> String {
        "toy".to_owned()
    }

    fn start(&mut self, geometry: &Geometry) -> Result<(), TargetError> {
        self.content.clear();
        self.content.resize(geometry.floor as usize, 0);
        Ok(())
    }

    fn execute(&mut self, id: OpId, op: &Op, buf: &mut Vec<u8>) -> Result<Outcome, TargetError> {
        if self.bug == Bug::BreaksDown && op.kind == OpKind::Fsync {
            return Err(TargetError::new("the toy broke"));
        }
        if op.kind != OpKind::Read {
            return Ok(self.change(id, op));
        }
        let size = self.content.len();
        let found = &self.content[size.min(op.off as usize)..size.min((op.off + op.len) as usize)];
        buf.clear();
        buf.extend_from_slice(found);
        Ok(Outcome::Bytes(found.len() as u64))
    }

    fn check(&mut self) -> Result<Result<(), Divergence>, TargetError> {
        let wrong = Divergence { class: Class::Accounting, op: None, offset: None, detail: "one too many".to_owned() };
        Ok(if self.bug == Bug::Miscounts { Err(wrong) } else { Ok(()) })
    }

    fn page_size(&self) -> u64 {
        256
    }
}

fn find(bug: Bug) -> Option<(Class, Vec<OpKind>)> {
    let generator = Generator { seed: 1, profile: Profile::ANY, strategy: None };
    let mut toy = Toy { content: Vec::new(), bug };
    let finding = fuzz(&mut toy, &generator, 500).unwrap()?;
    assert!(finding.is_minimal);
    let Program { lanes, .. } = finding.reproducer.program;
    Some((finding.divergence.class, lanes.concat().iter().map(|op| op.kind).collect()))
}

#[test]
fn a_right_target_agrees() {
    assert_eq!(find(Bug::None), None);
}

#[test]
fn every_kind_of_wrong_is_found_and_shrunk_to_what_it_takes() {
    assert_eq!(find(Bug::LosesLastByte), Some((Class::Content, vec![OpKind::Write])));
    // Seen as a wrong size, or as the zeros that a write finds there; which comes first is the seed's business.
    let (class, ops) = find(Bug::PunchExtends).unwrap();
    let shrunk = [vec![OpKind::Punch], vec![OpKind::Write, OpKind::Punch]];
    assert!(matches!(class, Class::Size | Class::Content) && shrunk.contains(&ops), "{class} {ops:?}");
    let (class, ops) = find(Bug::CannotReopen).unwrap();
    // A mapped operation is enough: the check at rest reopens the file then.
    assert_eq!((class, ops.len()), (Class::Errno, 1), "{ops:?}");
    assert_eq!(find(Bug::Miscounts), Some((Class::Accounting, vec![])));
    let (class, ops) = find(Bug::NeverWritten).unwrap();
    // Dropped by an operation of the program or by the check at rest, which then is a matter of the device.
    assert!(matches!(class, Class::Content | Class::Disk) && ops.len() <= 3, "{class} {ops:?}");
}

#[test]
fn a_target_that_breaks_down_is_an_error_and_no_finding() {
    let generator = Generator { seed: 1, profile: Profile::ANY, strategy: None };
    let mut toy = Toy { content: Vec::new(), bug: Bug::BreaksDown };
    assert_eq!(fuzz(&mut toy, &generator, 500).unwrap_err().message, "the toy broke");
}

/// A candidate that could not be run does not agree: nothing is known of it.
#[test]
fn a_target_that_breaks_down_while_minimizing_is_an_error_and_not_asked_again() {
    let program = "foliofuzz 1\npage 256\nblock 256\nfile_limit 512\nlane 0\nwrite off=0 len=9\nstat\n";
    let program = program.parse::<Reproducer>().unwrap().program;
    let seen = Divergence { class: Class::Content, op: None, offset: None, detail: String::new() };
    let mut asked = 0;
    let mut run = |_: &Program| {
        asked += 1;
        Err(TargetError::new("gone"))
    };
    let error = Finding::on_target(&program, &seen, &mut run, "foliofuzz replay").unwrap_err();
    assert_eq!((error.message.as_str(), asked), ("gone", 1));
}

#[test]
fn what_a_target_lacks_is_no_execution() {
    let text = "foliofuzz 1\npage 256\nblock 256\nfile_limit 512\nlane 0\nwrite off=0 len=9\nseek_hole off=0\nmapread off=0 len=9\n";
    let program = text.parse::<Reproducer>().unwrap().program;
    let mut toy = Toy { content: Vec::new(), bug: Bug::None };
    let mut told = Vec::new();
    let verdict = Sequential::new().run(&mut toy, &program, |step| told.push(step)).unwrap();
    assert_eq!((verdict.divergence, verdict.ops), (None, 1));
    assert_eq!(told, [0, 1, 2, 3], "every operation is announced, and the check at rest");
}
