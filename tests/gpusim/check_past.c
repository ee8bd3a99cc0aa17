/*
 * Pasts: what warps knew when they released. They make a graph that only grows while a launch runs: an
 * acquire is one pointer more, whatever it brings along. Somebody asks for single stamps only when an access
 * would otherwise be a race; then the warp spells out what it has heard, each node once (check_state.h).
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

enum {
    CHUNK = 1 << 18,
    MOST_BYTES = 1 << 29, /* of a worker; beyond it everything counts as known */
    NEAR = 32,            /* how far sim_past_join looks for one past in the other */
};

typedef struct sim_past_chunk {
    struct sim_past_chunk *next;
    uint32_t used;
    uint64_t bytes[CHUNK / 8];
} sim_past_chunk;

static _Atomic bool is_full;

/* ---- making them ---- */

void sim_past_begin(sim_worker_check *worker)
{
    while (worker->pasts && worker->pasts->next) {
        sim_past_chunk *rest = worker->pasts->next->next;
        free(worker->pasts->next);
        worker->pasts->next = rest;
    }
    if (worker->pasts) {
        worker->pasts->used = 0;
    }
    worker->past_bytes = 0;
    atomic_store_explicit(&is_full, false, memory_order_relaxed);
}

static sim_past *new_past(sim_warp *w, uint32_t warps)
{
    sim_worker_check *worker = w->worker->check;
    const uint32_t bytes = (uint32_t)(sizeof(sim_past) + warps * sizeof(uint32_t) + 7) / 8 * 8;
    if (!worker->pasts || worker->pasts->used + bytes > CHUNK) {
        sim_past_chunk *chunk = worker->past_bytes < MOST_BYTES ? malloc(sizeof *chunk) : NULL;
        if (!chunk) {
            atomic_store_explicit(&is_full, true, memory_order_relaxed);
            return NULL;
        }
        chunk->next = worker->pasts;
        chunk->used = 0;
        worker->pasts = chunk;
        worker->past_bytes += sizeof *chunk;
    }
    sim_past *past = (sim_past *)(void *)((uint8_t *)worker->pasts->bytes + worker->pasts->used);
    worker->pasts->used += bytes;
    past->one = past->two = NULL;
    past->block = w->block->linear;
    past->warps = warps;
    return past;
}

const sim_past *sim_past_new(sim_warp *w, const uint32_t known[SIM_MAX_WARPS], const sim_past *heard)
{
    const uint32_t warps = w->block->warps;
    sim_past *past = new_past(w, warps);
    if (past) {
        past->one = heard;
        memcpy(past->known, known, warps * sizeof *known);
    }
    return past;
}

/* True if b holds a, as far as a short look tells. */
static bool holds(const sim_past *b, const sim_past *a)
{
    for (uint32_t i = 0; b && i < NEAR; i++, b = b->one) {
        if (b == a || b->two == a) {
            return true;
        }
    }
    return false;
}

const sim_past *sim_past_join(sim_warp *w, const sim_past *a, const sim_past *b)
{
    if (!a || holds(b, a)) {
        return b;
    }
    if (!b || holds(a, b)) {
        return a;
    }
    sim_past *both = new_past(w, 0);
    if (both) {
        both->one = a;
        both->two = b;
    }
    return both;
}

/* ---- spelling them out ---- */

struct sim_spelled {
    const sim_past **seen; /* a hash set */
    uint32_t seen_room, seen_count;
    uint64_t *key; /* a hash map: block * SIM_MAX_WARPS + warp + 1 */
    uint32_t *known;
    uint32_t room, count;
    const sim_past **stack;
    uint32_t stack_room, depth;
};

static uint32_t slot_of(uint64_t key, uint32_t room)
{
    return (uint32_t)((key * 0x9E3779B97F4A7C15ull) >> 32) & (room - 1);
}

/* Puts it in; true if it wasn't there. */
static bool see(sim_spelled *s, const sim_past *past)
{
    if (2 * (s->seen_count + 1) > s->seen_room) {
        const sim_past **old = s->seen;
        const uint32_t old_room = s->seen_room;
        s->seen_room = old_room ? 2 * old_room : 64;
        s->seen = calloc(s->seen_room, sizeof *s->seen);
        s->seen_count = 0;
        for (uint32_t i = 0; i < old_room; i++) {
            if (old[i]) {
                see(s, old[i]);
            }
        }
        free(old);
    }
    uint32_t i = slot_of((uint64_t)(uintptr_t)past, s->seen_room);
    for (; s->seen[i]; i = (i + 1) & (s->seen_room - 1)) {
        if (s->seen[i] == past) {
            return false;
        }
    }
    s->seen[i] = past;
    s->seen_count++;
    return true;
}

static uint32_t find(const sim_spelled *s, uint64_t key)
{
    uint32_t i = slot_of(key, s->room);
    while (s->key[i] && s->key[i] != key) {
        i = (i + 1) & (s->room - 1);
    }
    return i;
}

static void learn(sim_spelled *s, uint64_t key, uint32_t known)
{
    if (2 * (s->count + 1) > s->room) {
        sim_spelled old = *s;
        s->room = old.room ? 2 * old.room : 64;
        s->key = calloc(s->room, sizeof *s->key);
        s->known = calloc(s->room, sizeof *s->known);
        for (uint32_t i = 0; i < old.room; i++) {
            if (old.key[i]) {
                const uint32_t to = find(s, old.key[i]);
                s->key[to] = old.key[i];
                s->known[to] = old.known[i];
            }
        }
        free(old.key);
        free(old.known);
    }
    const uint32_t i = find(s, key);
    s->count += s->key[i] == 0;
    s->key[i] = key;
    s->known[i] = known > s->known[i] ? known : s->known[i];
}

static void push(sim_spelled *s, const sim_past *past)
{
    if (past && see(s, past)) {
        if (s->depth == s->stack_room) {
            s->stack_room = s->stack_room ? 2 * s->stack_room : 64;
            s->stack = realloc(s->stack, s->stack_room * sizeof *s->stack);
        }
        s->stack[s->depth++] = past;
    }
}

static void spell_one(sim_warp *w, sim_spelled *s, const sim_past *past)
{
    if (past->warps && past->block == w->block->linear) {
        sim_clock_join(w, w->alive, past->known);
        return;
    }
    for (uint32_t i = 0; i < past->warps; i++) {
        learn(s, past->block * SIM_MAX_WARPS + i + 1, past->known[i]);
    }
}

void sim_past_spell(sim_warp *w)
{
    sim_warp_check *check = w->check;
    if (!check->unspelled) {
        return;
    }
    if (!check->spelled) {
        check->spelled = calloc(1, sizeof *check->spelled);
    }
    sim_spelled *s = check->spelled;
    push(s, check->unspelled);
    check->unspelled = NULL;
    while (s->depth) {
        const sim_past *past = s->stack[--s->depth];
        push(s, past->one);
        push(s, past->two);
        spell_one(w, s, past);
    }
}

void sim_past_hear(sim_warp *w, const sim_past *past)
{
    sim_warp_check *check = w->check;
    const sim_past *heard = sim_past_join(w, check->heard, past);
    if (heard != check->heard) {
        check->heard = check->unspelled = heard;
        check->present = NULL;
    }
}

bool sim_past_knows(sim_warp *w, uint64_t block, uint32_t warp, uint32_t stamp)
{
    sim_warp_check *check = w->check;
    if (atomic_load_explicit(&is_full, memory_order_relaxed)) {
        return true;
    }
    if (!check->heard) {
        return false;
    }
    sim_past_spell(w);
    if (block == w->block->linear) {
        return stamp < check->known[warp];
    }
    const uint64_t key = block * SIM_MAX_WARPS + warp + 1;
    return check->spelled->room && stamp < check->spelled->known[find(check->spelled, key)];
}

void sim_past_warp_begin(sim_warp *w)
{
    sim_warp_check *check = w->check;
    sim_spelled *s = check->spelled;
    check->heard = check->unspelled = check->present = NULL;
    check->fenced[0].is_there = check->fenced[1].is_there = false;
    check->found_past[0] = check->found_past[1] = NULL;
    if (check->found_count) {
        memset(check->found, 0, sizeof check->found);
        check->found_count = 0;
    }
    if (s && s->seen_count) {
        memset(s->seen, 0, s->seen_room * sizeof *s->seen);
        s->seen_count = 0;
    }
    if (s && s->count) {
        memset(s->key, 0, s->room * sizeof *s->key);
        memset(s->known, 0, s->room * sizeof *s->known);
        s->count = 0;
    }
}
