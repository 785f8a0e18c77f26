/*
 * The shim between foliofuzz and the kernel: plain scalars and pointers in, plain scalars out, so that no C
 * structure and no C constant is ever declared twice.
 *
 * A function that can fail returns the negative error number; zero and above is success.
 */
#ifndef FOLIOFUZZ_SHIM_H
#define FOLIOFUZZ_SHIM_H

#include <stdint.h>

/* file.c: system calls on a file. Offsets, lengths and sizes are bytes. */
int64_t shim_create(const char *path);
int64_t shim_reopen(int fd, int direct);
int64_t shim_create_nameless(const char *dir);
int64_t shim_open(const char *path);
int64_t shim_shutdown(int fd, uint32_t how);
int64_t shim_unlink(const char *path);
int64_t shim_pread(int fd, void *to, uint64_t len, uint64_t off);
int64_t shim_pwrite(int fd, const void *from, uint64_t len, uint64_t off);
int64_t shim_pwrite_dsync(int fd, const void *from, uint64_t len, uint64_t off);
int64_t shim_ftruncate(int fd, uint64_t size);
int64_t shim_fallocate(int fd, int zero, int punch, int keep_size, uint64_t off, uint64_t len);
int64_t shim_fsync(int fd);
int64_t shim_fdatasync(int fd);
int64_t shim_sync_file_range(int fd, int wait_before, int write, int wait_after, uint64_t off, uint64_t len);
int64_t shim_fadvise_dontneed(int fd, uint64_t off, uint64_t len);
int64_t shim_seek_data(int fd, uint64_t off);
int64_t shim_seek_hole(int fd, uint64_t off);
int64_t shim_size(int fd);
int64_t shim_direct_alignment(int fd, uint32_t *memory, uint32_t *offset);
int64_t shim_file_system(int fd, uint64_t *magic, uint64_t *block, uint64_t *blocks, uint64_t *available);

/* aio.c: asynchronous I/O, one request at a time. */
int64_t shim_aio_setup(uint64_t *context);
int64_t shim_aio_destroy(uint64_t context);
int64_t shim_aio_pwrite(uint64_t context, int fd, const void *from, uint64_t len, uint64_t off);

/* map.c: shared mappings whose accesses survive SIGBUS. */
int64_t shim_map_shared(int fd, uint64_t len, void **base);
int64_t shim_unmap(void *base, uint64_t len);
int64_t shim_msync(void *base, uint64_t len);
uint64_t shim_load(void *to, const void *from, uint64_t len);
uint64_t shim_store(void *to, const void *from, uint64_t len);

/* memory.c: memory with a guard behind it, memory shared between processes, ties between processes. */
int64_t shim_page_size(void);
int64_t shim_guarded(uint64_t readable, uint64_t guard, void **base);
int64_t shim_shared_create(uint64_t len);
int64_t shim_shared_check(int fd, uint64_t len);
int64_t shim_keep_across_exec(int fd);
int64_t shim_die_with_parent(int parent);

/* mount.c: mount namespaces and loop devices. */
int64_t shim_unshare_mounts(void);
int64_t shim_forget_cached(int device);
int64_t shim_enter_mounts(int namespace);
int64_t shim_loop_attach(int image, uint32_t *number);

/* uffd.c: memory whose missing pages make whoever touches them wait. Addresses and lengths are whole pages. */
int64_t shim_uffd_open(void);
int64_t shim_uffd_map(int fd, uint64_t len, void **base, int *poison);
int64_t shim_uffd_next(int fd, uint64_t *address, uint32_t *thread);
int64_t shim_uffd_copy(int fd, void *to, const void *from, uint64_t len);
int64_t shim_uffd_zero(int fd, void *page, uint64_t len);
int64_t shim_uffd_poison(int fd, void *page, uint64_t len);
int64_t shim_uffd_wake(int fd, void *at, uint64_t len);
int64_t shim_uffd_unregister(int fd, void *base, uint64_t len);
int64_t shim_discard(void *at, uint64_t len);
int64_t shim_allow(void *at, uint64_t len, int allowed);

#endif
