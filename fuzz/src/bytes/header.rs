//! The sizes, as bytes.
//!
//! Six bytes choose from small tables of what is worth trying. The first value 255 announces the explicit
//! form, which has every valid geometry.

use super::stream::{Input, Output};
use super::swarm::Cast;
use crate::program::{MAX_OVERLAPPING, PLAIN, max_file_limit};
use faults::Needs;
use oracle::{Flavour, Geometry, MAX_READAHEAD, Sharing};

/// Bytes of the table form.
pub const HEADER_LEN: usize = 6;

const EXPLICIT: u8 = 255;
/// In the explicit form, added to the number of lanes.
const OVERLAPPING: u8 = 128;

/// Page sizes, by the low half of byte 0. Small pages make short copies, hence fast executions.
const PAGES: [u32; 16] = [256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 512, 512, 512, 1024, 4096];
/// The block is the page shifted right by so much, by the high half of byte 0.
const BLOCK_SHIFTS: [i8; 16] = [2, 0, 2, 0, 2, 0, 2, 0, 1, 3, 2, 0, 1, 3, -1, -2];
/// Byte 1: largest folio order (3 bits), memory limit in pages (3 bits), pages read ahead (2 bits).
const ORDERS: [u8; 8] = [0, 0, 0, 0, 1, 2, 2, 3];
const MEMORY: [u16; 8] = [0, 0, 0, 0, 0, 4, 8, 16];
const READAHEAD: [u16; 4] = [0, 0, 4, 8];
/// Byte 2: file limit in pages, lanes.
const LIMITS: [u32; 16] = [4, 8, 8, 8, 12, 12, 12, 16, 16, 16, 16, 16, 24, 24, 32, 64];
const LANES: [usize; 16] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3];

/// Byte 3, with several lanes: pages below the floor. Few, so that much happens around the end of the file.
const FLOORS: [u32; 8] = [1, 1, 1, 2, 2, 3, 4, 8];

/// Byte 4: flavour (3 bits).
const FLAVOURS: [Flavour; 8] = {
    use Flavour::{Dax, Ext4, Gfs2, Gfs2Journaled, Xfs, Xfs58};
    [Xfs, Ext4, Xfs58, Gfs2, Xfs, Ext4, Gfs2Journaled, Dax]
};

/// Byte 5, with several lanes: the cast (2 bits, [`Cast::of_bits`]), and whether they overlap (2 bits).
const SHARINGS: [Sharing; 4] = [Sharing::Owned, Sharing::Owned, Sharing::Owned, Sharing::Overlapping];

/// Byte 4, all of these bits set: stable pages. Rarely, because what may happen during writeback does not happen then.
const STABLE: u8 = 0xe0;

/// What programs are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    /// Any program for the model that has what a fault needs.
    Model(Needs),
    /// Programs for a mounted file system: 4 KiB pages, the usual block sizes, 256 KiB of file, one lane.
    Kernel,
    /// The same with several lanes that own bytes, for a thread each.
    Threads,
}

impl Profile {
    /// Any program for the model.
    pub const ANY: Profile = Profile::Model(Needs::ANY);
}

/// Changes as little of a header in table form as it takes to fit the profile.
pub fn constrain(header: &mut [u8; HEADER_LEN], profile: &Profile) {
    let [sizes, cache, extent, share, policy, company] = header;
    if *sizes == EXPLICIT {
        *sizes = 0;
    }
    match profile {
        Profile::Kernel | Profile::Threads => {
            *sizes = advance(*sizes >> 4, 4, |n| [0, 2, 3].contains(&BLOCK_SHIFTS[n])) << 4 | 15;
            (*cache, *policy) = (0, 0);
            let lanes = advance(*extent >> 4, 4, |n| LANES[n] > 1);
            *extent = 15;
            if matches!(profile, Profile::Threads) {
                *extent |= lanes << 4;
                *company &= !(3 << 2); // they own bytes
            }
        }
        Profile::Model(needs) => {
            let blocks = |n: usize| {
                (!needs.small_blocks || BLOCK_SHIFTS[n] > 0) && (!needs.shared_blocks || BLOCK_SHIFTS[n] < 3)
            };
            *sizes = advance(*sizes >> 4, 4, blocks) << 4 | *sizes & 15;
            let order = advance(*cache & 7, 3, |n| !needs.large_folios || ORDERS[n] > 0);
            let ahead = advance(*cache >> 6, 2, |n| !needs.readahead || READAHEAD[n] > 0);
            *cache = ahead << 6 | *cache & 0x38 | order;
            let flavour =
                advance(*policy & 7, 3, |n| needs.flavours.is_empty() || needs.flavours.contains(&FLAVOURS[n].name()));
            *policy = *policy & STABLE | if needs.stable_pages { STABLE } else { 0 } | flavour;
            *extent = advance(*extent >> 4, 4, |n| LANES[n] >= needs.lanes as usize) << 4 | *extent & 15;
            if needs.shared_blocks {
                *share &= 0xc7; // stripes of a sector
                *company &= !(3 << 2);
            }
            if !needs.ops.is_empty() {
                *company = 0; // a lane that draws for itself could do without them
            }
            if needs.overlapping {
                *company |= 3 << 2;
            }
        }
    }
}

/// The first of `n`, `n + 1`, and so on, round after round of `bits` bits, that will do; `n` if none does.
fn advance(n: u8, bits: u8, will_do: impl Fn(usize) -> bool) -> u8 {
    let round = 1 << bits;
    (0..round).map(|step| (n + step) % round).find(|n| will_do(*n as usize)).unwrap_or(n)
}

/// The sizes, the number of lanes, and what these do.
pub(super) fn decode(input: &mut Input<'_>) -> (Geometry, usize, Cast) {
    let sizes = input.byte();
    if sizes == EXPLICIT {
        let (geometry, lanes) = decode_explicit(input);
        return (geometry, lanes, Cast::Alike);
    }
    let (cache, extent, share, policy) = (input.byte(), input.byte(), input.byte(), input.byte());
    let company = input.byte();
    let page = PAGES[(sizes & 15) as usize];
    let shift = BLOCK_SHIFTS[(sizes >> 4) as usize];
    let block = if shift < 0 { page << -shift } else { page >> shift };
    let lanes = LANES[(extent >> 4) as usize];
    let mut geometry = Geometry {
        page,
        block,
        flavour: FLAVOURS[(policy & 7) as usize],
        // A multiple of the block too: blocks have at most four pages, and all limits are multiples of four.
        file_limit: u64::from(page * LIMITS[(extent & 15) as usize]),
        ..PLAIN
    };
    if geometry.flavour == Flavour::Dax {
        geometry.block = page;
    }
    geometry.max_order = ORDERS[(cache & 7) as usize].max(geometry.min_order());
    let memory = MEMORY[(cache >> 3 & 7) as usize];
    // A few of the smallest folios must fit.
    geometry.memory_pages = if memory > 0 { memory.max(4 << geometry.min_order()) } else { 0 };
    geometry.readahead_pages = READAHEAD[(cache >> 6) as usize];
    geometry.stable_pages = policy & STABLE == STABLE;
    if lanes > 1 {
        share_out(&mut geometry, share);
        geometry.sharing = SHARINGS[(company >> 2 & 3) as usize];
        if geometry.flavour == Flavour::Dax {
            geometry.sharing = Sharing::Owned;
        }
        if geometry.sharing == Sharing::Overlapping {
            geometry.stripe = 0;
        }
    }
    (geometry, lanes, Cast::of_bits(company))
}

/// How lanes share the file: floor (3 bits of pages), stripe (3 bits), and where in its block the floor lies.
fn share_out(geometry: &mut Geometry, share: u8) {
    let (page, block, sector) = (geometry.page, geometry.block, geometry.sector());
    let floor = u64::from(page * FLOORS[(share & 7) as usize]);
    // Lanes meet most in the page that holds the end of file, if the floor is not the end of that page.
    let odd = [0, u64::from(sector.min(page / 2)), u64::from(block.min(page) / 2), 1][(share >> 6) as usize];
    geometry.floor = floor.min(geometry.file_limit) - odd;
    let stripes = [sector, 2 * sector, block, block, page, page, 2 * page, page / 2];
    geometry.stripe = stripes[(share >> 3 & 7) as usize].max(sector);
}

fn decode_explicit(input: &mut Input<'_>) -> (Geometry, usize) {
    let page = 128u32 << (input.byte() % 10);
    let block = (32u32 << (input.byte() % 12)).clamp(32.max(page / 32), 65536.min(page * 16));
    let mut geometry = Geometry { page, block, ..PLAIN };
    let order = input.byte();
    geometry.memory_pages = input.number() as u16;
    geometry.flavour = Flavour::ALL[input.byte() as usize % Flavour::ALL.len()];
    if geometry.flavour == Flavour::Dax {
        geometry.block = page;
    }
    geometry.max_order = order.clamp(geometry.min_order(), 6);
    let unit = u64::from(page.max(geometry.block));
    geometry.file_limit = unit * (1 + input.number() % (max_file_limit(page) / unit));
    let company = input.byte();
    let mut lanes = 1 + ((company & !OVERLAPPING) % 7) as usize;
    let (floor, stripe) = (input.number(), input.number());
    if company & OVERLAPPING != 0 && geometry.flavour != Flavour::Dax {
        lanes = lanes.min(MAX_OVERLAPPING);
        geometry.sharing = Sharing::Overlapping;
        geometry.floor = floor % (geometry.file_limit + 1);
    } else if lanes > 1 {
        let sector = u64::from(geometry.sector());
        geometry.floor = 1 + floor % geometry.file_limit;
        geometry.stripe = (sector * (1 + stripe % (u64::from(u32::MAX) / sector))) as u32;
    }
    geometry.readahead_pages = (input.number() % (u64::from(MAX_READAHEAD) + 1)) as u16;
    geometry.stable_pages = input.byte() & 1 == 1;
    (geometry, lanes)
}

/// Writes the explicit form.
pub(super) fn encode(output: &mut Output, geometry: &Geometry, lanes: usize) {
    let Geometry {
        page,
        block,
        max_order,
        memory_pages,
        readahead_pages,
        stable_pages,
        flavour,
        sharing,
        file_limit,
        floor,
        stripe,
    } = *geometry;
    let flavour = Flavour::ALL.iter().position(|f| *f == flavour).unwrap_or(0);
    output.byte(EXPLICIT);
    output.byte(page.trailing_zeros() as u8 - 7);
    output.byte(block.trailing_zeros() as u8 - 5);
    output.byte(max_order);
    output.number(u64::from(memory_pages));
    output.byte(flavour as u8);
    output.number(file_limit / u64::from(page.max(block)) - 1);
    match sharing {
        Sharing::Owned => {
            output.byte(lanes as u8 - 1);
            output.number(floor.saturating_sub(1));
        }
        Sharing::Overlapping => {
            output.byte(OVERLAPPING | (lanes as u8 - 1));
            output.number(floor);
        }
    }
    output.number(u64::from(stripe / geometry.sector()).saturating_sub(1));
    output.number(u64::from(readahead_pages));
    output.byte(u8::from(stable_pages));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::check_geometry;
    use faults::{FAULTS, Fault};

    fn every_table_header() -> impl Iterator<Item = [u8; HEADER_LEN]> {
        let all = |n: u32| {
            let mixed = n.wrapping_mul(0x9e37_79b9);
            let [_, company, policy, share] = mixed.to_le_bytes();
            [n as u8, (n >> 8) as u8, (n >> 16) as u8, share, policy, company]
        };
        (0..1u32 << 24).step_by(37).map(all).filter(|header| header[0] != EXPLICIT)
    }

    #[test]
    fn every_header_is_a_valid_geometry() {
        for header in every_table_header() {
            let (geometry, lanes, _) = decode(&mut Input::new(&header));
            assert_eq!(check_geometry(&geometry, lanes), Ok(()), "{header:?} {geometry:?} {lanes} lanes");
        }
    }

    #[test]
    fn a_constrained_header_has_what_the_fault_needs() {
        for row in FAULTS {
            for mut header in every_table_header().step_by(101) {
                constrain(&mut header, &Profile::Model(row.needs));
                let (geometry, lanes, _) = decode(&mut Input::new(&header));
                let Needs {
                    flavours,
                    small_blocks,
                    large_folios,
                    readahead,
                    stable_pages,
                    lanes: least,
                    shared_blocks,
                    overlapping,
                    ops: _,
                } = row.needs;
                assert!(flavours.is_empty() || flavours.contains(&geometry.flavour.name()), "{}", row.id);
                assert!(!small_blocks || geometry.block < geometry.page, "{}", row.id);
                assert!(!large_folios || geometry.max_order > 0, "{}", row.id);
                assert!(!readahead || geometry.readahead_pages > 0, "{}", row.id);
                assert!(!stable_pages || geometry.stable_pages, "{}", row.id);
                assert!(lanes >= least as usize, "{}", row.id);
                assert!(!shared_blocks || geometry.stripe < geometry.block, "{}", row.id);
                assert!(!overlapping || geometry.sharing == Sharing::Overlapping, "{}", row.id);
            }
        }
    }

    #[test]
    fn a_fault_of_the_page_cache_is_hunted_in_every_flavour_that_has_one() {
        let cached = Flavour::ALL.into_iter().filter(|flavour| *flavour != Flavour::Dax);
        let names: Vec<&str> = cached.map(Flavour::name).collect();
        let hunted = Fault::StaleIomap.info().needs.flavours;
        assert_eq!(names.iter().filter(|name| hunted.contains(name)).count(), hunted.len());
        assert_eq!(names.len(), hunted.len());
    }

    #[test]
    fn the_kernel_profile_fixes_what_a_kernel_fixes() {
        for mut header in every_table_header().step_by(101) {
            constrain(&mut header, &Profile::Kernel);
            let (geometry, lanes, _) = decode(&mut Input::new(&header));
            assert_eq!((geometry.page, geometry.file_limit, lanes), (4096, 256 << 10, 1));
            assert!([512, 1024, 4096].contains(&geometry.block));
            constrain(&mut header, &Profile::Threads);
            let (threads, lanes, _) = decode(&mut Input::new(&header));
            assert_eq!((threads.page, threads.file_limit, threads.sharing), (4096, 256 << 10, Sharing::Owned));
            assert!(lanes > 1, "{header:?}");
        }
    }
}
