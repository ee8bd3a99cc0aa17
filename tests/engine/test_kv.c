/*
 * The book of KV pages against a naive model: every sequence keeps all its tokens for itself, and a pretended
 * device holds the pages. Random programs of create, share, fork, append, truncate and release; after every
 * step the book checks itself, and what was done is compared: lengths, what each sequence reads through its
 * page list, and who could and who could not get pages.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/engine/kv.h"
#include "tests/check.h"

enum { PAGES = 40, SEQUENCES = 12, CONTEXT = 150, STEPS = 100000 };

typedef struct {
    bool used;
    sa_kv_sequence name;
    size_t length;
    uint32_t token[CONTEXT];
} naive;

typedef struct {
    sa_kv *kv;
    naive sequence[SEQUENCES];
    uint32_t device[PAGES][SA_KV_PAGE];
    uint64_t seed, step;
    uint32_t next_token;
    size_t copies, refusals; /* that the program has come by what it is meant to test */
} world;

/* A number below `range`, for the `which`th question of this step. */
static size_t draw(const world *w, uint32_t which, size_t range)
{
    return sa_philox_block(w->seed, w->step, which).word[0] % range;
}

static naive *any(world *w, uint32_t which, bool used)
{
    size_t first = draw(w, which, SEQUENCES);
    for (size_t i = 0; i < SEQUENCES; i++) {
        naive *s = &w->sequence[(first + i) % SEQUENCES];
        if (s->used == used) {
            return s;
        }
    }
    return NULL;
}

static void create(world *w)
{
    sa_error err;
    naive *s = any(w, 1, false);
    sa_kv_sequence name = -7;
    if (s == NULL) {
        assert_int_equal(sa_kv_create(w->kv, &name, &err), SA_NO_ROOM);
        return;
    }
    must(sa_kv_create(w->kv, &name, &err), &err);
    *s = (naive){.used = true, .name = name};
}

static void branch(world *w, bool whole)
{
    sa_error err;
    naive *from = any(w, 1, true), *to = any(w, 2, false);
    sa_kv_sequence name = -7;
    if (from == NULL || to == NULL) {
        return;
    }
    size_t length = whole ? from->length : draw(w, 3, from->length + 1), before = sa_kv_free_pages(w->kv);
    if (whole) {
        must(sa_kv_fork(w->kv, from->name, &name, &err), &err);
    } else {
        must(sa_kv_create(w->kv, &name, &err), &err);
        sa_kv_share(w->kv, name, from->name, length);
    }
    *to = *from;
    to->name = name;
    to->length = length;
    assert_int_equal(sa_kv_free_pages(w->kv), before); /* metadata alone */
    assert_int_equal(sa_kv_common(w->kv, from->name, name), (length + SA_KV_PAGE - 1) / SA_KV_PAGE);
}

/* The copy that append asks for, then the new tokens into their places. */
static void write_tokens(world *w, naive *s, size_t count, sa_kv_copy copy)
{
    if (copy.from >= 0) {
        memcpy(w->device[copy.to], w->device[copy.from], sizeof w->device[0]);
        w->copies++;
    }
    const int32_t *list = sa_kv_pages(w->kv, s->name);
    for (size_t i = 0; i < count; i++) {
        size_t at = s->length + i;
        s->token[at] = ++w->next_token;
        w->device[list[at / SA_KV_PAGE]][at % SA_KV_PAGE] = s->token[at];
    }
    s->length += count;
}

static void append(world *w)
{
    sa_error err = {0};
    sa_kv_copy copy;
    naive *s = any(w, 1, true);
    if (s == NULL) {
        return;
    }
    /* decode mostly, now and then a prompt, now and then too long a one */
    size_t count = draw(w, 2, 3) != 0 ? 1 : draw(w, 3, CONTEXT + 8), before = sa_kv_free_pages(w->kv);
    bool fits = s->length + count <= CONTEXT;
    size_t needed = fits ? sa_kv_needed(w->kv, s->name, count) : 0;
    sa_status status = sa_kv_append(w->kv, s->name, count, &copy, &err);
    if (fits && needed <= before) {
        must(status, &err);
        assert_int_equal(sa_kv_free_pages(w->kv), before - needed);
        write_tokens(w, s, count, copy);
        return;
    }
    assert_int_equal(status, fits ? SA_NO_ROOM : SA_BAD_INPUT);
    assert_true(copy.from < 0 && err.reason[0] != '\0' && err.hint[0] != '\0');
    assert_int_equal(sa_kv_free_pages(w->kv), before);
    w->refusals++;
}

static void shorten(world *w, bool all)
{
    naive *s = any(w, 1, true);
    if (s == NULL) {
        return;
    }
    if (all) {
        sa_kv_release(w->kv, s->name);
        s->used = false;
        return;
    }
    s->length = draw(w, 2, s->length + 1);
    sa_kv_truncate(w->kv, s->name, s->length);
}

static void compare(const world *w)
{
    for (size_t i = 0; i < SEQUENCES; i++) {
        const naive *s = &w->sequence[i];
        if (!s->used) {
            continue;
        }
        assert_int_equal(sa_kv_length(w->kv, s->name), s->length);
        const int32_t *list = sa_kv_pages(w->kv, s->name);
        for (size_t t = 0; t < s->length; t++) {
            if (w->device[list[t / SA_KV_PAGE]][t % SA_KV_PAGE] != s->token[t]) {
                fail_msg("seed %llu step %llu: token %zu of sequence %zu is not its own",
                         (unsigned long long)w->seed, (unsigned long long)w->step, t, i);
            }
        }
    }
}

static void take_step(world *w)
{
    size_t what = draw(w, 0, 20);
    if (what < 2) {
        create(w);
    } else if (what < 5) {
        branch(w, what < 4);
    } else if (what < 16) {
        append(w);
    } else {
        shorten(w, what < 18);
    }
}

static void run_program(uint64_t seed, size_t pages, size_t steps, size_t *copies, size_t *refusals)
{
    static world w;
    sa_error err;
    memset(&w, 0, sizeof w);
    w.seed = seed;
    must(sa_kv_open(&w.kv, pages, SEQUENCES, CONTEXT, &err), &err);
    for (; w.step < steps; w.step++) {
        take_step(&w);
        sa_kv_check(w.kv);
        compare(&w);
    }
    for (size_t i = 0; i < SEQUENCES; i++) {
        if (w.sequence[i].used) {
            sa_kv_release(w.kv, w.sequence[i].name);
        }
    }
    sa_kv_check(w.kv);
    assert_int_equal(sa_kv_free_pages(w.kv), pages); /* none is lost */
    sa_kv_close(w.kv);
    *copies += w.copies;
    *refusals += w.refusals;
}

static void test_random_programs(void **state)
{
    (void)state;
    static const size_t pages[] = {PAGES, 17, 3, 1};
    const char *text = getenv("SEGAGENT_TEST_STEPS"); /* the long test */
    size_t steps = text != NULL ? strtoul(text, NULL, 10) : STEPS, copies = 0, refusals = 0;
    for (size_t i = 0; i < 4; i++) {
        run_program(11 + i, pages[i], steps / 4, &copies, &refusals);
    }
    assert_true(copies > steps / 100 && refusals > steps / 100);
}

/* The rule of copy on write, step by step. */
static void test_copy_on_write(void **state)
{
    (void)state;
    sa_error err;
    sa_kv *kv;
    sa_kv_sequence parent, child;
    sa_kv_copy copy;
    must(sa_kv_open(&kv, 8, 4, 64, &err), &err);
    must(sa_kv_create(kv, &parent, &err), &err);
    must(sa_kv_append(kv, parent, SA_KV_PAGE + 3, &copy, &err), &err);
    assert_true(copy.from < 0);
    must(sa_kv_fork(kv, parent, &child, &err), &err);
    int32_t shared = sa_kv_pages(kv, parent)[1];
    must(sa_kv_append(kv, child, 0, &copy, &err), &err); /* nothing to write, nothing to copy */
    assert_true(copy.from < 0);
    must(sa_kv_append(kv, child, 1, &copy, &err), &err);
    assert_int_equal(copy.from, shared);
    assert_int_equal(copy.to, sa_kv_pages(kv, child)[1]);
    assert_int_equal(sa_kv_pages(kv, child)[0], sa_kv_pages(kv, parent)[0]); /* a full page stays shared */
    must(sa_kv_append(kv, parent, 1, &copy, &err), &err);
    assert_true(copy.from < 0); /* its alone by now */
    sa_kv_truncate(kv, child, SA_KV_PAGE);
    must(sa_kv_append(kv, child, 1, &copy, &err), &err);
    assert_true(copy.from < 0); /* on a page's border a new page is taken */
    sa_kv_truncate(kv, child, 5);
    must(sa_kv_append(kv, child, 1, &copy, &err), &err);
    assert_int_equal(copy.from, sa_kv_pages(kv, parent)[0]); /* in the middle of the parent's tokens */
    sa_kv_check(kv);
    sa_kv_close(kv);
}

static void test_full(void **state)
{
    (void)state;
    sa_error err = {0};
    sa_kv *kv;
    sa_kv_sequence a, b;
    sa_kv_copy copy;
    must(sa_kv_open(&kv, 2, 2, 1000, &err), &err);
    must(sa_kv_create(kv, &a, &err), &err);
    assert_int_equal(sa_kv_append(kv, a, 33, &copy, &err), SA_NO_ROOM);
    assert_non_null(strstr(err.reason, "3 pages are needed, 2 of 2 are free"));
    assert_int_equal(sa_kv_append(kv, a, 1001, &copy, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "1001 tokens are more than the context of 1000"));
    must(sa_kv_append(kv, a, 30, &copy, &err), &err);
    must(sa_kv_fork(kv, a, &b, &err), &err);
    assert_int_equal(sa_kv_append(kv, b, 1, &copy, &err), SA_NO_ROOM); /* the copy finds no page */
    assert_int_equal(sa_kv_create(kv, &b, &err), SA_NO_ROOM);
    sa_kv_check(kv);
    sa_kv_close(kv);
}

static void release_twice(void)
{
    sa_error err;
    sa_kv *kv;
    sa_kv_sequence a;
    must(sa_kv_open(&kv, 2, 2, 100, &err), &err);
    must(sa_kv_create(kv, &a, &err), &err);
    sa_kv_release(kv, a);
    sa_kv_release(kv, a);
}

static void share_too_much(void)
{
    sa_error err;
    sa_kv *kv;
    sa_kv_sequence a, b;
    must(sa_kv_open(&kv, 2, 2, 100, &err), &err);
    must(sa_kv_create(kv, &a, &err), &err);
    must(sa_kv_create(kv, &b, &err), &err);
    sa_kv_share(kv, b, a, 1);
}

static void test_misuse_aborts(void **state)
{
    (void)state;
    assert_true(check_aborts(release_twice));
    assert_true(check_aborts(share_too_much));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_copy_on_write),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
