/* The one thread that works with the device: who is let in, and which stage runs next. */
#include "runtime/hlmat/runner.h"

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

enum { MOST_ANSWER = 64 }; /* tokens: a click has twenty or so, one with a box twice as many */

static sa_status let_in(sa_runner *r, sa_error *err)
{
    sa_job *job;
    sa_runner_take_loaded(r);
    while (sa_batcher_count(&r->batcher, SA_SEARCHING) < r->options.in_flight &&
           (job = sa_batcher_first(&r->batcher, SA_WANT_ROOM)) != NULL) {
        r->alone = false;
        SA_TRY(sa_runner_begin_place(r, (sa_runner_place *)job, err));
    }
    return SA_OK;
}

/* False: nothing is left anywhere. */
static bool wait_for_items(sa_runner *r)
{
    double begun = sa_clock_seconds();
    bool more = sa_runner_wait(r);
    r->counts->waited += sa_clock_seconds() - begun;
    return more;
}

/*
 * A device that computes nothing would be done with every item before the next one is read, or has made a
 * step, and its batches would be none: it waits until as many are there as may be in flight, as if it were
 * the slower one.
 */
static bool waits_for_company(sa_runner *r)
{
    bool short_of = sa_batcher_count(&r->batcher, SA_SEARCHING) < r->options.in_flight;
    return !sa_device_computes(r->device) && (short_of || r->hands.away > 0) && !r->alone;
}

/* Where nothing comes for a while, nothing is waited for until something does: somebody may wait for results.
 */
static void wait_for_company(sa_runner *r)
{
    double begun = sa_clock_seconds();
    r->alone = !sa_runner_wait_for_loaded(r);
    r->counts->waited += sa_clock_seconds() - begun;
}

/*
 * A device that works by itself segments and thinks at the same time, on two streams: whenever sequences are
 * being written, whose next pass comes anyway, and reads all weights whatever else goes on. On the CPU both
 * would only share its threads.
 */
static bool thinks_meanwhile(const sa_runner *r)
{
    return sa_device_overlaps(r->device) && sa_batcher_count(&r->batcher, SA_WANT_DECODE) > 0;
}

typedef sa_status runner_step(sa_runner *r, sa_error *err);

static sa_status segment(sa_runner *r, runner_step *start, runner_step *finish, sa_error *err)
{
    SA_TRY(start(r, err));
    if (thinks_meanwhile(r)) {
        sa_status status = sa_runner_run_answer(r, err);
        if (status != SA_OK) {
            sa_runner_abandon_segmenter(r);
            return status;
        }
        r->counts->overlapped++;
    }
    return finish(r, err);
}

static sa_status run_stages(sa_runner *r, sa_error *err)
{
    for (;;) {
        if (r->client->interrupted != NULL && r->client->interrupted(r->client->context)) {
            return sa_fail(err, SA_INTERRUPTED, NULL, "run the same command again to go on", "interrupted");
        }
        SA_TRY(sa_runner_hands_status(r, err));
        SA_TRY(let_in(r, err));
        SA_TRY(sa_runner_go_on(r, err));
        if (waits_for_company(r)) {
            wait_for_company(r);
            continue;
        }
        switch (sa_batcher_choose(&r->batcher)) {
        case SA_RUN_ENCODE: SA_TRY(segment(r, sa_runner_start_encode, sa_runner_finish_encode, err)); break;
        case SA_RUN_ANSWER: SA_TRY(sa_runner_run_answer(r, err)); break;
        case SA_RUN_CLICK: SA_TRY(segment(r, sa_runner_start_click, sa_runner_finish_click, err)); break;
        case SA_RUN_NOTHING:
            if (!wait_for_items(r)) {
                return sa_runner_hands_status(r, err);
            }
        }
#ifndef NDEBUG
        sa_batcher_check(&r->batcher);
#endif
    }
}

static void drop_items(sa_runner *r, sa_stage stage)
{
    sa_job *job;
    while ((job = sa_batcher_first(&r->batcher, stage)) != NULL) {
        sa_runner_place *p = (sa_runner_place *)job;
        sa_batcher_drop(&r->batcher, job);
        p->picture->searches -= stage == SA_SEARCHING;
        sa_runner_free_place(r, p);
        r->hands.items--;
    }
}

/* What is left when the run ends before its items do. */
static void drop_all(sa_runner *r)
{
    drop_items(r, SA_WANT_ROOM);
    drop_items(r, SA_SEARCHING);
    SA_ASSERT(r->hands.items == 0);
    for (size_t i = 0; i < r->options.batch; i++) {
        sa_generate_answer_free(&r->answers[i].answer);
        r->answers[i] = (sa_runner_answer){0};
    }
    r->batcher = (sa_batcher){
        .encodes = r->batcher.encodes, .answers = r->batcher.answers, .clicks = r->batcher.clicks};
}

/* How the policy is asked, all of this run. */
static void start_policy(sa_runner *r)
{
    r->free_answer_count = 0;
    for (size_t i = r->options.batch; i-- > 0;) {
        r->free_answers[r->free_answer_count++] = i;
    }
    if (r->chat == NULL) {
        return;
    }
    r->asked = sa_generate_default_options();
    r->asked.temperature = (float)r->options.episode.agent->temperature;
    r->asked.max_tokens = MOST_ANSWER;
    r->asked.stops = r->stops;
    r->asked.seed = r->options.episode.seed;
    r->asked.probes = r->digits.ids; /* none of an agent that does not judge */
    r->asked.probe_count = r->digits.count;
    r->asked.varying = r->options.episode.form != SA_FORM_OFF ? r->digits.ids : NULL;
    r->asked.varying_count = r->asked.varying != NULL ? r->digits.count : 0;
    sa_chat_start(r->chat, &r->asked, NULL);
}

static sa_chat_counts policy_counts(const sa_runner *r)
{
    return r->chat != NULL ? sa_chat_get_counts(r->chat) : (sa_chat_counts){0};
}

sa_status sa_runner_run(sa_runner *r, const sa_runner_client *client, sa_runner_counts *counts, sa_error *err)
{
    r->client = client;
    r->counts = counts;
    *counts = (sa_runner_counts){0};
    const sa_chat_counts before = policy_counts(r);
    const sa_device_work work_before = sa_device_get_work(r->device);
    start_policy(r);
    sa_status status = sa_runner_start_hands(r, err);
    double begun = sa_clock_thread_seconds();
    status = status == SA_OK ? run_stages(r, err) : status;
    counts->host = sa_clock_thread_seconds() - begun;
    sa_runner_stop_hands(r);
    if (status == SA_INTERRUPTED) { /* results that the hands told last */
        sa_error why;
        status = sa_runner_hands_status(r, &why) == SA_OK ? status : sa_runner_hands_status(r, err);
    }
    if (r->chat != NULL) {
        sa_chat_stop(r->chat);
    }
    counts->peak_in_flight = r->batcher.queues[SA_SEARCHING].peak;
    drop_all(r);
    counts->of_policy = sa_chat_counts_since(policy_counts(r), before);
    counts->work = sa_device_work_since(sa_device_get_work(r->device), work_before);
    return status;
}
