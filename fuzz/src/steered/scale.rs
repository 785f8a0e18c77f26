//! The model's pages are small; the machine's are what they are.

use crate::program::{Program, max_file_limit};
use oracle::{Geometry, Op};

/// The program with all sizes times `page` by the size of its own pages, so that a page of it is one of the machine's;
/// and how many times that is. A program with pages as large or larger stays as it is, and so does one that would be too
/// large.
pub(super) fn scaled(program: &Program, page: u64) -> (Program, u64) {
    let times = page / u64::from(program.geometry.page);
    let Geometry { block, file_limit, floor, stripe, .. } = program.geometry;
    if times <= 1 || file_limit > max_file_limit(page as u32) / times {
        return (program.clone(), 1);
    }
    let larger = |size: u32| (u64::from(size) * times) as u32;
    let geometry = Geometry {
        page: page as u32,
        block: larger(block),
        file_limit: file_limit * times,
        floor: floor * times,
        stripe: larger(stripe),
        ..program.geometry
    };
    let op = |op: &Op| Op { kind: op.kind, off: op.off * times, len: op.len * times, readable: op.readable * times };
    let lanes = program.lanes.iter().map(|ops| ops.iter().map(op).collect()).collect();
    let scaled = Program { geometry, lanes, schedule: program.schedule.clone() };
    if scaled.validate().is_ok() { (scaled, times) } else { (program.clone(), 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::PLAIN;
    use lanes::Schedule;
    use oracle::OpKind;

    #[test]
    fn a_page_becomes_a_page_of_the_machine_if_the_file_stays_small() {
        let of = |page, block, file_limit| {
            let geometry = Geometry { page, block, file_limit, ..PLAIN };
            let lanes = vec![vec![Op { readable: 3, ..Op::range(OpKind::WriteFault, 7, 9) }]];
            scaled(&Program { geometry, lanes, schedule: Schedule::default() }, 4096)
        };
        let (program, times) = of(256, 128, 512);
        let Geometry { page, block, file_limit, .. } = program.geometry;
        assert_eq!((times, page, block, file_limit), (16, 4096, 2048, 8192));
        assert_eq!(program.lanes[0][0], Op { readable: 48, ..Op::range(OpKind::WriteFault, 112, 144) });
        assert_eq!(of(4096, 4096, 8192).1, 1);
        assert_eq!(of(8192, 8192, 8192).1, 1);
    }
}
