/* Bits of touched bytes (touched.h), in pieces of 64 KB of device memory: those in use stand in a list. */
#include "tests/gpusim/touched.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/gpusim/memory.h"

enum {
    SECTOR = 32,          /* bytes: one word of bits */
    PIECE_SECTORS = 2048, /* of 64 KB */
};

bool sim_touched_on;

typedef _Atomic uint32_t word;

enum { READ, WRITTEN, STRONG, PLANES = 2 * STRONG }; /* STRONG + READ, STRONG + WRITTEN: by strong accesses */

/* All of it address space until touched. */
static struct {
    word *bits[PLANES];
    _Atomic uint8_t *in_use; /* of each piece */
    uint32_t *list;
    _Atomic uint32_t count;
} slate;

static void *reserve(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

bool sim_touched_begin(void)
{
    uint64_t pieces = sim_mem.bytes / ((uint64_t)SECTOR * PIECE_SECTORS);
    bool is_whole = true;
    for (int plane = 0; plane < PLANES; plane++) {
        slate.bits[plane] = slate.bits[plane] ? slate.bits[plane] : reserve(sim_mem.bytes / 8);
        is_whole = is_whole && slate.bits[plane];
    }
    if (!slate.list) {
        slate.in_use = reserve(pieces);
        slate.list = reserve(pieces * sizeof *slate.list);
    }
    sim_touched_on = is_whole && slate.in_use && slate.list;
    return sim_touched_on;
}

static void use_piece(uint64_t piece)
{
    if (!atomic_load_explicit(&slate.in_use[piece], memory_order_relaxed) &&
        !atomic_exchange_explicit(&slate.in_use[piece], 1, memory_order_relaxed)) {
        slate.list[atomic_fetch_add_explicit(&slate.count, 1, memory_order_relaxed)] = (uint32_t)piece;
    }
}

static void set(word *w, uint32_t bits)
{
    if ((atomic_load_explicit(w, memory_order_relaxed) & bits) != bits) {
        atomic_fetch_or_explicit(w, bits, memory_order_relaxed);
    }
}

/* Bits of one sector, from neighbouring lanes together. */
static void flush(uint64_t sector, uint32_t bits, bool reads, bool writes, int strong)
{
    if (!bits) {
        return;
    }
    use_piece(sector / PIECE_SECTORS);
    if (reads) {
        set(&slate.bits[strong + READ][sector], bits);
    }
    if (writes) {
        set(&slate.bits[strong + WRITTEN][sector], bits);
    }
}

void sim_touch(sim_mask mask, const uint64_t address[SIM_LANES], uint32_t bytes, bool reads, bool writes,
               bool is_strong)
{
    const int strong = is_strong ? STRONG : 0;
    uint64_t sector = 0;
    uint32_t bits = 0;
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        uint64_t at = address[__builtin_ctz(rest)] - sim_mem.base;
        if (at >= sim_mem.bytes) {
            continue;
        }
        /* Aligned to its size, an access stays in its sector; wider ones begin one. */
        uint32_t own = (uint32_t)((((uint64_t)1 << bytes) - 1) << at % SECTOR);
        if (at / SECTOR != sector) {
            flush(sector, bits, reads, writes, strong);
            sector = at / SECTOR;
            bits = 0;
        }
        bits |= own;
    }
    flush(sector, bits, reads, writes, strong);
}

typedef struct {
    void (*range)(void *data, uint64_t begin, uint64_t end, bool writes);
    void *data;
    size_t left;
    uint64_t begin, end; /* the run so far; empty: none */
    bool writes;
} runs;

static void end_run(runs *r)
{
    if (r->range && r->end > r->begin && r->left) {
        r->left--;
        r->range(r->data, r->begin, r->end, r->writes);
    }
    r->begin = r->end = 0;
}

static void add_run(runs *r, uint64_t begin, uint64_t end)
{
    if (r->end != begin || r->end == r->begin) {
        end_run(r);
        r->begin = begin;
    }
    r->end = end;
}

/* The runs of one bits in a word. */
static void add_word(runs *r, uint64_t address, uint32_t bits)
{
    uint32_t at = 0;
    while (at < SECTOR && bits >> at) {
        at += (uint32_t)__builtin_ctz(bits >> at);
        uint64_t rest = ~((uint64_t)bits >> at);
        uint32_t length = (uint32_t)__builtin_ctzll(rest);
        add_run(r, address + at, address + at + length);
        at += length;
    }
}

static uint64_t read_piece(uint32_t piece, int kind, runs *r)
{
    word *bits = slate.bits[kind] + (uint64_t)piece * PIECE_SECTORS;
    word *strong = slate.bits[STRONG + kind] + (uint64_t)piece * PIECE_SECTORS;
    uint64_t sectors = 0, address = sim_mem.base + (uint64_t)piece * PIECE_SECTORS * SECTOR;
    for (uint32_t i = 0; i < PIECE_SECTORS; i++) {
        uint32_t w = atomic_load_explicit(&bits[i], memory_order_relaxed);
        sectors += (w | atomic_load_explicit(&strong[i], memory_order_relaxed)) != 0;
        if (w && r->range) {
            add_word(r, address + (uint64_t)i * SECTOR, w);
        }
    }
    memset((void *)bits, 0, PIECE_SECTORS * sizeof *bits);
    memset((void *)strong, 0, PIECE_SECTORS * sizeof *strong);
    return sectors;
}

sim_touched sim_touched_end(void (*range)(void *data, uint64_t begin, uint64_t end, bool writes), void *data,
                            size_t most)
{
    sim_touched touched = {0, 0};
    for (int kind = READ; kind <= WRITTEN; kind++) {
        runs r = {.range = range, .data = data, .left = most, .writes = kind == WRITTEN};
        for (uint32_t i = 0; i < slate.count; i++) {
            uint64_t sectors = read_piece(slate.list[i], kind, &r);
            *(kind == WRITTEN ? &touched.sectors_written : &touched.sectors_read) += sectors;
        }
        end_run(&r);
    }
    for (uint32_t i = 0; i < slate.count; i++) {
        atomic_store_explicit(&slate.in_use[slate.list[i]], 0, memory_order_relaxed);
    }
    slate.count = 0;
    sim_touched_on = false;
    return touched;
}
