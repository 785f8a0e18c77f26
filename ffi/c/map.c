/*
 * Shared mappings. An access to a page beyond the end of the file raises SIGBUS, which here is an answer and not
 * the end of the process: the handler jumps back into the copy that was under way.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The access this thread has under way: where to jump to, and which addresses may fault. */
static __thread struct {
    sigjmp_buf back;
    uintptr_t from;
    uintptr_t to;
    volatile sig_atomic_t armed;
} access_under_way;

static struct sigaction earlier_action;
static int install_error;
static uint64_t page_size;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;

    (void)context;
    if (access_under_way.armed && info->si_code > 0 && at >= access_under_way.from && at < access_under_way.to)
        siglongjmp(access_under_way.back, 1);
    /* Not ours: whoever was there before gets it, when the instruction faults again or, if somebody sent it, now. */
    sigaction(signal, &earlier_action, NULL);
    if (info->si_code <= 0)
        raise(signal);
}

static void install(void)
{
    struct sigaction action = { 0 };

    page_size = sysconf(_SC_PAGESIZE);
    action.sa_sigaction = on_sigbus;
    /* NODEFER: the jump leaves the handler without a return, so nothing would unblock the signal, and saving the
     * mask at every access would cost a system call each. */
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &earlier_action) < 0)
        install_error = errno;
}

int64_t shim_map_shared(int fd, uint64_t len, void **base)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
    if (install_error)
        return -(int64_t)install_error;
    *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return *base == MAP_FAILED ? -(int64_t)errno : 0;
}

int64_t shim_unmap(void *base, uint64_t len)
{
    return munmap(base, len) < 0 ? -(int64_t)errno : 0;
}

int64_t shim_msync(void *base, uint64_t len)
{
    return msync(base, len, MS_SYNC) < 0 ? -(int64_t)errno : 0;
}

/*
 * Copies in pieces that end where a page of the mapping does. A page is there as a whole or not at all, so the
 * sum of the finished pieces is the number of bytes accessed before the fault.
 */
static uint64_t copy(char *to, const char *from, uint64_t len, const char *mapped)
{
    volatile uint64_t done = 0;

    access_under_way.from = (uintptr_t)mapped;
    access_under_way.to = (uintptr_t)mapped + len;
    if (sigsetjmp(access_under_way.back, 0) == 0) {
        access_under_way.armed = 1;
        while (done < len) {
            uint64_t piece = page_size - ((uintptr_t)mapped + done) % page_size;

            if (piece > len - done)
                piece = len - done;
            memcpy(to + done, from + done, piece);
            /* The compiler must not count the piece before it is copied, nor put the copy off. */
            __asm__ volatile("" ::: "memory");
            done += piece;
        }
    }
    access_under_way.armed = 0;
    return done;
}

uint64_t shim_load(void *to, const void *from, uint64_t len)
{
    return copy(to, from, len, from);
}

uint64_t shim_store(void *to, const void *from, uint64_t len)
{
    return copy(to, from, len, to);
}
