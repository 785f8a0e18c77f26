//! What a divergence tells a person. Runs only after a divergence.

use super::bytes::Value;
use super::{Call, Overlap};
use crate::fill::is_written_by;
use crate::outcome::{Class, Divergence, Outcome};

/// So many bytes tell one writer from another: seven bits each.
const SAMPLE: usize = 16;

impl Overlap {
    #[cold]
    pub(super) fn wrong_answer(&self, call: &Call, outcome: Outcome) -> Divergence {
        let class = if matches!(outcome, Outcome::Errno(_)) { Class::Errno } else { Class::Size };
        let detail = format!("{}: no order of what was done explains {outcome}; {}", call.op, self.sizes(call.began));
        Divergence { class, op: Some(call.id), offset: None, detail }
    }

    #[cold]
    pub(super) fn wrong_size(&self, size: u64, read: u64) -> Divergence {
        let detail = format!(
            "no order of what was done explains {size} bytes, of which {read} could be read; {}",
            self.sizes(u64::MAX)
        );
        Divergence { class: Class::Size, op: None, offset: Some(size), detail }
    }

    /// The divergence for `found`, read at `at`, where none of `values` was.
    #[cold]
    pub(super) fn wrong_bytes(&self, call: Option<&Call>, at: u64, values: &[Value], found: &[u8]) -> Divergence {
        let due: Vec<String> = values.iter().map(|value| self.name(*value)).collect();
        let sample = &found[..found.len().min(SAMPLE)];
        let hex: Vec<String> = sample.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let what = call.map_or(String::new(), |call| format!("{}: ", call.op));
        let detail = format!(
            "{what}wrong from offset {at} on: it can be {}; found {} [{}]",
            due.join(", or "),
            self.whose(at, sample),
            hex.join(" ")
        );
        Divergence { class: Class::Content, op: call.map(|call| call.id), offset: Some(at), detail }
    }

    fn sizes(&self, began: u64) -> String {
        let limit = self.geometry.file_limit;
        let ends: Vec<u64> = self.bytes.runs(0..limit).map(|(range, _)| range.start).chain([limit]).collect();
        let sizes: Vec<String> =
            ends.into_iter().filter(|size| self.can_be_size(*size, began)).map(|size| size.to_string()).collect();
        format!("the file can have {} bytes", sizes.join(" or "))
    }

    fn name(&self, value: Value) -> String {
        match value {
            Value::Absent => "beyond the end of file".to_owned(),
            Value::Zero => "zero".to_owned(),
            Value::By(nth) => {
                let Call { id, op, .. } = &self.calls[nth as usize];
                format!("what {id} {op} wrote")
            }
        }
    }

    fn whose(&self, at: u64, found: &[u8]) -> String {
        match found.first() {
            None => return "nothing".to_owned(),
            Some(0) => return "zeros".to_owned(),
            Some(byte) if byte % 2 == 0 => {
                return "what the disk held before anything was written (garbage)".to_owned();
            }
            Some(_) => {}
        }
        // Perhaps only the first few bytes are of one writer.
        let mut writers = (1..=found.len()).rev().flat_map(|len| self.calls.iter().rev().map(move |call| (len, call)));
        let writer = writers.find(|(len, call)| {
            call.op.bytes().contains(&at) && call.slot.is_some() && is_written_by(&found[..*len], call.id, at)
        });
        match writer {
            Some((_, Call { id, op, .. })) => format!("what {id} {op} wrote there"),
            None => "bytes of no operation that can be named".to_owned(),
        }
    }
}
