/* Seconds of the monotonic clock, for measuring how long something took. */
#ifndef SA_BASE_CLOCK_H
#define SA_BASE_CLOCK_H

#include <time.h>

static inline double sa_clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Of a processor, for this thread. */
static inline double sa_clock_thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
