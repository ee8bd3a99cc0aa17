/*
 * What happens before what, among streams and the host: a vector clock for each stream, taken along by
 * events, joined by waits. Accesses of copies, memsets and kernels to device memory are kept until the host
 * has waited for them; two that overlap, one of them writing, with nothing between them that orders them, are
 * a stream_order finding, whichever way they happened to run. The list is bounded: what falls off it may be
 * missed, never accused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

enum { MOST_ACCESSES = 4096 };

typedef struct {
    uint64_t begin, end;
    uint32_t stream, tick;
    bool writes;
    const char *what;
} access_record;

sim_clock sim_host_clock;
static bool taken[SIM_STREAMS];
static uint32_t last_tick[SIM_STREAMS];
static access_record accesses[MOST_ACCESSES];
static size_t access_count;

/* Names outlive the modules that they come from. */
static const char *lasting(const char *name)
{
    static char **names;
    static size_t count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return names[i];
        }
    }
    char **grown = realloc(names, (count + 1) * sizeof *names);
    char *copy = strdup(name);
    if (!grown || !copy) {
        abort();
    }
    names = grown;
    return names[count++] = copy;
}

/* Numbers are used again, but their ticks go on, so that clocks that know the old stream stay right. */
uint32_t sim_order_open(uint32_t *tick)
{
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (!taken[n]) {
            taken[n] = true;
            *tick = last_tick[n];
            return n;
        }
    }
    return 0;
}

void sim_order_close(uint32_t stream, uint32_t tick)
{
    taken[stream] = false;
    last_tick[stream] = tick;
}

void sim_order_join(sim_clock *clock, const sim_clock *other)
{
    for (int i = 0; i < SIM_STREAMS; i++) {
        clock->at[i] = clock->at[i] > other->at[i] ? clock->at[i] : other->at[i];
    }
}

static void tell(const access_record *old, const access_record *now)
{
    uint64_t begin = old->begin > now->begin ? old->begin : now->begin;
    uint64_t end = old->end < now->end ? old->end : now->end;
    sim_finding finding = {.kind = SIM_STREAM_ORDER, .address = begin, .bytes = (uint32_t)(end - begin)};
    snprintf(finding.message, sizeof finding.message,
             "%s (stream %u) and %s (stream %u) use the same memory, one of them writes it, and nothing "
             "orders them",
             old->what, old->stream, now->what, now->stream);
    sim_report(&finding);
}

void sim_order_access(const sim_work *work, uint64_t begin, uint64_t end, bool writes, const char *what)
{
    size_t kept = 0;
    if (!sim_options.check[SIM_STREAM_ORDER] || begin >= end) {
        return;
    }
    access_record now = {begin, end, work->stream->number, work->tick, writes, lasting(what)};
    for (size_t i = 0; i < access_count; i++) {
        const access_record *old = &accesses[i];
        bool overlaps = old->begin < end && begin < old->end, is_own = old->stream == now.stream;
        if (overlaps && !is_own && (writes || old->writes) && old->tick > work->clock.at[old->stream]) {
            tell(old, &now);
        }
        bool covered = is_own && begin <= old->begin && old->end <= end && (writes || !old->writes);
        if (!covered) {
            accesses[kept++] = *old;
        }
    }
    if (kept == MOST_ACCESSES) {
        kept /= 2;
        memmove(accesses, accesses + kept, kept * sizeof *accesses);
    }
    accesses[kept++] = now;
    access_count = kept;
}

/* With one stream there is nothing to order. The default ones are there always, and count once they are used.
 */
bool sim_order_matters(void)
{
    int streams = 0;
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        CUstream s = sim_streams[n];
        bool is_default = s && (s == s->context->legacy || s == s->context->per_thread);
        streams += s && (!is_default || s->tick > 0);
    }
    return streams > 1 && sim_options.check[SIM_STREAM_ORDER];
}

void sim_order_prune(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < access_count; i++) {
        if (accesses[i].tick > sim_host_clock.at[accesses[i].stream]) {
            accesses[kept++] = accesses[i];
        }
    }
    access_count = kept;
}
