/*
 * What the checkers keep (check.h has the idea): clocks of warps and blocks, shadow cells, copies in flight. Internal
 * to check_*.c.
 */
#ifndef GPUSIM_CHECK_STATE_H
#define GPUSIM_CHECK_STATE_H

#include "tests/gpusim/access.h"

/*
 * A record: one access, in 64 bits of which the highest say when it was made, so that "before L" is one comparison.
 *   stamp 32 | site 16 | strong 1 | lane 6 | warp 5 | bytes 4 (which of the word's)
 */
typedef uint64_t sim_record;
#define SIM_RECORD_STAMP(r) ((uint32_t)((r) >> 32))
#define SIM_RECORD_SITE(r) ((uint32_t)((r) >> 16) & 0xffffu)
#define SIM_RECORD_STRONG (1ull << 15)
#define SIM_RECORD_LANE(r) ((uint32_t)((r) >> 9) & 63u)
#define SIM_RECORD_WARP(r) ((uint32_t)((r) >> 4) & 31u)
#define SIM_RECORD_BYTES(r) ((uint32_t)(r) & 15u)
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

/* What a warp knew when it released: immutable once shared. */
typedef struct sim_snapshot {
    uint64_t id, block;
    uint32_t warps, warp;
    const struct sim_heard *heard;
    uint32_t known[SIM_MAX_WARPS];
} sim_snapshot;

/* A list of snapshots that a block has taken over; grows at its head, tails are shared. */
typedef struct sim_heard {
    const sim_snapshot *snapshot;
    const struct sim_heard *next;
} sim_heard;

enum { SIM_MAY_ACQUIRE = 8 };

typedef struct {
    uint32_t known[SIM_MAX_WARPS]; /* accesses of warp w stamped below known[w] came before */
    uint32_t limit;                /* the least of known[]: anything stamped below it, by whomever, came before */
    uint32_t others;               /* the same without the warp's own entry */
    bool touched;                  /* accessed memory since the last tick */
    bool has_pairs;
    uint32_t (*pairs)[SIM_LANES]; /* [lane][other]: the same among lanes, where has_pairs */
    /* release and acquire */
    bool has_fenced;
    uint32_t fenced[SIM_MAX_WARPS]; /* known at the last fence */
    const sim_heard *fenced_heard;
    const sim_snapshot *released;              /* the last fence as a snapshot, once a strong write has followed it */
    uint64_t may_acquire[SIM_MAY_ACQUIRE];     /* keys read by strong reads since the last fence */
    uint32_t may_count;
    /* cp.async */
    sim_pending *pending;
    uint32_t pending_count, pending_room;
    uint32_t committed[SIM_LANES];
    /* local memory: which bytes were written, [lane][local_limit / 8] */
    uint8_t *local_valid;
    uint32_t local_high; /* offsets from here on are clear */
} sim_warp_check;

typedef struct {
    uint64_t *key; /* block * 32 + warp + 1; 0: free */
    uint32_t *known;
    uint32_t capacity, count;
} sim_foreign;

typedef struct {
    uint32_t known[SIM_MAX_WARPS];
    bool is_used;
} sim_barrier_clock;

typedef struct sim_block_check {
    uint32_t now;
    bool is_taken;
    sim_record *write, *read; /* shared memory, one per word */
    uint32_t *readers;        /* warps that `read` stands for */
    uint32_t *first;          /* least stamp of theirs */
    uint8_t *valid;           /* bit per byte */
    sim_barrier_clock barrier[16];
    const sim_heard *heard;
    sim_foreign foreign;
    sim_warp_check warp[SIM_MAX_WARPS];
} sim_block_check;

enum { SIM_SHARED_ROOM = 256 << 10 };

typedef struct {
    sim_worker_access access; /* first: what handlers see of worker->check */
    sim_block_check **block;  /* of this worker, taken or free */
    uint32_t blocks;
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

/* Lanes first .. first + lanes - 1, whose bytes stand one behind the other. */
typedef struct {
    uint64_t at;
    uint32_t bytes, first, lanes;
} sim_run;

static inline sim_record sim_record_of(const sim_look_at *look, uint32_t lane, uint32_t bytes)
{
    return look->base | (uint64_t)lane << 9 | bytes;
}

/* Takes the next run off *rest. */
static inline sim_run sim_next_run(sim_mask *rest, const uint64_t address[SIM_LANES], uint32_t total)
{
    const uint32_t first = (uint32_t)__builtin_ctz(*rest);
    uint32_t end = first + 1;
    while (end < SIM_LANES && (*rest >> end & 1) && address[end] == address[end - 1] + total) {
        end++;
    }
    *rest &= end == SIM_LANES ? 0 : SIM_ALL_LANES << end;
    return (sim_run){.at = address[first], .bytes = (end - first) * total, .first = first, .lanes = end - first};
}

/* The bytes of word `word` that [at, at + bytes) holds, as a mask of 4. */
static inline uint32_t sim_bytes_of_word(uint64_t word, uint64_t at, uint64_t bytes)
{
    const uint64_t begin = word * 4 > at ? word * 4 : at, last = at + bytes, end = word * 4 + 4 < last ? word * 4 + 4 : last;
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

void sim_look_begin(sim_look_at *look, sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                    const uint64_t address[SIM_LANES], const uint8_t *values);
/* True if the access of record r, made in the same block, came before what `lane` does now. */
bool sim_look_came_before(const sim_look_at *look, uint32_t lane, sim_record r);
/*
 * True if `lane` writes to a word what stands or comes there anyway: lanes of this very instruction that write the
 * same bytes with the same values, or other warps at the same instruction. `now` are the word's present bytes.
 */
bool sim_look_is_same_value(const sim_look_at *look, uint32_t lane, uint64_t word, uint32_t bytes, sim_record r,
                            bool same_warp, const uint8_t *now);

/* ---- check_clock.c ---- */

/* Time goes on: what the warp does from here on is later than what it has done. */
void sim_clock_tick(sim_warp *w);
/* The warp has heard of everything that `known` tells of; its own entry counts for `lanes`. */
void sim_clock_join(sim_warp *w, sim_mask lanes, const uint32_t known[SIM_MAX_WARPS]);
void sim_clock_own(const sim_warp *w, uint32_t known[SIM_MAX_WARPS]);
/* True if an access stamped so by a lane of the same warp came before what `lane` does now. */
bool sim_clock_lane_knows(const sim_warp *w, uint32_t lane, uint32_t other, uint32_t stamp);

/* ---- check_site.c ---- */

uint32_t sim_site_number(sim_warp *w, const sim_inst *inst, sim_site *site);
void sim_sites_begin(void);

/* Tells of a race; `other` made the access of record `r`. */
void sim_race_report(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_finding_kind kind, uint64_t address,
                     uint32_t bytes, sim_record r, uint64_t other_block, uint32_t other_warp, const char *what);

/* ---- check_sync.c ---- */

void sim_sync_begin(void);
void sim_sync_end(void);
/* What strong reads have found becomes known (a fence or a barrier). */
void sim_sync_acquire_pending(sim_warp *w, sim_mask lanes);
/* Stamp below which the block has heard of a warp of another block. */
uint32_t sim_sync_foreign(const sim_block_check *block, uint64_t other_block, uint32_t warp);

/* ---- check_shared.c, check_global.c ---- */

void sim_shadow_open(sim_block_check *block);
void sim_global_begin(const sim_launch *launch);
void sim_global_end(void);

/* The words of a lane's cp.async, in flight from its issue on (tells of the races that its write is in), or landed. */
void sim_shared_in_flight(sim_warp *w, const sim_inst *inst, const sim_access *acc, uint32_t lane, uint32_t at);
void sim_shared_landed(sim_warp *w, uint32_t lane, uint32_t at, uint32_t bytes, uint32_t site);

/* ---- check_local.c ---- */

void sim_local_begin(sim_warp *w);

/* ---- check_async.c ---- */

void sim_async_drop(sim_warp *w); /* the warp has ended: what is in flight lands unseen */

#endif
