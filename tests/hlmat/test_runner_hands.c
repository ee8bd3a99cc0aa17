/*
 * The runner's threads, with the shipped agent on a device that computes nothing, so that hundreds of items
 * take no time: every item is told once, whatever the batch, how many are in flight, how many hands there are
 * and how little memory for pictures; missing pictures among good ones; a client whose next waits, one that
 * fails, one that is interrupted; and rows with the same bytes each time. For ThreadSanitizer, too.
 */
#include "tests/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/philox.h"
#include "runtime/data/scene_row.h"
#include "runtime/hlmat/runner.h"
#include "tests/data/scratch.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ITEMS = 150 };
#else
enum { ITEMS = 600 };
#endif
enum { PICTURES = 12, SIDE = 64, MISSING_EVERY = 17, STEPS = 3 };

typedef struct {
    char path[64];
    sa_agent agent;
    char names[ITEMS][96];
    char ids[ITEMS][16];
    sa_item items[ITEMS];
    sa_items scenes;   /* whose masks they have */
    char *rows[ITEMS]; /* of the first run of a kind */
    sa_runner_options options;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    sa_scene scene;
    sa_error err;
    char manifest[128];
    assert_non_null(w);
    snprintf(w->path, sizeof w->path, "/tmp/segagent-hands-XXXXXX");
    assert_non_null(mkdtemp(w->path));
    must(sa_scene_open(&scene, SIDE, &err), &err);
    snprintf(manifest, sizeof manifest, "%s/manifest.jsonl", w->path);
    FILE *file = fopen(manifest, "w");
    assert_non_null(file);
    sa_json_writer rows = sa_json_writer_on(file);
    for (uint64_t i = 0; i < PICTURES; i++) {
        char path[128], name[16];
        sa_scene_draw(&scene, 7, i, SA_SCENE_EASY, 1);
        snprintf(name, sizeof name, "%d.png", (int)i);
        snprintf(path, sizeof path, "%s/%s", w->path, name);
        must(sa_image_write_png(path, &scene.image, &err), &err);
        must(sa_scene_write_row(&scene, 0, name, (sa_scene_row_options){0}, &rows, &err), &err);
    }
    sa_scene_close(&scene);
    fclose(file);
    must(sa_items_read(&w->scenes, manifest, &(sa_items_options){0}, &err), &err);
    assert_int_equal(w->scenes.count, PICTURES);
    for (size_t i = 0; i < ITEMS; i++) {
        size_t picture = sa_philox_block(3, i, 0).word[0] % PICTURES;
        bool missing = i % MISSING_EVERY == 5;
        snprintf(w->names[i], sizeof w->names[i], "%s/%zu.png", w->path, missing ? 999 : picture);
        snprintf(w->ids[i], sizeof w->ids[i], "%zu", i);
        w->items[i] = (sa_item){.row = i,
                                .id = w->ids[i],
                                .image = w->names[i],
                                .path = w->names[i],
                                .text = (char *)"the red circle",
                                .gt = w->scenes.items[picture].gt};
    }
    must(sa_agent_read(&w->agent, "weights_tools/tiny/agent", &err), &err);
    w->options = (sa_runner_options){
        .precision = SA_F32,
        .batch = 8,
        .max_pixels = 1 << 20,
        .max_side = 1024,
        .episode = {.agent = &w->agent,
                    .policy = SA_POLICY_MODEL,
                    .search = "prm-stop",
                    .options = {.steps = STEPS, .candidates = 1, .enough = 2, .score = SA_SCORE_EXPECTED},
                    .seed = 5}};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < ITEMS; i++) {
        free(w->rows[i]);
    }
    sa_items_free(&w->scenes);
    scratch_remove_all(w->path);
    free(w);
    return 0;
}

/* ---- a client ---- */

typedef struct {
    world *w;
    size_t given, told, failed;
    unsigned char seen[ITEMS]; /* told how often */
    size_t fails_at;           /* that many results are refused: the disk is full; 0: none */
    size_t patience;           /* questions until it is interrupted; 0: never */
    bool waits;                /* next waits for what never comes, until it is closed */
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool closed;
    size_t overlapped; /* calls of the segmenter beside the policy */
} client;

static const sa_item *next_item(void *context, size_t *index)
{
    client *c = context;
    if (c->given < ITEMS) {
        *index = c->given++;
        return &c->w->items[*index];
    }
    pthread_mutex_lock(&c->lock);
    while (c->waits && !c->closed) {
        pthread_cond_wait(&c->end, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static char *line_of(const sa_result *result)
{
    char *line = NULL;
    size_t size;
    sa_error err;
    FILE *stream = open_memstream(&line, &size);
    assert_non_null(stream);
    sa_json_writer writer = sa_json_writer_on(stream);
    must(sa_result_write(result, &writer, &err), &err);
    fclose(stream);
    return line;
}

static sa_status take_result(void *context, size_t index, sa_result *result, sa_error *err)
{
    client *c = context;
    if (c->fails_at > 0 && c->told + 1 >= c->fails_at) {
        return sa_fail(err, SA_IO, "results", "make room", "the disk is full");
    }
    c->seen[index]++;
    c->told++;
    char *line = line_of(result);
    if (c->w->rows[index] == NULL) {
        c->w->rows[index] = line;
        return SA_OK;
    }
    assert_string_equal(line, c->w->rows[index]);
    free(line);
    return SA_OK;
}

static sa_status take_failure(void *context, size_t index, const sa_error *why, sa_error *err)
{
    client *c = context;
    (void)err;
    assert_int_equal(index % MISSING_EVERY, 5);
    assert_non_null(strstr(why->file, "999.png"));
    c->seen[index]++;
    c->failed++;
    return SA_OK;
}

static bool is_interrupted(void *context)
{
    client *c = context;
    return c->patience > 0 && --c->patience == 0;
}

static void close_client(void *context)
{
    client *c = context;
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    pthread_cond_broadcast(&c->end);
    pthread_mutex_unlock(&c->lock);
}

/* A run of all items; how it ended. */
static sa_status run(world *w, const sa_runner_options *options, client *c, sa_error *err)
{
    sa_device *device;
    sa_runner *runner;
    sa_runner_counts counts;
    const sa_runner_client calls = {c, next_item, take_result, take_failure, is_interrupted, close_client};
    c->w = w;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->end, NULL);
    must(sa_device_open(&device, &(sa_device_options){.name = "null", .threads = 1}, err), err);
    must(sa_runner_open(&runner, device, options, err), err);
    sa_status status = sa_runner_run(runner, &calls, &counts, err);
    c->overlapped = counts.overlapped;
    sa_runner_close(runner);
    sa_device_close(device);
    for (size_t i = 0; i < ITEMS; i++) {
        assert_true(c->seen[i] <= 1);
    }
    return status;
}

static void test_all_are_told(void **state)
{
    world *w = *state;
    size_t overlapped = 0;
    static const struct {
        size_t batch, in_flight, hands, ahead, host_bytes;
    } cases[] = {{8, 16, 2, 8, 0},
                 {1, 1, 2, 1, 0},
                 {3, 40, 4, 2, 0},
                 {64, 200, 3, 64, 0},
                 {8, 20, 4, 8, 1}, /* room for no picture: one at a time */
                 {8, 20, 2, 8, 3 * 3 * SIDE * SIDE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sa_runner_options o = w->options;
        client c = {0};
        sa_error err;
        o.batch = cases[i].batch;
        o.in_flight = cases[i].in_flight;
        o.hands = cases[i].hands;
        o.ahead = cases[i].ahead;
        o.host_bytes = cases[i].host_bytes;
        must(run(w, &o, &c, &err), &err);
        assert_int_equal(c.told + c.failed, ITEMS);
        assert_int_equal(c.failed, (ITEMS - 6) / MISSING_EVERY + 1);
        overlapped += c.overlapped;
    }
    assert_true(overlapped > 0);
}

/* Results are refused: the run ends, and says so; nothing hangs although next waits. */
static void test_failing_client(void **state)
{
    world *w = *state;
    static const size_t at[] = {1, 2, 40};
    for (size_t i = 0; i < 3; i++) {
        client c = {.fails_at = at[i], .waits = true};
        sa_error err = {0};
        assert_int_equal(run(w, &w->options, &c, &err), SA_IO);
        assert_string_equal(err.reason, "the disk is full");
        assert_true(c.told < at[i]);
    }
}

static void test_interrupts(void **state)
{
    world *w = *state;
    for (size_t patience = 1; patience < 400; patience = patience * 3 + 1) {
        client c = {.patience = patience, .waits = true};
        sa_error err = {0};
        assert_int_equal(run(w, &w->options, &c, &err), SA_INTERRUPTED);
    }
}

/* A device that fails in the middle is played by a picture that cannot be read for the machine's sake. */
static void test_failing_disk(void **state)
{
    world *w = *state;
    const sa_item good = w->items[ITEMS / 2];
    client c = {.waits = true};
    sa_error err = {0};
    w->items[ITEMS / 2].path = (char *)"/proc/self/mem"; /* its first bytes cannot be read */
    assert_int_equal(run(w, &w->options, &c, &err), SA_IO);
    assert_int_equal(c.seen[ITEMS / 2], 0);
    w->items[ITEMS / 2] = good;
}

/* Steps of the simulated annotator are the hands': every item is told, with the same rows, and none when the
 * run ends before its time. */
static void test_annotator(void **state)
{
    world *w = *state;
    static const size_t cases[][3] = {{8, 16, 2}, {1, 1, 3}, {64, 100, 4}}; /* batch, in flight, hands */
    sa_runner_options o = w->options;
    sa_error err = {0};
    o.episode.policy = SA_POLICY_ANNOTATOR;
    o.episode.search = "greedy";
    o.uses_truth = o.needs_truth = true;
    for (size_t i = 0; i < ITEMS; i++) { /* of another kind */
        free(w->rows[i]);
        w->rows[i] = NULL;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client c = {0};
        o.batch = cases[i][0];
        o.in_flight = cases[i][1];
        o.hands = cases[i][2];
        must(run(w, &o, &c, &err), &err);
        assert_int_equal(c.told + c.failed, ITEMS);
        assert_int_equal(c.failed, (ITEMS - 6) / MISSING_EVERY + 1);
    }
    client full = {.fails_at = 20, .waits = true}, stopped = {.patience = 50, .waits = true};
    assert_int_equal(run(w, &o, &full, &err), SA_IO);
    assert_int_equal(run(w, &o, &stopped, &err), SA_INTERRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_told), cmocka_unit_test(test_failing_client),
        cmocka_unit_test(test_interrupts),   cmocka_unit_test(test_failing_disk),
        cmocka_unit_test(test_annotator),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
