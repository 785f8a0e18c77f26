//! What has to hold of the structure after every operation.

use crate::arena::{NONE, NodeId, PRESENT, Slot};
use crate::tree::{Counts, XArray};

impl<T> XArray<T> {
    /// Tests the structure: entries aligned and at the level of their order, their siblings complete and in the same
    /// node, marks on canonical slots only, parents' marks the union of what is below, no empty node, no needless
    /// level, counts exact. O(nodes × slots).
    ///
    /// # Errors
    /// The first rule found broken, and where. It is a mistake in this crate if that ever happens.
    pub fn check(&self) -> Result<(), String> {
        let mut sum = Sum::default();
        if self.root != NONE {
            self.check_top()?;
            self.check_node(self.root, 0, &mut sum)?;
        }
        expect(sum.nodes == self.arena.len(), || {
            format!("{} nodes reached, {} in use, of {}", sum.nodes, self.arena.len(), self.arena.numbers())
        })?;
        expect(sum.counts == self.counts, || format!("counted {:?}, kept {:?}", sum.counts, self.counts))
    }

    fn check_top(&self) -> Result<(), String> {
        let root = self.arena.node(self.root);
        expect(root.parent == NONE && root.shift == self.top, || format!("root is no top: {root:?}"))?;
        let low = matches!(self.arena.slot(self.root, 0), Slot::Node(_));
        expect(root.bits[PRESENT] != 1 || !low, || "the root leads to one node only".to_owned())
    }

    fn check_node(&self, id: NodeId, base: u64, sum: &mut Sum) -> Result<(), String> {
        let node = self.arena.node(id);
        sum.nodes += 1;
        let [marks @ .., present] = &node.bits;
        expect(*present != 0, || format!("the node at {base} is empty"))?;
        expect(marks.iter().all(|bits| bits & !present == 0), || format!("marks on no entry at {base}: {node:?}"))?;
        expect(present.checked_shr(self.arena.width() as u32).unwrap_or(0) == 0, || {
            format!("the node at {base} has bits of no slot")
        })?;
        let mut siblings = 0..0;
        for offset in 0..self.arena.width() {
            let index = base + ((offset as u64) << node.shift);
            let slot = self.arena.slot(id, offset);
            let inside = siblings.contains(&offset);
            let right = match slot {
                Slot::Sibling(canonical) => inside && *canonical as usize + 1 == siblings.start,
                _ => !inside,
            };
            expect(right, || format!("sibling slots are wrong at {index}, slot {offset}"))?;
            let has = present >> offset & 1 != 0;
            let holds = !matches!(slot, Slot::Empty | Slot::Sibling(_));
            expect(has == holds, || format!("slot {offset} at {index} is not what its bit says"))?;
            if let Some(order) = slot.order() {
                let aligned = index >> order << order == index;
                expect(aligned && self.level(order) == node.shift, || {
                    format!("order {order} at {index} is misplaced")
                })?;
                siblings = offset + 1..offset + (1 << (order % self.arena.chunk));
            }
            sum.counts.add(slot);
            if let Slot::Node(child) = slot {
                self.check_child(id, offset, *child)?;
                self.check_node(*child, index, sum)?;
            }
        }
        Ok(())
    }

    fn check_child(&self, id: NodeId, offset: usize, child: NodeId) -> Result<(), String> {
        let (node, below) = (self.arena.node(id), self.arena.node(child));
        let linked = below.parent == id && below.offset as usize == offset;
        expect(linked && below.shift + self.arena.chunk == node.shift, || format!("{below:?} is below {node:?}"))?;
        let union = (0..PRESENT).all(|mark| (node.bits[mark] >> offset & 1 != 0) == (below.bits[mark] != 0));
        expect(union, || format!("slot {offset} of {node:?} is not the union of {below:?}"))
    }
}

#[derive(Default)]
struct Sum {
    nodes: usize,
    counts: Counts,
}

fn expect(right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(what()) }
}
