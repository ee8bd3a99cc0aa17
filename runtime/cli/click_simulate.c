/* segagent click --simulate: a click where the mask is most wrong, the mask anew, and so on. */
#include <stdlib.h>

#include "runtime/cli/click.h"
#include "runtime/hlmat/annotator.h"

typedef struct {
    const sa_click_engine *engine;
    const sa_mask *target;
    sa_user_prompt *prompt;
    sa_click_answer *answer;
    sa_annotator annotator;
    sa_mask clicked, nothing; /* pixels that were clicked at; the mask before the first click */
} simulation;

static sa_status answer_clicks(const simulation *s, sa_error *err)
{
    const sa_segmenter_query query = {
        .prompt = {.clicks = s->prompt->clicks, .click_count = s->prompt->count}};
    SA_TRY(sa_segmenter_click(s->engine->segmenter, &query, &s->answer->answer, 1, err));
    return sa_click_answer_check(s->answer, "--simulate", s->engine->precision, err);
}

/* One more click; *done when nothing is left to correct. */
static sa_status step(simulation *s, bool *done, sa_error *err)
{
    const sa_mask *mask = s->prompt->count > 0 ? sa_click_answer_best(s->answer) : &s->nothing;
    sa_annotator_answer next;
    SA_TRY(sa_annotator_click(&s->annotator, mask, s->target, NULL, &s->clicked, &next, err));
    *done = !next.needed;
    if (*done) {
        return SA_OK;
    }
    s->prompt->clicks[s->prompt->count++] = (sa_click){(float)next.x, (float)next.y, next.positive};
    sa_mask_set(&s->clicked, next.x, next.y, true);
    return answer_clicks(s, err);
}

static sa_status open_simulation(simulation *s, size_t most, sa_error *err)
{
    size_t height = s->target->height, width = s->target->width;
    free(s->prompt->clicks); /* holds none: simulated clicks start from nothing */
    s->prompt->clicks = calloc(most, sizeof *s->prompt->clicks);
    if (s->prompt->clicks == NULL) {
        return sa_fail(err, SA_NO_ROOM, "--simulate", "ask for fewer clicks", "no memory for %zu clicks",
                       most);
    }
    SA_TRY(sa_annotator_open(&s->annotator, height, width, err));
    SA_TRY(sa_mask_new(&s->clicked, height, width, err));
    return sa_mask_new(&s->nothing, height, width, err);
}

sa_status sa_click_simulate(const sa_click_engine *engine, const sa_mask *target, size_t most,
                            sa_user_prompt *prompt, sa_click_answer *answer, double *ious, sa_error *err)
{
    simulation s = {.engine = engine, .target = target, .prompt = prompt, .answer = answer};
    sa_status status = open_simulation(&s, most, err);
    for (bool done = false; status == SA_OK && !done && prompt->count < most;) {
        status = step(&s, &done, err);
        if (status == SA_OK && !done) {
            ious[prompt->count - 1] = sa_mask_iou(sa_click_answer_best(answer), target);
        }
    }
    sa_annotator_close(&s.annotator);
    sa_mask_free(&s.clicked);
    sa_mask_free(&s.nothing);
    return status;
}
