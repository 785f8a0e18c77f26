//! The functions of the shim, as `c/shim.h` declares them.

use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    pub(crate) fn shim_create(path: *const c_char) -> i64;
    pub(crate) fn shim_create_nameless(dir: *const c_char) -> i64;
    pub(crate) fn shim_reopen(fd: c_int, direct: c_int) -> i64;
    pub(crate) fn shim_open(path: *const c_char) -> i64;
    pub(crate) fn shim_shutdown(fd: c_int, how: u32) -> i64;
    pub(crate) fn shim_unlink(path: *const c_char) -> i64;
    pub(crate) fn shim_pread(fd: c_int, to: *mut c_void, len: u64, off: u64) -> i64;
    pub(crate) fn shim_pwrite(fd: c_int, from: *const c_void, len: u64, off: u64) -> i64;
    pub(crate) fn shim_pwrite_dsync(fd: c_int, from: *const c_void, len: u64, off: u64) -> i64;
    pub(crate) fn shim_ftruncate(fd: c_int, size: u64) -> i64;
    pub(crate) fn shim_fallocate(fd: c_int, zero: c_int, punch: c_int, keep_size: c_int, off: u64, len: u64) -> i64;
    pub(crate) fn shim_fsync(fd: c_int) -> i64;
    pub(crate) fn shim_fdatasync(fd: c_int) -> i64;
    pub(crate) fn shim_sync_file_range(
        fd: c_int,
        wait_before: c_int,
        write: c_int,
        wait_after: c_int,
        off: u64,
        len: u64,
    ) -> i64;
    pub(crate) fn shim_fadvise_dontneed(fd: c_int, off: u64, len: u64) -> i64;
    pub(crate) fn shim_seek_data(fd: c_int, off: u64) -> i64;
    pub(crate) fn shim_seek_hole(fd: c_int, off: u64) -> i64;
    pub(crate) fn shim_size(fd: c_int) -> i64;
    pub(crate) fn shim_direct_alignment(fd: c_int, memory: *mut u32, offset: *mut u32) -> i64;
    pub(crate) fn shim_file_system(
        fd: c_int,
        magic: *mut u64,
        block: *mut u64,
        blocks: *mut u64,
        available: *mut u64,
    ) -> i64;

    pub(crate) fn shim_aio_setup(context: *mut u64) -> i64;
    pub(crate) fn shim_aio_destroy(context: u64) -> i64;
    pub(crate) fn shim_aio_pwrite(context: u64, fd: c_int, from: *const c_void, len: u64, off: u64) -> i64;

    pub(crate) fn shim_map_shared(fd: c_int, len: u64, base: *mut *mut c_void) -> i64;
    pub(crate) fn shim_unmap(base: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_msync(base: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_load(to: *mut c_void, from: *const c_void, len: u64) -> u64;
    pub(crate) fn shim_store(to: *mut c_void, from: *const c_void, len: u64) -> u64;

    pub(crate) fn shim_page_size() -> i64;
    pub(crate) fn shim_guarded(readable: u64, guard: u64, base: *mut *mut c_void) -> i64;
    pub(crate) fn shim_shared_create(len: u64) -> i64;
    pub(crate) fn shim_shared_check(fd: c_int, len: u64) -> i64;
    pub(crate) fn shim_keep_across_exec(fd: c_int) -> i64;
    pub(crate) fn shim_die_with_parent(parent: c_int) -> i64;

    pub(crate) fn shim_unshare_mounts() -> i64;
    pub(crate) fn shim_forget_cached(device: c_int) -> i64;
    pub(crate) fn shim_enter_mounts(namespace: c_int) -> i64;
    pub(crate) fn shim_loop_attach(image: c_int, number: *mut u32) -> i64;

    pub(crate) fn shim_uffd_open() -> i64;
    pub(crate) fn shim_uffd_map(fd: c_int, len: u64, base: *mut *mut c_void, poison: *mut c_int) -> i64;
    pub(crate) fn shim_uffd_next(fd: c_int, address: *mut u64, thread: *mut u32) -> i64;
    pub(crate) fn shim_uffd_copy(fd: c_int, to: *mut c_void, from: *const c_void, len: u64) -> i64;
    pub(crate) fn shim_uffd_zero(fd: c_int, page: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_uffd_poison(fd: c_int, page: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_uffd_wake(fd: c_int, at: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_uffd_unregister(fd: c_int, base: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_discard(at: *mut c_void, len: u64) -> i64;
    pub(crate) fn shim_allow(at: *mut c_void, len: u64, allowed: c_int) -> i64;
}
