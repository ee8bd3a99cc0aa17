#include "runtime/hlmat/answer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_spaces(const char *at)
{
    while (is_space(*at)) {
        at++;
    }
    return at;
}

/* Behind the phrase, if it stands at `at`: spaces of both are passed over. NULL if it does not. */
static const char *match(const char *at, const char *phrase)
{
    for (phrase = skip_spaces(phrase); *phrase != '\0'; phrase = skip_spaces(phrase + 1)) {
        at = skip_spaces(at);
        if (*at++ != *phrase) {
            return NULL;
        }
    }
    return at;
}

/* Behind the last of a phrase in a text; NULL if it is not there. */
static const char *find_last(const char *text, const char *phrase)
{
    const char *found = NULL;
    for (const char *at = text; *at != '\0'; at++) {
        const char *end = is_space(*at) ? NULL : match(at, phrase);
        found = end != NULL ? end : found;
    }
    return found;
}

/* A whole number, after spaces; false if there is none that fits. */
static bool read_whole(const char **at, long *out)
{
    char *end;
    errno = 0;
    *at = skip_spaces(*at);
    *out = strtol(*at, &end, 10);
    bool good = end != *at && errno == 0;
    *at = end;
    return good;
}

/* The first "(number, number)" behind `at`, with more numbers or not: a fraction, or one that was cut off,
 * would be another place. */
static bool read_place(const char *at, long place[2])
{
    size_t count = 0;
    at = strchr(at, '(');
    if (at == NULL) {
        return false;
    }
    do {
        long number;
        at++;
        if (!read_whole(&at, &number)) {
            return false;
        }
        if (count < 2) {
            place[count] = number;
        }
        count++;
        at = skip_spaces(at);
    } while (*at == ',');
    return *at == ')' && count >= 2;
}

static size_t to_pixel(const sa_agent *agent, long number, size_t side, bool *clamped)
{
    double scale = agent->action.scale, pixel = (double)number / scale * (double)side;
    if (agent->action.rounding == SA_ROUND_HALF_EVEN) {
        pixel = rint(pixel);
    } else {
        pixel = floor((double)number * (double)side / scale);
    }
    *clamped |= pixel < 0 || pixel > (double)side - 1;
    return pixel < 0 ? 0 : pixel > (double)side - 1 ? side - 1 : (size_t)pixel;
}

static void read_action(const sa_agent *agent, const char *text, size_t height, size_t width, sa_answer *out)
{
    long place[2];
    const char *positive = find_last(text, agent->action.positive);
    const char *behind = positive != NULL ? positive : find_last(text, agent->action.negative);
    if (behind == NULL || !read_place(behind, place)) {
        return;
    }
    bool row_first = agent->action.row_first;
    out->has_action = true;
    out->action.positive = positive != NULL;
    out->action.row = to_pixel(agent, place[row_first ? 0 : 1], height, &out->clamped);
    out->action.col = to_pixel(agent, place[row_first ? 1 : 0], width, &out->clamped);
}

/* Bytes of a number: digits, and perhaps a point with more digits; nothing that strtod knows besides. */
static size_t number_size(const char *at)
{
    size_t whole = strspn(at, "0123456789");
    size_t part = whole > 0 && at[whole] == '.' ? strspn(at + whole + 1, "0123456789") : 0;
    return whole + (part > 0 ? 1 + part : 0);
}

static void read_iou(const sa_agent *agent, const char *text, sa_answer *out)
{
    const char *at = agent->judges ? find_last(text, agent->prm.prefix) : NULL;
    if (at == NULL) {
        return;
    }
    at = skip_spaces(at);
    size_t digits = strspn(at, "0123456789"), all = number_size(at);
    if (digits == 0 || digits > 9) {
        return;
    }
    char number[64];
    snprintf(number, sizeof number, "%.*s", (int)(all < 60 ? all : 60), at);
    double iou = strtod(number, NULL) / agent->prm.scale;
    out->has_iou = true;
    out->iou = iou > 1 ? 1 : iou;
    out->digits = digits;
    out->iou_at = (size_t)(at - text);
}

sa_answer sa_answer_parse(const sa_agent *agent, const char *text, size_t height, size_t width)
{
    sa_answer answer = {0};
    read_action(agent, text, height, width, &answer);
    read_iou(agent, text, &answer);
    return answer;
}

/* ---- writing ---- */

/*
 * A number that is read as this pixel again, where numbers are as fine as pixels: the nearest to the pixel
 * itself where readings are rounded, the one below the pixel's middle where they are cut.
 */
static int to_number(const sa_agent *agent, size_t pixel, size_t side)
{
    double scale = agent->action.scale, number;
    if (agent->action.rounding == SA_ROUND_HALF_EVEN) {
        number = rint((double)pixel * scale / (double)side);
    } else {
        number = floor(((double)pixel + 0.5) * scale / (double)side);
        /* Where a pixel is hardly more than one number wide, that may be the pixel before. */
        number += floor(number * (double)side / scale) < (double)pixel;
    }
    return number > scale - 1 ? (int)scale - 1 : (int)number;
}

void sa_answer_write_action(const sa_agent *agent, const sa_action *action, size_t height, size_t width,
                            char *text, size_t size)
{
    int row = to_number(agent, action->row, height), col = to_number(agent, action->col, width);
    bool row_first = agent->action.row_first;
    snprintf(text, size, "%s (%d, %d)", action->positive ? agent->action.positive : agent->action.negative,
             row_first ? row : col, row_first ? col : row);
}

void sa_answer_write_iou(const sa_agent *agent, double iou, char *text, size_t size)
{
    double number = iou * agent->prm.scale;
    if (agent->prm.decimals == 0 && number > agent->prm.scale - 1) {
        number = agent->prm.scale - 1;
    }
    snprintf(text, size, "%s %.*f", agent->prm.prefix, agent->prm.decimals, number);
}

/* ---- the form ---- */

/* Digits of the largest number below `limit`. */
static int digits_below(int limit)
{
    int digits = 1;
    for (int most = limit - 1; most >= 10; most /= 10) {
        digits++;
    }
    return digits;
}

static sa_status add_prm(const sa_agent *agent, sa_grammar *g, sa_error *err)
{
    SA_TRY(sa_grammar_add_literal(g, agent->prm.prefix, err));
    SA_TRY(sa_grammar_add_literal(g, " ", err));
    SA_TRY(sa_grammar_add_number(g, digits_below(agent->prm.scale + 1 - (agent->prm.decimals == 0)),
                                 agent->prm.decimals, err));
    return sa_grammar_add_literal(g, ", ", err);
}

static sa_status add_action(const sa_agent *agent, sa_grammar *g, sa_error *err)
{
    int digits = digits_below(agent->action.scale);
    SA_TRY(sa_grammar_add_choice(g, agent->action.positive, agent->action.negative, err));
    SA_TRY(sa_grammar_add_literal(g, " (", err));
    SA_TRY(sa_grammar_add_number(g, digits, 0, err));
    SA_TRY(sa_grammar_add_literal(g, ", ", err));
    SA_TRY(sa_grammar_add_number(g, digits, 0, err));
    return sa_grammar_add_literal(g, ")", err);
}

sa_status sa_answer_grammar(const sa_agent *agent, sa_grammar **out, sa_error *err)
{
    sa_grammar *g;
    SA_TRY(sa_grammar_open(&g, err));
    sa_status status = sa_grammar_add_space(g, err);
    if (status == SA_OK && agent->judges) {
        status = add_prm(agent, g, err);
    }
    if (status == SA_OK) {
        status = add_action(agent, g, err);
    }
    if (status != SA_OK) {
        sa_grammar_close(g);
        return status;
    }
    *out = g;
    return SA_OK;
}

/* ---- the expected IoU ---- */

void sa_answer_digits_free(sa_answer_digits *d)
{
    free(d->ids);
    free(d->value);
    free(d->length);
    *d = (sa_answer_digits){0};
}

/* The number of a piece of one to four digits; the point counts as none, of length 0. */
static bool is_number_piece(const char *piece, size_t size, int32_t *value, int32_t *length)
{
    *value = 0;
    *length = 0;
    if (size == 1 && piece[0] == '.') {
        return true;
    }
    for (size_t i = 0; i < size; i++) {
        if (piece[i] < '0' || piece[i] > '9' || size > 4) {
            return false;
        }
        *value = *value * 10 + (piece[i] - '0');
    }
    *length = (int32_t)size;
    return size > 0;
}

sa_status sa_answer_find_digits(const sa_tokenizer *tokenizer, sa_answer_digits *d, sa_error *err)
{
    enum { MOST = 11111 };
    size_t ids = sa_tokenizer_size(tokenizer), size;
    *d = (sa_answer_digits){malloc(MOST * sizeof *d->ids), malloc(MOST * sizeof *d->value),
                            malloc(MOST * sizeof *d->length), 0};
    if (d->ids == NULL || d->value == NULL || d->length == NULL) {
        sa_answer_digits_free(d);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the tokens of digits");
    }
    for (size_t id = 0; id < ids && d->count < MOST; id++) {
        const char *piece = sa_tokenizer_piece(tokenizer, (int64_t)id, &size);
        if (piece != NULL && !sa_tokenizer_is_special(tokenizer, (int64_t)id) &&
            is_number_piece(piece, size, &d->value[d->count], &d->length[d->count])) {
            d->ids[d->count++] = (int32_t)id;
        }
    }
    return SA_OK;
}

static size_t place_of(const sa_answer_digits *d, int32_t token)
{
    size_t i = 0;
    while (i < d->count && d->ids[i] != token) {
        i++;
    }
    return i;
}

/* Do the tokens spell the number at `at`, all of it, with or without a point behind it? */
static bool spell(const sa_answer_digits *d, const int32_t *taken, size_t probed, const char *at)
{
    const char *end = at + number_size(at);
    for (size_t t = 0; t < probed; t++) {
        size_t i = place_of(d, taken[t]);
        char piece[16];
        if (i == d->count) {
            return false;
        }
        snprintf(piece, sizeof piece, "%0*d", (int)d->length[i], (int)d->value[i]);
        const char *text = d->length[i] == 0 ? "." : piece;
        if (strncmp(at, text, strlen(text)) != 0) {
            return false;
        }
        at += strlen(text);
    }
    return at == end || at == end + 1;
}

/* Mean of the numbers that might stand where one of `length` digits does. */
static double mean_value(const sa_answer_digits *d, int32_t length, const float *logits)
{
    double largest = -INFINITY, sum = 0, weighted = 0;
    for (size_t i = 0; i < d->count; i++) {
        largest = d->length[i] == length && logits[i] > largest ? logits[i] : largest;
    }
    for (size_t i = 0; i < d->count; i++) {
        if (d->length[i] == length) {
            double chance = exp(logits[i] - largest);
            sum += chance;
            weighted += chance * d->value[i];
        }
    }
    return weighted / sum;
}

double sa_answer_expected_iou(const sa_agent *agent, const sa_answer *answer, const char *text,
                              const sa_answer_digits *d, const int32_t *taken, const float *logits,
                              size_t probed)
{
    bool full = agent->prm.scale == 100 && answer->digits > 2;
    if (!answer->has_iou || full || probed == 0 || !spell(d, taken, probed, text + answer->iou_at)) {
        return answer->iou;
    }
    double value = 0, unit = pow(10, (double)answer->digits) / agent->prm.scale;
    for (size_t t = 0; t < probed; t++) {
        int32_t length = d->length[place_of(d, taken[t])];
        if (length > 0) {
            unit /= pow(10, length);
            value += unit * mean_value(d, length, logits + t * d->count);
        }
    }
    return value < 0 ? 0 : value > 1 ? 1 : value;
}
