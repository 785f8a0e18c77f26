//! A file system that goes down and comes up again.

use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How a file system that was unmounted and mounted again came up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// It is there, recovered if it had to be.
    Up,
    /// The kernel could not mount it. A new one, empty, is there in its place.
    Refused {
        /// What mount(2) answered.
        errno: i32,
        /// What the kernel log says of the device; empty where nobody may read it.
        log: String,
    },
    /// It is being unmounted or mounted for longer than anybody wants to wait.
    Hung,
}

/// How many lines of the kernel log are evidence.
const LINES: usize = 8;

/// The last lines of the kernel log (`/dev/kmsg`) that name a device, oldest first, with `; ` between.
pub(crate) fn kernel_log(device: &Path) -> String {
    const O_NONBLOCK: i32 = 0o4000;
    let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(mut log) = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open("/dev/kmsg") else {
        return String::new();
    };
    // One record for each read: `priority,number,time,flags;text`. EPIPE says that some were overwritten meanwhile.
    const EPIPE: i32 = 32;
    let mut lines = Vec::new();
    let mut record = [0; 8192];
    loop {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(len) => {
                let text = String::from_utf8_lossy(&record[..len]);
                let line = text.split_once(';').map_or("", |(_, text)| text).lines().next().unwrap_or_default();
                if is_about(line, &name) {
                    lines.push(line.to_owned());
                }
            }
            Err(error) if error.raw_os_error() == Some(EPIPE) => {}
            Err(_) => break,
        }
    }
    lines.split_off(lines.len().saturating_sub(LINES)).join("; ")
}

/// Whether a line names the device, and not another one whose name begins like it.
fn is_about(line: &str, device: &str) -> bool {
    line.match_indices(device).any(|(at, _)| !line[at + device.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_about_a_device_that_it_names() {
        assert!(is_about("XFS (loop1): Starting recovery (logdev: internal)", "loop1"));
        assert!(!is_about("XFS (loop10): Starting recovery (logdev: internal)", "loop1"));
        assert!(is_about("EXT4-fs error (device loop10): loop1: bad", "loop1"));
    }
}
