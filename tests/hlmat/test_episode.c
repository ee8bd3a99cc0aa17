/*
 * Episodes, with models that are played by this test: what the policy says is a table, a click paints or
 * wipes a disc. Answers that are none, answers in any order, policies without a model, and what results tell.
 */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/hlmat/episode.h"

enum { HEIGHT = 30, WIDTH = 41, RADIUS = 6, MOST_CLICKS = 16 };

typedef struct {
    sa_agent agent;
    sa_image picture;
    sa_mask truth, mask, half;
    sa_episode_options options;
    sa_episode_item item;
} world;

static void paint_disc(sa_mask *mask, size_t row, size_t col, bool on)
{
    for (size_t y = 0; y < mask->height; y++) {
        for (size_t x = 0; x < mask->width; x++) {
            long v = (long)y - (long)row, u = (long)x - (long)col;
            if (v * v + u * u <= RADIUS * RADIUS) {
                sa_mask_set(mask, x, y, on);
            }
        }
    }
}

static sa_agent talking_agent(void)
{
    return (sa_agent){.action = {.positive = "Positive point:",
                                 .negative = "Negative point:",
                                 .row_first = true,
                                 .scale = 1000,
                                 .rounding = SA_ROUND_FLOOR},
                      .judges = true,
                      .prm = {.prefix = "Current IOU:", .scale = 100}};
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    sa_error err;
    assert_non_null(w);
    w->agent = talking_agent();
    must(sa_image_new(HEIGHT, WIDTH, &w->picture, &err), &err);
    must(sa_mask_new(&w->truth, HEIGHT, WIDTH, &err), &err);
    must(sa_mask_new(&w->mask, HEIGHT, WIDTH, &err), &err);
    must(sa_mask_new(&w->half, HEIGHT, WIDTH, &err), &err);
    for (size_t i = 0; i < HEIGHT * WIDTH / 2; i++) {
        sa_mask_set(&w->half, i / HEIGHT, i % HEIGHT, true);
    }
    paint_disc(&w->truth, 10, 12, true);
    paint_disc(&w->truth, 14, 22, true);
    paint_disc(&w->mask, 10, 10, true);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    sa_image_free(&w->picture);
    sa_mask_free(&w->truth);
    sa_mask_free(&w->mask);
    sa_mask_free(&w->half);
    free(w);
    return 0;
}

static void start_over(world *w, const char *search, size_t steps, size_t candidates)
{
    w->options = (sa_episode_options){.agent = &w->agent,
                                      .policy = SA_POLICY_MODEL,
                                      .search = search,
                                      .options = {.steps = steps,
                                                  .candidates = candidates,
                                                  .enough = 2,
                                                  .exploration = 1,
                                                  .score = SA_SCORE_EXPECTED},
                                      .seed = 7,
                                      .trace = true};
    w->item = (sa_episode_item){
        .id = "item 1", .image = "a.png", .text = "the disc", .picture = &w->picture, .truth = &w->truth};
    w->agent.judges = true;
}

static sa_episode *begin(const world *w, float *root_state)
{
    sa_episode *e;
    sa_error err;
    must(sa_episode_open(&e, &w->options, &w->item, root_state, &err), &err);
    must(sa_episode_step(e, &err), &err);
    return e;
}

static void go_on(sa_episode *e)
{
    sa_error err;
    must(sa_episode_step(e, &err), &err);
}

/* -- The models -- */

static sa_generate_answer answer_of(const char *text)
{
    sa_generate_answer answer = {0};
    sa_text_append(&answer.text, text, strlen(text));
    return answer;
}

static void say(sa_episode *e, size_t index, const char *text)
{
    sa_generate_answer answer = answer_of(text);
    sa_answer_digits digits = {0};
    sa_error err;
    must(sa_episode_answer(e, index, &answer, &digits, &err), &err);
    sa_generate_answer_free(&answer);
}

/* What the policy says of a mask: another IoU and other clicks for each mask and candidate; now and then
 * nonsense, unless it is forced. */
static void think(sa_episode *e, size_t index)
{
    size_t count;
    char text[128];
    const sa_work *work = &sa_episode_works(e, &count)[index];
    uint64_t mask = sa_mask_hash(sa_episode_mask(e, work->node));
    sa_philox r = sa_philox_block(3, mask, work->greedy ? 0 : work->candidate);
    snprintf(text, sizeof text, "Current IOU: %u, %s point: (%u, %u)", r.word[0] % 99,
             r.word[1] % 4 == 0 ? "Negative" : "Positive", r.word[2] % 1000, r.word[3] % 1000);
    if (r.word[1] / 4 % 4 == 0 && !work->forced) {
        snprintf(text, sizeof text, "Current IOU: 12, and no click");
    }
    say(e, index, text);
}

/* The mask of all clicks, with the number of clicks as its state. */
static void segment(sa_episode *e, const world *w, size_t index)
{
    sa_prompt prompt;
    const float *before;
    sa_mask mask;
    sa_error err;
    must(sa_episode_prompt(e, index, &prompt, &before, &err), &err);
    float *state = malloc(sizeof *state);
    assert_non_null(state);
    *state = (float)prompt.click_count;
    assert_true(before == NULL || *before == *state - 1); /* the parent's */
    must(w->item.mask != NULL ? sa_mask_copy(&mask, w->item.mask, &err)
                              : sa_mask_new(&mask, HEIGHT, WIDTH, &err),
         &err);
    for (size_t i = 0; i < prompt.click_count; i++) {
        paint_disc(&mask, (size_t)prompt.clicks[i].y, (size_t)prompt.clicks[i].x, prompt.clicks[i].positive);
    }
    double score = sa_philox_unit(sa_philox_block(4, sa_mask_hash(&mask), 0).word[0]);
    sa_episode_click(e, index, &mask, sa_mask_hash(&mask), state, score);
    assert_null(mask.bits);
}

/* Which of `count` works comes first, which second ...: shuffled by the seed; 0: as they stand. */
static void order_of(size_t count, uint64_t seed, size_t *order)
{
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (size_t i = count; seed != 0 && i > 1; i--) {
        size_t j = sa_philox_block(5, seed, i).word[0] % i, swap = order[j];
        order[j] = order[i - 1];
        order[i - 1] = swap;
    }
}

/* Answers all works until there are none; the number of works. */
static size_t play(sa_episode *e, const world *w, uint64_t seed)
{
    size_t done = 0, count;
    while (!sa_episode_done(e)) {
        size_t order[256];
        const sa_work *works = sa_episode_works(e, &count);
        assert_true(count > 0 && count <= 256);
        order_of(count, seed != 0 ? seed + done : 0, order);
        for (bool open = true; open;) {
            open = false;
            for (size_t i = 0; i < count; i++) {
                const sa_work *work = &works[order[i]];
                if (work->open && work->kind == SA_WORK_THINK) {
                    think(e, order[i]);
                } else if (work->open) {
                    segment(e, w, order[i]);
                }
                open = open || work->open;
            }
        }
        done += count;
        go_on(e);
    }
    return done;
}

/* The row as it would stand in results.jsonl; the caller frees it. */
static char *row_of(const sa_episode *e)
{
    sa_result result;
    sa_error err;
    char *row;
    size_t size;
    must(sa_episode_result(e, &result, &err), &err);
    FILE *stream = open_memstream(&row, &size);
    assert_non_null(stream);
    sa_json_writer writer = sa_json_writer_on(stream);
    must(sa_result_write(&result, &writer, &err), &err);
    sa_json_end_line(&writer);
    fclose(stream);
    sa_result_free(&result);
    return row;
}

static const char *const searches[] = {"greedy", "prm-stop", "prm-greedy", "beam", "best-first", "mcts"};

/* -- Answers that are none -- */

/* Once more in the agent's form; then it is recorded. */
static void test_forced(void **state)
{
    world *w = *state;
    size_t count;
    start_over(w, "greedy", 3, 1);
    sa_episode *e = begin(w, NULL);
    const sa_work *works = sa_episode_works(e, &count);
    assert_true(count == 1 && works[0].open && works[0].greedy && !works[0].forced);
    say(e, 0, "Finish");
    works = sa_episode_works(e, &count);
    assert_true(count == 1 && works[0].open && works[0].forced);
    say(e, 0, "Current IOU: 5, Positive point: (500, 500)");
    assert_false(works[0].open);
    go_on(e);
    works = sa_episode_works(e, &count);
    assert_true(count == 1 && works[0].kind == SA_WORK_CLICK);
    segment(e, w, 0);
    go_on(e);
    say(e, 0, "Current IOU: 66");
    assert_true(sa_episode_works(e, &count)[0].forced);
    say(e, 0, "nothing");
    go_on(e);
    assert_true(sa_episode_done(e));
    sa_result r;
    sa_error err;
    must(sa_episode_result(e, &r, &err), &err);
    assert_int_equal(r.step_count, 3);
    assert_true(r.steps[0].parse == SA_PARSE_OK && !r.steps[0].has_action);
    assert_true(r.steps[1].parse == SA_PARSE_RETRIED && r.steps[1].has_action && r.steps[1].positive);
    assert_true(r.steps[1].row == 15 && r.steps[1].col == 20);
    assert_true(r.steps[2].parse == SA_PARSE_FAILED && !r.steps[2].has_action);
    assert_string_equal(r.steps[2].text, "nothing");
    assert_int_equal(r.step, 1);
    sa_episode_counts c = sa_episode_get_counts(e);
    assert_true(c.thoughts == 2 && c.clicks == 1 && c.retried == 1 && c.failed == 1 && c.clamped == 0);
    sa_result_free(&r);
    sa_episode_close(e);
}

/* Nothing that is a click at all: the first mask is the result, and it is no failure of the item. */
static void test_never_a_click(void **state)
{
    world *w = *state;
    for (int i = 0; i < 6; i++) {
        start_over(w, searches[i], 3, 2);
        sa_episode *e = begin(w, NULL);
        for (size_t round = 0, count; !sa_episode_done(e); round++) {
            const sa_work *works = sa_episode_works(e, &count);
            assert_true(round < 10);
            for (size_t n = 0; n < 2 * count; n++) {
                if (works[n % count].open) {
                    say(e, n % count, n < count ? "" : "\xff(((");
                }
            }
            go_on(e);
        }
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        assert_true(r.error == NULL && r.step == 0 && r.step_count == 2);
        assert_int_equal(r.steps[1].parse, SA_PARSE_FAILED);
        sa_result_free(&r);
        sa_episode_close(e);
    }
}

/* No failure is told where another candidate was a click, though it led to no other mask. */
static void test_one_click(void **state)
{
    world *w = *state;
    start_over(w, "prm-greedy", 3, 2);
    sa_episode *e = begin(w, NULL);
    say(e, 0, "no");
    say(e, 0, "no");
    say(e, 1, "Current IOU: 5, Negative point: (1, 1)"); /* of an empty mask */
    go_on(e);
    segment(e, w, 0);
    go_on(e);
    assert_true(sa_episode_done(e));
    sa_result r;
    sa_error err;
    must(sa_episode_result(e, &r, &err), &err);
    assert_true(r.step_count == 1 && r.steps[0].predicted_iou == 0.05);
    sa_result_free(&r);
    sa_episode_close(e);
}

static void test_clamped(void **state)
{
    world *w = *state;
    start_over(w, "greedy", 1, 1);
    sa_episode *e = begin(w, NULL);
    say(e, 0, "Current IOU: 5, Positive point: (1000, 5000)");
    go_on(e);
    sa_prompt prompt;
    const float *before;
    sa_error err;
    must(sa_episode_prompt(e, 0, &prompt, &before, &err), &err);
    assert_true(prompt.click_count == 1 && prompt.clicks[0].x == WIDTH - 1 &&
                prompt.clicks[0].y == HEIGHT - 1);
    assert_int_equal(sa_episode_get_counts(e).clamped, 1);
    sa_episode_close(e); /* in the middle of it */
}

/* The digits' logits decide what is expected; without them it is what was printed. */
static void test_expected(void **state)
{
    world *w = *state;
    int32_t ids[2] = {70, 71}, value[2] = {3, 5}, length[2] = {1, 1}, taken[3] = {9, 71, 70};
    float logits[4] = {0, 0, 0, logf(3)}; /* 4 for the first digit, 4.5 for the second */
    sa_answer_digits digits = {ids, value, length, 2};
    sa_error err;
    start_over(w, "prm-stop", 1, 1);
    for (int probed = 0; probed < 2; probed++) {
        sa_episode *e = begin(w, NULL);
        sa_generate_answer answer = answer_of("Current IOU: 53");
        answer.tokens = (sa_tokens){.ids = taken, .count = 3};
        answer.probes = logits;
        answer.probed = probed == 1 ? 2 : 0;
        answer.probe_at = 1;
        must(sa_episode_answer(e, 0, &answer, &digits, &err), &err); /* no click: again */
        must(sa_episode_answer(e, 0, &answer, &digits, &err), &err);
        go_on(e);
        sa_result r;
        must(sa_episode_result(e, &r, &err), &err);
        assert_true(fabs(r.steps[0].predicted_iou - (probed == 1 ? 0.445 : 0.53)) < 1e-6);
        sa_result_free(&r);
        sa_text_free(&answer.text);
        sa_episode_close(e);
    }
}

/* -- The order of answers -- */

static void test_any_order(void **state)
{
    world *w = *state;
    size_t retried = 0, several = 0;
    for (uint64_t n = 0; n < 60; n++) {
        char id[16];
        start_over(w, searches[n % 6], 4, 1 + n % 4);
        snprintf(id, sizeof id, "%d", (int)n);
        w->item.id = id;
        w->options.options.beam = 1 + n / 6 % 3;
        sa_episode *e = begin(w, NULL);
        size_t works = play(e, w, 0);
        char *want = row_of(e);
        retried += sa_episode_get_counts(e).retried;
        several += works > 8;
        sa_episode_close(e);
        for (uint64_t seed = 1; seed < 5; seed++) {
            e = begin(w, NULL);
            assert_int_equal(play(e, w, seed * 1000), works);
            char *got = row_of(e);
            assert_string_equal(got, want);
            free(got);
            sa_episode_close(e);
        }
        free(want);
    }
    assert_true(retried > 20 && several > 20);
}

/* Whatever order: candidate 0 is the policy's likeliest one, and its judgement counts. */
static void test_candidate_order(void **state)
{
    world *w = *state;
    size_t count;
    start_over(w, "prm-greedy", 1, 3);
    sa_episode *e = begin(w, NULL);
    const sa_work *works = sa_episode_works(e, &count);
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(works[i].node == 0 && works[i].candidate == i && works[i].greedy == (i == 0));
    }
    say(e, 2, "Current IOU: 33, Positive point: (300, 300)");
    say(e, 0, "hm");
    say(e, 1, "Current IOU: 22, Positive point: (200, 200)");
    say(e, 0, "Current IOU: 11, Positive point: (100, 100)");
    go_on(e);
    works = sa_episode_works(e, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        sa_prompt prompt;
        const float *before;
        sa_error err;
        must(sa_episode_prompt(e, i, &prompt, &before, &err), &err);
        assert_true(prompt.clicks[0].y == (float)(3 * (i + 1))); /* 100 of 1000 is row 3 of 30 */
        segment(e, w, i);
    }
    go_on(e);
    play(e, w, 0);
    sa_result r;
    sa_error err;
    must(sa_episode_result(e, &r, &err), &err);
    assert_true(r.steps[0].predicted_iou == 0.11);
    sa_result_free(&r);
    sa_episode_close(e);
}

/* -- Clicks and states -- */

/* All clicks since the root in their order, whatever else the tree holds; states of the parent (segment()).
 */
static void test_prompts(void **state)
{
    world *w = *state;
    for (uint64_t n = 0; n < 12; n++) {
        start_over(w, searches[n % 6], 5, 3);
        w->item.mask = n % 2 == 0 ? NULL : &w->mask;
        float *root = malloc(sizeof *root);
        assert_non_null(root);
        *root = 0;
        sa_episode *e = begin(w, root);
        play(e, w, n);
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        for (size_t i = 1; i < r.tree_count; i++) { /* each node's mask is that of its parent and its click */
            const sa_result_step *node = &r.tree[i];
            sa_mask mask, want;
            assert_true(node->parent >= 0 && node->parent < (int64_t)i && node->has_action);
            must(sa_rle_decode(&r.tree[node->parent].mask, &want, &err), &err);
            must(sa_rle_decode(&node->mask, &mask, &err), &err);
            paint_disc(&want, (size_t)node->row, (size_t)node->col, node->positive);
            assert_true(sa_mask_equal(&mask, &want));
            assert_true(node->has_iou && node->iou == sa_mask_iou(&mask, &w->truth));
            sa_mask_free(&mask);
            sa_mask_free(&want);
        }
        sa_result_free(&r);
        sa_episode_close(e);
    }
}

/* -- Policies without a model -- */

/* F_sim with the toy segmenter, by hand. */
static size_t plain_annotator(const world *w, size_t steps, double enough, sa_action *actions)
{
    sa_annotator annotator;
    sa_annotator_answer said = {0};
    sa_mask mask, clicked;
    sa_error err;
    size_t count = 0;
    must(sa_annotator_open(&annotator, HEIGHT, WIDTH, &err), &err);
    must(sa_mask_new(&mask, HEIGHT, WIDTH, &err), &err);
    must(sa_mask_new(&clicked, HEIGHT, WIDTH, &err), &err);
    while (count < steps && sa_mask_iou(&mask, &w->truth) < enough) {
        must(sa_annotator_click(&annotator, &mask, &w->truth, NULL, &clicked, &said, &err), &err);
        if (!said.needed) {
            break;
        }
        actions[count++] = (sa_action){said.positive, said.y, said.x};
        sa_mask_set(&clicked, said.x, said.y, true);
        paint_disc(&mask, said.y, said.x, said.positive);
    }
    sa_annotator_close(&annotator);
    sa_mask_free(&mask);
    sa_mask_free(&clicked);
    return count;
}

static void test_annotator(void **state)
{
    world *w = *state;
    for (size_t steps = 1; steps <= 12; steps++) {
        sa_action want[MOST_CLICKS];
        double enough = steps % 3 == 0 ? 0.75 : 2;
        start_over(w, steps % 2 == 0 ? "greedy" : "prm-stop", steps, 1);
        w->options.policy = SA_POLICY_ANNOTATOR;
        w->options.options.score = SA_SCORE_TRUTH;
        w->options.options.enough = enough;
        size_t count = plain_annotator(w, steps, enough, want);
        sa_episode *e = begin(w, NULL);
        assert_int_equal(play(e, w, 0), count); /* clicks alone: nobody is asked */
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        assert_int_equal(r.step_count, count + 1);
        for (size_t i = 0; i < count; i++) {
            const sa_result_step *step = &r.steps[i + 1];
            assert_true(step->positive == want[i].positive && step->row == (int64_t)want[i].row &&
                        step->col == (int64_t)want[i].col && step->parse == SA_PARSE_OK);
            sa_answer read = sa_answer_parse(&w->agent, step->text, HEIGHT, WIDTH);
            assert_true(read.has_action && read.action.row == want[i].row && read.action.col == want[i].col);
        }
        sa_result_free(&r);
        sa_episode_close(e);
    }
}

/* A click without an IoU is asked for once more, of the first candidate; the first IoU that is said counts.
 */
static void test_unjudged(void **state)
{
    world *w = *state;
    size_t count;
    start_over(w, "prm-greedy", 1, 3);
    sa_episode *e = begin(w, NULL);
    const sa_work *works = sa_episode_works(e, &count);
    for (uint32_t i = 0; i < 3; i++) {
        say(e, i, "Positive point: (100, 100)");
        assert_true(works[i].open == (i == 0) && works[i].forced == (i == 0));
    }
    say(e, 0, "Positive point: (200, 200)"); /* it does as a click */
    assert_false(works[0].open);
    go_on(e);
    play(e, w, 0);
    sa_result r;
    sa_error err;
    must(sa_episode_result(e, &r, &err), &err);
    assert_true(r.steps[0].predicted_iou == 0 && r.steps[0].parse == SA_PARSE_OK);
    assert_true(r.tree[1].parse == SA_PARSE_RETRIED && r.tree[1].row == 6);
    sa_result_free(&r);
    sa_episode_close(e);
    e = begin(w, NULL);
    say(e, 0, "Positive point: (100, 100)");
    say(e, 0, "Positive point: (100, 100)");
    say(e, 1, "Current IOU: 77, Positive point: (200, 200)");
    say(e, 2, "Current IOU: 33, Positive point: (300, 300)");
    go_on(e);
    play(e, w, 0);
    must(sa_episode_result(e, &r, &err), &err);
    assert_true(r.steps[0].predicted_iou == 0.77);
    sa_result_free(&r);
    sa_episode_close(e);
}

/* Masks that are only judged: one that nothing was said of is told from one that was found worth nothing. */
static void test_unreadable(void **state)
{
    static const char *const texts[3][2] = {
        {"Current IOU: 0", ""}, {"hm", "Current IOU: 0"}, {"hm", "Positive point: (1, 1)"}};
    static const sa_parse_outcome want[3] = {SA_PARSE_OK, SA_PARSE_RETRIED, SA_PARSE_FAILED};
    world *w = *state;
    for (int i = 0; i < 6; i++) {
        start_over(w, "greedy", 0, 1);
        w->options.policy = i / 3 == 0 ? SA_POLICY_RANDOM : SA_POLICY_MODEL;
        w->item.mask = &w->mask;
        sa_episode *e = begin(w, NULL);
        say(e, 0, texts[i % 3][0]);
        if (i % 3 > 0) {
            say(e, 0, texts[i % 3][1]);
        }
        go_on(e);
        assert_true(sa_episode_done(e));
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        assert_true(r.step_count == 1 && r.score == 0);
        assert_int_equal(r.steps[0].parse, want[i % 3]);
        sa_result_free(&r);
        sa_episode_close(e);
    }
}

/* What was clicked to make the first mask is not clicked again. */
static void test_annotator_begun(void **state)
{
    world *w = *state;
    sa_prompt prompts[2];
    const float *before;
    sa_error err;
    start_over(w, "greedy", 1, 1);
    w->options.policy = SA_POLICY_ANNOTATOR;
    w->options.options.score = SA_SCORE_TRUTH;
    sa_episode *e = begin(w, NULL);
    must(sa_episode_prompt(e, 0, &prompts[0], &before, &err), &err);
    sa_click first = prompts[0].clicks[0];
    w->item.begun = (sa_prompt){.clicks = &first, .click_count = 1};
    sa_episode *again = begin(w, NULL);
    must(sa_episode_prompt(again, 0, &prompts[1], &before, &err), &err);
    assert_int_equal(prompts[1].click_count, 2);
    assert_true(prompts[1].clicks[0].x == first.x && prompts[1].clicks[0].y == first.y);
    assert_true(prompts[1].clicks[1].x != first.x || prompts[1].clicks[1].y != first.y);
    sa_episode_close(again);
    sa_episode_close(e);
}

/* Others click, the model judges: asked once for each state, for its IoU alone. */
static void test_judged(void **state)
{
    world *w = *state;
    size_t count;
    start_over(w, "prm-greedy", 1, 3);
    w->options.policy = SA_POLICY_RANDOM;
    sa_episode *e = begin(w, NULL);
    const sa_work *works = sa_episode_works(e, &count);
    assert_true(count == 1 && works[0].kind == SA_WORK_THINK && works[0].greedy);
    say(e, 0, "Positive point: (1, 1)"); /* not what was asked for */
    assert_true(works[0].open && works[0].forced);
    say(e, 0, "Current IOU: 40");
    assert_false(works[0].open);
    go_on(e);
    works = sa_episode_works(e, &count);
    assert_true(count == 3 && works[0].kind == SA_WORK_CLICK);
    for (size_t i = 0; i < 3; i++) {
        sa_mask mask;
        sa_error err;
        must(sa_mask_new(&mask, HEIGHT, WIDTH, &err), &err);
        sa_mask_set(&mask, i, 0, true);
        sa_episode_click(e, i, &mask, sa_mask_hash(&mask), NULL, 0.5);
    }
    go_on(e);
    works = sa_episode_works(e, &count);
    assert_int_equal(count, 3);
    say(e, 0, "Current IOU: 50");
    say(e, 1, "");
    say(e, 1, "");
    say(e, 2, "Current IOU: 70");
    go_on(e);
    assert_true(sa_episode_done(e));
    sa_result r;
    sa_error err;
    must(sa_episode_result(e, &r, &err), &err);
    assert_true(r.score == 0.7 && r.steps[0].predicted_iou == 0.4 && r.tree[2].predicted_iou == 0);
    sa_episode_counts c = sa_episode_get_counts(e);
    assert_true(c.thoughts == 4 && c.retried == 1 && c.failed == 1);
    sa_result_free(&r);
    sa_episode_close(e);
}

/* What think() has for a mask: its table's IoU, or that of its nonsense. */
static bool is_said(const sa_result_step *step)
{
    sa_mask mask;
    sa_error err;
    must(sa_rle_decode(&step->mask, &mask, &err), &err);
    double said = sa_philox_block(3, sa_mask_hash(&mask), 0).word[0] % 99 / 100.0;
    sa_mask_free(&mask);
    return fabs(step->predicted_iou - said) < 1e-9 || fabs(step->predicted_iou - 0.12) < 1e-9;
}

/* Scores are not the policy's: it is asked for its judgement of all that is told, and of no more. */
static void test_told(void **state)
{
    world *w = *state;
    size_t thoughts[2] = {0};
    for (size_t n = 0; n < 24; n++) {
        start_over(w, searches[n % 6], 3, 2);
        w->options.options.score = n / 6 % 2 == 0 ? SA_SCORE_TRUTH : SA_SCORE_SEGMENTER;
        w->options.judged = true;
        w->options.trace = n / 12 == 1;
        sa_episode *e = begin(w, NULL);
        play(e, w, n);
        thoughts[n / 12] += sa_episode_get_counts(e).thoughts;
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        for (size_t i = 0; i < r.step_count; i++) {
            assert_true(is_said(&r.steps[i]));
        }
        for (size_t i = 0; i < r.tree_count; i++) {
            assert_true(is_said(&r.tree[i]));
        }
        assert_true(r.score == r.steps[r.step].predicted_iou);
        sa_result_free(&r);
        sa_episode_close(e);
    }
    assert_true(thoughts[0] < thoughts[1]);
}

/* The truth is no prediction, where nobody made one; and a click that cannot be made is not asked for. */
static void test_not_told(void **state)
{
    world *w = *state;
    for (int policy = 0; policy < 2; policy++) {
        start_over(w, "greedy", 2, 1);
        w->options.policy = policy == 0 ? SA_POLICY_MODEL : SA_POLICY_ANNOTATOR;
        w->options.options.score = SA_SCORE_TRUTH;
        w->agent.judges = false;
        w->options.judged = true;
        sa_episode *e = begin(w, NULL);
        play(e, w, 0);
        assert_int_equal(sa_episode_get_counts(e).clicks, 2);
        assert_int_equal(sa_episode_get_counts(e).thoughts, policy == 0 ? 2 : 0);
        char *row = row_of(e);
        assert_non_null(strstr(row, "\"score\":null,"));
        assert_non_null(strstr(row, "\"predicted_iou\":null,"));
        assert_null(strstr(row, "\"predicted_iou\":0"));
        free(row);
        sa_episode_close(e);
    }
}

/* Behind the last click it is the IoU that is wanted: an answer without a click will do. */
static void test_last_judgement(void **state)
{
    world *w = *state;
    size_t count;
    for (int i = 0; i < 6; i++) {
        start_over(w, searches[i], 1, 1);
        sa_episode *e = begin(w, NULL);
        say(e, 0, "Current IOU: 5, Positive point: (500, 500)");
        assert_false(sa_episode_works(e, &count)[0].judgement);
        go_on(e);
        segment(e, w, 0);
        go_on(e);
        const sa_work *works = sa_episode_works(e, &count);
        assert_true(count == 1 && works[0].kind == SA_WORK_THINK && works[0].judgement);
        say(e, 0, "Positive point: (1, 1)");
        assert_true(works[0].open && works[0].forced);
        say(e, 0, "Current IOU: 66");
        assert_false(works[0].open);
        go_on(e);
        assert_true(sa_episode_done(e));
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        assert_true(r.step_count == 2 && r.step == 1 && r.score == 0.66);
        assert_int_equal(r.steps[1].parse, SA_PARSE_OK);
        sa_result_free(&r);
        sa_episode_close(e);
    }
}

/* An agent without a PRM is not asked, whatever is wanted. */
static void test_no_prm(void **state)
{
    world *w = *state;
    start_over(w, "prm-stop", 4, 1);
    w->agent.judges = false;
    w->options.policy = SA_POLICY_RANDOM;
    w->options.judged = true;
    sa_episode *e = begin(w, NULL);
    assert_int_equal(play(e, w, 0), 4);
    sa_episode_close(e);
}

static char *random_row(world *w, const char *id, uint64_t seed)
{
    start_over(w, "prm-greedy", 6, 4);
    w->options.policy = SA_POLICY_RANDOM;
    w->options.options.score = SA_SCORE_SEGMENTER;
    w->options.seed = seed;
    w->item.id = id;
    w->item.mask = &w->half; /* either sign changes it as often */
    sa_episode *e = begin(w, NULL);
    play(e, w, 0);
    char *row = row_of(e);
    sa_episode_close(e);
    return row;
}

/* Random clicks: of the whole picture and both signs; the id and the seed decide. */
static void test_random(void **state)
{
    world *w = *state;
    size_t positive = 0, clicks = 0, quarter[4] = {0};
    for (int n = 0; n < 20; n++) {
        char id[16];
        snprintf(id, sizeof id, "%d", n);
        char *one = random_row(w, id, 7), *again = random_row(w, id, 7), *other = random_row(w, id, 8);
        char *another = random_row(w, "another", 7);
        assert_string_equal(one, again);
        assert_string_not_equal(one, other);
        assert_string_not_equal(strchr(one, ','), strchr(another, ',')); /* behind the id */
        sa_result r;
        sa_error err;
        json_t *json;
        must(sa_json_parse("row", one, strlen(one), &json, &err), &err);
        must(sa_result_parse(&r, json, "row", &err), &err);
        for (size_t i = 1; i < r.tree_count; i++, clicks++) {
            const sa_result_step *s = &r.tree[i];
            assert_true(s->row >= 0 && s->row < HEIGHT && s->col >= 0 && s->col < WIDTH);
            positive += s->positive;
            quarter[(s->row >= HEIGHT / 2) * 2 + (s->col >= WIDTH / 2)]++;
        }
        json_decref(json);
        sa_result_free(&r);
        char *rows[] = {one, again, other, another};
        for (int i = 0; i < 4; i++) {
            free(rows[i]);
        }
    }
    assert_true(positive * 3 > clicks && positive * 3 < clicks * 2);
    for (int i = 0; i < 4; i++) {
        assert_true(quarter[i] * 8 > clicks);
    }
}

/* -- Ends -- */

static void test_stop(void **state)
{
    world *w = *state;
    for (int i = 0; i < 6; i++) {
        start_over(w, searches[i], 7, 2);
        sa_episode *e = begin(w, NULL);
        size_t count, clicks;
        for (int round = 0; round < 4 && !sa_episode_done(e); round++) {
            sa_episode_works(e, &count);
            for (size_t n = 0; n < 2 * count; n++) {
                const sa_work *work = &sa_episode_works(e, &count)[n % count];
                if (work->open && work->kind == SA_WORK_THINK) {
                    think(e, n % count);
                } else if (work->open) {
                    segment(e, w, n % count);
                }
            }
            go_on(e);
        }
        const sa_work *works = sa_episode_works(e, &count);
        clicks = sa_episode_get_counts(e).clicks;
        for (size_t n = 0; n < count; n++) { /* what is under way is carried out */
            clicks += works[n].kind == SA_WORK_CLICK;
        }
        sa_episode_stop(e);
        play(e, w, 0);
        assert_int_equal(sa_episode_get_counts(e).clicks, clicks);
        free(row_of(e));
        sa_episode_close(e);
    }
}

/* A mask that was given may be kept; an empty one is not, once there is another. */
static void test_given_mask(void **state)
{
    world *w = *state;
    for (int given = 0; given < 2; given++) {
        start_over(w, "prm-stop", 1, 1);
        w->item.mask = given == 1 ? &w->mask : NULL;
        sa_episode *e = begin(w, NULL);
        assert_int_equal(sa_mask_area(sa_episode_mask(e, 0)), given == 1 ? sa_mask_area(&w->mask) : 0);
        say(e, 0, "Current IOU: 90, Positive point: (900, 900)");
        go_on(e);
        segment(e, w, 0);
        go_on(e);
        say(e, 0, "Current IOU: 10, Positive point: (900, 900)");
        go_on(e);
        sa_result r;
        sa_error err;
        must(sa_episode_result(e, &r, &err), &err);
        assert_int_equal(r.step, given == 1 ? 0 : 1);
        assert_true(r.score == (given == 1 ? 0.9 : 0.1));
        assert_true(strcmp(r.id, "item 1") == 0 && strcmp(r.image, "a.png") == 0 &&
                    strcmp(r.text, "the disc") == 0);
        sa_result_free(&r);
        sa_episode_close(e);
    }
}

/* Close before anything was asked, and with answers that nobody took. */
static void test_close(void **state)
{
    world *w = *state;
    start_over(w, "prm-greedy", 3, 3);
    sa_episode *e = begin(w, NULL);
    sa_episode_close(e);
    e = begin(w, NULL);
    say(e, 1, "Current IOU: 1, Positive point: (1, 1)");
    sa_episode_close(e);
    e = begin(w, NULL);
    for (size_t i = 0; i < 3; i++) {
        say(e, i, "Current IOU: 1, Positive point: (900, 900)");
    }
    go_on(e);
    segment(e, w, 0);
    sa_episode_close(e);
    sa_episode_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forced),
        cmocka_unit_test(test_never_a_click),
        cmocka_unit_test(test_one_click),
        cmocka_unit_test(test_clamped),
        cmocka_unit_test(test_expected),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_candidate_order),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_annotator),
        cmocka_unit_test(test_annotator_begun),
        cmocka_unit_test(test_judged),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_not_told),
        cmocka_unit_test(test_last_judgement),
        cmocka_unit_test(test_no_prm),
        cmocka_unit_test(test_unjudged),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_given_mask),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
