/*
 * Order that goes through memory, by the release and acquire patterns of the PTX memory model:
 *
 *   fence; strong write   what the warp knew at the fence is released at the place written
 *   strong read; fence    what was released at the place read becomes known to the warp
 *
 * A barrier counts as the fence of a reader, since much code that works relies on it. .release and .acquire
 * do both at once. A strong access alone, atomic or volatile, orders nothing. A fence or access of scope cta
 * reaches the block's own warps only. What a place was ever told stays there: a plain write between a release
 * and the acquire would end the release by the letter, and is overlooked.
 *
 * Places are 8 bytes of memory. Those of shared memory belong to the block and need no lock.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

enum { SHARDS = 64 };
#define PLACE 8u
#define NARROW 1u /* in the low bits of a place in found[]: the read was of scope cta */

static struct {
    pthread_mutex_t lock;
    sim_places places;
} shard[SHARDS];
static _Atomic uint32_t global_places;

/* ---- places ---- */

static uint32_t slot_of(uint64_t key, uint32_t room)
{
    return (uint32_t)((key * 0x9E3779B97F4A7C15ull) >> 34) & (room - 1);
}

static sim_place *find(const sim_places *p, uint64_t key)
{
    uint32_t i = slot_of(key, p->capacity);
    while (p->place[i].key && p->place[i].key != key) {
        i = (i + 1) & (p->capacity - 1);
    }
    return &p->place[i];
}

static void grow(sim_places *p)
{
    const sim_places old = *p;
    p->capacity = old.capacity ? 2 * old.capacity : 16;
    p->place = calloc(p->capacity, sizeof *p->place);
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (old.place[i].key) {
            *find(p, old.place[i].key) = old.place[i];
        }
    }
    free(old.place);
}

static void clear(sim_places *p)
{
    if (p->count) {
        memset(p->place, 0, p->capacity * sizeof *p->place);
        p->count = 0;
    }
}

void sim_sync_begin(void)
{
    static bool is_open;
    for (uint32_t i = 0; i < SHARDS && !is_open; i++) {
        pthread_mutex_init(&shard[i].lock, NULL);
    }
    is_open = true;
}

void sim_sync_end(void)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        clear(&shard[i].places);
    }
    atomic_store(&global_places, 0);
}

void sim_sync_block_begin(sim_block_check *block)
{
    clear(&block->places);
}

static bool is_shared(uint64_t key)
{
    return key < SIM_SHARED_WINDOW;
}

/* Offsets in shared memory begin at 0, which is no key. */
static uint64_t place_key(sim_space space, uint64_t address)
{
    return (space == SIM_SPACE_SHARED ? address + PLACE : address) / PLACE * PLACE;
}

static uint32_t shard_of(uint64_t key)
{
    return (uint32_t)(key / PLACE * 0x9E3779B1u >> 16) % SHARDS;
}

static bool nothing_released(const sim_warp *w, bool shared)
{
    return shared ? sim_block_check_of(w)->places.count == 0
                  : atomic_load_explicit(&global_places, memory_order_acquire) == 0;
}

static void release_in(sim_places *p, sim_warp *w, uint64_t key, const sim_past *narrow, const sim_past *wide)
{
    if (2 * (p->count + 1) > p->capacity) {
        grow(p);
    }
    sim_place *place = find(p, key);
    if (place->key == 0) {
        *place = (sim_place){.key = key, .block = w->block->linear};
        p->count++;
    }
    if (place->block != w->block->linear) {
        place->block = SIM_SEVERAL_BLOCKS;
    }
    place->narrow = sim_past_join(w, place->narrow, narrow);
    place->wide = sim_past_join(w, place->wide, wide);
}

static void release_at(sim_warp *w, uint64_t key, const sim_past *narrow, const sim_past *wide)
{
    if (is_shared(key)) {
        release_in(&sim_block_check_of(w)->places, w, key, narrow, wide);
        return;
    }
    const uint32_t i = shard_of(key);
    pthread_mutex_lock(&shard[i].lock);
    release_in(&shard[i].places, w, key, narrow, wide);
    atomic_store_explicit(&global_places, 1, memory_order_release);
    pthread_mutex_unlock(&shard[i].lock);
}

static const sim_past *acquire_in(const sim_places *p, sim_warp *w, uint64_t key, bool is_narrow)
{
    const sim_place *place = p->count ? find(p, key) : NULL;
    if (!place || place->key == 0) {
        return NULL;
    }
    const bool own = place->block == w->block->linear || place->block == SIM_SEVERAL_BLOCKS;
    const sim_past *near = own ? place->narrow : NULL;
    return is_narrow ? near : sim_past_join(w, near, place->wide);
}

static const sim_past *acquire_at(sim_warp *w, uint64_t key, bool is_narrow)
{
    if (is_shared(key)) {
        return acquire_in(&sim_block_check_of(w)->places, w, key, is_narrow);
    }
    const uint32_t i = shard_of(key);
    pthread_mutex_lock(&shard[i].lock);
    const sim_past *past = acquire_in(&shard[i].places, w, key, is_narrow);
    pthread_mutex_unlock(&shard[i].lock);
    return past;
}

/* ---- the reader's side ---- */

/* Keeps a place for the next fence; what was kept in its stead is taken at once, and set aside. */
static void remember(sim_warp *w, uint64_t key)
{
    sim_warp_check *check = w->check;
    uint64_t *slot = &check->found[key / PLACE % SIM_FOUND];
    if (*slot == key) {
        return;
    }
    if (*slot) {
        const uint64_t old = *slot & ~(uint64_t)NARROW;
        check->found_past[0] = sim_past_join(w, check->found_past[0], acquire_at(w, old, true));
        if (!(*slot & NARROW)) {
            check->found_past[1] = sim_past_join(w, check->found_past[1], acquire_at(w, old, false));
        }
    }
    *slot = key;
    check->found_count++;
}

static void forget_found(sim_warp_check *check)
{
    memset(check->found, 0, sizeof check->found);
    check->found_count = 0;
    check->found_past[0] = check->found_past[1] = NULL;
}

void sim_sync_acquire_found(sim_warp *w, sim_scope scope)
{
    sim_warp_check *check = w->check;
    const bool is_narrow = scope == SIM_SCOPE_CTA;
    if (check->found_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < SIM_FOUND; i++) {
        const uint64_t key = check->found[i] & ~(uint64_t)NARROW;
        if (key) {
            sim_past_hear(w, acquire_at(w, key, is_narrow || (check->found[i] & NARROW)));
        }
    }
    sim_past_hear(w, check->found_past[0]);
    if (!is_narrow) {
        sim_past_hear(w, check->found_past[1]);
        forget_found(check); /* after a fence of scope cta a wider one may still come */
    }
}

void sim_check_strong_read(sim_warp *w, const sim_access *acc, sim_mask mask, sim_space space,
                           const uint64_t address[SIM_LANES])
{
    const bool shared = space == SIM_SPACE_SHARED, is_narrow = acc->scope == SIM_SCOPE_CTA && !shared;
    if (!w->check || nothing_released(w, shared)) {
        return;
    }
    uint64_t last = 0;
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint64_t at = address[__builtin_ctz(rest)];
        for (uint64_t key = place_key(space, at); key <= place_key(space, at + acc->total - 1);
             key += PLACE) {
            if (key == last) {
                continue;
            }
            last = key;
            remember(w, key | (is_narrow ? NARROW : 0));
            if (acc->acquires) {
                sim_past_hear(w, acquire_at(w, key, is_narrow));
            }
        }
    }
}

void sim_check_acquire(sim_warp *w, sim_mask lanes, sim_space space, uint64_t address)
{
    (void)lanes; /* heard by the whole warp */
    if (w->check) {
        sim_past_hear(w, acquire_at(w, place_key(space, address), space == SIM_SPACE_SHARED));
        sim_past_spell(w);
    }
}

/* ---- the writer's side ---- */

static void fence_now(sim_warp *w, sim_fenced *fenced)
{
    sim_clock_own(w, fenced->known);
    fenced->heard = sim_warp_check_of(w)->heard;
    fenced->past = NULL;
    fenced->is_there = true;
}

void sim_check_fence_lanes(sim_warp *w, sim_mask lanes, sim_scope scope)
{
    sim_warp_check *check = w->check;
    (void)lanes;
    sim_sync_acquire_found(w, scope);
    sim_clock_tick(w);
    fence_now(w, &check->fenced[0]);
    if (scope != SIM_SCOPE_CTA) {
        check->fenced[1] = check->fenced[0];
    }
}

static const sim_past *past_of(sim_warp *w, sim_fenced *fenced)
{
    if (fenced->is_there && !fenced->past) {
        fenced->past = sim_past_new(w, fenced->known, fenced->heard);
    }
    return fenced->is_there ? fenced->past : NULL;
}

static const sim_past *present(sim_warp *w)
{
    sim_warp_check *check = w->check;
    sim_clock_tick(w);
    if (!check->present) {
        uint32_t known[SIM_MAX_WARPS];
        sim_clock_own(w, known);
        check->present = sim_past_new(w, known, check->heard);
    }
    return check->present;
}

void sim_check_release(sim_warp *w, sim_mask lanes, sim_space space, uint64_t address)
{
    (void)lanes;
    if (w->check) {
        const sim_past *past = present(w);
        release_at(w, place_key(space, address), past, space == SIM_SPACE_SHARED ? NULL : past);
    }
}

void sim_check_strong_write(sim_warp *w, const sim_access *acc, sim_mask mask, sim_space space,
                            const uint64_t address[SIM_LANES])
{
    sim_warp_check *check = w->check;
    if (!check || (!check->fenced[0].is_there && !acc->releases)) {
        return;
    }
    const bool is_narrow = space == SIM_SPACE_SHARED || acc->scope == SIM_SCOPE_CTA;
    const sim_past *narrow = acc->releases ? present(w) : past_of(w, &check->fenced[0]);
    const sim_past *wide = is_narrow ? NULL : acc->releases ? narrow : past_of(w, &check->fenced[1]);
    uint64_t last = 0;
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint64_t at = address[__builtin_ctz(rest)];
        for (uint64_t key = place_key(space, at); key <= place_key(space, at + acc->total - 1);
             key += PLACE) {
            if (key != last) {
                release_at(w, key, narrow, wide);
            }
            last = key;
        }
    }
}
