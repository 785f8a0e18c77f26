/* userfaultfd(2): memory whose missing pages make whoever touches them wait, system calls included. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers before Linux 6.6 and before 6.1 do not have these. */
#ifndef UFFDIO_POISON
#define _UFFDIO_POISON 0x08
struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* O_NONBLOCK: poll(2) reports an error on a descriptor without it. */
#define FLAGS (O_CLOEXEC | O_NONBLOCK)

static struct uffdio_range range(void *at, uint64_t len)
{
    return (struct uffdio_range){.start = (uintptr_t)at, .len = len};
}

static int64_t answer(int result)
{
    return result < 0 ? -(int64_t)errno : 0;
}

/* The system call asks for a capability; the device, where there is one, for access to it. */
static int new_descriptor(void)
{
    int fd = syscall(SYS_userfaultfd, FLAGS);

    if (fd < 0 && errno == EPERM) {
        int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

        if (device >= 0) {
            fd = ioctl(device, USERFAULTFD_IOC_NEW, FLAGS);
            close(device);
        }
        if (fd < 0)
            errno = EPERM;
    }
    return fd;
}

/* A descriptor that says which thread waits. EINVAL: the kernel is older than that, 4.14. */
int64_t shim_uffd_open(void)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID};
    int fd = new_descriptor();

    if (fd < 0)
        return -(int64_t)errno;
    if (ioctl(fd, UFFDIO_API, &api) < 0) {
        int error = errno;

        close(fd);
        return -(int64_t)error;
    }
    return fd;
}

/*
 * Memory all of whose pages are missing. A huge page would be there at once as a whole, and a child that shares the
 * memory would have to be told apart; a kernel without huge pages knows no MADV_NOHUGEPAGE. Sets *poison to whether
 * shim_uffd_poison works on it.
 */
int64_t shim_uffd_map(int fd, uint64_t len, void **base, int *poison)
{
    struct uffdio_register area = {.mode = UFFDIO_REGISTER_MODE_MISSING};
    int error;

    *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*base == MAP_FAILED)
        return -(int64_t)errno;
    area.range = range(*base, len);
    if ((madvise(*base, len, MADV_NOHUGEPAGE) == 0 || errno == EINVAL) && madvise(*base, len, MADV_DONTFORK) == 0 &&
        ioctl(fd, UFFDIO_REGISTER, &area) == 0) {
        *poison = area.ioctls >> _UFFDIO_POISON & 1;
        return 0;
    }
    error = errno;
    munmap(*base, len);
    return -(int64_t)error;
}

/* Who waits, and at which address; EAGAIN if nobody. Returns 0 for messages of another kind. */
int64_t shim_uffd_next(int fd, uint64_t *address, uint32_t *thread)
{
    struct uffd_msg message;
    ssize_t count = read(fd, &message, sizeof(message));

    if (count < 0)
        return -(int64_t)errno;
    if (count != sizeof(message) || message.event != UFFD_EVENT_PAGEFAULT)
        return 0;
    *address = message.arg.pagefault.address;
    *thread = message.arg.pagefault.feat.ptid;
    return 1;
}

/* EAGAIN is an answer in the middle: what is left is to be asked for again. EEXIST: the page is there. */
int64_t shim_uffd_copy(int fd, void *to, const void *from, uint64_t len)
{
    uint64_t done = 0;

    while (done < len) {
        struct uffdio_copy copy = {
            .dst = (uintptr_t)to + done, .src = (uintptr_t)from + done, .len = len - done};

        if (ioctl(fd, UFFDIO_COPY, &copy) == 0)
            return 0;
        if (errno != EAGAIN)
            return -(int64_t)errno;
        if (copy.copy > 0)
            done += copy.copy;
    }
    return 0;
}

/* These two are for one page, which is done or not. */
int64_t shim_uffd_zero(int fd, void *page, uint64_t len)
{
    struct uffdio_zeropage zero = {.range = range(page, len)};
    int result;

    do
        result = ioctl(fd, UFFDIO_ZEROPAGE, &zero);
    while (result < 0 && errno == EAGAIN);
    return answer(result);
}

int64_t shim_uffd_poison(int fd, void *page, uint64_t len)
{
    struct uffdio_poison poison = {.range = range(page, len)};
    int result;

    do
        result = ioctl(fd, UFFDIO_POISON, &poison);
    while (result < 0 && errno == EAGAIN);
    return answer(result);
}

int64_t shim_uffd_wake(int fd, void *at, uint64_t len)
{
    struct uffdio_range all = range(at, len);

    return answer(ioctl(fd, UFFDIO_WAKE, &all));
}

/* Wakes whoever waits; from now on missing pages are zero and nobody waits. */
int64_t shim_uffd_unregister(int fd, void *base, uint64_t len)
{
    struct uffdio_range all = range(base, len);

    return answer(ioctl(fd, UFFDIO_UNREGISTER, &all));
}

/* Takes pages away: the next access finds them missing. Ends their poison, too. */
int64_t shim_discard(void *at, uint64_t len)
{
    return answer(madvise(at, len, MADV_DONTNEED));
}

int64_t shim_allow(void *at, uint64_t len, int allowed)
{
    return answer(mprotect(at, len, allowed ? PROT_READ | PROT_WRITE : PROT_NONE));
}
