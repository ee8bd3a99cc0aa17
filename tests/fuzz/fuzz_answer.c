/*
 * Arbitrary text as a policy's answer, read by agents of different forms: places inside the picture, IoUs
 * within 0 .. 1; what has the agent's form is read, and what was read is read again after it is written.
 *
 * The first byte chooses the agent, the next two the picture's size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/hlmat/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sa_agent agent_of(uint8_t choice)
{
    sa_agent a = {.action = {.positive = "Positive point:",
                             .negative = "Negative point:",
                             .row_first = (choice & 1) == 0,
                             .scale = (choice & 2) == 0 ? 1000 : 300,
                             .rounding = (choice & 4) == 0 ? SA_ROUND_HALF_EVEN : SA_ROUND_FLOOR},
                  .judges = (choice & 8) == 0,
                  .prm = {.prefix = "Current IOU:", .scale = 100}};
    if ((choice & 16) != 0) {
        snprintf(a.action.positive, sizeof a.action.positive, "+");
        snprintf(a.action.negative, sizeof a.action.negative, "- a t");
        snprintf(a.prm.prefix, sizeof a.prm.prefix, "IoU");
        a.prm.scale = 1;
        a.prm.decimals = 2;
    }
    return a;
}

static void check_again(const sa_agent *agent, const sa_answer *a, size_t height, size_t width)
{
    char text[256];
    sa_answer_write_action(agent, &a->action, height, width, text, sizeof text);
    sa_answer again = sa_answer_parse(agent, text, height, width);
    SA_ASSERT(again.has_action && again.action.positive == a->action.positive && !again.clamped);
    SA_ASSERT(height > (size_t)agent->action.scale || again.action.row == a->action.row);
    SA_ASSERT(width > (size_t)agent->action.scale || again.action.col == a->action.col);
    if (a->has_iou) {
        sa_answer_write_iou(agent, a->iou, text, sizeof text);
        again = sa_answer_parse(agent, text, height, width);
        SA_ASSERT(again.has_iou && again.iou - a->iou < 0.011 && a->iou - again.iou < 0.011);
    }
}

static void check_form(const sa_agent *agent, const sa_answer *a, const char *text)
{
    sa_grammar *g;
    if (sa_answer_grammar(agent, &g, NULL) != SA_OK) {
        return; /* no memory */
    }
    bool formed = sa_grammar_accepts(g, sa_grammar_step(g, SA_GRAMMAR_BEGIN, text, strlen(text)));
    SA_ASSERT(!formed || (a->has_action && a->has_iou == agent->judges));
    sa_grammar_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    sa_agent agent = agent_of(data[0]);
    size_t height = 1 + (size_t)data[1] * 4, width = 1 + (size_t)data[2] * 2;
    char *text = malloc(size - 2);
    SA_ASSERT(text != NULL);
    memcpy(text, data + 3, size - 3);
    text[size - 3] = '\0';
    sa_answer a = sa_answer_parse(&agent, text, height, width);
    if (a.has_action) {
        SA_ASSERT(a.action.row < height && a.action.col < width);
        check_again(&agent, &a, height, width);
    }
    if (a.has_iou) {
        SA_ASSERT(agent.judges && a.iou >= 0 && a.iou <= 1);
        SA_ASSERT(a.digits >= 1 && a.iou_at + a.digits <= strlen(text));
    }
    if (size > 3 && text[size - 4] == ')') { /* as the form ends: it takes long to build */
        check_form(&agent, &a, text);
    }
    free(text);
    return 0;
}
