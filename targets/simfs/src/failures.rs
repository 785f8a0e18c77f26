//! I/O that is going to fail, because the program says so.

use pagecache::{Error, Result};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// A write of the device: nothing of it gets there.
    Write,
    /// A read of the device: nothing of it arrives.
    Read,
    /// Finding blocks for what is to be written back.
    Map,
}

/// How often each of them is still going to fail.
#[derive(Debug, Default)]
pub(crate) struct Failures([AtomicU32; 3]);

impl Failures {
    /// The next one fails, once more than so far.
    pub(crate) fn arm(&self, what: Failing) {
        self.0[what as usize].fetch_add(1, Relaxed);
    }

    /// Nothing fails any more.
    pub(crate) fn disarm(&self) {
        self.0.iter().for_each(|count| count.store(0, Release));
    }

    /// To be asked by whoever is about to do it.
    ///
    /// # Errors
    /// [`Error::Io`] if it is to fail, once for each [`Failures::arm`].
    pub(crate) fn meet(&self, what: Failing) -> Result<()> {
        match self.0[what as usize].fetch_update(AcqRel, Acquire, |count| count.checked_sub(1)) {
            Ok(_) => Err(Error::Io),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fails_as_often_as_it_was_armed() {
        let failures = Failures::default();
        failures.arm(Failing::Read);
        failures.arm(Failing::Read);
        assert_eq!(failures.meet(Failing::Write), Ok(()));
        let met = [(); 3].map(|()| failures.meet(Failing::Read));
        assert_eq!(met, [Err(Error::Io), Err(Error::Io), Ok(())]);
        failures.arm(Failing::Map);
        failures.disarm();
        assert_eq!(failures.meet(Failing::Map), Ok(()));
    }
}
