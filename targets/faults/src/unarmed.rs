//! The entries of the catalogue that cannot be armed, each with the reason as the model stands.
//!
//! Whoever arms one deletes its row here and adds one to [`crate::FAULTS`].

/// An entry of the catalogue without a switch.
#[derive(Debug)]
pub struct Unarmed {
    /// Catalogue id.
    pub id: &'static str,
    /// Catalogue name.
    pub name: &'static str,
    /// Why there is no switch.
    pub why: &'static str,
}

macro_rules! unarmed {
    ($($id:literal $name:literal; $why:literal)*) => {
        /// The entries that cannot be armed, in the order of the catalogue.
        pub const UNARMED: &[Unarmed] = &[$(Unarmed { id: $id, name: $name, why: $why },)*];
    };
}

unarmed! {
    "A27" "unshare-without-reading";
        "No reflink, so nothing to unshare."
    "A28" "unshare-treats-hole-as-shared";
        "No reflink, so nothing to unshare."
    "A30" "cow-io-not-trimmed-to-cow-extent";
        "No reflink, so no copy-on-write extents."
    "A31" "cow-lookup-split-lock-drops-writeback";
        "No reflink, so no second fork to look up."
    "A32" "cow-conversion-race-no-retry";
        "No reflink, so no second fork to convert."
    "A33" "cow-writeback-failure-leaves-data-fork-delalloc";
        "No reflink, so no second fork whose reservation could stay."
    "A34" "write-begin-cow-zero-decision-uses-dest";
        "No reflink, so source and destination are one mapping."
    "A45" "reflink-dest-past-eof-not-zeroed";
        "No reflink."
    "A46" "reflink-eof-block-into-middle";
        "No reflink."
    "A47" "reflink-source-not-flushed";
        "No reflink."
    "A48" "stale-mapping-after-reflink-in-write-fault";
        "No reflink."
    "B16" "batch-delete-removes-wrong-folio";
        "Truncate removes folios one by one, each by its identity."
    "C09" "invalidate2-dirty-check-unlocked";
        "Nothing makes a folio dirty without its lock once it is unmapped: there are no pinned pages."
    "C10" "dio-invalidation-failure-silent";
        "No valid program has stores beside a direct write, or buffered writes beside an asynchronous one, so nothing can keep a folio in the cache."
    "C11" "remove-mapping-dirty-before-ref";
        "No operation keeps a page pinned, so no store comes through a reference that reclaim does not see."
    "C15" "shadow-planted-after-final-truncate";
        "The inode is never evicted: there is no last truncate after which reclaim could leave a shadow."
    "C19" "memcg-reclaim-ignores-writeback";
        "An allocation that finds no room goes over the limit instead of failing: reclaim that gives up early has no symptom."
    "D12" "dio-hits-delalloc";
        "No valid program has stores beside direct I/O."
    "D14" "dio-fallback-leaves-dirty";
        "No valid program reaches the fallback: nothing can keep a folio in the cache."
    "E02" "redirty-during-submit-clears-tag";
        "Nothing makes a folio dirty without its lock once its entries are write-protected."
    "E03" "towrite-cleared-by-other-writer";
        "A pass that writes a folio writes all its dirty blocks."
    "E04" "sync-without-tagging-livelocks";
        "Programs end: no lane can go on dirtying ahead of a walk for ever."
    "E06" "wait-writeback-not-rechecked";
        "Every wait tests its condition again, by construction: there is no single wait to arm."
    "E16" "redirty-accounting";
        "No file system declines to write a folio."
    "E17" "range-cyclic-wrap-deadlock";
        "Every I/O is submitted at once, and no walk wraps around."
    "E19" "writeback-of-folio-past-eof";
        "The truncate that is under way removes what such a write has allocated: nothing is left to be seen."
    "E20" "account-dirty-after-truncate";
        "What makes folios dirty without their lock is unmapping, which is one step with the test."
    "E21" "dirty-twice-or-clean-twice";
        "Flag, mark and counter change in one hold of the tree lock."
    "E24" "end-io-merge-across-types";
        "Each run of blocks of a folio is an I/O of its own: none are merged."
    "F07" "punch-unaligned-flush-range";
        "Extents are single blocks: nothing outside of the range is changed with it."
    "F08" "collapse-stale-cache";
        "No collapse."
    "F09" "shift-left-neighbour-not-stabilised";
        "No collapse and insert."
    "F10" "shift-keeps-cow-extents";
        "No collapse and insert, and no reflink."
    "F11" "shift-exposes-posteof-prealloc";
        "No collapse and insert."
    "F12" "collapse-of-dirty-post-eof-size-order";
        "No collapse and insert."
    "G08" "dax-lock-page-self-deadlock";
        "The tree lock of a DAX file is a short one: held across a sleep it does not compile."
    "G18" "dax-truncate-pinned-page";
        "Nothing pins a page of a DAX file: no operation does I/O from or to a mapping."
    "G20" "dax-shared-cow-insert";
        "No reflink: no block is shared."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FAULTS;
    use std::collections::BTreeMap;

    /// Families of the catalogue and how many entries each has.
    const CATALOGUE: [(char, usize); 7] = [('A', 48), ('B', 16), ('C', 19), ('D', 23), ('E', 25), ('F', 12), ('G', 20)];

    #[test]
    fn every_entry_of_the_catalogue_is_either_armed_or_has_a_reason() {
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        FAULTS.iter().map(|row| row.id).chain(UNARMED.iter().map(|row| row.id)).for_each(|id| {
            *seen.entry(id).or_default() += 1;
        });
        let catalogue: Vec<String> =
            CATALOGUE.iter().flat_map(|(family, count)| (1..=*count).map(move |n| format!("{family}{n:02}"))).collect();
        assert_eq!(catalogue.len(), 163);
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), catalogue);
        let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "armed and unarmed: {twice:?}");
    }

    #[test]
    fn reasons_are_sentences_in_order() {
        assert!(UNARMED.is_sorted_by_key(|row| row.id));
        for Unarmed { id, name, why } in UNARMED {
            assert!(why.len() > 5 && why.ends_with('.'), "{id} {why}");
            assert!(FAULTS.iter().all(|row| row.name != *name), "{id} {name}");
        }
    }
}
