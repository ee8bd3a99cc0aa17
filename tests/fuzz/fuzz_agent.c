/*
 * Arbitrary bytes as agent.json. One that is accepted has a form of answers, and reads what it writes in that
 * form. (Its models are looked for, not opened: the corpus names "/".)
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/hlmat/answer.h"
#include "runtime/hlmat/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool takes(const sa_grammar *g, const char *text)
{
    return sa_grammar_accepts(g, sa_grammar_step(g, SA_GRAMMAR_BEGIN, text, strlen(text)));
}

static void check_click(const sa_agent *agent, const sa_grammar *g, const sa_action *action)
{
    char iou[256] = "", click[256], text[600];
    if (agent->judges) {
        sa_answer_write_iou(agent, 0.625, iou, sizeof iou);
    }
    sa_answer_write_action(agent, action, 2, 2, click, sizeof click);
    snprintf(text, sizeof text, "%s%s%s", iou, agent->judges ? ", " : "", click);
    SA_ASSERT(takes(g, text));
    sa_answer a = sa_answer_parse(agent, click, 2, 2);
    SA_ASSERT(a.has_action && a.action.positive == action->positive && a.action.row == action->row &&
              a.action.col == action->col);
}

static void use(const sa_agent *agent)
{
    sa_grammar *g;
    sa_error err;
    SA_ASSERT(sa_search_exists(agent->search) && agent->steps >= 1 && agent->candidates >= 1);
    SA_ASSERT(sa_answer_grammar(agent, &g, &err) == SA_OK);
    for (size_t i = 0; i < 8; i++) {
        const sa_action action = {(i & 1) != 0, i >> 1 & 1, i >> 2 & 1};
        check_click(agent, g, &action);
    }
    sa_grammar_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    sa_agent agent;
    sa_error err = {0};
    int file = memfd_create("agent.json", 0);
    SA_ASSERT(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    sa_status status = sa_agent_read(&agent, path, &err);
    close(file);
    if (status == SA_OK) {
        use(&agent);
    } else {
        SA_ASSERT(err.reason[0] != '\0');
    }
    return 0;
}
