/* Masks end here: what goes on to the metrics are two counts a state. */
#include "runtime/data/scores.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/text/buffer.h"

double sa_overlap_iou(const sa_overlap *overlap)
{
    return overlap->either == 0 ? 1.0 : (double)overlap->both / (double)overlap->either;
}

bool sa_overlap_reaches(const sa_overlap *overlap, unsigned percent)
{
    return overlap->both * 100 >= overlap->either * percent; /* 32-bit counts: no overflow */
}

const sa_overlap *sa_score_after(const sa_score *score, size_t step)
{
    size_t place = step < score->state_count ? step : score->state_count - 1;
    return &score->states[place].overlap;
}

static void free_score(sa_score *score)
{
    free(score->id);
    free(score->states);
    *score = (sa_score){0};
}

void sa_scores_free(sa_scores *scores)
{
    for (size_t i = 0; i < scores->count; i++) {
        free_score(&scores->items[i]);
    }
    free(scores->items);
    sa_text_table_free(&scores->places);
    *scores = (sa_scores){0};
}

const sa_score *sa_scores_find(const sa_scores *scores, const char *id)
{
    const sa_text_entry *entry = sa_text_table_find(&scores->places, id, strlen(id));
    return entry != NULL ? &scores->items[entry->number] : NULL;
}

/* Runs go down the columns. */
static bool holds(const sa_rle *mask, int64_t row, int64_t col)
{
    if (row < 0 || col < 0 || (size_t)row >= mask->height || (size_t)col >= mask->width) {
        return false;
    }
    uint64_t pixel = (uint64_t)col * mask->height + (uint64_t)row, end = 0;
    for (size_t i = 0; i < mask->count; i++) {
        end += mask->counts[i];
        if (pixel < end) {
            return i % 2 == 1;
        }
    }
    return false;
}

/* Only step 1 counts: an agent whose first answer was no click has missed. */
static bool hits(const sa_result *result, const sa_rle *truth)
{
    if (result->step_count < 2) {
        return false;
    }
    const sa_result_step *first = &result->steps[1];
    return first->has_action && first->positive && holds(truth, first->row, first->col);
}

/* The message is for the likeliest cause: results and manifest of different runs. */
static sa_status overlap_of(const sa_rle *mask, const sa_rle *truth, const char *name, sa_overlap *out,
                            sa_error *err)
{
    if (mask->height != truth->height || mask->width != truth->width) {
        return sa_fail(err, SA_BAD_INPUT, name, "evaluate against the manifest that was run",
                       "its masks are %zu x %zu pixels (height x width), and the truth is %zu x %zu",
                       mask->height, mask->width, truth->height, truth->width);
    }
    return sa_rle_overlap(mask, truth, &out->both, &out->either, err);
}

static sa_status fail_memory(const char *name, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory for the figures of the row");
}

/* The states of a row; one, of the kept mask, where it lists none. */
static sa_status score_states(sa_score *score, const sa_result *result, const sa_rle *truth, const char *name,
                              sa_error *err)
{
    score->states = calloc(result->step_count + 1, sizeof *score->states);
    if (score->states == NULL) {
        return fail_memory(name, err);
    }
    score->state_count = result->step_count > 0 ? result->step_count : 1;
    score->states[0] = (sa_score_state){score->kept, result->score};
    for (size_t i = 0; i < result->step_count; i++) {
        sa_score_state *state = &score->states[i];
        state->predicted = result->steps[i].predicted_iou;
        SA_TRY(overlap_of(&result->steps[i].mask, truth, name, &state->overlap, err));
    }
    return SA_OK;
}

/* On failure *score may be half full: the caller frees it. */
static sa_status score_result(sa_score *score, const sa_result *result, const sa_rle *truth, const char *name,
                              sa_error *err)
{
    SA_TRY(overlap_of(&result->mask, truth, name, &score->kept, err));
    SA_TRY(score_states(score, result, truth, name, err));
    score->step = result->step;
    score->hit = hits(result, truth);
    score->id = strdup(result->id);
    return score->id != NULL ? SA_OK : fail_memory(name, err);
}

/* Room for one more, whose id is new. */
static sa_status reserve(sa_scores *scores, const char *id, const char *name, sa_error *err)
{
    if (sa_scores_find(scores, id) != NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "remove one of the two rows",
                       "the id \"%.200s\" has been there before", id);
    }
    sa_score *items = sa_grow(scores->items, &scores->room, scores->count + 1, sizeof *items);
    if (items == NULL) {
        return fail_memory(name, err);
    }
    scores->items = items;
    return SA_OK;
}

sa_status sa_scores_add(sa_scores *scores, const sa_result *result, const sa_rle *truth, const char *name,
                        sa_error *err)
{
    SA_TRY(reserve(scores, result->id, name, err));
    sa_score score = {0};
    sa_status status = score_result(&score, result, truth, name, err);
    if (status == SA_OK && !sa_text_table_put(&scores->places, score.id, strlen(score.id), scores->count)) {
        status = fail_memory(name, err);
    }
    if (status != SA_OK) {
        free_score(&score);
        return status;
    }
    scores->items[scores->count++] = score;
    return SA_OK;
}
