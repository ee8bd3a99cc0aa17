/*
 * What a policy writes and what it means: the IoU of the mask that it sees, and the next click.
 *
 *   "Current IOU: 57, Positive point: (175, 483)" -> sa_answer_parse -> an IoU, a click in pixels
 *
 * Words, order, scale and rounding are the agent's (agent.h). Spaces may be more or fewer than it writes.
 */
#ifndef SA_HLMAT_ANSWER_H
#define SA_HLMAT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/hlmat/agent.h"
#include "runtime/text/grammar.h"
#include "runtime/text/tokenizer.h"

/* A click on a pixel of the picture. */
typedef struct {
    bool positive;
    size_t row, col;
} sa_action;

typedef struct {
    bool has_action;
    sa_action action;
    bool clamped; /* the place was outside of the picture by one pixel or more */
    bool has_iou;
    double iou;    /* as printed, within 0 .. 1 */
    size_t digits; /* of the number before its point, which begins at: */
    size_t iou_at; /* byte of the text */
} sa_answer;

/*
 * Reads an answer for a picture of height x width. As the released parser has it (MODEL_SPECS 7.3): the
 * positive word anywhere makes the click positive, else the negative one must be there; the place is the
 * first "(...)" behind it, of two whole numbers or more. Where both words occur, the place is that of the
 * last positive one (there: of the last word of the two). The IoU is the number behind the last of the PRM's
 * prefix, with or without "%".
 */
sa_answer sa_answer_parse(const sa_agent *agent, const char *text, size_t height, size_t width);

/* The click as the agent writes it, without an IoU: for training data. `size` of at least 256. */
void sa_answer_write_action(const sa_agent *agent, const sa_action *action, size_t height, size_t width,
                            char *text, size_t size);
/* "Current IOU: 57" for an IoU of 0 .. 1. A form without decimals ends below its scale: 99, not 100. */
void sa_answer_write_iou(const sa_agent *agent, double iou, char *text, size_t size);

/* The form of an answer, for those that must have it. */
sa_status sa_answer_grammar(const sa_agent *agent, sa_grammar **grammar, sa_error *err);

/*
 * The tokens of digits, whose logits tell what other numbers the policy might have said: sa_generate_options
 * .probes. `value` [count] is each one's number, `length` its digits. The caller frees all three.
 */
typedef struct {
    int32_t *ids;
    int32_t *value;
    int32_t *length;
    size_t count;
} sa_answer_digits;

sa_status sa_answer_find_digits(const sa_tokenizer *tokenizer, sa_answer_digits *digits, sa_error *err);
void sa_answer_digits_free(sa_answer_digits *digits);

/*
 * The expected IoU, from the logits [probed, digits->count] at the tokens `taken` [probed] of the number:
 * each token's mean over all of its length, given the ones before it. The printed IoU where these tokens are
 * not the number that the answer holds, and for 100 %, which says nothing of numbers with fewer digits.
 */
double sa_answer_expected_iou(const sa_agent *agent, const sa_answer *answer, const char *text,
                              const sa_answer_digits *digits, const int32_t *taken, const float *logits,
                              size_t probed);

#endif
