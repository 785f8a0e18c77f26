//! What must hold between the cache, the extents and the sizes.

use crate::extents::Block;
use crate::file::File;
use pagecache::Broken;
use std::collections::BTreeSet;

impl File {
    /// Rules that hold whenever no lane is inside a short section.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Broken> {
        self.mapping.check()
    }

    /// Rules that hold at rest, after everything was written.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_at_rest(&self) -> Result<(), Broken> {
        self.mapping.check_at_rest()?;
        let extents = self.extents.lock();
        let size = self.size();
        if extents.disk_size != size {
            return Err(Broken::invariant(format!(
                "the size on the device is {}, the file's is {size}, and everything was written",
                extents.disk_size
            )));
        }
        let mut seen = BTreeSet::new();
        for index in 0..extents.len() {
            let block = extents.get(index);
            if block == Block::Delalloc && index < self.eof_block() {
                return Err(Broken::accounting(format!(
                    "block {index} of the file is still reserved though everything was written"
                )));
            }
            if let Some(at) = block.device_block().filter(|at| !seen.insert(*at)) {
                return Err(Broken::invariant(format!("device block {at} is in the file twice")));
            }
        }
        if seen.len() != self.device.used() {
            return Err(Broken::accounting(format!(
                "{} device blocks are in use, the file has {}",
                self.device.used(),
                seen.len()
            )));
        }
        self.check_tail(size, &extents)
    }

    /// On the device, the rest of the block that holds the end of file is zero: a later extension shows it.
    fn check_tail(&self, size: u64, extents: &crate::extents::Extents) -> Result<(), Broken> {
        let block = self.mapping.sizes.block;
        let Block::Written(at) = extents.get(size / block) else { return Ok(()) };
        if size % block == 0 {
            return Ok(());
        }
        let mut tail = vec![0; (block - size % block) as usize];
        self.device.read(self.device.addr(at) + size % block, &mut tail);
        match tail.iter().position(|byte| *byte != 0) {
            Some(n) => Err(Broken::invariant(format!("byte {} beyond the end of file is not zero on the device", size + n as u64))),
            None => Ok(()),
        }
    }
}
