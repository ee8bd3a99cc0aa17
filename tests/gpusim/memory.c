/*
 * Device memory of the simulated GPU (memory.h): a reservation twice the size of the device's memory, given
 * out from low addresses to high ones. Freed addresses stay known and are not given out again until the
 * reservation's end is reached; their pages go back to the host at once. Below: driver/memory.c (cuMemAlloc
 * and so on), lower.c (variables of modules). Not thread-safe: the driver's lock is held by whoever allocates
 * or frees.
 */
#include "tests/gpusim/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALIGN 256u /* of every allocation, as cuMemAlloc promises */
#define GUARD 512u /* least distance between two allocations */
#define PAGE 4096u
#define HUGE_PAGE                                                                                            \
    (2u << 20) /* large allocations begin at one, so that the host may back them with huge pages */

sim_memory sim_mem;
uint64_t sim_memory_time;

static struct {
    sim_range *range; /* by address */
    size_t count, capacity;
    uint64_t next;        /* addresses from here on were never given out */
    uint64_t limit, used; /* bytes of the device's memory */
    uint64_t number, fail_in;
} state;

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

/* Address space that costs nothing until it is touched. */
static void *reserve(size_t bytes, int protection)
{
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* The device's side is PROT_NONE, but for pinned host memory; the bytes are the alias's own. */
bool sim_memory_open(uint64_t device_bytes)
{
    uint64_t bytes = round_up(2 * device_bytes + ((uint64_t)1 << 30), HUGE_PAGE);
    uint8_t *device = reserve(bytes + HUGE_PAGE, PROT_NONE);
    uint8_t *alias = reserve(bytes + HUGE_PAGE, PROT_READ | PROT_WRITE);
    uint8_t *valid = reserve(bytes / 8, PROT_READ | PROT_WRITE);
    if (!device || !alias || !valid) {
        return false;
    }
    sim_mem.base = round_up((uint64_t)(uintptr_t)device, HUGE_PAGE);
    sim_mem.bytes = bytes;
    sim_mem.delta = (intptr_t)(round_up((uint64_t)(uintptr_t)alias, HUGE_PAGE) - sim_mem.base);
    sim_mem.valid = valid;
    state.next = sim_mem.base + HUGE_PAGE; /* small negative offsets stay inside the reservation */
    state.limit = device_bytes;
    state.used = 0;
    return true;
}

/* Leaves the reservation's rounding, at most 4 MB of address space, mapped. */
void sim_memory_close(void)
{
    if (sim_mem.bytes) {
        munmap((void *)(uintptr_t)sim_mem.base, sim_mem.bytes);
        munmap(sim_memory_host(sim_mem.base), sim_mem.bytes);
        munmap(sim_mem.valid, sim_mem.bytes / 8);
    }
    for (size_t i = 0; i < state.count; i++) {
        free((char *)(uintptr_t)state.range[i].what);
    }
    free(state.range);
    memset(&state, 0, sizeof state);
    memset(&sim_mem, 0, sizeof sim_mem);
}

/* Index of the first range that ends behind the address. */
static size_t lower_bound(uint64_t address)
{
    size_t low = 0, high = state.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state.range[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const sim_range *sim_memory_find(uint64_t address)
{
    size_t i = lower_bound(address);
    return i < state.count && state.range[i].begin <= address ? &state.range[i] : NULL;
}

const sim_range *sim_memory_ranges(size_t *count)
{
    *count = state.count;
    return state.range;
}

size_t sim_memory_used(void)
{
    return state.used;
}

void sim_memory_fail(uint64_t n)
{
    state.fail_in = n;
}

/* Forgets freed ranges, so that their addresses can be given out again. */
static void forget_freed(void)
{
    size_t live = 0;
    for (size_t i = 0; i < state.count; i++) {
        if (state.range[i].is_live) {
            state.range[live++] = state.range[i];
        } else {
            free((char *)(uintptr_t)state.range[i].what);
        }
    }
    state.count = live;
}

/* Pages of pinned memory are mapped on their own: no neighbour may stand in them. */
static uint64_t align_for(size_t bytes, bool is_host)
{
    return is_host ? PAGE : bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGN;
}

/* A place between the ranges that are left, first fit; 0: none. */
static uint64_t place_in_gaps(size_t bytes, uint64_t align)
{
    uint64_t begin = sim_mem.base + HUGE_PAGE;
    for (size_t i = 0; i < state.count; i++) {
        begin = round_up(begin, align);
        if (begin + bytes + GUARD <= state.range[i].begin) {
            return begin;
        }
        begin = round_up(state.range[i].end, state.range[i].is_host ? PAGE : 1) + GUARD;
    }
    begin = round_up(begin, align);
    return begin + bytes + GUARD <= sim_mem.base + sim_mem.bytes ? begin : 0;
}

static uint64_t place(size_t bytes, bool is_host)
{
    uint64_t align = align_for(bytes, is_host);
    if (bytes > sim_mem.bytes) {
        return 0;
    }
    bytes = is_host ? round_up(bytes, PAGE) : bytes;
    uint64_t begin = round_up(state.next, align);
    if (begin + bytes + GUARD <= sim_mem.base + sim_mem.bytes) {
        state.next = begin + bytes + GUARD;
        return begin;
    }
    forget_freed();
    return place_in_gaps(bytes, align);
}

static bool insert(const sim_range *range)
{
    if (state.count == state.capacity) {
        size_t capacity = state.capacity ? 2 * state.capacity : 256;
        sim_range *grown = realloc(state.range, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        state.range = grown;
        state.capacity = capacity;
    }
    size_t at = lower_bound(range->begin);
    memmove(state.range + at + 1, state.range + at, (state.count - at) * sizeof *range);
    state.range[at] = *range;
    state.count++;
    return true;
}

static uint64_t allocate(size_t bytes, const char *what, bool is_host)
{
    uint64_t cost = is_host ? 0 : round_up(bytes, ALIGN);
    bool injected = state.fail_in && --state.fail_in == 0;
    if (!bytes || injected || cost < bytes * !is_host || cost > state.limit - state.used) {
        return 0;
    }
    uint64_t begin = place(bytes, is_host);
    char *name = strdup(what);
    sim_range range = {begin,           begin + bytes,      ++state.number,
                       .is_live = true, .is_host = is_host, .what = name};
    if (!begin || !name || !insert(&range)) {
        free(name);
        return 0;
    }
    state.used += cost;
    return begin;
}

uint64_t sim_memory_alloc(size_t bytes, const char *what)
{
    return allocate(bytes, what, false);
}

/* One mapping of one file at both addresses. */
static bool map_twice(uint64_t address, size_t bytes)
{
    int file = (int)syscall(SYS_memfd_create, "gpusim", 0);
    bool ok = file >= 0 && ftruncate(file, (off_t)bytes) == 0;
    void *places[2] = {(void *)(uintptr_t)address, sim_memory_host(address)};
    for (int i = 0; i < 2 && ok; i++) {
        ok = mmap(places[i], bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED;
    }
    if (file >= 0) {
        close(file);
    }
    return ok;
}

/* Back to what the reservation was. */
static void unmap_twice(uint64_t address, size_t bytes)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap((void *)(uintptr_t)address, bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED ||
        mmap(sim_memory_host(address), bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
        abort();
    }
}

uint64_t sim_memory_alloc_host(size_t bytes, const char *what)
{
    uint64_t address = allocate(bytes, what, true);
    if (address && !map_twice(address, round_up(bytes, PAGE))) {
        sim_memory_free(address);
        return 0;
    }
    if (address) {
        sim_memory_mark(address, bytes); /* what the host writes is not seen */
    }
    return address;
}

static sim_range *live_at(uint64_t address)
{
    size_t i = lower_bound(address);
    return i < state.count && state.range[i].begin == address && state.range[i].is_live ? &state.range[i]
                                                                                        : NULL;
}

void sim_memory_set_constant(uint64_t address)
{
    sim_range *range = live_at(address);
    if (range) {
        range->is_constant = true;
    }
}

/* Zeroes bytes; whole pages among them go back to the host. */
static void drop(uint8_t *p, size_t bytes)
{
    uint8_t *first = (uint8_t *)(uintptr_t)round_up((uint64_t)(uintptr_t)p, PAGE);
    uint8_t *last = (uint8_t *)((uintptr_t)(p + bytes) / PAGE * PAGE);
    if (first >= last) {
        memset(p, 0, bytes);
        return;
    }
    memset(p, 0, (size_t)(first - p));
    madvise(first, (size_t)(last - first), MADV_DONTNEED);
    memset(last, 0, (size_t)(p + bytes - last));
}

bool sim_memory_free(uint64_t address)
{
    sim_range *range = live_at(address);
    if (!range) {
        return false;
    }
    size_t bytes = range->end - range->begin;
    range->is_live = false;
    range->freed_at = sim_memory_time;
    state.used -= range->is_host ? 0 : round_up(bytes, ALIGN);
    if (range->is_host) {
        unmap_twice(address, round_up(bytes, PAGE));
    } else {
        drop(sim_memory_host(address), bytes);
    }
    /* begin is a multiple of 256, and no other range stands in the last byte's bits. */
    drop(sim_mem.valid + (address - sim_mem.base) / 8, (bytes + 7) / 8);
    return true;
}

/* Bits [first, last) of the bitmap; the bytes at both ends may hold neighbours' bits. */
static void set_bits(uint64_t first, uint64_t last)
{
    for (; first < last && first % 8; first++) {
        sim_mem.valid[first / 8] |= (uint8_t)(1u << first % 8);
    }
    if (first < last) {
        memset(sim_mem.valid + first / 8, 0xff, (last - first) / 8);
        for (first = last / 8 * 8; first < last; first++) {
            sim_mem.valid[first / 8] |= (uint8_t)(1u << first % 8);
        }
    }
}

void sim_memory_mark(uint64_t address, size_t bytes)
{
    set_bits(address - sim_mem.base, address - sim_mem.base + bytes);
}

static bool bit_at(uint64_t bit)
{
    return sim_mem.valid[bit / 8] >> bit % 8 & 1;
}

void sim_memory_copy_marks(uint64_t to, uint64_t from, size_t bytes)
{
    if (sim_memory_unwritten(from, bytes) == bytes) {
        sim_memory_mark(to, bytes);
        return;
    }
    bool backwards = to > from && to < from + bytes; /* as memmove */
    for (size_t n = 0; n < bytes; n++) {
        size_t i = backwards ? bytes - 1 - n : n;
        uint64_t bit = to - sim_mem.base + i;
        uint8_t one = (uint8_t)(1u << bit % 8), *byte = &sim_mem.valid[bit / 8];
        *byte = (uint8_t)(bit_at(from - sim_mem.base + i) ? *byte | one : *byte & ~one);
    }
}

size_t sim_memory_unwritten(uint64_t address, size_t bytes)
{
    uint64_t bit = address - sim_mem.base;
    for (size_t i = 0; i < bytes;) {
        if ((bit + i) % 8 == 0 && sim_mem.valid[(bit + i) / 8] == 0xff) {
            i += 8;
        } else if (!bit_at(bit + i)) {
            return i;
        } else {
            i++;
        }
    }
    return bytes;
}
