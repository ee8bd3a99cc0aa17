/* segagent click --simulate: a click where the mask is most wrong, the mask anew, and so on. */
#include <stdlib.h>

#include "runtime/cli/click.h"
#include "runtime/hlmat/annotator.h"

static sa_status answer_clicks(const sa_click_engine *engine, const sa_user_prompt *prompt,
                               sa_click_answer *answer, sa_error *err)
{
    const sa_segmenter_query query = {.prompt = {.clicks = prompt->clicks, .click_count = prompt->count}};
    SA_TRY(sa_segmenter_click(engine->segmenter, &query, &answer->answer, 1, err));
    return sa_click_answer_check(answer, "--simulate", engine->precision, err);
}

/* Pixels that were clicked at are in `clicked`. */
static sa_status click_on(const sa_click_engine *engine, const sa_mask *target, size_t most,
                          sa_annotator *annotator, sa_mask *clicked, sa_user_prompt *prompt,
                          sa_click_answer *answer, double *ious, sa_error *err)
{
    sa_mask nothing;
    SA_TRY(sa_mask_new(&nothing, target->height, target->width, err));
    sa_status status = SA_OK;
    while (status == SA_OK && prompt->count < most) {
        const sa_mask *mask = prompt->count > 0 ? sa_click_answer_best(answer) : &nothing;
        sa_annotator_answer next;
        status = sa_annotator_click(annotator, mask, target, NULL, clicked, &next, err);
        if (status != SA_OK || !next.needed) {
            break;
        }
        prompt->clicks[prompt->count++] = (sa_click){(float)next.x, (float)next.y, next.positive};
        sa_mask_set(clicked, next.x, next.y, true);
        status = answer_clicks(engine, prompt, answer, err);
        ious[prompt->count - 1] = sa_mask_iou(sa_click_answer_best(answer), target);
    }
    sa_mask_free(&nothing);
    return status;
}

sa_status sa_click_simulate(const sa_click_engine *engine, const sa_mask *target, size_t most,
                            sa_user_prompt *prompt, sa_click_answer *answer, double *ious, sa_error *err)
{
    sa_annotator annotator;
    sa_mask clicked;
    free(prompt->clicks); /* holds none: simulated clicks start from nothing */
    prompt->clicks = calloc(most, sizeof *prompt->clicks);
    if (prompt->clicks == NULL) {
        return sa_fail(err, SA_NO_ROOM, "--simulate", "ask for fewer clicks", "no memory for %zu clicks",
                       most);
    }
    SA_TRY(sa_annotator_open(&annotator, target->height, target->width, err));
    sa_status status = sa_mask_new(&clicked, target->height, target->width, err);
    if (status == SA_OK) {
        status = click_on(engine, target, most, &annotator, &clicked, prompt, answer, ious, err);
        sa_mask_free(&clicked);
    }
    sa_annotator_close(&annotator);
    return status;
}
