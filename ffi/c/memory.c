/* Memory with a guard behind it, memory shared between processes, and the tie to a parent process. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int64_t shim_page_size(void)
{
    return sysconf(_SC_PAGESIZE);
}

/* Both lengths are multiples of the page size. To be given back with shim_unmap(base, readable + guard). */
int64_t shim_guarded(uint64_t readable, uint64_t guard, void **base)
{
    *base = mmap(NULL, readable + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*base == MAP_FAILED)
        return -(int64_t)errno;
    if (mprotect(*base, readable, PROT_READ | PROT_WRITE) < 0) {
        int error = errno;

        munmap(*base, readable + guard);
        return -(int64_t)error;
    }
    return 0;
}

/* Sealed, so that no process that maps it can be killed by another one that shortens it. */
int64_t shim_shared_create(uint64_t len)
{
    int fd = memfd_create("foliofuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -(int64_t)errno;
    if (ftruncate(fd, len) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        int error = errno;

        close(fd);
        return -(int64_t)error;
    }
    return fd;
}

/* Whether fd is what shim_shared_create(len) makes. */
int64_t shim_shared_check(int fd, uint64_t len)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || fstat(fd, &st) < 0)
        return -(int64_t)errno;
    return (seals & SEALS) == SEALS && (uint64_t)st.st_size == len ? 0 : -(int64_t)EINVAL;
}

int64_t shim_keep_across_exec(int fd)
{
    return fcntl(fd, F_SETFD, 0) < 0 ? -(int64_t)errno : 0;
}

/* The parent may have died before the kernel was told to kill us with it. */
int64_t shim_die_with_parent(int parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -(int64_t)errno;
    return getppid() == parent ? 0 : -(int64_t)ESRCH;
}
