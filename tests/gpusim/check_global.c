/*
 * Global memory under the checkers: bytes never written, and races between blocks, warps and lanes.
 *
 * Each word that a launch touches has three records, of its last write and of two reads by different warps,
 * of different blocks where possible: whoever writes is not one of the two. A record names a moment (whose
 * accesses between two ticks it is), so that it fits in 64 bits; moments are numbered on from launch to
 * launch, so that what a launch finds of an earlier one is simply old. Records stand in planes of one page
 * each, taken when they are needed and given back when the launch ends.
 *
 * Blocks run on several host threads: an access holds its page while it looks at the records and adds its
 * own, so that of two that race the second always sees the first.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/gpusim/check_state.h"

/* moment 30 | site 16 | strong 1 | narrow 1 | lane 6 | 0 4 | several 1 | mixed 1 | bytes 4 */
#define MOMENT_SHIFT 34
#define SITE_SHIFT 18
#define STRONG (1ull << 17)
#define NARROW (1ull << 16) /* strong with scope cta: other blocks' strong accesses race with it */
#define LANE_SHIFT 10
#define SEVERAL (1ull << 5) /* lanes from `lane` on, each all of the bytes */
#define MIXED (1ull << 4)   /* lanes from `lane` on, who knows which bytes: says nothing within the warp */
#define BYTES 15u
#define SAME_ACCESS (~0ull << SITE_SHIFT | STRONG | NARROW)
#define SAME_LANE (~0ull << MOMENT_SHIFT | 63ull << LANE_SHIFT | SEVERAL)

enum {
    PAGE_WORDS = 1 << 14, /* of 64 KB */
    MOMENTS = 1 << 12,    /* handed to a worker at once */
    LAST_MOMENT = 1 << 30,
    FREE_PLANES = 4096, /* kept between launches: 512 MB */
};
enum { WRITE, READ, READ_TOO, PLANES };

typedef struct {
    uint64_t block;
    uint32_t warp, stamp;
} moment;

typedef struct {
    sim_record *plane[PLANES];
    bool held;
} page;

static struct {
    pthread_mutex_t lock;
    page *pages;
    uint64_t page_count;
    uint64_t *used; /* page * PLANES + plane, of those taken in this launch */
    uint64_t used_count, used_room;
    sim_record **free;
    uint64_t free_count, free_room;
    moment *moments[LAST_MOMENT / MOMENTS];
    _Atomic uint32_t next; /* the next chunk of moments */
    uint32_t begin;        /* the launch's first */
    sim_record old;        /* records below it are of earlier launches */
} shadow = {.lock = PTHREAD_MUTEX_INITIALIZER, .next = MOMENTS};

/* ---- launches, moments, planes ---- */

static void *grown(void *array, uint64_t count, uint64_t *room, size_t size)
{
    if (count < *room) {
        return array;
    }
    *room = *room ? 2 * *room : 256;
    void *larger = realloc(array, *room * size);
    if (!larger) {
        abort();
    }
    return larger;
}

static void drop_free(uint64_t keep)
{
    while (shadow.free_count > keep) {
        free(shadow.free[--shadow.free_count]);
    }
}

void sim_global_begin(const sim_launch *launch)
{
    (void)launch;
    if (!shadow.pages) {
        shadow.page_count = sim_mem.bytes / 4 / PAGE_WORDS + 1;
        void *p = mmap(NULL, shadow.page_count * sizeof(page), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        shadow.pages = p == MAP_FAILED ? NULL : p;
    }
    if (shadow.next > LAST_MOMENT / 4 * 3) {
        drop_free(0);
        shadow.next = MOMENTS;
    }
    shadow.begin = shadow.next;
    shadow.old = (sim_record)shadow.begin << MOMENT_SHIFT;
}

void sim_global_end(void)
{
    for (uint64_t i = 0; i < shadow.used_count; i++) {
        sim_record **plane = &shadow.pages[shadow.used[i] / PLANES].plane[shadow.used[i] % PLANES];
        shadow.free = grown(shadow.free, shadow.free_count, &shadow.free_room, sizeof *shadow.free);
        shadow.free[shadow.free_count++] = *plane;
        *plane = NULL;
    }
    shadow.used_count = 0;
    drop_free(FREE_PLANES);
}

/* Short, and rarely contended: at most one page at a time. */
static void hold(page *p)
{
    while (__atomic_test_and_set(&p->held, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

static void let_go(page *p)
{
    __atomic_clear(&p->held, __ATOMIC_RELEASE);
}

/* A plane of a page, taken at its first use; NULL if there is no memory. */
static sim_record *take_plane(uint64_t number, uint32_t which)
{
    page *p = &shadow.pages[number];
    sim_record *plane = __atomic_load_n(&p->plane[which], __ATOMIC_ACQUIRE);
    if (plane) {
        return plane;
    }
    pthread_mutex_lock(&shadow.lock);
    plane = p->plane[which];
    if (!plane) {
        plane = shadow.free_count ? shadow.free[--shadow.free_count] : calloc(PAGE_WORDS, sizeof *plane);
        if (plane) {
            shadow.used = grown(shadow.used, shadow.used_count, &shadow.used_room, sizeof *shadow.used);
            shadow.used[shadow.used_count++] = number * PLANES + which;
        }
        __atomic_store_n(&p->plane[which], plane, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&shadow.lock);
    return plane;
}

/* The warp's accesses from its last tick to the next; 0 when the numbers have run out. */
static uint32_t moment_now(sim_warp *w)
{
    sim_warp_check *check = w->check;
    sim_worker_check *worker = w->worker->check;
    if (check->interval) {
        return check->interval;
    }
    if (worker->next_interval == worker->last_interval) {
        const uint32_t first =
            shadow.next < LAST_MOMENT - MOMENTS ? atomic_fetch_add(&shadow.next, MOMENTS) : 0;
        moment **chunk = &shadow.moments[(first - shadow.begin) / MOMENTS];
        if (first == 0 || first >= LAST_MOMENT) {
            return 0;
        }
        if (!*chunk) {
            *chunk = malloc(MOMENTS * sizeof **chunk);
        }
        worker->next_interval = first;
        worker->last_interval = first + MOMENTS;
    }
    const uint32_t number = worker->next_interval++, at = number - shadow.begin;
    shadow.moments[at / MOMENTS][at % MOMENTS] =
        (moment){.block = w->block->linear, .warp = w->index, .stamp = sim_block_check_of(w)->now};
    check->interval = number;
    return number;
}

static const moment *moment_of(sim_record r)
{
    const uint32_t at = (uint32_t)(r >> MOMENT_SHIFT) - shadow.begin;
    return &shadow.moments[at / MOMENTS][at % MOMENTS];
}

static uint32_t lane_of(sim_record r)
{
    return (uint32_t)(r >> LANE_SHIFT) & 63u;
}

static sim_record record_of(const sim_look_at *look, uint32_t lane, uint32_t bytes)
{
    return look->base | (uint64_t)lane << LANE_SHIFT | bytes;
}

/* ---- an access meets what is known of a word ---- */

static bool came_before(const sim_look_at *look, uint32_t lane, sim_record r)
{
    const moment *m = moment_of(r);
    if (m->block != look->w->block->linear) {
        return sim_past_knows(look->w, m->block, m->warp, m->stamp);
    }
    const uint32_t other = r & MIXED ? SIM_LANE_MIXED : r & SEVERAL ? SIM_LANE_SEVERAL : lane_of(r);
    const bool known = m->warp == look->w->index ? sim_clock_lane_knows(look->w, lane, other, m->stamp)
                                                 : m->stamp < look->warp->known[m->warp];
    return known || (look->warp->unspelled && sim_past_knows(look->w, m->block, m->warp, m->stamp));
}

/* Strong accesses don't race, if each one's scope holds the other. */
static bool is_race(const sim_look_at *look, uint32_t lane, uint32_t bytes, sim_record r)
{
    if (r < shadow.old || (bytes & r & BYTES) == 0) {
        return false;
    }
    if ((r & look->base & STRONG) &&
        (!((r | look->base) & NARROW) || moment_of(r)->block == look->w->block->linear)) {
        return false;
    }
    return !came_before(look, lane, r);
}

/* The other write was made by the same instruction, with the same value. */
static bool writes_the_same(const sim_look_at *look, uint32_t lane, uint64_t word, uint32_t bytes,
                            sim_record r)
{
    if ((r ^ look->base) >> SITE_SHIFT & 0xffff) {
        return false;
    }
    const bool same_moment = (r ^ look->base) >> MOMENT_SHIFT == 0;
    const uint64_t absolute = sim_mem.base / 4 + word;
    const uint8_t *now = same_moment ? NULL : sim_memory_host(absolute * 4);
    return sim_look_is_same_value(look, lane, absolute, bytes & r & BYTES, lane_of(r), now);
}

static void accuse(const sim_look_at *look, uint32_t lane, sim_record r, const char *what)
{
    const moment *m = moment_of(r);
    const sim_record named = (r >> SITE_SHIFT & 0xffff) << 16 | (uint64_t)lane_of(r) << 9;
    sim_race_report(look->w, look->inst, lane, SIM_RACE_GLOBAL, look->address[lane], look->acc->total, named,
                    m->block, m->warp, what);
}

static void meet(const sim_look_at *look, const page *p, uint32_t lane, uint64_t word, uint32_t bytes)
{
    const uint32_t i = word % PAGE_WORDS;
    for (uint32_t k = WRITE; k < (look->is_read ? READ : PLANES); k++) {
        const sim_record r = p->plane[k] ? p->plane[k][i] : 0;
        if (!is_race(look, lane, bytes, r)) {
            continue;
        }
        if (k != WRITE) {
            accuse(look, lane, r, "writes what another thread reads, with no order between the two");
        } else if (look->is_read) {
            accuse(look, lane, r, "reads what another thread writes, with no order between the two");
        } else if (!writes_the_same(look, lane, word, bytes, r)) {
            accuse(look, lane, r, "writes what another thread writes, with no order between the two");
        }
    }
}

/* ---- an access becomes known ---- */

/* Bytes of one word that lanes of one instruction touch stand in one record; who touched which is lost. */
static sim_record merged(const sim_look_at *look, sim_record before, uint32_t lane, uint32_t bytes)
{
    const sim_record r = record_of(look, lane, bytes);
    if ((before ^ r) & SAME_ACCESS) {
        return r;
    }
    if (lane_of(before) == lane && !(before & (SEVERAL | MIXED))) {
        return before | bytes;
    }
    return before | bytes |
           ((before & BYTES) == bytes && look->is_read && !(before & MIXED) ? SEVERAL : MIXED);
}

/* What becomes of the latest read of a word when another one comes. */
typedef enum { REPLACE, SHIFT, SHIFT_IF_FREE } old_read;

static old_read fate_of(const sim_look_at *look, sim_record before)
{
    if (before < shadow.old || (before ^ look->base) >> MOMENT_SHIFT == 0) {
        return REPLACE;
    }
    const moment *m = moment_of(before);
    if (m->block != look->w->block->linear) {
        return SHIFT;
    }
    return m->warp == look->w->index ? REPLACE : SHIFT_IF_FREE;
}

static void add_read(const sim_look_at *look, uint64_t word, uint32_t lane, uint32_t bytes)
{
    const uint32_t i = word % PAGE_WORDS;
    sim_record *read = take_plane(word / PAGE_WORDS, READ);
    if (!read) {
        return;
    }
    const sim_record before = read[i];
    if ((look->base & STRONG) && before >= shadow.old && !(before & STRONG)) {
        return; /* the weak one races with more */
    }
    const old_read fate = fate_of(look, before);
    sim_record *too = fate == REPLACE ? NULL : take_plane(word / PAGE_WORDS, READ_TOO);
    if (too && (fate == SHIFT || too[i] < shadow.old)) {
        too[i] = before;
    }
    read[i] = merged(look, before, lane, bytes);
}

static void add_write(const sim_look_at *look, uint64_t word, uint32_t lane, uint32_t bytes)
{
    sim_record *write = take_plane(word / PAGE_WORDS, WRITE);
    if (write) {
        write[word % PAGE_WORDS] = merged(look, write[word % PAGE_WORDS], lane, bytes);
    }
}

/* The page of the lane's words is held: bytes aligned to their size stand in one. */
static void touch_lane(const sim_look_at *look, uint32_t lane)
{
    const uint64_t at = look->address[lane] - sim_mem.base, total = look->acc->total;
    for (uint64_t word = at / 4; word <= (at + total - 1) / 4; word++) {
        const uint32_t bytes = sim_bytes_of_word(word, at, total);
        meet(look, &shadow.pages[word / PAGE_WORDS], lane, word, bytes);
        if (look->is_read) {
            add_read(look, word, lane, bytes);
        } else {
            add_write(look, word, lane, bytes);
        }
    }
}

/* ---- whole words of neighbouring lanes ---- */

typedef struct {
    uint64_t word; /* from the begin of device memory */
    uint32_t words, lane;
    uint32_t words_of_lane, lanes_of_word; /* one of the two is 1 */
    uint64_t flags;                        /* of each record */
} stretch;

/* True if whatever a plane holds of the words is old, or of the very lanes that touch them now. */
static bool is_quiet(const sim_look_at *look, const sim_record *plane, const stretch *s)
{
    uint64_t late = 0;
    if (!plane) {
        return true;
    }
    plane += s->word % PAGE_WORDS;
    for (uint32_t i = 0; i < s->words; i++) {
        late |= plane[i] >= shadow.old;
    }
    if (!late) {
        return true;
    }
    const uint64_t same = s->flags & MIXED ? ~0ull << MOMENT_SHIFT | MIXED : SAME_LANE;
    late = 0;
    for (uint32_t i = 0, lane = s->lane; i < s->words; i += s->words_of_lane, lane += s->lanes_of_word) {
        const sim_record mine = record_of(look, lane, BYTES) | s->flags;
        for (uint32_t k = 0; k < s->words_of_lane; k++) {
            late |= (plane[i + k] >= shadow.old) & (((plane[i + k] ^ mine) & same) != 0);
        }
    }
    return !late;
}

static void fill(const sim_look_at *look, sim_record *plane, const stretch *s)
{
    plane += s->word % PAGE_WORDS;
    for (uint32_t i = 0, lane = s->lane; i < s->words; i += s->words_of_lane, lane += s->lanes_of_word) {
        const sim_record mine = record_of(look, lane, BYTES) | s->flags;
        for (uint32_t k = 0; k < s->words_of_lane; k++) {
            plane[i + k] = mine;
        }
    }
}

/* True if all reads of the words were made at one moment, or earlier launches'. */
static bool is_one_moment(const sim_record *read, uint32_t words)
{
    uint64_t differ = 0, late = 0;
    for (uint32_t i = 0; i < words; i++) {
        differ |= (read[i] ^ read[0]) >> MOMENT_SHIFT;
        late |= read[i] >= shadow.old;
    }
    return differ == 0 || late == 0;
}

/* False if the words have to be looked at one by one. */
static bool read_stretch(const sim_look_at *look, const stretch *s)
{
    const uint64_t number = s->word / PAGE_WORDS;
    sim_record *read = take_plane(number, READ);
    if ((look->base & STRONG) || !read || !is_quiet(look, shadow.pages[number].plane[WRITE], s) ||
        !is_one_moment(read + s->word % PAGE_WORDS, s->words)) {
        return false;
    }
    const sim_record *before = read + s->word % PAGE_WORDS;
    const old_read fate = fate_of(look, before[0]);
    sim_record *too = fate == REPLACE ? NULL : take_plane(number, READ_TOO);
    if (too) {
        too += s->word % PAGE_WORDS;
        for (uint32_t i = 0; i < s->words; i++) {
            too[i] = fate == SHIFT || too[i] < shadow.old ? before[i] : too[i];
        }
    }
    fill(look, read, s);
    return true;
}

static bool write_stretch(const sim_look_at *look, const stretch *s)
{
    const page *p = &shadow.pages[s->word / PAGE_WORDS];
    for (uint32_t k = WRITE; k < PLANES; k++) {
        if (!is_quiet(look, p->plane[k], s)) {
            return false;
        }
    }
    sim_record *write = take_plane(s->word / PAGE_WORDS, WRITE);
    if (write) {
        fill(look, write, s);
    }
    return true;
}

static void touch_lanes(const sim_look_at *look, uint32_t first, uint32_t count)
{
    for (uint32_t lane = first; lane < first + count; lane++) {
        touch_lane(look, lane);
    }
}

static void touch_stretch(const sim_look_at *look, const stretch *s, uint32_t lanes)
{
    page *p = &shadow.pages[s->word / PAGE_WORDS];
    hold(p);
    if (!(look->is_read ? read_stretch(look, s) : write_stretch(look, s))) {
        touch_lanes(look, s->lane, lanes);
    }
    let_go(p);
}

/* Lanes whose bytes are no whole words, each by itself. */
static void touch_apart(const sim_look_at *look, const sim_run *run)
{
    for (uint32_t lane = run->first; lane < run->first + run->lanes; lane++) {
        page *p = &shadow.pages[(look->address[lane] - sim_mem.base) / 4 / PAGE_WORDS];
        hold(p);
        touch_lane(look, lane);
        let_go(p);
    }
}

/* A run goes page by page: no lane's bytes stand in two, since they are aligned to their size. */
static void touch_run(const sim_look_at *look, const sim_run *run)
{
    const uint32_t total = look->acc->total;
    const uint64_t at = run->at - sim_mem.base;
    if (at % 4 || run->bytes % 4 || (total < 4 && 4 % total) || (total > 4 && total % 4)) {
        touch_apart(look, run);
        return;
    }
    stretch s = {.word = at / 4,
                 .lane = run->first,
                 .words_of_lane = total > 4 ? total / 4 : 1,
                 .lanes_of_word = total < 4 ? 4 / total : 1,
                 .flags = run->is_one ? SEVERAL
                          : total < 4 ? MIXED
                                      : 0};
    for (uint32_t left = run->bytes / 4; left; left -= s.words) {
        const uint32_t room = PAGE_WORDS - s.word % PAGE_WORDS;
        s.words = left < room ? left : room;
        const uint32_t lanes = run->is_one ? run->lanes : s.words / s.words_of_lane * s.lanes_of_word;
        touch_stretch(look, &s, lanes);
        s.word += s.words;
        s.lane += lanes;
    }
}

/* ---- the check ---- */

static void tell_unwritten(const sim_look_at *look, const sim_run *run)
{
    const uint32_t total = look->acc->total;
    for (uint32_t lane = run->first; lane < run->first + run->lanes; lane++) {
        if (!sim_bits_all(sim_mem.valid, look->address[lane] - sim_mem.base, total)) {
            sim_report_lane(look->w, look->inst, lane, SIM_UNINITIALISED, look->address[lane], total,
                            "reads global memory never written");
            return;
        }
    }
}

static void begin(sim_look_at *look)
{
    const sim_access *acc = look->acc;
    const uint64_t site = look->base >> 16 & 0xffff; /* as sim_look_begin has put it */
    look->base = (sim_record)moment_now(look->w) << MOMENT_SHIFT | site << SITE_SHIFT;
    if (acc->is_strong) {
        look->base |= STRONG | (acc->scope == SIM_SCOPE_CTA ? NARROW : 0);
    }
}

void sim_check_global(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES], const uint8_t *values)
{
    sim_look_at look;
    bool races = sim_options.check[SIM_RACE_GLOBAL] && shadow.pages != NULL;
    sim_look_begin(&look, w, inst, acc, mask, address, values);
    begin(&look);
    races &= look.base >> MOMENT_SHIFT != 0;
    for (sim_mask rest = mask; rest;) {
        const sim_run run = sim_next_run(&rest, address, acc->total, look.is_read);
        if (run.at - sim_mem.base >= sim_mem.bytes) {
            continue; /* registered host memory */
        }
        if ((acc->kind & SIM_READS) && !sim_bits_all(sim_mem.valid, run.at - sim_mem.base, run.bytes)) {
            tell_unwritten(&look, &run);
        }
        if (races) {
            touch_run(&look, &run);
        }
        if (acc->kind & SIM_WRITES) {
            sim_bits_set(sim_mem.valid, run.at - sim_mem.base, run.bytes);
        }
    }
}
