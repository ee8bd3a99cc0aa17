/*
 * Shared memory under the checkers: bytes never written, races between warps and between lanes, words that a
 * cp.async is still to write. Each word has a record of its last write and one of the reads since
 * (check_state.h). The usual case, in which everything known of some neighbouring words came before, is a few
 * comparisons a word.
 */
#include <stdlib.h>

#include "tests/gpusim/check_state.h"

void sim_shadow_open(sim_block_check *block)
{
    const size_t words = SIM_SHARED_ROOM / 4;
    block->write = calloc(words, sizeof *block->write);
    block->read = calloc(words, sizeof *block->read);
    block->readers = calloc(words, sizeof *block->readers);
    block->first = calloc(words, sizeof *block->first);
    block->valid = calloc(SIM_SHARED_ROOM / 8, 1);
}

static void accuse(const sim_look_at *look, uint32_t lane, uint32_t word, sim_record r, uint32_t warp,
                   const char *what)
{
    const bool flies = SIM_RECORD_STAMP(r) == SIM_IN_FLIGHT;
    lane = lane < SIM_LANES ? lane : 0;
    sim_race_report(look->w, look->inst, lane, flies ? SIM_ASYNC_UNWAITED : SIM_RACE_SHARED,
                    look->address ? look->address[lane] : (uint64_t)word * 4, look->acc->total, r,
                    look->w->block->linear, warp,
                    flies ? "touches bytes that a cp.async is still to write" : what);
}

/* ---- an access meets what is known of a word ---- */

/* The other write was made by the same instruction, with the same value. */
static bool writes_the_same(const sim_look_at *look, uint32_t lane, uint32_t word, uint32_t bytes,
                            sim_record r)
{
    if (SIM_RECORD_SITE(r) != SIM_RECORD_SITE(look->base)) {
        return false;
    }
    const bool same_time = SIM_RECORD_STAMP(r) == SIM_RECORD_STAMP(look->base);
    if (SIM_RECORD_WARP(r) != look->w->index) {
        return sim_look_is_same_value(look, lane, word, bytes, 0, look->w->block->shared + (size_t)word * 4);
    }
    return same_time && sim_look_is_same_value(look, lane, word, bytes, SIM_RECORD_LANE(r), NULL);
}

static void meet_write(const sim_look_at *look, uint32_t lane, uint32_t word, uint32_t bytes)
{
    const sim_record r = look->block->write[word];
    const uint32_t common = bytes & SIM_RECORD_BYTES(r), warp = SIM_RECORD_WARP(r);
    if (r < look->limit || common == 0) {
        return;
    }
    if (SIM_RECORD_STAMP(r) == SIM_IN_FLIGHT) {
        accuse(look, lane, word, r, warp, NULL);
        return;
    }
    if ((r & look->base & SIM_RECORD_STRONG) || sim_look_came_before(look, lane, r)) {
        return;
    }
    if (!look->is_read && writes_the_same(look, lane, word, common, r)) {
        return;
    }
    accuse(look, lane, word, r, warp,
           look->is_read ? "reads what another thread writes, with no order between the two"
                         : "writes what another thread writes, with no order between the two");
}

/* Whether one of the readers of a word surely did not come before: its warp, or SIM_MAX_WARPS. */
static uint32_t late_reader(const sim_look_at *look, uint32_t lane, uint32_t word, sim_record r)
{
    const uint32_t readers = look->block->readers[word], own = 1u << look->w->index;
    for (uint32_t rest = readers & ~own; rest; rest &= rest - 1) {
        const uint32_t warp = (uint32_t)__builtin_ctz(rest);
        const uint32_t first = look->block->first[word];
        if (first >= look->warp->known[warp] &&
            !sim_past_knows(look->w, look->w->block->linear, warp, first)) {
            return warp;
        }
    }
    return readers == own && !sim_look_came_before(look, lane, r) ? look->w->index : SIM_MAX_WARPS;
}

static void meet_reads(const sim_look_at *look, uint32_t lane, uint32_t word, uint32_t bytes)
{
    const sim_record r = look->block->read[word];
    if (r < look->limit || (bytes & SIM_RECORD_BYTES(r)) == 0 || (r & look->base & SIM_RECORD_STRONG)) {
        return;
    }
    const uint32_t warp = late_reader(look, lane, word, r);
    if (warp < SIM_MAX_WARPS) {
        accuse(look, lane, word, r, warp, "writes what another thread reads, with no order between the two");
    }
}

/* ---- an access becomes known ---- */

static void set_read(const sim_look_at *look, uint32_t word, sim_record r)
{
    look->block->read[word] = r;
    look->block->readers[word] = 1u << look->w->index;
    look->block->first[word] = SIM_RECORD_STAMP(r);
}

/* True if all readers that are known of a word came before. */
static bool readers_came_before(const sim_look_at *look, uint32_t lane, uint32_t word, sim_record r)
{
    const uint32_t own = 1u << look->w->index, readers = look->block->readers[word];
    for (uint32_t rest = readers & ~own; rest; rest &= rest - 1) {
        if (SIM_RECORD_STAMP(r) >= look->warp->known[__builtin_ctz(rest)]) {
            return false;
        }
    }
    return !(readers & own) || SIM_RECORD_STAMP(r) < look->warp->known[look->w->index] ||
           (readers == own && SIM_RECORD_LANE(r) < SIM_LANES && sim_look_came_before(look, lane, r));
}

/*
 * One more reader, where others are known. The record can stand for several warps or lanes only if all read
 * the same bytes; where it can't, the latest is kept, and a weak read rather than a strong one.
 */
static void add_read(const sim_look_at *look, uint32_t lane, uint32_t word, uint32_t bytes)
{
    const sim_record before = look->block->read[word], r = sim_record_of(look, lane, bytes);
    const uint32_t own = 1u << look->w->index;
    if (before < look->limit || readers_came_before(look, lane, word, before)) {
        set_read(look, word, r);
        return;
    }
    if ((r & SIM_RECORD_STRONG) && !(before & SIM_RECORD_STRONG)) {
        return;
    }
    if (SIM_RECORD_BYTES(before) == bytes && (before & SIM_RECORD_STRONG) == (r & SIM_RECORD_STRONG)) {
        look->block->readers[word] |= own;
        look->block->read[word] = sim_record_of(look, SIM_LANE_SEVERAL, bytes);
    } else {
        set_read(look, word, r);
    }
}

/* Bytes of one word that several lanes of an instruction write stand in one record; who wrote which is lost.
 */
static void add_write(const sim_look_at *look, uint32_t lane, uint32_t word, uint32_t bytes)
{
    const sim_record before = look->block->write[word], r = sim_record_of(look, lane, bytes);
    const uint64_t same = SIM_RECORD_LANE_BITS | 15; /* what may differ */
    if ((before | same) == (r | same) && (SIM_RECORD_BYTES(before) & bytes) == 0) {
        const bool one = SIM_RECORD_LANE(before) == lane;
        look->block->write[word] =
            sim_record_of(look, one ? lane : SIM_LANE_MIXED, bytes | SIM_RECORD_BYTES(before));
    } else {
        look->block->write[word] = r;
    }
}

static void touch_word(const sim_look_at *look, uint32_t lane, uint32_t word, uint32_t bytes)
{
    meet_write(look, lane, word, bytes);
    if (look->is_read) {
        add_read(look, lane, word, bytes);
    } else {
        meet_reads(look, lane, word, bytes);
        add_write(look, lane, word, bytes);
    }
}

/* ---- runs of lanes ---- */

static void touch_lane(const sim_look_at *look, uint32_t lane)
{
    const uint32_t at = (uint32_t)look->address[lane], total = look->acc->total;
    for (uint32_t word = at / 4; word <= (at + total - 1) / 4; word++) {
        touch_word(look, lane, word, sim_bytes_of_word(word, at, total));
    }
}

/* True if whatever is known of the words came before. */
static bool is_quiet(const sim_look_at *look, uint32_t word, uint32_t words)
{
    const sim_record *write = look->block->write + word, *read = look->block->read + word,
                     limit = look->limit;
    uint64_t late = 0;
    for (uint32_t i = 0; i < words; i++) {
        late |= (uint64_t)(write[i] >= limit) | (uint64_t)(read[i] >= limit);
    }
    return late == 0;
}

/* Writes of whole words, each of one lane. */
static void fill_words(const sim_look_at *look, uint32_t word, uint32_t words, uint32_t lane,
                       uint32_t words_of_lane)
{
    sim_record *to = look->block->write + word;
    for (uint32_t i = 0; i < words; i += words_of_lane, lane++) {
        const sim_record r = sim_record_of(look, lane, 15);
        for (uint32_t k = 0; k < words_of_lane; k++) {
            to[i + k] = r;
        }
    }
}

/*
 * Reads of whole words on which no write is known that may be late: most of what kernels do. Other warps may
 * have read them since the last barrier. False if the words have to be looked at one by one.
 */
static bool read_words(const sim_look_at *look, const sim_run *run)
{
    const uint32_t word = (uint32_t)run->at / 4, words = run->bytes / 4, words_of_lane = look->acc->total / 4;
    const sim_record *write = look->block->write + word;
    const uint32_t own = 1u << look->w->index, known = look->warp->known[look->w->index];
    uint64_t late = 0;
    for (uint32_t i = 0; i < words; i++) {
        late |= write[i] >= look->limit;
    }
    for (uint32_t i = 0; i < words && !late; i++) {
        const uint32_t lane = run->is_one ? SIM_LANE_SEVERAL : run->first + i / words_of_lane;
        const sim_record before = look->block->read[word + i], r = sim_record_of(look, lane, 15);
        const bool again = SIM_RECORD_LANE(before) == lane && look->block->readers[word + i] == own;
        if (before < look->limit || (again && !((before ^ r) & (SIM_RECORD_STRONG | 15)))) {
            set_read(look, word + i, r); /* a lane that reads its own word twice is still one reader */
        } else if (SIM_RECORD_STAMP(before) < known || ((before ^ r) & (SIM_RECORD_STRONG | 15))) {
            add_read(look, lane, word + i, 15);
        } else if (before != r) {
            look->block->readers[word + i] |= own;
            look->block->read[word + i] = sim_record_of(look, SIM_LANE_SEVERAL, 15);
        }
    }
    return !late;
}

static void touch_run(const sim_look_at *look, const sim_run *run)
{
    const uint32_t total = look->acc->total, word = (uint32_t)run->at / 4;
    const bool is_whole = total >= 4 && total % 4 == 0 && run->at % 4 == 0;
    if (is_whole && look->is_read && read_words(look, run)) {
        return;
    }
    if (is_whole && !look->is_read && is_quiet(look, word, run->bytes / 4)) {
        fill_words(look, word, run->bytes / 4, run->first, total / 4);
        return;
    }
    for (uint32_t lane = run->first; lane < run->first + run->lanes; lane++) {
        touch_lane(look, lane);
    }
}

static void tell_unwritten(const sim_look_at *look, const sim_run *run)
{
    const uint32_t total = look->acc->total;
    for (uint32_t lane = run->first; lane < run->first + run->lanes; lane++) {
        const uint64_t at = look->address[lane];
        if (!sim_bits_all(look->block->valid, at, total)) {
            sim_report_lane(look->w, look->inst, lane, SIM_UNINITIALISED, at, total,
                            "reads shared memory that the block has not written (offset %llu)",
                            (unsigned long long)at);
            return;
        }
    }
}

void sim_check_shared(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES], const uint8_t *values)
{
    sim_look_at look;
    sim_look_begin(&look, w, inst, acc, mask, address, values);
    const bool races = sim_options.check[SIM_RACE_SHARED] || sim_options.check[SIM_ASYNC_UNWAITED];
    for (sim_mask rest = mask; rest;) {
        const sim_run run = sim_next_run(&rest, address, acc->total, look.is_read);
        if ((acc->kind & SIM_READS) && !sim_bits_all(look.block->valid, run.at, run.bytes)) {
            tell_unwritten(&look, &run);
        }
        if (races) {
            touch_run(&look, &run);
        }
        if (acc->kind & SIM_WRITES) {
            sim_bits_set(look.block->valid, run.at, run.bytes);
        }
    }
}

/* ---- cp.async ---- */

void sim_shared_in_flight(sim_warp *w, const sim_inst *inst, const sim_access *acc, uint32_t lane,
                          uint32_t at)
{
    sim_look_at look;
    uint64_t address[SIM_LANES];
    address[lane] = at;
    sim_look_begin(&look, w, inst, acc, 1u << lane, address, NULL);
    touch_lane(&look, lane);
    for (uint32_t word = at / 4; word < (at + acc->total) / 4; word++) {
        look.block->write[word] |= (uint64_t)SIM_IN_FLIGHT << 32;
    }
    sim_bits_set(look.block->valid, at, acc->total);
}

/* Words that something else has been written to meanwhile (a finding) are left alone. */
void sim_shared_landed(sim_warp *w, uint32_t lane, uint32_t at, uint32_t bytes, uint32_t site)
{
    sim_block_check *block = w->block->check;
    const uint64_t mine = (uint64_t)site << 16 | (uint64_t)lane << 9 | (uint64_t)w->index << 4 | 15;
    for (uint32_t word = at / 4; word < (at + bytes) / 4; word++) {
        if (block->write[word] == ((uint64_t)SIM_IN_FLIGHT << 32 | mine)) {
            block->write[word] = (uint64_t)block->now << 32 | mine;
        }
    }
}
