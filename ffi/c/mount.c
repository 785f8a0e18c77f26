/* Mount namespaces and loop devices. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

/* How often another process may be faster to take the loop device that was free. */
#define TURNS 100

/*
 * Slave, not private: what is mounted in here is seen nowhere else, but what is unmounted outside is unmounted here,
 * too, and its device is not held until this process ends.
 */
int64_t shim_unshare_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return -(int64_t)errno;
    return 0;
}

/* A thread that shares its root and its working directory with others would be refused. */
int64_t shim_enter_mounts(int namespace)
{
    if (unshare(CLONE_FS) < 0 || setns(namespace, CLONE_NEWNS) < 0)
        return -(int64_t)errno;
    return 0;
}

int64_t shim_forget_cached(int device)
{
    return ioctl(device, BLKFLSBUF, 0) < 0 ? -(int64_t)errno : 0;
}

static int open_loop(long number)
{
    char path[32];

    snprintf(path, sizeof(path), "/dev/loop%ld", number);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* Sets *number to that of the loop device whose descriptor is returned. It is free again when nobody has it open. */
int64_t shim_loop_attach(int image, uint32_t *number)
{
    struct loop_config config = {.fd = (uint32_t)image, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int64_t result = control < 0 ? -(int64_t)errno : -(int64_t)EBUSY;

    for (int turn = 0; result == -EBUSY && turn < TURNS; turn++) {
        long free = ioctl(control, LOOP_CTL_GET_FREE);
        int fd = free < 0 ? -1 : open_loop(free);

        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            *number = free;
            result = fd;
        } else {
            result = -(int64_t)errno;
            if (fd >= 0)
                close(fd);
        }
    }
    if (control >= 0)
        close(control);
    return result;
}
