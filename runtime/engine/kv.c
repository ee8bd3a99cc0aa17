/*
 * Page lists and counts of owners. A free page is one without owners; free pages and unused names of
 * sequences lie on stacks, so that the same calls always give the same pages.
 */
#include "runtime/engine/kv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

typedef struct {
    bool used;
    size_t length; /* tokens */
} sequence_state;

struct sa_kv {
    size_t pages, sequences, context;
    size_t list_length; /* pages of one sequence at most */
    uint32_t *owners;   /* [pages] sequences that hold the page, and other holds */
    uint32_t *held;     /* [pages] the other ones */
    int32_t *free;      /* [pages] a stack; the last page given back is the next one taken */
    size_t free_count;
    sequence_state *state;  /* [sequences] */
    int32_t *lists;         /* [sequences, list_length] */
    sa_kv_sequence *unused; /* [sequences] a stack of names */
    size_t unused_count;
    uint32_t *counted; /* [pages] of check */
    size_t *place;     /* [pages] of check */
};

static sequence_state *state_of(const sa_kv *kv, sa_kv_sequence sequence)
{
    SA_ASSERT(sequence >= 0 && (size_t)sequence < kv->sequences && kv->state[sequence].used);
    return &kv->state[sequence];
}

static int32_t *list_of(const sa_kv *kv, sa_kv_sequence sequence)
{
    return kv->lists + (size_t)sequence * kv->list_length;
}

static sa_status take_memory(sa_kv *kv, sa_error *err)
{
    size_t cells = 0;
    if (!sa_mul_size(kv->sequences, kv->list_length, &cells)) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a shorter context or fewer sequences",
                       "page lists of %zu sequences do not fit", kv->sequences);
    }
    kv->owners = calloc(kv->pages, sizeof *kv->owners);
    kv->held = calloc(kv->pages, sizeof *kv->held);
    kv->free = calloc(kv->pages, sizeof *kv->free);
    kv->counted = calloc(kv->pages, sizeof *kv->counted);
    kv->place = calloc(kv->pages, sizeof *kv->place);
    kv->state = calloc(kv->sequences, sizeof *kv->state);
    kv->unused = calloc(kv->sequences, sizeof *kv->unused);
    kv->lists = calloc(cells, sizeof *kv->lists);
    bool all = kv->owners != NULL && kv->held != NULL && kv->free != NULL && kv->counted != NULL &&
               kv->place != NULL && kv->state != NULL && kv->unused != NULL && kv->lists != NULL;
    return all ? SA_OK
               : sa_fail(err, SA_NO_ROOM, NULL, "use a shorter context or fewer sequences",
                         "no memory for the lists of %zu KV pages", kv->pages);
}

sa_status sa_kv_open(sa_kv **out, size_t pages, size_t sequences, size_t context, sa_error *err)
{
    SA_ASSERT(pages >= 1 && pages <= INT32_MAX && sequences >= 1 && sequences <= INT32_MAX && context >= 1);
    sa_kv *kv = calloc(1, sizeof *kv);
    if (kv == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the book of KV pages");
    }
    kv->pages = pages;
    kv->sequences = sequences;
    kv->context = context;
    kv->list_length = sa_kv_pages_for(context) < pages ? sa_kv_pages_for(context) : pages;
    sa_status status = take_memory(kv, err);
    if (status != SA_OK) {
        sa_kv_close(kv);
        return status;
    }
    for (size_t i = 0; i < pages; i++) { /* page 0 is taken first */
        kv->free[kv->free_count++] = (int32_t)(pages - 1 - i);
    }
    for (size_t i = 0; i < sequences; i++) {
        kv->unused[kv->unused_count++] = (sa_kv_sequence)(sequences - 1 - i);
    }
    *out = kv;
    return SA_OK;
}

void sa_kv_close(sa_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    free(kv->owners);
    free(kv->held);
    free(kv->free);
    free(kv->counted);
    free(kv->place);
    free(kv->state);
    free(kv->unused);
    free(kv->lists);
    free(kv);
}

/* -- Pages -- */

static int32_t take_page(sa_kv *kv)
{
    SA_ASSERT(kv->free_count > 0);
    int32_t page = kv->free[--kv->free_count];
    SA_ASSERT(kv->owners[page] == 0);
    kv->owners[page] = 1;
    return page;
}

static void drop_page(sa_kv *kv, int32_t page)
{
    SA_ASSERT(kv->owners[page] > 0);
    if (--kv->owners[page] == 0) {
        kv->free[kv->free_count++] = page;
    }
}

/* The next token would go into the middle of a page that others hold, too. */
static bool must_copy(const sa_kv *kv, sa_kv_sequence sequence)
{
    size_t length = kv->state[sequence].length;
    return length % SA_KV_PAGE != 0 && kv->owners[list_of(kv, sequence)[length / SA_KV_PAGE]] > 1;
}

/* -- Sequences -- */

sa_status sa_kv_create(sa_kv *kv, sa_kv_sequence *sequence, sa_error *err)
{
    if (kv->unused_count == 0) {
        return sa_fail(err, SA_NO_ROOM, NULL, "release one, or open with more",
                       "all %zu sequences of the KV cache are in use", kv->sequences);
    }
    *sequence = kv->unused[--kv->unused_count];
    kv->state[*sequence] = (sequence_state){.used = true};
    return SA_OK;
}

void sa_kv_adopt(sa_kv *kv, sa_kv_sequence sequence, const int32_t *pages, size_t length)
{
    sequence_state *to = state_of(kv, sequence);
    SA_ASSERT(to->length == 0 && length <= kv->context && sa_kv_pages_for(length) <= kv->list_length);
    int32_t *list = list_of(kv, sequence);
    for (size_t i = 0; i < sa_kv_pages_for(length); i++) {
        SA_ASSERT(kv->owners[pages[i]] > 0);
        list[i] = pages[i];
        kv->owners[list[i]]++;
    }
    to->length = length;
}

void sa_kv_share(sa_kv *kv, sa_kv_sequence sequence, sa_kv_sequence from, size_t length)
{
    SA_ASSERT(sequence != from && length <= state_of(kv, from)->length);
    sa_kv_adopt(kv, sequence, list_of(kv, from), length);
}

sa_status sa_kv_fork(sa_kv *kv, sa_kv_sequence parent, sa_kv_sequence *child, sa_error *err)
{
    size_t length = state_of(kv, parent)->length;
    SA_TRY(sa_kv_create(kv, child, err));
    sa_kv_share(kv, *child, parent, length);
    return SA_OK;
}

size_t sa_kv_needed(const sa_kv *kv, sa_kv_sequence sequence, size_t count)
{
    size_t length = state_of(kv, sequence)->length;
    return count == 0 ? 0
                      : sa_kv_pages_for(length + count) - sa_kv_pages_for(length) + must_copy(kv, sequence);
}

sa_status sa_kv_append(sa_kv *kv, sa_kv_sequence sequence, size_t count, sa_kv_copy *copy, sa_error *err)
{
    sequence_state *state = state_of(kv, sequence);
    int32_t *list = list_of(kv, sequence);
    *copy = (sa_kv_copy){.from = -1, .to = -1};
    if (count > kv->context - state->length) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "use a shorter prompt or a longer context",
                       "%zu tokens are more than the context of %zu", state->length + count, kv->context);
    }
    size_t needed = sa_kv_needed(kv, sequence, count);
    if (needed > kv->free_count) {
        return sa_fail(err, SA_NO_ROOM, NULL, "release sequences, or open with more pages",
                       "the KV cache is full: %zu pages are needed, %zu of %zu are free", needed,
                       kv->free_count, kv->pages);
    }
    size_t end = sa_kv_pages_for(state->length + count);
    if (count > 0 && must_copy(kv, sequence)) {
        int32_t *last = &list[state->length / SA_KV_PAGE];
        *copy = (sa_kv_copy){.from = *last, .to = take_page(kv)};
        drop_page(kv, copy->from);
        *last = copy->to;
    }
    for (size_t i = sa_kv_pages_for(state->length); i < end; i++) {
        list[i] = take_page(kv);
    }
    state->length += count;
    return SA_OK;
}

void sa_kv_truncate(sa_kv *kv, sa_kv_sequence sequence, size_t length)
{
    sequence_state *state = state_of(kv, sequence);
    SA_ASSERT(length <= state->length);
    for (size_t i = sa_kv_pages_for(state->length); i > sa_kv_pages_for(length); i--) {
        drop_page(kv, list_of(kv, sequence)[i - 1]);
    }
    state->length = length;
}

void sa_kv_release(sa_kv *kv, sa_kv_sequence sequence)
{
    sa_kv_truncate(kv, sequence, 0);
    kv->state[sequence].used = false;
    kv->unused[kv->unused_count++] = sequence;
}

/* -- Holds -- */

static void check_page(const sa_kv *kv, int32_t page)
{
    SA_ASSERT(page >= 0 && (size_t)page < kv->pages && kv->owners[page] > 0);
}

void sa_kv_hold(sa_kv *kv, int32_t page)
{
    check_page(kv, page);
    kv->owners[page]++;
    kv->held[page]++;
}

void sa_kv_drop(sa_kv *kv, int32_t page)
{
    check_page(kv, page);
    SA_ASSERT(kv->held[page] > 0);
    kv->held[page]--;
    drop_page(kv, page);
}

size_t sa_kv_owners(const sa_kv *kv, int32_t page)
{
    check_page(kv, page);
    return kv->owners[page];
}

/* -- Asking -- */

size_t sa_kv_length(const sa_kv *kv, sa_kv_sequence sequence)
{
    return state_of(kv, sequence)->length;
}

const int32_t *sa_kv_pages(const sa_kv *kv, sa_kv_sequence sequence)
{
    (void)state_of(kv, sequence);
    return list_of(kv, sequence);
}

size_t sa_kv_common(const sa_kv *kv, sa_kv_sequence a, sa_kv_sequence b)
{
    size_t first = sa_kv_pages_for(state_of(kv, a)->length),
           second = sa_kv_pages_for(state_of(kv, b)->length), same = 0;
    while (same < first && same < second && list_of(kv, a)[same] == list_of(kv, b)[same]) {
        same++;
    }
    return same;
}

size_t sa_kv_free_pages(const sa_kv *kv)
{
    return kv->free_count;
}

size_t sa_kv_context(const sa_kv *kv)
{
    return kv->context;
}

/* -- Invariants -- */

/* Counts the pages of one sequence's list, and notes where each stands. */
static void count_list(const sa_kv *kv, sa_kv_sequence sequence)
{
    const sequence_state *state = &kv->state[sequence];
    const int32_t *list = list_of(kv, sequence);
    SA_ASSERT(state->length <= kv->context && sa_kv_pages_for(state->length) <= kv->list_length);
    for (size_t i = 0; i < sa_kv_pages_for(state->length); i++) {
        SA_ASSERT(list[i] >= 0 && (size_t)list[i] < kv->pages);
        /* one place for all owners, so none names it twice */
        SA_ASSERT(kv->counted[list[i]] == kv->held[list[i]] || kv->place[list[i]] == i);
        kv->counted[list[i]]++;
        kv->place[list[i]] = i;
    }
}

static void check_free(const sa_kv *kv)
{
    SA_ASSERT(kv->free_count <= kv->pages);
    for (size_t i = 0; i < kv->free_count; i++) {
        int32_t page = kv->free[i];
        SA_ASSERT(page >= 0 && (size_t)page < kv->pages && kv->counted[page] == 0);
        kv->counted[page] = UINT32_MAX; /* seen: a second time fails */
    }
    for (size_t page = 0; page < kv->pages; page++) { /* none is lost */
        SA_ASSERT(kv->counted[page] == (kv->owners[page] == 0 ? UINT32_MAX : kv->owners[page]));
    }
}

static void check_unused(const sa_kv *kv, size_t used)
{
    SA_ASSERT(kv->unused_count + used == kv->sequences);
    for (size_t i = 0; i < kv->unused_count; i++) {
        sa_kv_sequence name = kv->unused[i];
        SA_ASSERT(name >= 0 && (size_t)name < kv->sequences && !kv->state[name].used);
        SA_ASSERT(kv->state[name].length == 0);
        for (size_t k = 0; k < i; k++) {
            SA_ASSERT(kv->unused[k] != name);
        }
    }
}

void sa_kv_check(const sa_kv *kv)
{
    size_t used = 0;
    memcpy(kv->counted, kv->held, kv->pages * sizeof *kv->counted);
    for (size_t i = 0; i < kv->sequences; i++) {
        if (kv->state[i].used) {
            count_list(kv, (sa_kv_sequence)i);
            used++;
        }
    }
    check_free(kv);
    check_unused(kv, used);
}
