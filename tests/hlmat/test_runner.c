/*
 * The shipped tiny agent on a dozen synthetic scenes: each item's result is the same bit for bit in any
 * batch, order and number of threads, for every search; bad items end alone; policies without a model; a run
 * that is interrupted. With SEGAGENT_TEST_DEVICE=cuda: a GPU clicks where the CPU does.
 */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/data/scene_row.h"
#include "runtime/hlmat/runner.h"
#include "tests/data/scratch.h"
#include "tests/kernels/fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { COMPANY = 3, RUNS = 1, SEARCHES = 1, LEAST = 1, ITEMS = 8 }; /* ten times slower there */
#else
enum { COMPANY = 12, RUNS = 3, SEARCHES = 4, LEAST = 5, ITEMS = 12 };
#endif
enum { SCENES = 9, SIDE = 96, MOST_ITEMS = 24, STEPS = 3 };

typedef struct {
    char path[64];
    sa_agent agent;
    sa_items items; /* good ones: the first ITEMS of `read` */
    size_t read;
    sa_runner_options options;
} world;

/* -- Scenes -- */

static void write_scene(const world *w, sa_scene *scene, uint64_t index, FILE *manifest)
{
    char name[32], path[128];
    sa_error err;
    sa_json_writer rows = sa_json_writer_on(manifest);
    sa_scene_draw(scene, 99, index, index % 2 == 0 ? SA_SCENE_STEPS : SA_SCENE_EASY, 2);
    snprintf(name, sizeof name, "%d.png", (int)index);
    snprintf(path, sizeof path, "%s/%s", w->path, name);
    must(sa_image_write_png(path, &scene->image, &err), &err);
    for (size_t i = 0; i < scene->phrase_count; i++) { /* two phrases share a picture */
        must(sa_scene_write_row(scene, i, name, (sa_scene_row_options){0}, &rows, &err), &err);
    }
}

static void write_scenes(world *w)
{
    char path[128];
    sa_scene scene;
    sa_error err;
    snprintf(path, sizeof path, "%s/manifest.jsonl", w->path);
    FILE *manifest = fopen(path, "w");
    assert_non_null(manifest);
    must(sa_scene_open(&scene, SIDE, &err), &err);
    for (uint64_t i = 0; i < SCENES; i++) {
        write_scene(w, &scene, i, manifest);
    }
    sa_scene_close(&scene);
    fclose(manifest);
    must(sa_items_read(&w->items, path, &(sa_items_options){0}, &err), &err);
    assert_true(w->items.bad_count == 0 && w->items.count >= ITEMS && w->items.count <= MOST_ITEMS);
    w->read = w->items.count;
    w->items.count = ITEMS;
}

static void start_over(world *w)
{
    sa_error err;
    must(sa_agent_read(&w->agent, "weights_tools/tiny/agent", &err), &err);
    w->options = (sa_runner_options){.precision = SA_F32,
                                     .batch = 7,
                                     .max_pixels = 1 << 20,
                                     .max_side = 1024,
                                     .uses_truth = true,
                                     .episode = {.agent = &w->agent,
                                                 .policy = SA_POLICY_MODEL,
                                                 .search = "prm-stop",
                                                 .options = {.steps = STEPS,
                                                             .candidates = 1,
                                                             .enough = 2,
                                                             .exploration = 1,
                                                             .score = SA_SCORE_EXPECTED},
                                                 .seed = 5,
                                                 .trace = true}};
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    snprintf(w->path, sizeof w->path, "/tmp/segagent-runner-XXXXXX");
    assert_non_null(mkdtemp(w->path));
    write_scenes(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    w->items.count = w->read;
    sa_items_free(&w->items);
    scratch_remove_all(w->path);
    free(w);
    return 0;
}

/* -- A run -- */

typedef struct {
    const sa_item *items[MOST_ITEMS];
    size_t count, given;
    char *rows[MOST_ITEMS];                   /* results, as lines; owned */
    char *reasons[MOST_ITEMS];                /* or why it failed; owned */
    sa_result result;                         /* of the last item; owned */
    size_t finished, failed, asked, patience; /* patience: questions until it is interrupted; 0: never */
    sa_status refuse;                         /* what finished() says */
    sa_runner_counts counts;
} job;

static const sa_item *next_item(void *context, size_t *index)
{
    job *j = context;
    *index = j->given;
    return j->given < j->count ? j->items[j->given++] : NULL;
}

static sa_status take_result(void *context, size_t index, sa_result *result, sa_error *err)
{
    job *j = context;
    size_t size;
    if (j->refuse != SA_OK) {
        return sa_fail(err, j->refuse, NULL, NULL, "refused");
    }
    assert_true(j->rows[index] == NULL && j->reasons[index] == NULL);
    assert_string_equal(result->id, j->items[index]->id);
    FILE *stream = open_memstream(&j->rows[index], &size);
    assert_non_null(stream);
    sa_json_writer writer = sa_json_writer_on(stream);
    must(sa_result_write(result, &writer, err), err);
    sa_json_end_line(&writer);
    fclose(stream);
    j->finished++;
    return SA_OK;
}

static sa_status take_failure(void *context, size_t index, const sa_error *why, sa_error *err)
{
    job *j = context;
    (void)err;
    assert_true(j->rows[index] == NULL && j->reasons[index] == NULL);
    assert_true(why->file[0] != '\0'); /* quarantine.jsonl names it */
    j->reasons[index] = strdup(why->reason);
    j->failed++;
    return SA_OK;
}

static bool is_interrupted(void *context)
{
    job *j = context;
    return ++j->asked > j->patience && j->patience > 0;
}

static sa_runner_client client_of(job *j)
{
    return (sa_runner_client){j, next_item, take_result, take_failure, is_interrupted, NULL};
}

static void free_job(job *j)
{
    for (size_t i = 0; i < MOST_ITEMS; i++) {
        free(j->rows[i]);
        free(j->reasons[i]);
    }
}

static job all_items(const world *w)
{
    job j = {.count = w->items.count};
    for (size_t i = 0; i < j.count; i++) {
        j.items[i] = &w->items.items[i];
    }
    return j;
}

static void run(const world *w, int threads, job *j)
{
    sa_device *device;
    sa_runner *runner;
    sa_error err = {0};
    const sa_runner_client client = client_of(j);
    must(sa_device_open(&device, &(sa_device_options){.name = test_device(), .threads = threads}, &err),
         &err);
    must(sa_runner_open(&runner, device, &w->options, &err), &err);
    must(sa_runner_run(runner, &client, &j->counts, &err), &err);
    assert_int_equal(j->finished + j->failed, j->count);
    assert_true(j->counts.items == j->count && j->counts.failed == j->failed);
    sa_runner_close(runner);
    sa_device_close(device);
}

/* The rows of `got`, whose items stand in another order, are those of `want`. */
static void expect_same(const job *got, const job *want)
{
    assert_int_equal(got->count, want->count);
    for (size_t i = 0; i < got->count; i++) {
        for (size_t k = 0; k < want->count; k++) {
            if (got->items[i] == want->items[k]) {
                assert_non_null(got->rows[i]);
                assert_string_equal(got->rows[i], want->rows[k]);
            }
        }
    }
}

static sa_result read_row(const char *row)
{
    sa_result r;
    sa_error err;
    json_t *json;
    must(sa_json_parse("row", row, strlen(row), &json, &err), &err);
    must(sa_result_parse(&r, json, "row", &err), &err);
    json_decref(json);
    return r;
}

/* -- Company does not matter -- */

static void shuffle(job *j, uint64_t seed)
{
    for (size_t i = j->count; i > 1; i--) {
        size_t k = sa_philox_block(6, seed, i).word[0] % i;
        const sa_item *swap = j->items[k];
        j->items[k] = j->items[i - 1];
        j->items[i - 1] = swap;
    }
}

static void check_company(world *w, const char *search, size_t candidates)
{
    static const struct {
        size_t batch, in_flight, kv_pages; /* so few pages that what is kept goes all the time */
        int threads;
    } runs[] = {{2, 5, 18, 2}, {1, 1, 0, 1}, {16, 24, 30, 1}};
    w->options.episode.search = search;
    w->options.episode.options.candidates = candidates;
    w->options.episode.options.budget = candidates > 1 ? 5 : 0;
    w->options.batch = 7;
    w->options.in_flight = w->options.kv_pages = 0;
    size_t count = w->items.count;
    w->items.count = COMPANY;
    job want = all_items(w);
    run(w, 2, &want);
    assert_int_equal(want.failed, 0);
    for (uint64_t n = 0; n < RUNS; n++) {
        job got = all_items(w);
        shuffle(&got, n + strlen(search));
        w->options.batch = runs[n].batch;
        w->options.in_flight = runs[n].in_flight;
        w->options.kv_pages = runs[n].kv_pages;
        run(w, runs[n].threads, &got);
        expect_same(&got, &want);
        assert_int_equal(got.counts.of_episodes.thoughts, want.counts.of_episodes.thoughts);
        assert_int_equal(got.counts.of_episodes.clicks, want.counts.of_episodes.clicks);
        free_job(&got);
    }
    free_job(&want);
    w->items.count = count;
}

static void test_greedy(void **state)
{
    start_over(*state);
    check_company(*state, "greedy", 1);
}

/* The picture goes through a JPEG, masks are fed back to the segmenter. */
static void test_prm_stop(void **state)
{
    world *w = *state;
    start_over(w);
    w->agent.jpeg_quality = 80;
    w->agent.previous_mask = true;
    w->options.episode.options.patience = 1;
    check_company(w, "prm-stop", 1);
}

/* Candidates are samples, of one prompt in many forks. */
static void test_sampling_searches(void **state)
{
    static const char *const searches[] = {"prm-greedy", "mcts", "beam", "best-first"};
    world *w = *state;
    start_over(w);
    w->agent.temperature = 1.5;
    for (int i = 0; i < SEARCHES; i++) {
        check_company(w, searches[i], 3);
    }
}

static void test_bf16(void **state)
{
    world *w = *state;
    start_over(w);
    w->options.precision = SA_BF16;
    w->agent.temperature = 0.7;
    check_company(w, "prm-greedy", 2);
}

/* Words that the policy has not learned: no answer is a click, until it is given the agent's form. Behind the
 * last click it is asked for its IoU alone, which it knows how to say. */
static void test_forced(void **state)
{
    world *w = *state;
    start_over(w);
    snprintf(w->agent.action.positive, sizeof w->agent.action.positive, "Add this:");
    snprintf(w->agent.action.negative, sizeof w->agent.action.negative, "Cut that:");
    w->agent.temperature = 1;
    check_company(w, "prm-greedy", 2);
    job j = all_items(w);
    run(w, 2, &j);
    const sa_episode_counts *c = &j.counts.of_episodes;
    size_t told = 0;
    assert_true(j.failed == 0 && c->retried > c->thoughts / 2 && c->retried < c->thoughts && c->failed == 0);
    for (size_t i = 0; i < j.count; i++) {
        sa_result r = read_row(j.rows[i]);
        for (size_t k = 1; k < r.tree_count; k++, told++) {
            assert_int_equal(r.tree[k].parse, SA_PARSE_RETRIED);
            assert_non_null(strstr(r.tree[k].text, r.tree[k].positive ? "Add this: (" : "Cut that: ("));
        }
        sa_result_free(&r);
    }
    assert_true(told > 0); /* a click that changes nothing makes no state */
    free_job(&j);
}

/*
 * What the form leaves no choice about is not asked: the agent says the same things, since that is how it
 * speaks anyway, in fewer passes. Without guesses and forms it says them, too, in many more.
 */
static void test_strict(void **state)
{
    world *w = *state;
    start_over(w);
    size_t count = w->items.count;
    w->items.count = COMPANY;
    job checked = all_items(w), strict = all_items(w), off = all_items(w);
    run(w, 2, &checked);
    w->options.episode.form = SA_FORM_STRICT;
    run(w, 2, &strict);
    expect_same(&strict, &checked);
    const sa_generator_counts *s = &strict.counts.of_policy.text, *c = &checked.counts.of_policy.text;
    assert_true(s->forced > s->decoded / 3 && s->guessed == 0 && c->forced == 0 && c->right > c->decoded / 3);
    w->options.episode.form = SA_FORM_OFF;
    run(w, 2, &off);
    expect_same(&off, &checked);
    const sa_generator_counts *o = &off.counts.of_policy.text;
    assert_true(o->forced == 0 && o->guessed == 0 && o->forwards > c->forwards && o->forwards > s->forwards);
    free_job(&checked);
    free_job(&strict);
    free_job(&off);
    w->items.count = count;
    if (SEARCHES > 1) {
        start_over(w);
        w->options.episode.form = SA_FORM_STRICT;
        w->agent.temperature = 1.5;
        check_company(w, "prm-greedy", 3);
    }
}

/* -- Nothing is computed twice -- */

enum { MOST_STATES = 1024 };

/* A picture and the mask on it. */
typedef struct {
    char *image;
    sa_mask mask;
} seen_state;

static void add_state(seen_state *states, size_t *count, const char *image, const sa_rle *rle)
{
    sa_mask mask;
    sa_error err;
    must(sa_rle_decode(rle, &mask, &err), &err);
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(states[i].image, image) == 0 && sa_mask_equal(&states[i].mask, &mask)) {
            sa_mask_free(&mask);
            return;
        }
    }
    assert_true(*count < MOST_STATES);
    states[(*count)++] = (seen_state){strdup(image), mask};
}

/* Pictures with different masks on them, whatever phrase or candidate they are about. */
static size_t distinct_states(const job *j)
{
    seen_state states[MOST_STATES];
    size_t count = 0;
    for (size_t i = 0; i < j->count; i++) {
        sa_result r = read_row(j->rows[i]);
        for (size_t k = 0; k < r.tree_count; k++) {
            add_state(states, &count, r.image, &r.tree[k].mask);
        }
        sa_result_free(&r);
    }
    for (size_t i = 0; i < count; i++) {
        free(states[i].image);
        sa_mask_free(&states[i].mask);
    }
    return count;
}

/*
 * With room for all that is worth keeping each painted picture is looked at exactly once, in every search,
 * and of each prompt no more is computed than what no earlier one had: of a second candidate its last token.
 */
static void test_least_work(void **state)
{
    static const struct {
        const char *search;
        size_t candidates;
    } searches[] = {{"prm-greedy", 3}, {"prm-stop", 1}, {"mcts", 3}, {"beam", 2}, {"best-first", 3}};
    world *w = *state;
    for (size_t i = 0; i < LEAST; i++) {
        start_over(w);
        w->agent.temperature = 1.5;
        w->options.kv_pages = 2048;
        w->options.in_flight = 5;
        w->options.episode.search = searches[i].search;
        w->options.episode.options.candidates = searches[i].candidates;
        w->options.episode.options.budget = searches[i].candidates > 1 ? 8 : 0;
        size_t count = w->items.count;
        w->items.count = COMPANY;
        job j = all_items(w);
        run(w, 2, &j);
        const sa_chat_counts *c = &j.counts.of_policy;
        assert_int_equal(c->seen, distinct_states(&j));
        assert_int_equal(c->text.prompt_tokens, c->text.reused + c->text.prefilled);
        assert_int_equal(c->text.pages_given_back, 0);
        if (searches[i].candidates > 1) {
            size_t again =
                c->text.prompts - j.counts.of_episodes.nodes; /* prompts that were there as a whole */
            size_t each = c->text.prompt_tokens / c->text.prompts;
            assert_true(c->text.reused >= again * (each - 8));
        }
        w->items.count = count;
        free_job(&j);
    }
}

/* The seed is in what is random, and only there. */
static void test_seed(void **state)
{
    world *w = *state;
    start_over(w);
    job one = all_items(w), other = all_items(w), hot = all_items(w), hot_other = all_items(w);
    run(w, 2, &one);
    w->options.episode.seed = 6;
    run(w, 2, &other);
    expect_same(&other, &one);
    w->options.episode.search = "prm-greedy";
    w->options.episode.options.candidates = 2;
    w->agent.temperature = 1;
    run(w, 2, &hot);
    w->options.episode.seed = 7;
    run(w, 2, &hot_other);
    size_t same = 0;
    for (size_t i = 0; i < hot.count; i++) {
        same += strcmp(hot.rows[i], hot_other.rows[i]) == 0;
    }
    assert_true(same < hot.count);
    job *jobs[] = {&one, &other, &hot, &hot_other};
    for (int i = 0; i < 4; i++) {
        free_job(jobs[i]);
    }
}

/* -- What rows say -- */

static void check_row(const world *w, const sa_item *item, const char *row)
{
    const sa_image_limits limits = sa_image_default_limits();
    sa_result r = read_row(row);
    sa_mask truth, mask;
    sa_error err;
    assert_true(r.height == SIDE && r.width == SIDE && r.step < r.step_count && r.step_count <= STEPS + 2);
    assert_string_equal(r.text, item->text);
    must(sa_mask_source_read(&item->gt, SIDE, SIDE, "gt", &limits, &truth, &err), &err);
    for (size_t i = 0; i < r.step_count; i++) {
        must(sa_rle_decode(&r.steps[i].mask, &mask, &err), &err);
        assert_true(r.steps[i].has_iou && r.steps[i].iou == sa_mask_iou(&mask, &truth));
        assert_true(r.steps[i].predicted_iou >= 0 && r.steps[i].predicted_iou <= 1);
        if (r.steps[i].has_action) {
            sa_answer a = sa_answer_parse(&w->agent, r.steps[i].text, SIDE, SIDE);
            assert_true(a.has_action && a.action.positive == r.steps[i].positive &&
                        a.action.row == (size_t)r.steps[i].row && a.action.col == (size_t)r.steps[i].col);
        }
        sa_mask_free(&mask);
    }
    assert_true(r.score == r.steps[r.step].predicted_iou);
    sa_mask_free(&truth);
    sa_result_free(&r);
}

/* The agent can do something: a wrong picture, mask or prompt would not. */
static void test_rows(void **state)
{
    world *w = *state;
    double sum = 0, first = 0;
    start_over(w);
    job j = all_items(w);
    run(w, 2, &j);
    for (size_t i = 0; i < j.count; i++) {
        check_row(w, j.items[i], j.rows[i]);
        sa_result r = read_row(j.rows[i]);
        sum += r.steps[r.step].iou;
        first += r.steps[0].predicted_iou;
        sa_result_free(&r);
    }
    print_message("mean IoU %.3f, predicted for empty masks %.3f\n", sum / (double)j.count,
                  first / (double)j.count);
    assert_true(sum / (double)j.count > 0.5);
    assert_true(first / (double)j.count < 0.1);
    free_job(&j);
}

/* -- Bad items -- */

enum { NO_PICTURE, NO_TRUTH, TOO_LARGE, TWO_IMAGES, OTHER_SIZE, OTHER_TRUTH, NO_RLE, BAD_ITEMS };

static const char *const bad_words[BAD_ITEMS] = {"", "no true mask", "", "image", "and the input says", "",
                                                 ""};

/* Copies of an item, each with something wrong; `json` and `paths` own what is new in them. */
static void make_bad_items(const world *w, sa_item bad[BAD_ITEMS], json_t *json[2], char paths[2][128])
{
    sa_image large;
    sa_error err;
    for (int i = 0; i < BAD_ITEMS; i++) {
        bad[i] = w->items.items[3];
    }
    snprintf(paths[0], 128, "%s/none.png", w->path);
    snprintf(paths[1], 128, "%s/large.png", w->path);
    must(sa_image_new(8, 1025, &large, &err), &err);
    memset(large.pixels, 0, (size_t)8 * 1025 * 3);
    must(sa_image_write_png(paths[1], &large, &err), &err);
    sa_image_free(&large);
    json[0] = json_pack("{s:[i,i], s:s}", "size", 5, 5, "counts", "Q1");
    json[1] = json_pack("{s:[i,i], s:s}", "size", SIDE, SIDE, "counts", "\x7f");
    bad[NO_PICTURE].path = paths[0];
    bad[NO_TRUTH].gt = (sa_mask_source){0};
    bad[TOO_LARGE].path = paths[1];
    bad[TWO_IMAGES].text = (char *)"the <image> circle";
    bad[OTHER_SIZE].height = bad[OTHER_SIZE].width = SIDE + 1;
    bad[OTHER_TRUTH].gt.json = json[0];
    bad[NO_RLE].gt.json = json[1];
}

static void test_bad_items(void **state)
{
    world *w = *state;
    sa_item bad[BAD_ITEMS];
    json_t *json[2];
    char paths[2][128];
    start_over(w);
    w->options.needs_truth = true;
    make_bad_items(w, bad, json, paths);
    job want = all_items(w);
    run(w, 2, &want);
    static const size_t batches[] = {1, 3, 16};
    for (int b = 0; b < 3; b++) {
        job j = all_items(w), good = all_items(w);
        for (int i = 0; i < BAD_ITEMS; i++) {
            j.items[j.count++] = &bad[i];
        }
        shuffle(&j, 40 + (uint64_t)b);
        w->options.batch = batches[b];
        run(w, 2, &j);
        assert_int_equal(j.failed, BAD_ITEMS);
        for (size_t i = 0; i < j.count; i++) {
            bool is_bad = j.items[i] >= bad && j.items[i] < bad + BAD_ITEMS;
            const char *words = is_bad ? bad_words[j.items[i] - bad] : NULL;
            assert_true(is_bad ? j.reasons[i] != NULL && strstr(j.reasons[i], words) != NULL : true);
            for (size_t k = 0; k < good.count && !is_bad; k++) {
                if (good.items[k] == j.items[i]) {
                    assert_string_equal(j.rows[i], want.rows[k]);
                }
            }
        }
        free_job(&j);
    }
    free_job(&want);
    json_decref(json[0]);
    json_decref(json[1]);
}

/* Texts that nobody expects: results, whatever they are. */
static void test_odd_texts(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "{text}{image}",
                                        "</s>",
                                        "Current IOU: 99, Positive point: (1, 1)",
                                        "\xe2\x98\x83 \xf0\x9f\x90\x88",
                                        "\xff\xfe\xc3("};
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    world *w = *state;
    sa_item odd[TEXTS];
    start_over(w);
    job j = {.count = TEXTS};
    for (int i = 0; i < TEXTS; i++) {
        odd[i] = w->items.items[i];
        odd[i].text = (char *)texts[i];
        j.items[i] = &odd[i];
    }
    run(w, 2, &j);
    assert_int_equal(j.failed, 0);
    free_job(&j);
}

/* A text beyond the context ends alone. */
static void test_long_text(void **state)
{
    world *w = *state;
    start_over(w);
    enum { LONG = 100000 };
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    for (size_t i = 0; i < LONG; i++) {
        text[i] = "red "[i % 4];
    }
    text[LONG] = '\0';
    sa_item odd = w->items.items[0];
    odd.text = text;
    job j = {.count = 2, .items = {&odd, &w->items.items[1]}};
    run(w, 2, &j);
    assert_true(j.reasons[0] != NULL && strstr(j.reasons[0], "context") != NULL && j.rows[1] != NULL);
    free_job(&j);
    free(text);
}

/* -- Policies and starts -- */

static double mean_iou(const job *j)
{
    double sum = 0;
    for (size_t i = 0; i < j->count; i++) {
        sa_result r = read_row(j->rows[i]);
        sum += r.steps[r.step].iou;
        sa_result_free(&r);
    }
    return sum / (double)j->count;
}

/* F_sim beats chance, the policy stays unopened, and the segmenter alone is kept busy. */
static void test_other_policies(void **state)
{
    world *w = *state;
    double iou[2];
    start_over(w);
    w->options.needs_truth = true;
    w->options.episode.options.score = SA_SCORE_TRUTH;
    for (int i = 0; i < 2; i++) {
        w->options.episode.policy = i == 0 ? SA_POLICY_ANNOTATOR : SA_POLICY_RANDOM;
        check_company(w, "prm-stop", 1);
        job j = all_items(w);
        run(w, 1, &j);
        assert_true(j.counts.of_policy.seen == 0 && j.counts.of_episodes.thoughts == 0);
        iou[i] = mean_iou(&j);
        free_job(&j);
    }
    print_message("mean IoU: F_sim %.3f, random %.3f\n", iou[0], iou[1]);
    assert_true(iou[0] > iou[1] + 0.2);
}

/* Random clicks that the model judges. */
static void test_judged(void **state)
{
    world *w = *state;
    start_over(w);
    w->options.episode.policy = SA_POLICY_RANDOM;
    check_company(w, "prm-greedy", 2);
}

/* Given masks are judged without a click: the true ones are better than others' ones. */
static void test_given_masks(void **state)
{
    world *w = *state;
    double score[2] = {0};
    start_over(w);
    w->options.start = SA_START_GIVEN;
    for (int own = 0; own < 2; own++) {
        sa_item given[ITEMS];
        job j = {.count = ITEMS};
        w->options.episode.options.steps = 0;
        w->options.batch = own == 0 ? 5 : 2;
        for (size_t i = 0; i < j.count; i++) {
            given[i] = w->items.items[i];
            given[i].mask = w->items.items[own == 1 ? i : (i + 5) % ITEMS].gt;
            j.items[i] = &given[i];
        }
        run(w, 2, &j);
        assert_true(j.counts.of_episodes.clicks == 0 && j.counts.pictures == 0);
        for (size_t i = 0; i < j.count; i++) {
            sa_result r = read_row(j.rows[i]);
            assert_true(r.step == 0 && (own == 0 || r.steps[0].iou == 1));
            score[own] += r.score / ITEMS;
            sa_result_free(&r);
        }
        free_job(&j);
    }
    print_message("mean predicted IoU of other masks %.3f, of the true ones %.3f\n", score[0], score[1]);
    assert_true(score[1] > score[0] + 0.3);
}

/* From masks that are given, which are fed to the segmenter; one item has none. */
static void test_refine(void **state)
{
    world *w = *state;
    sa_item given[ITEMS];
    start_over(w);
    w->options.start = SA_START_GIVEN;
    w->options.episode.options.steps = 2;
    job want = {.count = ITEMS};
    for (size_t i = 0; i < want.count; i++) {
        given[i] = w->items.items[i];
        given[i].mask = i == 4 ? (sa_mask_source){0} : w->items.items[i / 2 * 2].gt;
        want.items[i] = &given[i];
    }
    job got = want;
    run(w, 2, &want);
    assert_true(want.failed == 1 && strstr(want.reasons[4], "no initial mask") != NULL);
    shuffle(&got, 3);
    w->options.batch = 1;
    run(w, 1, &got);
    for (size_t i = 0; i < got.count; i++) {
        size_t k = (size_t)(got.items[i] - given);
        assert_true(k == 4 || strcmp(got.rows[i], want.rows[k]) == 0);
    }
    free_job(&want);
    free_job(&got);
}

/* -- Ends -- */

/* At any question; what was finished until then is right, and the runner can be used again. */
static void test_interrupt(void **state)
{
    world *w = *state;
    sa_device *device;
    sa_runner *runner;
    sa_error err = {0};
    start_over(w);
    w->options.batch = 3;
    job want = all_items(w);
    run(w, 2, &want);
    must(sa_device_open(&device, &(sa_device_options){.name = test_device(), .threads = 2}, &err), &err);
    must(sa_runner_open(&runner, device, &w->options, &err), &err);
    /* how often it is asked depends on when pictures come: half of that is reached in any run */
    for (size_t patience = 1; patience < want.asked / 2; patience = patience * 3 + 1) {
        job j = all_items(w);
        const sa_runner_client client = client_of(&j);
        j.patience = patience;
        assert_int_equal(sa_runner_run(runner, &client, &j.counts, &err), SA_INTERRUPTED);
        assert_true(j.finished < j.count && j.failed == 0);
        for (size_t i = 0; i < j.count; i++) {
            assert_true(j.rows[i] == NULL || strcmp(j.rows[i], want.rows[i]) == 0);
        }
        free_job(&j);
    }
    job again = all_items(w);
    const sa_runner_client client = client_of(&again);
    must(sa_runner_run(runner, &client, &again.counts, &err), &err);
    expect_same(&again, &want);
    free_job(&again);
    free_job(&want);
    sa_runner_close(runner);
    sa_device_close(device);
}

/* Whoever takes results may end the run; seconds that are over end the items. */
static void test_ends(void **state)
{
    world *w = *state;
    sa_device *device;
    sa_runner *runner;
    sa_error err = {0};
    start_over(w);
    w->options.seconds = 1e-9;
    job hurried = all_items(w);
    run(w, 2, &hurried);
    assert_true(hurried.failed == 0 && hurried.counts.of_episodes.clicks == 0);
    w->options.seconds = 0;
    must(sa_device_open(&device, &(sa_device_options){.name = test_device(), .threads = 2}, &err), &err);
    must(sa_runner_open(&runner, device, &w->options, &err), &err);
    job j = all_items(w);
    j.refuse = SA_IO;
    const sa_runner_client client = client_of(&j);
    assert_int_equal(sa_runner_run(runner, &client, &j.counts, &err), SA_IO);
    assert_string_equal(err.reason, "refused");
    job none = {.count = 0};
    const sa_runner_client idle = client_of(&none);
    must(sa_runner_run(runner, &idle, &none.counts, &err), &err);
    assert_int_equal(none.counts.items, 0);
    sa_runner_close(runner);
    sa_device_close(device);
    free_job(&hurried);
    free_job(&j);
}

/* A disk that fails says nothing of the item: the run ends, and the item is not set aside. */
static void test_failing_disk(void **state)
{
    world *w = *state;
    sa_device *device;
    sa_runner *runner;
    sa_error err = {0};
    start_over(w);
    sa_item torn = w->items.items[0];
    torn.path = (char *)"/proc/self/mem"; /* a file whose first bytes cannot be read */
    job j = {.count = 2, .items = {&torn, &w->items.items[1]}};
    const sa_runner_client client = client_of(&j);
    must(sa_device_open(&device, &(sa_device_options){.name = test_device(), .threads = 1}, &err), &err);
    must(sa_runner_open(&runner, device, &w->options, &err), &err);
    assert_int_equal(sa_runner_run(runner, &client, &j.counts, &err), SA_IO);
    assert_string_equal(err.file, torn.path);
    assert_non_null(strstr(err.reason, torn.id));
    assert_int_equal(j.failed, 0);
    sa_runner_close(runner);
    sa_device_close(device);
    free_job(&j);
}

/* Agents that cannot work are told at the start. */
static void test_bad_agents(void **state)
{
    world *w = *state;
    sa_device *device;
    sa_runner *runner = NULL;
    sa_error err = {0};
    must(sa_device_open(&device, &(sa_device_options){.name = test_device(), .threads = 1}, &err), &err);
    start_over(w);
    snprintf(w->agent.policy, sizeof w->agent.policy, "tests/golden/llama/llama2"); /* it does not see */
    assert_true(sa_runner_open(&runner, device, &w->options, &err) != SA_OK);
    start_over(w);
    w->agent.mask_threshold = 0.49;
    assert_int_equal(sa_runner_open(&runner, device, &w->options, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "mask_threshold"));
    start_over(w);
    snprintf(w->agent.segmenter, sizeof w->agent.segmenter, "%s", w->agent.policy);
    assert_true(sa_runner_open(&runner, device, &w->options, &err) != SA_OK);
    start_over(w);
    snprintf(w->agent.template, sizeof w->agent.template, "no such template");
    assert_true(sa_runner_open(&runner, device, &w->options, &err) != SA_OK);
    sa_device_close(device);
}

/* -- A GPU -- */

/* Two scenes, one click each: where the CPU clicks, and nearly the same masks. */
static void test_gpu(void **state)
{
    world *w = *state;
    if (strncmp(test_device(), "cuda", 4) != 0) {
        skip();
    }
    sa_device *device;
    sa_runner *runner;
    sa_error err = {0};
    start_over(w);
    w->options.batch = 2;
    w->options.episode.options.steps = 1;
    job gpu = all_items(w), cpu = all_items(w);
    gpu.count = cpu.count = 2;
    cpu.items[1] = gpu.items[1] = &w->items.items[w->items.count - 1];
    run(w, 2, &gpu);
#ifdef NDEBUG /* else every launch is waited for */
    assert_true(gpu.counts.work.graphs > 0);
#endif
    const sa_runner_client client = client_of(&cpu);
    must(sa_device_open(&device, &(sa_device_options){.name = "cpu", .threads = 2}, &err), &err);
    must(sa_runner_open(&runner, device, &w->options, &err), &err);
    must(sa_runner_run(runner, &client, &cpu.counts, &err), &err);
    sa_runner_close(runner);
    sa_device_close(device);
    for (size_t i = 0; i < 2; i++) {
        sa_result a = read_row(gpu.rows[i]), b = read_row(cpu.rows[i]);
        assert_int_equal(a.step_count, b.step_count);
        for (size_t s = 0; s < a.step_count; s++) {
            assert_string_equal(a.steps[s].text, b.steps[s].text);
            assert_true(a.steps[s].row == b.steps[s].row && a.steps[s].col == b.steps[s].col);
            assert_true(fabs(a.steps[s].predicted_iou - b.steps[s].predicted_iou) < 1e-3);
            assert_true(fabs(a.steps[s].iou - b.steps[s].iou) < 5e-3);
        }
        sa_result_free(&a);
        sa_result_free(&b);
    }
    free_job(&gpu);
    free_job(&cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_prm_stop),
        cmocka_unit_test(test_sampling_searches),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_forced),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_least_work),
        cmocka_unit_test(test_bad_items),
        cmocka_unit_test(test_odd_texts),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_other_policies),
        cmocka_unit_test(test_judged),
        cmocka_unit_test(test_given_masks),
        cmocka_unit_test(test_refine),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_failing_disk),
        cmocka_unit_test(test_bad_agents),
        cmocka_unit_test(test_gpu),
    };
    /* On the simulated GPU, which takes its time, the last one alone (tests/CMakeLists.txt). */
    const char *only = getenv("SEGAGENT_TEST_ONLY");
    cmocka_set_test_filter(only != NULL && only[0] != '\0' ? only : NULL);
    return cmocka_run_group_tests(tests, setup, teardown);
}
