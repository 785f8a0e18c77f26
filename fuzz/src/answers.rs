//! Answers at rest, and what the trace keeps of an answer: for models and for targets that cannot be scheduled.

use oracle::{Class, Divergence, Outcome};

/// The size `stat` answered at rest.
pub(crate) fn size_at_rest(outcome: Outcome) -> Result<u64, Divergence> {
    match outcome {
        Outcome::Position(size) => Ok(size),
        other => Err(refused("stat", other)),
    }
}

/// The bytes `read` brought at rest.
pub(crate) fn content_at_rest(outcome: Outcome, buf: &[u8]) -> Result<&[u8], Divergence> {
    match outcome {
        Outcome::Bytes(n) if n as usize <= buf.len() => Ok(&buf[..n as usize]),
        other => Err(refused("read", other)),
    }
}

/// An operation that cannot fail at rest did.
pub(crate) fn refused(what: &str, outcome: Outcome) -> Divergence {
    let detail = format!("{what} of the whole file answered {outcome}");
    Divergence { class: Class::Errno, op: None, offset: None, detail }
}

/// A hash of an answer and of what was read, for the trace.
pub(crate) fn digest(outcome: Outcome, buf: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (kind, value) = match outcome {
        Outcome::Done => (1, 0),
        Outcome::Bytes(n) => (2, n),
        Outcome::Position(at) => (3, at),
        Outcome::Sigbus(n) => (4, n),
        Outcome::Errno(errno) => (5, errno.0 as u64),
        Outcome::Unsupported(errno) => (6, errno.0 as u64),
    };
    let read = match outcome {
        Outcome::Bytes(n) | Outcome::Sigbus(n) => &buf[..buf.len().min(n as usize)],
        _ => &[],
    };
    let mut sum = (value ^ kind << 56).wrapping_mul(ODD);
    let mut words = read.chunks_exact(8);
    for word in &mut words {
        sum = (sum.rotate_left(5) ^ u64::from_le_bytes(word.try_into().unwrap_or_default())).wrapping_mul(ODD);
    }
    words.remainder().iter().fold(sum, |sum, byte| (sum.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(ODD))
}
