//! The only C and the only unsafe code of foliofuzz: system calls on the file under test, behind a safe face.
//!
//! The C shim in `c/` takes plain scalars and pointers and knows all structures and constants of the platform;
//! `sys` declares its functions, and everything else in this crate is safe to call:
//!
//! - [`File`]: what can be asked of an open file, buffered and with `O_DIRECT`;
//! - [`Queue`]: asynchronous writes, submitted and waited for;
//! - [`Mapping`]: a shared mapping whose loads and stores survive SIGBUS and say how far they came;
//! - [`Guarded`]: memory that can be read only up to a byte, for writes that fail half way;
//! - [`SharedPage`]: counters that a parent process can read while its child hangs;
//! - [`Pausing`]: memory that stops a system call half way, until another thread says how it goes on;
//! - [`unshare_mounts`], [`enter_mounts`], [`LoopDevice`]: what mounts need that leave nothing behind.
//!
//! It knows nothing of operations, oracles or targets.
#![allow(unsafe_code, reason = "this is the crate that has it, so that no other one needs it")]

mod aio;
mod error;
mod file;
mod map;
mod memory;
mod mount;
mod pause;
mod sys;

pub use aio::Queue;
pub use error::{Error, Result};
pub use file::{File, FileSystem, Shutdown, Space, SyncRange};
pub use map::Mapping;
pub use memory::{Aligned, Guarded, SharedPage, die_with_parent, page_size};
pub use mount::{LoopDevice, enter_mounts, forget_cached, unshare_mounts};
pub use pause::{CannotPause, PausableBuffer, Pause, Pausing, Poison, Seen, Supervisor, WriteOrder};
