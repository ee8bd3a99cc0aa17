/* The policy is asked what it thinks of states: jobs join and leave between its passes. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

static const sa_work *work_of(const sa_runner_job *job)
{
    size_t count;
    return &sa_episode_works(job->place->episode, &count)[job->work];
}

/* Through a JPEG, as the agent's pictures were. */
static sa_status make_jpeg(const sa_agent *agent, const sa_view *view, sa_image *out, sa_error *err)
{
    unsigned char *bytes;
    size_t size;
    sa_image painted;
    SA_TRY(sa_view_paint(view, &painted, err));
    sa_status encoded = sa_image_encode_jpeg(&painted, agent->jpeg_quality, &bytes, &size, err);
    sa_image_free(&painted);
    SA_TRY(encoded);
    sa_image_limits limits = sa_image_default_limits();
    limits.max_pixels = limits.max_side = SIZE_MAX; /* it was within limits when it was read */
    sa_status status = sa_image_decode("painted picture", bytes, size, &limits, out, err);
    free(bytes);
    return status;
}

/* The picture as the policy sees it: with the mask on it. */
static sa_status show(void *context, sa_image *room, sa_view *view, sa_error *err)
{
    const sa_runner_answer *a = context;
    const sa_runner_place *p = a->job->place;
    const sa_agent *agent = a->runner->options.episode.agent;
    *view = (sa_view){.picture = &p->picture->image,
                      .name = p->picture->name,
                      .mask = sa_episode_mask(p->episode, work_of(a->job)->node),
                      .paint = a->runner->paint};
    if (agent->jpeg_quality == 0) {
        return SA_OK;
    }
    SA_TRY(make_jpeg(agent, view, room, err));
    *view = (sa_view){.picture = room};
    return SA_OK;
}

/* The picture and the mask on it. */
static sa_picture_name name_of(const sa_runner_place *p, sa_node_id node)
{
    uint64_t mask = sa_episode_mask_hash(p->episode, node);
    return (sa_picture_name){p->picture->name.low ^ mask,
                             p->picture->name.high ^ (mask * UINT64_C(0x9E3779B97F4A7C15))};
}

static void write_request(const sa_runner *r, sa_runner_answer *a, sa_runner_job *job)
{
    const sa_runner_place *p = job->place;
    const sa_work *work = work_of(job);
    a->job = job;
    a->runner = r;
    a->request = (sa_chat_request){
        .tokens = p->prompt.ids,
        .count = p->prompt.count,
        .picture_count = 1,
        .painting = {name_of(p, work->node), show, a},
        .item = sa_episode_key(p->episode),
        .node = (uint32_t)work->node,
        .candidate = work->candidate,
        .greedy = work->greedy,
        .grammar = work->forced || r->options.episode.form == SA_FORM_STRICT ? r->grammar : NULL};
}

/* An answer is there. One that was no answer we can read is asked for again. */
static sa_status take_answer(sa_runner *r, size_t at, sa_error *err)
{
    sa_runner_answer *a = &r->answers[at];
    sa_runner_job *job = a->job;
    sa_generate_answer answer = a->answer;
    sa_error why = {0};
    *a = (sa_runner_answer){0};
    r->free_answers[r->free_answer_count++] = at;
    sa_status status = answer.status;
    if (status != SA_OK) {
        why = answer.error;
        why.status = status = status == SA_NO_ROOM ? SA_BAD_INPUT : status; /* of this prompt alone */
    } else if (job->place->why == NULL) {
        status = sa_episode_answer(job->place->episode, job->work, &answer, &r->digits, &why);
    }
    sa_generate_answer_free(&answer);
    if (status != SA_OK) {
        return sa_runner_fail_job(r, job, &why, err);
    }
    if (job->place->why == NULL && work_of(job)->open) {
        sa_batcher_move(&r->batcher, &job->job, SA_WANT_PREFILL);
        return SA_OK;
    }
    return sa_runner_end_job(r, job, err);
}

/* As many as there is room for. */
static sa_status begin_answers(sa_runner *r, sa_error *err)
{
    sa_runner_job *job;
    while (r->free_answer_count > 0 &&
           (job = (sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_PREFILL)) != NULL) {
        size_t at = r->free_answers[r->free_answer_count - 1];
        sa_runner_answer *a = &r->answers[at];
        bool running;
        write_request(r, a, job);
        if (!sa_chat_has_room(r->chat, &a->request)) {
            a->job = NULL;
            break;
        }
        r->free_answer_count--;
        sa_batcher_move(&r->batcher, &job->job, SA_WANT_DECODE);
        sa_status status = sa_chat_begin(r->chat, &a->request, &a->answer, at, &running, err);
        SA_TRY(sa_runner_name_items(status, job->place->item, 1, err));
        SA_TRY(running ? SA_OK : take_answer(r, at, err));
    }
    return SA_OK;
}

sa_status sa_runner_run_answer(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    SA_TRY(begin_answers(r, err));
    const sa_runner_job *first = (const sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_DECODE);
    if (first == NULL) {
        return SA_OK; /* all of them have failed */
    }
    size_t running = sa_chat_running(r->chat), count;
    SA_TRY(sa_runner_name_items(sa_chat_step(r->chat, err), first->place->item, running, err));
    const size_t *ended = sa_chat_ended(r->chat, &count);
    for (size_t i = 0; i < count; i++) {
        SA_TRY(take_answer(r, ended[i], err));
    }
    r->counts->think += sa_clock_seconds() - begun;
    return SA_OK;
}
