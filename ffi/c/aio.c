/* Asynchronous I/O as the kernel has it (io_submit(2)), not as the C library imitates it (aio(7)). */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A context for one request at a time. */
int64_t shim_aio_setup(uint64_t *context)
{
    aio_context_t made = 0;

    if (syscall(SYS_io_setup, 1, &made) < 0)
        return -(int64_t)errno;
    *context = made;
    return 0;
}

int64_t shim_aio_destroy(uint64_t context)
{
    return syscall(SYS_io_destroy, (aio_context_t)context) < 0 ? -(int64_t)errno : 0;
}

/*
 * Submits a write and waits until it is complete; what pwrite(2) would return. The buffer is the kernel's until then,
 * so there is no way out in between: a wait that a signal interrupted goes on.
 */
int64_t shim_aio_pwrite(uint64_t context, int fd, const void *from, uint64_t len, uint64_t off)
{
    struct iocb request = {
        .aio_fildes = fd,
        .aio_lio_opcode = IOCB_CMD_PWRITE,
        .aio_buf = (uint64_t)(uintptr_t)from,
        .aio_nbytes = len,
        .aio_offset = off,
    };
    struct iocb *requests[] = {&request};
    struct io_event event;
    int64_t count;

    do
        count = syscall(SYS_io_submit, (aio_context_t)context, 1, requests);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -(int64_t)errno;
    do
        count = syscall(SYS_io_getevents, (aio_context_t)context, 1, 1, &event, NULL);
    while (count == 0 || (count < 0 && errno == EINTR));
    return count < 0 ? -(int64_t)errno : (int64_t)event.res;
}
