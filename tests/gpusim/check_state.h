/*
 * What the checkers keep (check.h has the idea): clocks of warps and blocks, shadow cells, copies in flight.
 * Internal to check_*.c.
 */
#ifndef GPUSIM_CHECK_STATE_H
#define GPUSIM_CHECK_STATE_H

#include "tests/gpusim/access.h"

/*
 * A record: one access, in 64 bits of which the highest say when it was made, so that "before L" is one
 * comparison. stamp 32 | site 16 | strong 1 | lane 6 | warp 5 | bytes 4 (which of the word's)
 */
typedef uint64_t sim_record;
#define SIM_RECORD_STAMP(r) ((uint32_t)((r) >> 32))
#define SIM_RECORD_SITE(r) ((uint32_t)((r) >> 16) & 0xffffu)
#define SIM_RECORD_STRONG (1ull << 15)
#define SIM_RECORD_LANE(r) ((uint32_t)((r) >> 9) & 63u)
#define SIM_RECORD_WARP(r) ((uint32_t)((r) >> 4) & 31u)
#define SIM_RECORD_BYTES(r) ((uint32_t)(r)&15u)
#define SIM_RECORD_LANE_BITS (63ull << 9)
enum {
    SIM_LANE_SEVERAL = 32, /* several lanes, each all of the record's bytes */
    SIM_LANE_MIXED = 33,   /* several, who knows which bytes: says nothing within the warp */
};
#define SIM_IN_FLIGHT 0xffffffffu /* stamp of a word that a cp.async is still to write */

/* A copy that has been issued and not waited for. */
typedef struct {
    uint64_t from;
    const sim_inst *inst;
    uint32_t to, group; /* the lane's group, counted from 1 */
    uint32_t site;
    uint8_t total, bytes, lane;
    bool has_landed;
    uint32_t moment; /* lands when the lane commits its group (1) or waits for it (2) */
} sim_pending;

/*
 * What some warp knew at a release, or (warps 0) what two such pasts hold together. Immutable, of the running
 * launch; NULL is the past in which nothing happened.
 */
typedef struct sim_past {
    const struct sim_past *one, *two;
    uint64_t block;
    uint32_t warps;
    uint32_t known[]; /* [warps] of the block, as sim_warp_check has it */
} sim_past;

/* A past spelled out: stamps by warp. Internal to check_past.c. */
typedef struct sim_spelled sim_spelled;

/* What a warp's fence of some scope has made ready for the strong writes that follow it. */
typedef struct {
    uint32_t known[SIM_MAX_WARPS];
    const sim_past *heard;
    const sim_past *past; /* the two above as a past, once somebody wanted it */
    bool is_there;
} sim_fenced;

enum { SIM_FOUND = 64 };

typedef struct {
    uint32_t known[SIM_MAX_WARPS]; /* accesses of warp w stamped below known[w] came before */
    uint32_t limit;  /* the least of known[]: anything stamped below it, by whomever, came before */
    uint32_t others; /* the same without the warp's own entry */
    bool touched;    /* accessed memory since the last tick */
    bool has_pairs;
    uint32_t (*pairs)[SIM_LANES]; /* [lane][other]: the same among lanes, where has_pairs */
    uint32_t
        interval; /* of its accesses to global memory since the last tick (check_global.c); 0: none yet */
    /* release and acquire (check_sync.c) */
    const sim_past *heard;     /* what was acquired */
    const sim_past *unspelled; /* the part of it that `spelled` doesn't have yet */
    sim_spelled *spelled;
    sim_fenced fenced[2];      /* by the last fence of any scope; by the last one of scope gpu or sys */
    const sim_past *present;   /* the warp's past at this moment, until a clock moves */
    uint64_t found[SIM_FOUND]; /* places that strong reads have read since the last fence */
    uint32_t found_count;
    const sim_past
        *found_past[2]; /* of places that had no room: for any fence, for fences of scope gpu or sys */
    /* cp.async */
    sim_pending *pending;
    uint32_t pending_count, pending_room;
    uint32_t committed[SIM_LANES];
    /* local memory: which bytes were written, [lane][local_limit / 8] */
    uint8_t *local_valid;
    uint32_t local_high; /* offsets from here on are clear */
} sim_warp_check;

/* Places in memory with what was released there: 8 bytes each. Open addressing by key. */
typedef struct {
    uint64_t key;                  /* 0: free */
    const sim_past *wide, *narrow; /* for everybody; for the warps of `block` */
    uint64_t block;                /* SIM_SEVERAL_BLOCKS: no matter whose */
} sim_place;
typedef struct {
    sim_place *place;
    uint32_t capacity, count;
} sim_places;
#define SIM_SEVERAL_BLOCKS UINT64_MAX

typedef struct {
    uint32_t known[SIM_MAX_WARPS];
    const sim_past *heard;
} sim_barrier_clock;

typedef struct sim_block_check {
    uint32_t now;
    bool is_taken;
    sim_record *write, *read; /* shared memory, one per word */
    uint32_t *readers;        /* warps that `read` stands for */
    uint32_t *first;          /* least stamp of theirs */
    uint8_t *valid;           /* bit per byte */
    sim_barrier_clock barrier[16];
    sim_places places; /* in shared memory */
    sim_warp_check warp[SIM_MAX_WARPS];
} sim_block_check;

enum { SIM_SHARED_ROOM = 256 << 10 };

typedef struct {
    sim_worker_access access; /* first: what handlers see of worker->check */
    sim_block_check **block;  /* of this worker, taken or free */
    uint32_t blocks;
    struct sim_past_chunk *pasts; /* where the launch's pasts stand */
    uint64_t past_bytes;
    uint32_t next_interval, last_interval; /* numbers that the worker may give out (check_global.c) */
} sim_worker_check;

static inline sim_warp_check *sim_warp_check_of(const sim_warp *w)
{
    return w->check;
}

static inline sim_block_check *sim_block_check_of(const sim_warp *w)
{
    return w->block->check;
}

/* ---- what the shadows of shared and global memory have in common ---- */

/* One access of some lanes, as the functions of a shadow hand it around. */
typedef struct {
    sim_warp *w;
    const sim_inst *inst;
    const sim_access *acc;
    sim_warp_check *warp;
    sim_block_check *block;
    sim_mask mask;
    const uint64_t *address;
    const uint8_t *values; /* of the lanes that write, or NULL */
    sim_record base;       /* the access's record, without lane and bytes */
    sim_record limit;      /* records below it came before, whoever made them */
    bool is_read;          /* and nothing else: atomics count as writes */
} sim_look_at;

/* Lanes first .. first + lanes - 1, whose bytes stand one behind the other; is_one: that all have the same
 * bytes. */
typedef struct {
    uint64_t at;
    uint32_t bytes, first, lanes;
    bool is_one;
} sim_run;

static inline sim_record sim_record_of(const sim_look_at *look, uint32_t lane, uint32_t bytes)
{
    return look->base | (uint64_t)lane << 9 | bytes;
}

/* Takes the next run off *rest; lanes at one address count as a run of one if `joins`. */
static inline sim_run sim_next_run(sim_mask *rest, const uint64_t address[SIM_LANES], uint32_t total,
                                   bool joins)
{
    const uint32_t first = (uint32_t)__builtin_ctz(*rest);
    const bool is_one =
        joins && first + 1 < SIM_LANES && (*rest >> (first + 1) & 1) && address[first + 1] == address[first];
    const uint32_t step = is_one ? 0 : total;
    uint32_t end = first + 1;
    while (end < SIM_LANES && (*rest >> end & 1) && address[end] == address[end - 1] + step) {
        end++;
    }
    *rest &= end == SIM_LANES ? 0 : SIM_ALL_LANES << end;
    return (sim_run){.at = address[first],
                     .bytes = is_one ? total : (end - first) * total,
                     .first = first,
                     .lanes = end - first,
                     .is_one = is_one};
}

/* The bytes of word `word` that [at, at + bytes) holds, as a mask of 4. */
static inline uint32_t sim_bytes_of_word(uint64_t word, uint64_t at, uint64_t bytes)
{
    const uint64_t begin = word * 4 > at ? word * 4 : at, last = at + bytes,
                   end = word * 4 + 4 < last ? word * 4 + 4 : last;
    return ((1u << (end - begin)) - 1) << begin % 4;
}

/* True if every bit of [at, at + count) is set. */
static inline bool sim_bits_all(const uint8_t *bits, uint64_t at, uint32_t count)
{
    while (count) {
        const uint32_t shift = at % 8, n = count < 8 - shift ? count : 8 - shift;
        const uint32_t wanted = ((1u << n) - 1) << shift;
        if ((bits[at / 8] & wanted) != wanted) {
            return false;
        }
        at += n;
        count -= n;
    }
    return true;
}

/* Sets them. Other threads may set neighbours at the same time: bytes that are shared change atomically. */
static inline void sim_bits_set(uint8_t *bits, uint64_t at, uint32_t count)
{
    while (count) {
        const uint32_t shift = at % 8, n = count < 8 - shift ? count : 8 - shift;
        const uint32_t wanted = ((1u << n) - 1) << shift;
        if (n == 8) {
            bits[at / 8] = 0xff;
        } else if ((bits[at / 8] & wanted) != wanted) {
            __atomic_fetch_or(&bits[at / 8], (uint8_t)wanted, __ATOMIC_RELAXED);
        }
        at += n;
        count -= n;
    }
}

/* ---- check_look.c ---- */

void sim_look_begin(sim_look_at *look, sim_warp *w, const sim_inst *inst, const sim_access *acc,
                    sim_mask mask, const uint64_t address[SIM_LANES], const uint8_t *values);
/* True if the access of record r, made in the same block, came before what `lane` does now. */
bool sim_look_came_before(const sim_look_at *look, uint32_t lane, sim_record r);
/*
 * True if `lane` writes to a word what stands or comes there anyway: lanes of this very instruction (`other`;
 * SIM_LANES: none) that write the same bytes with the same values, or another warp at the same instruction,
 * which has written `now`, the word's present bytes.
 */
bool sim_look_is_same_value(const sim_look_at *look, uint32_t lane, uint64_t word, uint32_t bytes,
                            uint32_t other, const uint8_t *now);

/* ---- check_clock.c ---- */

/* Time goes on: what the warp does from here on is later than what it has done. */
void sim_clock_tick(sim_warp *w);
/* The warp has heard of everything that `known` tells of; its own entry counts for `lanes`. */
void sim_clock_join(sim_warp *w, sim_mask lanes, const uint32_t known[SIM_MAX_WARPS]);
/* The warp's own events up to now, and what it knows of others. */
void sim_clock_own(const sim_warp *w, uint32_t known[SIM_MAX_WARPS]);
/* True if an access stamped so by a lane of the same warp came before what `lane` does now. */
bool sim_clock_lane_knows(const sim_warp *w, uint32_t lane, uint32_t other, uint32_t stamp);

/* ---- check_site.c ---- */

uint32_t sim_site_number(sim_warp *w, const sim_inst *inst, sim_site *site);
void sim_sites_begin(void);

/* Tells of a race; `other` made the access of record `r`. */
void sim_race_report(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_finding_kind kind,
                     uint64_t address, uint32_t bytes, sim_record r, uint64_t other_block,
                     uint32_t other_warp, const char *what);

/* ---- check_past.c ---- */

/* Forgets the worker's pasts of the launch before. */
void sim_past_begin(sim_worker_check *worker);
/* A past of the warp's block from clocks; NULL when there is no room left, and then sim_past_knows() says
 * yes. */
const sim_past *sim_past_new(sim_warp *w, const uint32_t known[SIM_MAX_WARPS], const sim_past *heard);
const sim_past *sim_past_join(sim_warp *w, const sim_past *a, const sim_past *b);
/* The warp hears of it. */
void sim_past_hear(sim_warp *w, const sim_past *past);
/* Spells out what was heard: what it tells of the warp's own block goes into the warp's clock. */
void sim_past_spell(sim_warp *w);
/* True if the warp has heard of what a warp did up to the stamp (not counting what its clock tells by
 * itself). */
bool sim_past_knows(sim_warp *w, uint64_t block, uint32_t warp, uint32_t stamp);
/* At the begin of a warp: nothing was heard. */
void sim_past_warp_begin(sim_warp *w);

/* ---- check_sync.c ---- */

void sim_sync_begin(void);
void sim_sync_end(void);
void sim_sync_block_begin(sim_block_check *block);
/* What strong reads have found becomes known (a fence, or a barrier, which counts as one of scope gpu). */
void sim_sync_acquire_found(sim_warp *w, sim_scope scope);

/* ---- check_shared.c, check_global.c ---- */

void sim_shadow_open(sim_block_check *block);
void sim_global_begin(const sim_launch *launch);
void sim_global_end(void);

/* The words of a lane's cp.async, in flight from its issue on (tells of the races that its write is in), or
 * landed. */
void sim_shared_in_flight(sim_warp *w, const sim_inst *inst, const sim_access *acc, uint32_t lane,
                          uint32_t at);
void sim_shared_landed(sim_warp *w, uint32_t lane, uint32_t at, uint32_t bytes, uint32_t site);

/* ---- check_local.c ---- */

void sim_local_begin(sim_warp *w);

/* ---- check_async.c ---- */

void sim_async_drop(sim_warp *w); /* the warp has ended: what is in flight lands unseen */

#endif
