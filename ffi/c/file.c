/* System calls on a file. A call that a signal interrupted before it did anything is made again. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define UNTIL_UNINTERRUPTED(call)                                                                                      \
    do {                                                                                                               \
        int64_t result;                                                                                                \
        do                                                                                                             \
            result = (call);                                                                                           \
        while (result < 0 && errno == EINTR);                                                                          \
        return result < 0 ? -(int64_t)errno : result;                                                                  \
    } while (0)

int64_t shim_create(const char *path)
{
    UNTIL_UNINTERRUPTED(open(path, O_RDWR | O_CREAT | O_TRUNC | O_EXCL | O_CLOEXEC, 0600));
}

/* O_EXCL: it never gets a name either. */
int64_t shim_create_nameless(const char *dir)
{
    UNTIL_UNINTERRUPTED(open(dir, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600));
}

/* Through /proc, so that it works after the file has lost its name. */
int64_t shim_reopen(int fd, int direct)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    UNTIL_UNINTERRUPTED(open(path, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0)));
}

int64_t shim_open(const char *path)
{
    UNTIL_UNINTERRUPTED(open(path, O_RDWR | O_CLOEXEC));
}

/* XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN are one number, which not every libc has a header for. */
int64_t shim_shutdown(int fd, uint32_t how)
{
    UNTIL_UNINTERRUPTED(ioctl(fd, _IOR('X', 125, uint32_t), &how));
}

int64_t shim_unlink(const char *path)
{
    UNTIL_UNINTERRUPTED(unlink(path));
}

int64_t shim_pread(int fd, void *to, uint64_t len, uint64_t off)
{
    UNTIL_UNINTERRUPTED(pread(fd, to, len, off));
}

int64_t shim_pwrite(int fd, const void *from, uint64_t len, uint64_t off)
{
    UNTIL_UNINTERRUPTED(pwrite(fd, from, len, off));
}

int64_t shim_pwrite_dsync(int fd, const void *from, uint64_t len, uint64_t off)
{
    struct iovec iov = {.iov_base = (void *)from, .iov_len = len};

    UNTIL_UNINTERRUPTED(pwritev2(fd, &iov, 1, off, RWF_DSYNC));
}

int64_t shim_ftruncate(int fd, uint64_t size)
{
    UNTIL_UNINTERRUPTED(ftruncate(fd, size));
}

int64_t shim_fallocate(int fd, int zero, int punch, int keep_size, uint64_t off, uint64_t len)
{
    int mode = (zero ? FALLOC_FL_ZERO_RANGE : 0) | (punch ? FALLOC_FL_PUNCH_HOLE : 0) |
               (keep_size ? FALLOC_FL_KEEP_SIZE : 0);

    UNTIL_UNINTERRUPTED(fallocate(fd, mode, off, len));
}

int64_t shim_fsync(int fd)
{
    UNTIL_UNINTERRUPTED(fsync(fd));
}

int64_t shim_fdatasync(int fd)
{
    UNTIL_UNINTERRUPTED(fdatasync(fd));
}

int64_t shim_sync_file_range(int fd, int wait_before, int write, int wait_after, uint64_t off, uint64_t len)
{
    unsigned int flags = (wait_before ? SYNC_FILE_RANGE_WAIT_BEFORE : 0) | (write ? SYNC_FILE_RANGE_WRITE : 0) |
                         (wait_after ? SYNC_FILE_RANGE_WAIT_AFTER : 0);

    UNTIL_UNINTERRUPTED(sync_file_range(fd, off, len, flags));
}

/* posix_fadvise returns its error number and leaves errno alone. */
int64_t shim_fadvise_dontneed(int fd, uint64_t off, uint64_t len)
{
    return -(int64_t)posix_fadvise(fd, off, len, POSIX_FADV_DONTNEED);
}

int64_t shim_seek_data(int fd, uint64_t off)
{
    UNTIL_UNINTERRUPTED(lseek(fd, off, SEEK_DATA));
}

int64_t shim_seek_hole(int fd, uint64_t off)
{
    UNTIL_UNINTERRUPTED(lseek(fd, off, SEEK_HOLE));
}

int64_t shim_size(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? -(int64_t)errno : (int64_t)st.st_size;
}

/* Both alignments are zero if the file cannot be read directly, or if the file system does not say. */
int64_t shim_direct_alignment(int fd, uint32_t *memory, uint32_t *offset)
{
    *memory = *offset = 0;
#ifdef STATX_DIOALIGN
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0)
        return -(int64_t)errno;
    if (stx.stx_mask & STATX_DIOALIGN) {
        *memory = stx.stx_dio_mem_align;
        *offset = stx.stx_dio_offset_align;
    }
#else
    (void)fd;
#endif
    return 0;
}

int64_t shim_file_system(int fd, uint64_t *magic, uint64_t *block, uint64_t *blocks, uint64_t *available)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return -(int64_t)errno;
    *magic = (uint32_t)fs.f_type;
    *block = fs.f_bsize;
    *blocks = fs.f_blocks;
    *available = fs.f_bavail;
    return 0;
}
