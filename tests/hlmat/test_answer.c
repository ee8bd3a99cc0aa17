/*
 * Answers: how they are read (MODEL_SPECS 7.2-7.4, with the agent's own words), that every pixel comes back
 * through its text, the form that all of them have, the expected IoU by its formula.
 */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/hlmat/answer.h"

static sa_agent usual_agent(void)
{
    return (sa_agent){.action = {.positive = "Positive point:",
                                 .negative = "Negative point:",
                                 .row_first = true,
                                 .scale = 1000,
                                 .rounding = SA_ROUND_HALF_EVEN},
                      .judges = true,
                      .prm = {.prefix = "Current IOU:", .scale = 100}};
}

/* -- Clicks -- */

typedef struct {
    const char *text;
    int sign; /* 1, -1; 0: no click */
    size_t row, col;
    bool clamped;
} click_case;

static void check_clicks(const sa_agent *agent, size_t height, size_t width, const click_case *cases,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const click_case *c = &cases[i];
        sa_answer a = sa_answer_parse(agent, c->text, height, width);
        int sign = !a.has_action ? 0 : a.action.positive ? 1 : -1;
        bool same =
            sign == c->sign &&
            (sign == 0 || (a.action.row == c->row && a.action.col == c->col && a.clamped == c->clamped));
        if (!same) {
            fail_msg("\"%s\": sign %d, row %zu, col %zu, clamped %d", c->text, sign, a.action.row,
                     a.action.col, a.clamped);
        }
    }
}

static void test_forms(void **state)
{
    (void)state;
    static const click_case cases[] = {
        {"Positive point: (500, 250)", 1, 50, 50, false},
        {"Negative point: (500, 250)", -1, 50, 50, false},
        {" Positive point: (500, 250)", 1, 50, 50, false},
        {"<ref>a cat</ref><box>(1,2),(3,4)</box> Positive point: (500, 250)", 1, 50, 50, false},
        {"Current IOU: 85.2, Positive point: (500, 250)", 1, 50, 50, false},
        {"Current IOU: 85.2, Predicted next IOU: 90, Positive point: (500, 250)", 1, 50, 50, false},
        /* Spaces */
        {"Positive point:(500,250)", 1, 50, 50, false},
        {"  Positive\n point :  (  500 ,\t250  )  ", 1, 50, 50, false},
        {"Positivepoint: somewhere (500, 250)", 1, 50, 50, false},
        /* The word and the place */
        {"positive point: (500, 250)", 0, 0, 0, false},
        {"Positive (500, 250)", 0, 0, 0, false},
        {"(500, 250)", 0, 0, 0, false},
        {"(500, 250) Positive point:", 0, 0, 0, false},
        {"Finish", 0, 0, 0, false},
        {"", 0, 0, 0, false},
        {"Positive point:", 0, 0, 0, false},
        {"Positive point: (", 0, 0, 0, false},
        {"Positive point: ()", 0, 0, 0, false},
        {"Positive point: (500", 0, 0, 0, false},
        {"Positive point: (500)", 0, 0, 0, false},
        {"Positive point: (500,", 0, 0, 0, false},
        {"Positive point: (500,)", 0, 0, 0, false},
        {"Positive point: (500, 25", 0, 0, 0, false}, /* cut off: 250, perhaps */
        {"Positive point: (500 250)", 0, 0, 0, false},
        {"Positive point: 500, 250", 0, 0, 0, false},
        {"Positive point: [500, 250]", 0, 0, 0, false},
        {"Positive point: (a, b)", 0, 0, 0, false},
        {"Positive point: (a, b) (500, 250)", 0, 0, 0, false},
        {"Positive point: ((500, 250))", 0, 0, 0, false},
        {"\xff\xfe\xc3 Positive point: \x01 (500, 250)\x80", 1, 50, 50, false},
        /* The last of a word, the first place behind it; the positive word wins */
        {"Positive point: (1, 1), Positive point: (500, 250)", 1, 50, 50, false},
        {"Positive point: (500, 250), (1, 1)", 1, 50, 50, false},
        {"Negative point: (1, 1), Positive point: (500, 250)", 1, 50, 50, false},
        {"Positive point: (500, 250), Negative point: (1, 1)", 1, 50, 50, false},
        {"Negative point: (1, 1), Negative point: (500, 250)", -1, 50, 50, false},
        {"Positive point: (500, 250) Positive point: none", 0, 0, 0, false},
    };
    sa_agent agent = usual_agent();
    check_clicks(&agent, 100, 200, cases, sizeof cases / sizeof cases[0]);
}

static void test_numbers(void **state)
{
    (void)state;
    static const click_case cases[] = {
        {"Positive point: (500, 250, 3)", 1, 50, 50, false},
        {"Positive point: (500, 250, 3, 4)", 1, 50, 50, false},
        {"Positive point: (500, 250, x)", 0, 0, 0, false},
        {"Positive point: (500, 250.5)", 0, 0, 0, false},
        {"Positive point: (0.5, 0.25)", 0, 0, 0, false},
        {"Positive point: (50%, 25%)", 0, 0, 0, false},
        {"Positive point: (+500, +250)", 1, 50, 50, false},
        {"Positive point: (0500, 00250)", 1, 50, 50, false},
        {"Positive point: (0x10, 250)", 0, 0, 0, false},
        {"Positive point: (1e2, 250)", 0, 0, 0, false},
        /* Beyond the picture */
        {"Positive point: (-500, 250)", 1, 0, 50, true},
        {"Positive point: (500, -1000000)", 1, 50, 0, true},
        {"Positive point: (1000, 1000)", 1, 99, 199, true},
        {"Positive point: (2000, 250)", 1, 99, 50, true},
        {"Positive point: (500, 9223372036854775807)", 1, 50, 199, true},
        {"Positive point: (-9223372036854775808, 250)", 1, 0, 50, true},
        {"Positive point: (500, 9223372036854775808)", 0, 0, 0, false},
        {"Positive point: (500, 99999999999999999999999999999999999999999999999999999)", 0, 0, 0, false},
    };
    sa_agent agent = usual_agent();
    check_clicks(&agent, 100, 200, cases, sizeof cases / sizeof cases[0]);
}

/* Halves go to even numbers; the last number of the scale may be one too far (MODEL_SPECS 7.4). */
static void test_half_even(void **state)
{
    (void)state;
    static const click_case cases[] = {
        {"Positive point: (25, 75)", 1, 0, 2, false},     /* 0.5, 1.5 */
        {"Positive point: (125, 175)", 1, 2, 4, false},   /* 2.5, 3.5 */
        {"Positive point: (-25, 10)", 1, 0, 0, false},    /* -0.5 is 0 */
        {"Positive point: (-26, 10)", 1, 0, 0, true},     /* -0.52 is -1 */
        {"Positive point: (999, 974)", 1, 19, 19, true},  /* 19.98, 19.48 */
        {"Positive point: (974, 974)", 1, 19, 19, false}, /* 19.48 */
        {"Positive point: (975, 974)", 1, 19, 19, true},  /* 19.5 is 20 */
    };
    sa_agent agent = usual_agent();
    check_clicks(&agent, 20, 20, cases, sizeof cases / sizeof cases[0]);
    static const click_case large[] = {{"Positive point: (999, 999)", 1, 479, 639, true},
                                       {"Positive point: (998, 999)", 1, 479, 639, false}};
    check_clicks(&agent, 480, 640, large, 2);
}

static void test_floor(void **state)
{
    (void)state;
    static const click_case cases[] = {
        {"Positive point: (0, 49)", 1, 0, 0, false},     {"Positive point: (50, 99)", 1, 1, 1, false},
        {"Positive point: (100, 949)", 1, 2, 18, false}, {"Positive point: (950, 999)", 1, 19, 19, false},
        {"Positive point: (1000, -1)", 1, 19, 0, true},
    };
    sa_agent agent = usual_agent();
    agent.action.rounding = SA_ROUND_FLOOR;
    check_clicks(&agent, 20, 20, cases, sizeof cases / sizeof cases[0]);
}

/* Other words, the other order, another scale. */
static void test_other_agent(void **state)
{
    (void)state;
    static const click_case cases[] = {
        {"add <box> (50, 10)", 1, 10, 100, false},  {"take away(50,10)", -1, 10, 100, false},
        {"takeaway: (50, 10)", -1, 10, 100, false}, {"Positive point: (50, 10)", 0, 0, 0, false},
        {"a d d (99, 99)", 1, 99, 198, false},
    };
    sa_agent agent = usual_agent();
    snprintf(agent.action.positive, sizeof agent.action.positive, "add");
    snprintf(agent.action.negative, sizeof agent.action.negative, "take away");
    agent.action.row_first = false;
    agent.action.scale = 100;
    check_clicks(&agent, 100, 200, cases, sizeof cases / sizeof cases[0]);
}

/* -- IoUs -- */

typedef struct {
    const char *text;
    double iou; /* < 0: none */
    size_t digits;
} iou_case;

static void check_ious(const sa_agent *agent, const iou_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const iou_case *c = &cases[i];
        sa_answer a = sa_answer_parse(agent, c->text, 10, 10);
        bool same = a.has_iou == (c->iou >= 0);
        same = same && (!a.has_iou || (fabs(a.iou - c->iou) < 1e-15 && a.digits == c->digits &&
                                       strspn(c->text + a.iou_at, "0123456789") == c->digits));
        if (!same) {
            fail_msg("\"%s\": %d, IoU %.17g, %zu digits at %zu", c->text, a.has_iou, a.iou, a.digits,
                     a.iou_at);
        }
    }
}

static void test_ious(void **state)
{
    (void)state;
    static const iou_case cases[] = {
        {"Current IOU: 57, Positive point: (1, 2)", 0.57, 2},
        {"Current IOU: 85.2, Positive point: (1, 2)", 0.852, 2},
        {"Current IOU: 57%", 0.57, 2},
        {"Current IOU: 57.25 %.", 0.5725, 2},
        {"Current IOU: 57.", 0.57, 2},
        {"Current IOU:57", 0.57, 2},
        {" CurrentIOU :\n 057", 0.57, 3},
        {"Current IOU: 0", 0, 1},
        {"Current IOU: 100", 1, 3},
        {"Current IOU: 250", 1, 3},
        {"Current IOU: 999999999", 1, 9},
        {"Current IOU: 0.123456789012345678901234567890123456789012345678901234567890123456789",
         0.00123456789012345678, 1},
        {"Current IOU: 10, Current IOU: 57", 0.57, 2}, /* the last */
        {"Current IOU: 57, Predicted next IOU: 90", 0.57, 2},
        {"Current IOU: 9999999999", -1, 0}, /* no number of ours */
        {"Current IOU: -5", -1, 0},
        {"Current IOU: .5", -1, 0},
        {"Current IOU: nan", -1, 0},
        {"Current IOU: inf", -1, 0},
        {"Current IOU:", -1, 0},
        {"IOU: 57", -1, 0},
        {"57", -1, 0},
        {"", -1, 0},
    };
    static const iou_case fractions[] = {{"Current IOU: 0.57", 0.57, 1}, {"Current IOU: 1.00", 1, 1},
                                         {"Current IOU: 0", 0, 1},       {"Current IOU: 57", 1, 2},
                                         {"Current IOU: 0x1p3", 0, 1},   {"Current IOU: 0e5", 0, 1}};
    sa_agent agent = usual_agent();
    check_ious(&agent, cases, sizeof cases / sizeof cases[0]);
    agent.prm.scale = 1;
    check_ious(&agent, fractions, sizeof fractions / sizeof fractions[0]);
    agent.judges = false;
    assert_false(sa_answer_parse(&agent, "Current IOU: 0.57", 10, 10).has_iou);
}

/* -- What is written is read again -- */

static sa_answer through_text(const sa_agent *agent, const sa_action *action, size_t height, size_t width)
{
    char text[256];
    sa_answer_write_action(agent, action, height, width, text, sizeof text);
    sa_answer a = sa_answer_parse(agent, text, height, width);
    if (!a.has_action || a.clamped || a.action.positive != action->positive) {
        fail_msg("\"%s\" of %zu, %zu in %zux%zu is read as another", text, action->row, action->col, height,
                 width);
    }
    return a;
}

/* A side with no more pixels than the scale has numbers: all of them. */
static void check_every_pixel(const sa_agent *agent, size_t side)
{
    for (size_t p = 0; p < side; p++) {
        const sa_action action = {.positive = p % 2 == 0, .row = p, .col = side - 1 - p};
        sa_answer a = through_text(agent, &action, side, side);
        if (a.action.row != action.row || a.action.col != action.col) {
            fail_msg("side %zu, scale %d, rounding %d: %zu, %zu became %zu, %zu", side, agent->action.scale,
                     (int)agent->action.rounding, action.row, action.col, a.action.row, a.action.col);
        }
    }
}

/* More pixels than numbers: no further off than one number is wide. */
static void check_near(const sa_agent *agent, size_t side)
{
    double wide = ceil((double)side / agent->action.scale);
    for (size_t p = 0; p < side; p += 1 + side / 5000) {
        const sa_action action = {.row = p, .col = 0};
        sa_answer a = through_text(agent, &action, side, 1);
        assert_true(fabs((double)a.action.row - (double)p) <= wide);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sides[] = {1,   2,   3,   7,   31,  100, 255, 256, 333, 480, 499, 500,
                                   501, 640, 667, 749, 751, 833, 900, 997, 998, 999, 1000};
    static const int scales[] = {1000, 1024, 10000};
    for (int c = 0; c < 12; c++) {
        sa_agent agent = usual_agent();
        agent.action.scale = scales[c % 3];
        agent.action.rounding = c / 3 % 2 == 0 ? SA_ROUND_HALF_EVEN : SA_ROUND_FLOOR;
        agent.action.row_first = c / 6 == 0;
        for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
            check_every_pixel(&agent, sides[i]);
        }
        check_near(&agent, 1001);
        check_near(&agent, 4000);
        check_near(&agent, 30011);
    }
}

/* Row and column by sides of their own. */
static void test_two_sides(void **state)
{
    (void)state;
    sa_agent agent = usual_agent();
    for (uint64_t n = 0; n < 2000; n++) {
        sa_philox r = sa_philox_block(4, n, 0);
        size_t height = 1 + r.word[0] % 1000, width = 1 + r.word[1] % 1000;
        const sa_action action = {r.word[2] & 1, r.word[2] / 2 % height, r.word[3] % width};
        agent.action.rounding = n % 2 == 0 ? SA_ROUND_HALF_EVEN : SA_ROUND_FLOOR;
        agent.action.row_first = n % 4 < 2;
        sa_answer a = through_text(&agent, &action, height, width);
        assert_int_equal(a.action.row, action.row);
        assert_int_equal(a.action.col, action.col);
    }
}

static void test_ious_round_trip(void **state)
{
    (void)state;
    static const int forms[][2] = {{100, 0}, {100, 1}, {100, 3}, {1, 1}, {1, 2}, {1, 6}};
    char text[256];
    for (int f = 0; f < 6; f++) {
        sa_agent agent = usual_agent();
        agent.prm.scale = forms[f][0];
        agent.prm.decimals = forms[f][1];
        double step = 1 / (agent.prm.scale * pow(10, agent.prm.decimals)), most = 0;
        for (int i = 0; i <= 1000; i++) {
            double iou = i / 1000.0;
            sa_answer_write_iou(&agent, iou, text, sizeof text);
            sa_answer a = sa_answer_parse(&agent, text, 10, 10);
            assert_true(a.has_iou);
            most = fmax(most, fabs(a.iou - iou));
        }
        assert_true(most <= (f == 0 ? step : step / 2) + 1e-12); /* f == 0: 1 is written as 99 */
    }
}

/* -- The form of an answer -- */

static bool takes(const sa_grammar *g, const char *text)
{
    return sa_grammar_accepts(g, sa_grammar_step(g, SA_GRAMMAR_BEGIN, text, strlen(text)));
}

/* A random walk through the form: any byte that keeps it alive, until it is whole. */
static void walk(const sa_grammar *g, uint64_t seed, char *text, size_t size)
{
    int at = SA_GRAMMAR_BEGIN;
    size_t length = 0;
    for (uint64_t step = 0; !sa_grammar_accepts(g, at); step++) {
        uint32_t from = sa_philox_block(5, seed, step).word[0] % 255;
        int next = SA_GRAMMAR_DEAD;
        char byte = 0;
        for (uint32_t i = 0; i < 255 && next == SA_GRAMMAR_DEAD; i++) {
            byte = (char)(1 + (from + i) % 255);
            next = sa_grammar_step(g, at, &byte, 1);
        }
        assert_true(next != SA_GRAMMAR_DEAD && length + 1 < size);
        at = next;
        text[length++] = byte;
    }
    text[length] = '\0';
}

static sa_agent agent_form(unsigned n)
{
    static const char *const signs[][2] = {
        {"Positive point:", "Negative point:"}, {"+", "-"}, {"add at", "cut at"}, {"point in", "point out"}};
    static const int prms[][2] = {{0, 0}, {100, 0}, {100, 2}, {1, 2}};
    sa_agent a = usual_agent();
    snprintf(a.action.positive, sizeof a.action.positive, "%s", signs[n % 4][0]);
    snprintf(a.action.negative, sizeof a.action.negative, "%s", signs[n % 4][1]);
    a.action.scale = (const int[]){2, 10, 11, 1000, 1024, 100000}[n / 4 % 6];
    a.action.row_first = n % 2 == 0;
    a.action.rounding = n / 2 % 2 == 0 ? SA_ROUND_FLOOR : SA_ROUND_HALF_EVEN;
    a.judges = prms[n / 24 % 4][0] != 0;
    a.prm.scale = prms[n / 24 % 4][0];
    a.prm.decimals = prms[n / 24 % 4][1];
    return a;
}

/* All that the agent writes has its form. */
static void check_written(const sa_agent *agent, const sa_grammar *g, uint64_t seed)
{
    sa_philox r = sa_philox_block(6, seed, 0);
    size_t height = 1 + r.word[0] % 2000, width = 1 + r.word[1] % 2000;
    const sa_action action = {r.word[2] & 1, r.word[2] / 2 % height, r.word[3] % width};
    char click[256], iou[256] = "", text[600];
    sa_answer_write_action(agent, &action, height, width, click, sizeof click);
    if (agent->judges) {
        sa_answer_write_iou(agent, seed == 0 ? 1 : sa_philox_unit(r.word[0]), iou, sizeof iou);
    }
    snprintf(text, sizeof text, "%s%s%s", iou, agent->judges ? ", " : "", click);
    if (!takes(g, text)) {
        fail_msg("\"%s\" has not the form", text);
    }
    memmove(text + 1, text, strlen(text) + 1);
    text[0] = ' ';
    assert_true(takes(g, text));
    text[strlen(text) - 1] = '\0';
    assert_false(takes(g, text));
}

static void test_grammar(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 96; n++) {
        sa_agent agent = agent_form(n);
        sa_grammar *g;
        assert_int_equal(sa_answer_grammar(&agent, &g, NULL), SA_OK);
        for (uint64_t i = 0; i < 50; i++) {
            char text[600];
            check_written(&agent, g, n == 0 ? i : n * 50 + i * (i > 0));
            walk(g, n * 50 + i, text, sizeof text);
            sa_answer a = sa_answer_parse(&agent, text, 100, 200);
            if (!a.has_action || a.has_iou != agent.judges) {
                fail_msg("\"%s\" has the form, and is not read", text);
            }
        }
        sa_grammar_close(g);
    }
}

/* The longest words that an agent may have fit. */
static void test_longest_words(void **state)
{
    (void)state;
    sa_agent agent = usual_agent();
    sa_grammar *g;
    memset(agent.action.positive, 'p', SA_AGENT_WORDS - 1);
    memset(agent.action.negative, 'n', SA_AGENT_WORDS - 1);
    memset(agent.prm.prefix, 'i', SA_AGENT_WORDS - 1);
    agent.prm.decimals = 6;
    agent.action.scale = 100000;
    assert_int_equal(sa_answer_grammar(&agent, &g, NULL), SA_OK);
    check_written(&agent, g, 0);
    sa_grammar_close(g);
}

/* -- The expected IoU -- */

static const char *const pieces[] = {"<0>", "0", "1",  "2",  "3",   "4", "5", "6",     "7", "8",
                                     "9",   ".", "42", "57", "100", "a", ",", "12345", "7,"};

enum { PIECES = sizeof pieces / sizeof pieces[0], DIGITS = 14, MOST_TOKENS = 8 };

static sa_answer_digits find_digits(void)
{
    char json[2048];
    int at =
        snprintf(json, sizeof json,
                 "{\"added_tokens\":[{\"id\":40,\"content\":\"77\",\"special\":true}],\"normalizer\":null,"
                 "\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":null,"
                 "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"<0>\",\"vocab\":{");
    for (int i = 0; i < PIECES; i++) {
        at += snprintf(json + at, sizeof json - (size_t)at, "%s\"%s\":%d", i > 0 ? "," : "", pieces[i], i);
    }
    snprintf(json + at, sizeof json - (size_t)at, "}}}");
    sa_tokenizer *tokenizer = NULL;
    sa_answer_digits d;
    sa_error err;
    if (sa_tokenizer_parse_json(&tokenizer, "test", json, strlen(json), &err) != SA_OK) {
        fail_msg("%s", err.reason);
    }
    assert_int_equal(sa_answer_find_digits(tokenizer, &d, NULL), SA_OK);
    sa_tokenizer_close(tokenizer);
    return d;
}

static void test_digits(void **state)
{
    (void)state;
    sa_answer_digits d = find_digits();
    assert_int_equal(d.count, DIGITS);
    for (int i = 0; i < DIGITS; i++) { /* tokens 1 .. 14, in their order */
        bool point = pieces[1 + i][0] == '.';
        assert_int_equal(d.ids[i], 1 + i);
        assert_int_equal(d.length[i], point ? 0 : (int)strlen(pieces[1 + i]));
        assert_int_equal(d.value[i], atoi(point ? "0" : pieces[1 + i]));
    }
    sa_answer_digits_free(&d);
    sa_answer_digits_free(&d);
}

/* The formula, token by token: sum of chance * value over pieces of the same length, at its place. */
static double plain_expected(const int32_t *taken, size_t count, const float *logits, int digits, int scale)
{
    double value = 0, place = pow(10, digits);
    for (size_t t = 0; t < count; t++) {
        const char *piece = pieces[taken[t]];
        if (piece[0] == '.') {
            continue;
        }
        double sum = 0, weighted = 0;
        for (int i = 0; i < DIGITS; i++) {
            const char *other = pieces[1 + i];
            if (other[0] != '.' && strlen(other) == strlen(piece)) {
                sum += exp((double)logits[t * DIGITS + (size_t)i]);
                weighted += exp((double)logits[t * DIGITS + (size_t)i]) * atoi(other);
            }
        }
        place /= pow(10, (double)strlen(piece));
        value += place * weighted / sum;
    }
    value /= scale;
    return value > 1 ? 1 : value;
}

typedef struct {
    const char *text; /* behind "Current IOU: " */
    int scale;
    int32_t taken[MOST_TOKENS];
    size_t count;
    bool counts; /* false: the tokens are not the number; the printed one is it */
} expected_case;

static void check_mean(const expected_case *c, const sa_answer_digits *d, uint64_t seed)
{
    float logits[MOST_TOKENS * DIGITS];
    char text[128];
    sa_agent agent = usual_agent();
    agent.prm.scale = c->scale;
    snprintf(text, sizeof text, "Current IOU: %s", c->text);
    check_fill_normal(logits, MOST_TOKENS * DIGITS, 3, seed);
    sa_answer a = sa_answer_parse(&agent, text, 10, 10);
    double got = sa_answer_expected_iou(&agent, &a, text, d, c->taken, logits, c->count);
    double want = c->counts ? plain_expected(c->taken, c->count, logits, (int)a.digits, c->scale) : a.iou;
    if (!(fabs(got - want) <= 1e-12)) {
        fail_msg("\"%s\": %.17g, not %.17g", c->text, got, want);
    }
    assert_true(!c->counts || want == 1 || fabs(got - a.iou) > 1e-6); /* the logits have a say */
}

static void test_expected(void **state)
{
    (void)state;
    /* Tokens: the digit n is 1 + n, 11 ".", 12 "42", 13 "57", 14 "100", 18 "7," */
    static const expected_case cases[] = {
        {"57, P", 100, {6, 8}, 2, true},
        {"5, P", 100, {6}, 1, true},
        {"05", 100, {1, 6}, 2, true},
        {"57%", 100, {13}, 1, true},
        {"57", 100, {13}, 1, true},
        {"57.25", 100, {6, 8, 11, 3, 6}, 5, true},
        {"42.57", 100, {12, 11, 13}, 3, true},
        {"57.", 100, {6, 8, 11}, 3, true},
        {"57. P", 100, {6, 8}, 2, true},
        {"0.87", 1, {1, 11, 9, 8}, 4, true},
        {"1.00", 1, {2, 11, 1, 1}, 4, true},
        {"100", 100, {14}, 1, false}, /* says nothing of others */
        {"100", 100, {2, 1, 1}, 3, false},
        {"57", 100, {6, 7}, 2, false}, /* other tokens than the text */
        {"57", 100, {6}, 1, false},    /* less of them: "7," was one token */
        {"0.87", 1, {1}, 1, false},
        {"57", 100, {6, 8, 2}, 3, false}, /* more */
        {"57", 100, {6, 18}, 2, false},   /* one that is no digit */
        {"57", 100, {0}, 0, false},       /* none */
    };
    sa_answer_digits d = find_digits();
    for (uint64_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint64_t n = 0; n < 20; n++) {
            check_mean(&cases[i], &d, i * 20 + n);
        }
    }
    sa_answer_digits_free(&d);
}

/* All mass on what was said: that is the expectation. Large logits do not overflow. */
static void test_certain(void **state)
{
    (void)state;
    sa_answer_digits d = find_digits();
    sa_agent agent = usual_agent();
    const char *text = "Current IOU: 57";
    const int32_t taken[2] = {6, 8};
    float logits[2 * DIGITS] = {0};
    logits[5] = logits[DIGITS + 7] = 3e4f;
    sa_answer a = sa_answer_parse(&agent, text, 10, 10);
    assert_true(fabs(sa_answer_expected_iou(&agent, &a, text, &d, taken, logits, 2) - 0.57) < 1e-15);
    sa_answer none = sa_answer_parse(&agent, "Positive point: (1, 2)", 10, 10);
    assert_true(sa_answer_expected_iou(&agent, &none, "", &d, taken, logits, 2) == 0);
    sa_answer_digits_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),           cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_half_even),       cmocka_unit_test(test_floor),
        cmocka_unit_test(test_other_agent),     cmocka_unit_test(test_ious),
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_two_sides),
        cmocka_unit_test(test_ious_round_trip), cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_longest_words),   cmocka_unit_test(test_digits),
        cmocka_unit_test(test_expected),        cmocka_unit_test(test_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
