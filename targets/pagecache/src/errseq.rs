//! Errors of a file, each told once to every open file description.
//!
//! A counter that says nothing else than "something was lost since you last asked", in one word: an error number, a
//! bit that says whether anybody has been told, and a count that moves only if somebody has. A description keeps
//! the value it saw last and compares. It follows errseq of Linux 4.17 and later.

use parking_lot::Mutex;

/// Bits of the error number.
const ERRNO: u32 = 0xfff;
/// Somebody has been told of the error.
const SEEN: u32 = 0x1000;
/// The count is above the bit.
const STEP: u32 = 0x2000;

/// The errors of a file.
#[derive(Debug, Default)]
pub struct ErrSeq {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    value: u32,
    /// How many errors were set: the rule is checked against this, which the value knows nothing of.
    errors: u64,
    /// Up to which of them somebody has been told.
    seen: u64,
}

/// What an open file description has been told.
#[derive(Debug, Default)]
pub struct Cursor {
    state: Mutex<Told>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    value: u32,
    errors: u64,
}

/// An answer that breaks the rule: every error is told once to each description that was opened before it, and, if
/// nobody had been told, to the first one opened after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// There was an error to tell of, and nothing was told.
    Withheld,
    /// An error was told of again, or there was none.
    Repeated,
}

impl ErrSeq {
    /// Records an error. The count moves only if somebody has been told of the one before: otherwise both are told
    /// of together.
    pub fn set(&self, errno: u32) {
        let mut state = self.state.lock();
        let count = state.value & !(ERRNO | SEEN);
        let moved = if state.value & SEEN != 0 { count.wrapping_add(STEP) } else { count };
        state.value = moved | errno & ERRNO;
        state.errors += 1;
    }

    /// Whether an error was ever set.
    pub fn is_set(&self) -> bool {
        self.state.lock().errors > 0
    }

    /// What a description knows when it is opened: everything, or nothing if there is an error that nobody has been
    /// told of. `raw` leaves that exception out.
    pub fn open(&self, cursor: &Cursor, raw: bool) {
        let state = self.state.lock();
        let value = if state.value & SEEN != 0 || raw { state.value } else { 0 };
        *cursor.state.lock() = Told { value, errors: state.seen };
    }

    /// The error the description has not been told of, if there is one; now it has. And whether that is what the rule
    /// asks for. `shared` is as if all had one cursor: whoever asks first is told.
    pub fn check_and_advance(&self, cursor: &Cursor, shared: bool) -> (Option<u32>, Result<(), Breach>) {
        let mut state = self.state.lock();
        let mut told = cursor.state.lock();
        let new = match shared {
            true => state.value != 0 && state.value & SEEN == 0,
            false => state.value != told.value,
        };
        if new {
            state.value |= SEEN;
            told.value = state.value;
        }
        let kept = state.audit(&mut told, new);
        (new.then_some(state.value & ERRNO), kept)
    }
}

impl State {
    /// Compares what a description is told with what it has to be told, and takes note of it.
    fn audit(&mut self, told: &mut Told, now: bool) -> Result<(), Breach> {
        let owed = told.errors < self.errors;
        told.errors = self.errors;
        if now {
            self.seen = self.errors;
        }
        match (owed, now) {
            (true, false) => Err(Breach::Withheld),
            (false, true) => Err(Breach::Repeated),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIO: u32 = 5;

    /// A description, and what it is told when it asks.
    struct Description<'a>(&'a ErrSeq, Cursor);

    impl<'a> Description<'a> {
        fn open(errors: &'a ErrSeq) -> Description<'a> {
            let description = Description(errors, Cursor::default());
            errors.open(&description.1, false);
            description
        }

        fn ask(&self) -> Option<u32> {
            let (told, kept) = self.0.check_and_advance(&self.1, false);
            assert_eq!(kept, Ok(()));
            told
        }
    }

    #[test]
    fn every_description_is_told_once() {
        let errors = ErrSeq::default();
        let (first, second) = (Description::open(&errors), Description::open(&errors));
        assert_eq!(first.ask(), None);
        errors.set(EIO);
        assert_eq!((first.ask(), first.ask()), (Some(EIO), None));
        errors.set(28);
        assert_eq!((first.ask(), second.ask()), (Some(28), Some(28)));
        assert_eq!((first.ask(), second.ask()), (None, None));
    }

    #[test]
    fn the_first_one_opened_after_an_error_nobody_knows_of_is_told() {
        let errors = ErrSeq::default();
        errors.set(EIO);
        let first = Description::open(&errors);
        assert_eq!(first.ask(), Some(EIO));
        let second = Description::open(&errors);
        assert_eq!(second.ask(), None);
        errors.set(EIO);
        assert_eq!((second.ask(), first.ask()), (Some(EIO), Some(EIO)));
    }

    #[test]
    fn a_description_told_twice_is_seen_by_the_audit() {
        let errors = ErrSeq::default();
        let cursor = Cursor::default();
        errors.set(EIO);
        assert_eq!(errors.check_and_advance(&cursor, false), (Some(EIO), Ok(())));
        cursor.state.lock().value = 0;
        assert_eq!(errors.check_and_advance(&cursor, false), (Some(EIO), Err(Breach::Repeated)));
    }

    #[test]
    fn a_description_opened_raw_misses_what_nobody_knows_of_and_the_audit_sees_it() {
        let errors = ErrSeq::default();
        errors.set(EIO);
        let cursor = Cursor::default();
        errors.open(&cursor, true);
        assert_eq!(errors.check_and_advance(&cursor, false), (None, Err(Breach::Withheld)));
    }

    /// Every sequence of seven steps by two descriptions, the audit being the judge.
    #[test]
    fn no_sequence_of_steps_breaks_the_rule() {
        for mut steps in 0..5u32.pow(7) {
            let errors = ErrSeq::default();
            let mut descriptions = [Description::open(&errors), Description::open(&errors)];
            for _ in 0..7 {
                match steps % 5 {
                    0 => errors.set(EIO),
                    1 => drop(descriptions[0].ask()),
                    2 => drop(descriptions[1].ask()),
                    n => descriptions[n as usize - 3] = Description::open(&errors),
                }
                steps /= 5;
            }
        }
    }
}
