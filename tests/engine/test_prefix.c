/*
 * The tree of kept beginnings against a naive model: a list of all that was ever kept. Random programs of
 * prompts that share beginnings, run several at a time over few pages of a pretended device, which holds each
 * token's key: what is found must be what was asked for, as long as the naive list knows while nothing was
 * given back, never longer, and no page may be lost.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/engine/prefix.h"
#include "tests/check.h"

enum { SEQUENCES = 6, CONTEXT = 120, KEPT = 4000, STEPS = 20000 };

typedef struct {
    bool used;
    sa_kv_sequence name;
    size_t length, wanted; /* tokens there, and when it ends */
    uint64_t keys[CONTEXT];
} running;

typedef struct {
    size_t length;
    uint64_t keys[CONTEXT];
} kept;

typedef struct {
    sa_kv *kv;
    sa_prefix *prefix;
    running all[SEQUENCES];
    uint64_t (*device)[SA_KV_PAGE];
    kept *list;
    size_t kept_count;
    uint64_t seed, step;
    bool forgot; /* something was given back */
    size_t found;
} world;

static size_t draw(const world *w, uint32_t which, size_t range)
{
    return sa_philox_block(w->seed, w->step, which).word[0] % range;
}

static void remember(world *w, const running *r, size_t count)
{
    kept *k = &w->list[w->kept_count++ % KEPT];
    k->length = count;
    memcpy(k->keys, r->keys, count * sizeof *k->keys);
}

static size_t naive_length(const world *w, const uint64_t *keys, size_t count)
{
    size_t best = 0, all = w->kept_count < KEPT ? w->kept_count : KEPT;
    for (size_t i = 0; i < all; i++) {
        size_t same = 0;
        while (same < w->list[i].length && same < count && w->list[i].keys[same] == keys[same]) {
            same++;
        }
        best = same > best ? same : best;
    }
    return best;
}

/* A prompt: one of three systems' texts, one of a few pictures, a phrase, and what is to be said. */
static void make_keys(const world *w, running *r)
{
    size_t system = draw(w, 2, 3), picture = draw(w, 3, 8), phrase = draw(w, 4, 6), length = 0;
    size_t parts[4] = {3 + 7 * system, 20 + picture, 4 + phrase, 10};
    uint64_t names[4] = {system, 100 + picture, 200 + phrase, 300 + draw(w, 5, 3)};
    for (size_t part = 0; part < 4; part++) {
        for (size_t i = 0; i < parts[part]; i++) {
            r->keys[length++] = names[part] << 32 | i;
        }
    }
    r->wanted = length;
}

/* The next tokens of a sequence, after others have made room; false: not now. */
static bool append(world *w, running *r, size_t count)
{
    sa_error err;
    sa_kv_copy copy;
    size_t needed = sa_kv_needed(w->kv, r->name, count), nodes = sa_prefix_get_counts(w->prefix).nodes;
    if (!sa_prefix_give_back(w->prefix, needed)) {
        w->forgot = w->forgot || sa_prefix_get_counts(w->prefix).nodes < nodes;
        return false;
    }
    w->forgot = w->forgot || sa_prefix_get_counts(w->prefix).nodes < nodes;
    needed = sa_kv_needed(w->kv, r->name, count); /* a page that nobody else holds any more is not copied */
    must(sa_kv_append(w->kv, r->name, count, &copy, &err), &err);
    if (copy.from >= 0) {
        memcpy(w->device[copy.to], w->device[copy.from], sizeof w->device[0]);
    }
    const int32_t *pages = sa_kv_pages(w->kv, r->name);
    for (size_t i = 0; i < count; i++, r->length++) {
        w->device[pages[r->length / SA_KV_PAGE]][r->length % SA_KV_PAGE] = r->keys[r->length];
    }
    return true;
}

static void begin(world *w, running *r)
{
    sa_error err;
    *r = (running){.used = true};
    make_keys(w, r);
    must(sa_kv_create(w->kv, &r->name, &err), &err);
    size_t asked = r->wanted - 10 - draw(w, 6, 3), naive = naive_length(w, r->keys, asked);
    assert_int_equal(sa_prefix_length(w->prefix, r->keys, asked),
                     sa_prefix_length(w->prefix, r->keys, asked));
    r->length = sa_prefix_find(w->prefix, r->keys, asked, r->name);
    assert_int_equal(sa_kv_length(w->kv, r->name), r->length);
    if (w->forgot) {
        assert_true(r->length <= naive);
    } else {
        assert_int_equal(r->length, naive);
    }
    w->found += r->length;
}

static void end(world *w, running *r)
{
    if (draw(w, 7, 4) != 0) {
        sa_prefix_keep(w->prefix, r->keys, r->length, r->name);
        remember(w, r, r->length);
    }
    sa_kv_release(w->kv, r->name);
    r->used = false;
}

static void take_step(world *w)
{
    running *r = &w->all[draw(w, 0, SEQUENCES)];
    size_t left = r->wanted - r->length, count = 1 + draw(w, 1, 30);
    if (!r->used) {
        begin(w, r);
    } else if (left == 0 || !append(w, r, count < left ? count : left)) {
        end(w, r);
    } else if (draw(w, 8, 5) == 0) { /* in the middle, a part of it, as after a prompt */
        size_t part = 1 + draw(w, 9, r->length);
        sa_prefix_keep(w->prefix, r->keys, part, r->name);
        remember(w, r, part);
    }
}

static void compare(const world *w)
{
    for (size_t i = 0; i < SEQUENCES; i++) {
        const running *r = &w->all[i];
        for (size_t t = 0; r->used && t < r->length; t++) {
            int32_t page = sa_kv_pages(w->kv, r->name)[t / SA_KV_PAGE];
            if (w->device[page][t % SA_KV_PAGE] != r->keys[t]) {
                fail_msg("seed %llu step %llu: token %zu of sequence %zu is not its own",
                         (unsigned long long)w->seed, (unsigned long long)w->step, t, i);
            }
        }
    }
}

static void run_program(uint64_t seed, size_t pages, size_t steps, bool forgets, size_t *found)
{
    static world w;
    sa_error err;
    memset(&w, 0, sizeof w);
    w.seed = seed;
    w.device = calloc(pages, sizeof *w.device);
    w.list = calloc(KEPT, sizeof *w.list);
    assert_true(w.device != NULL && w.list != NULL);
    must(sa_kv_open(&w.kv, pages, SEQUENCES, CONTEXT, &err), &err);
    must(sa_prefix_open(&w.prefix, w.kv, pages, &err), &err);
    for (; w.step < steps; w.step++) {
        take_step(&w);
        sa_kv_check(w.kv);
        sa_prefix_check(w.prefix);
        compare(&w);
    }
    for (size_t i = 0; i < SEQUENCES; i++) {
        if (w.all[i].used) {
            sa_kv_release(w.kv, w.all[i].name);
        }
    }
    assert_int_equal(w.forgot, forgets);
    assert_true(sa_prefix_give_back(w.prefix, pages)); /* all of them can be had again */
    assert_int_equal(sa_prefix_get_counts(w.prefix).nodes, 0);
    *found += w.found;
    sa_prefix_close(w.prefix);
    sa_kv_check(w.kv);
    assert_int_equal(sa_kv_free_pages(w.kv), pages);
    sa_kv_close(w.kv);
    free(w.device);
    free(w.list);
}

/* So many pages that nothing is ever given back: what is found is exactly what was kept. */
static void test_all_is_found(void **state)
{
    (void)state;
    size_t found = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run_program(seed, 2000, 900, false, &found);
    }
    assert_true(found > 1000);
}

static void test_few_pages(void **state)
{
    (void)state;
    size_t found = 0;
    run_program(11, 50, STEPS, true, &found);
    run_program(12, 14, STEPS, true, &found); /* hardly enough for what runs */
    assert_true(found > 1000);
}

/* What was used last stays. */
static void test_oldest_go_first(void **state)
{
    (void)state;
    sa_error err;
    sa_kv *kv;
    sa_prefix *prefix;
    sa_kv_copy copy;
    sa_kv_sequence s;
    uint64_t keys[3][2 * SA_KV_PAGE];
    must(sa_kv_open(&kv, 6, 2, 64, &err), &err);
    must(sa_prefix_open(&prefix, kv, 6, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        for (size_t t = 0; t < 2 * SA_KV_PAGE; t++) {
            keys[i][t] = t < SA_KV_PAGE ? t : 1000 * (i + 1) + t; /* one first page, three second ones */
        }
        must(sa_kv_create(kv, &s, &err), &err);
        must(sa_kv_append(kv, s, 2 * SA_KV_PAGE, &copy, &err), &err);
        sa_prefix_keep(prefix, keys[i], 2 * SA_KV_PAGE, s);
        sa_kv_release(kv, s);
    }
    assert_int_equal(sa_prefix_get_counts(prefix).nodes, 4);
    must(sa_kv_create(kv, &s, &err), &err);
    assert_int_equal(sa_prefix_find(prefix, keys[0], 2 * SA_KV_PAGE, s), 2 * SA_KV_PAGE);
    sa_kv_release(kv, s);
    assert_true(sa_prefix_give_back(prefix, 3));
    assert_int_equal(sa_prefix_length(prefix, keys[1], 2 * SA_KV_PAGE), SA_KV_PAGE); /* the oldest */
    assert_int_equal(sa_prefix_length(prefix, keys[2], 2 * SA_KV_PAGE), 2 * SA_KV_PAGE);
    assert_true(sa_prefix_give_back(prefix, 5));
    assert_int_equal(sa_prefix_length(prefix, keys[0], 2 * SA_KV_PAGE),
                     SA_KV_PAGE); /* the root of all is last */
    must(sa_kv_create(kv, &s, &err), &err);
    assert_int_equal(sa_prefix_find(prefix, keys[0], 5, s), 5);
    assert_false(sa_prefix_give_back(prefix, 6)); /* it stands in a sequence */
    sa_kv_release(kv, s);
    assert_true(sa_prefix_give_back(prefix, 6));
    sa_prefix_close(prefix);
    sa_kv_close(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_found),
        cmocka_unit_test(test_few_pages),
        cmocka_unit_test(test_oldest_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
