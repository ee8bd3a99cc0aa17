/*
 * The hands: host threads that read pictures and masks for items to come, and write results of those that are
 * done, beside the one thread that works with the device.
 *
 *   client's next -> load (WANT_IMAGE) -> loaded -> [ the one thread ] -> done -> result (WANT_RESULT)
 *                                     stepping -> a step of a search -> stepped
 *
 * Where the simulated annotator clicks, steps are theirs, too: its distances take longer than a device's
 * click. A search belongs to one thread at a time.
 *
 * Results go first, since they give memory back. Nothing more is taken in while as many items are about as
 * may be in flight and a few more, or while their pictures fill the memory that they may: so memory is
 * bounded, and one item gets in at any rate.
 */
#include <stdlib.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

enum {
    WAIT_MS = 100,    /* so that an interrupt is seen */
    MOST_LOADING = 2, /* pictures that may come beyond the memory for them; other hands make steps */
};

/* ---- lists ---- */

static void push(sa_place_list *list, sa_runner_place *p)
{
    p->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = p;
    list->last = p;
    list->count++;
}

static sa_runner_place *pop(sa_place_list *list)
{
    sa_runner_place *p = list->first;
    list->first = p->next;
    list->last = list->first != NULL ? list->last : NULL;
    list->count--;
    return p;
}

/* ---- the end of the whole ---- */

/* The first reason counts. The lock is held. */
static void fail_all(sa_runner *r, const sa_error *why)
{
    if (!r->hands.failed) {
        r->hands.failed = true;
        r->hands.why = *why;
    }
}

sa_status sa_runner_hands_status(sa_runner *r, sa_error *err)
{
    pthread_mutex_lock(&r->lock);
    bool failed = r->hands.failed;
    if (failed && err != NULL) {
        *err = r->hands.why;
    }
    sa_status status = failed ? r->hands.why.status : SA_OK;
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* ---- results ---- */

static sa_status tell_failed(sa_runner *r, const sa_runner_place *p, const sa_error *why, sa_error *err)
{
    sa_error told;
    sa_fail(&told, why->status, why->file[0] != '\0' ? why->file : p->item->path, why->hint, "%s",
            why->reason);
    pthread_mutex_lock(&r->lock);
    r->counts->failed++;
    pthread_mutex_unlock(&r->lock);
    pthread_mutex_lock(&r->client_lock);
    sa_status status = r->client->failed(r->client->context, p->index, &told, err);
    pthread_mutex_unlock(&r->client_lock);
    return status;
}

static sa_status tell_finished(sa_runner *r, const sa_runner_place *p, sa_error *err)
{
    sa_result result;
    SA_TRY(sa_episode_result(p->episode, &result, err));
    sa_episode_counts c = sa_episode_get_counts(p->episode);
    pthread_mutex_lock(&r->lock);
    sa_episode_counts *all = &r->counts->of_episodes;
    all->thoughts += c.thoughts;
    all->clicks += c.clicks;
    all->retried += c.retried;
    all->failed += c.failed;
    all->clamped += c.clamped;
    all->nodes += c.nodes;
    all->merged += c.merged;
    pthread_mutex_unlock(&r->lock);
    result.meta = p->item->meta != NULL ? json_incref(p->item->meta) : NULL;
    pthread_mutex_lock(&r->client_lock);
    sa_status status = r->client->finished(r->client->context, p->index, &result, err);
    pthread_mutex_unlock(&r->client_lock);
    sa_result_free(&result);
    return status;
}

/* Tells what became of an item, and lets go of it. */
static sa_status tell(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    sa_status status = p->why != NULL ? tell_failed(r, p, p->why, err) : tell_finished(r, p, err);
    sa_runner_free_place(r, p);
    return status;
}

/* ---- items to come ---- */

static bool may_take(const sa_runner *r)
{
    const sa_runner_hands *h = &r->hands;
    return !h->no_more && !h->closing && !h->failed && !h->taking && h->loading < MOST_LOADING &&
           h->items < r->options.in_flight + r->options.ahead &&
           (r->pictures.bytes <= r->options.host_bytes || h->items == 0);
}

/* Takes one item in; the lock is held, but not while the client and the disk are asked. */
static void take_item(sa_runner *r)
{
    sa_runner_hands *h = &r->hands;
    sa_runner_place *p = NULL;
    sa_error why = {0};
    size_t index = 0;
    h->taking = true;
    pthread_mutex_unlock(&r->lock);
    const sa_item *item = r->client->next(r->client->context, &index);
    pthread_mutex_lock(&r->lock);
    h->taking = false;
    h->no_more = item == NULL;
    h->items += item != NULL;
    h->loading += item != NULL;
    r->counts->items += item != NULL;
    pthread_cond_broadcast(&h->work);
    if (item == NULL) {
        return;
    }
    pthread_mutex_unlock(&r->lock);
    sa_status status = sa_runner_load_item(r, item, index, &p, &why);
    bool mine = status != SA_OK && !sa_runner_ends_run(status) && p != NULL; /* the item's fault */
    if (mine) {
        const sa_error reason = why;
        status = tell_failed(r, p, &reason, &why);
    }
    if (p != NULL && (mine || status != SA_OK)) {
        sa_runner_free_place(r, p);
        p = NULL;
    }
    pthread_mutex_lock(&r->lock);
    if (sa_runner_name_items(status, item, 1, &why) != SA_OK) {
        fail_all(r, &why);
    }
    h->loading--;
    if (p != NULL) {
        push(&h->loaded, p);
    } else {
        h->items--;
    }
}

/* ---- steps ---- */

/* The lock is held, but not for the step. */
static void make_step(sa_runner *r)
{
    sa_runner_place *p = pop(&r->hands.stepping);
    sa_error why = {0};
    pthread_mutex_unlock(&r->lock);
    p->stepped = sa_episode_step(p->episode, &why);
    if (p->stepped != SA_OK && (p->step_error = malloc(sizeof *p->step_error)) != NULL) {
        *p->step_error = why;
    }
    pthread_mutex_lock(&r->lock);
    push(&r->hands.stepped, p);
}

void sa_runner_give_step(sa_runner *r, sa_runner_place *p)
{
    pthread_mutex_lock(&r->lock);
    push(&r->hands.stepping, p);
    r->hands.away++;
    pthread_cond_signal(&r->hands.work);
    pthread_mutex_unlock(&r->lock);
}

sa_runner_place *sa_runner_take_stepped(sa_runner *r)
{
    if (r->hands.away == 0) {
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    sa_runner_place *p = r->hands.stepped.first != NULL ? pop(&r->hands.stepped) : NULL;
    r->hands.away -= p != NULL;
    pthread_mutex_unlock(&r->lock);
    return p;
}

/* ---- threads ---- */

static void *run_hand(void *context)
{
    sa_runner *r = context;
    sa_runner_hands *h = &r->hands;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        if (h->done.first != NULL && !h->failed) {
            sa_runner_place *p = pop(&h->done);
            sa_error why = {0};
            pthread_mutex_unlock(&r->lock);
            sa_status status = tell(r, p, &why);
            pthread_mutex_lock(&r->lock);
            h->items--;
            if (status != SA_OK) {
                fail_all(r, &why);
            }
        } else if (h->stepping.first != NULL && !h->closing && !h->failed) {
            make_step(r);
        } else if (may_take(r)) {
            take_item(r);
        } else if (h->closing) {
            break;
        } else {
            pthread_cond_wait(&h->work, &r->lock);
            continue;
        }
        pthread_cond_broadcast(&h->news);
        pthread_cond_broadcast(&h->work);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

sa_status sa_runner_open_hands(sa_runner *r, sa_error *err)
{
    r->hands.threads = calloc(r->options.hands, sizeof *r->hands.threads);
    return r->hands.threads != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for threads");
}

void sa_runner_close_hands(sa_runner *r)
{
    free(r->hands.threads);
}

sa_status sa_runner_start_hands(sa_runner *r, sa_error *err)
{
    sa_runner_hands *h = &r->hands;
    h->closing = h->no_more = h->failed = false;
    h->count = 0;
    while (h->count < r->options.hands && pthread_create(&h->threads[h->count], NULL, run_hand, r) == 0) {
        h->count++;
    }
    return h->count == r->options.hands
               ? SA_OK
               : sa_fail(err, SA_NO_ROOM, NULL, "allow more threads", "cannot start a thread");
}

static void free_list(sa_runner *r, sa_place_list *list)
{
    while (list->first != NULL) {
        sa_runner_free_place(r, pop(list));
        r->hands.items--;
    }
}

void sa_runner_stop_hands(sa_runner *r)
{
    sa_runner_hands *h = &r->hands;
    pthread_mutex_lock(&r->lock);
    h->closing = true;
    pthread_cond_broadcast(&h->work);
    pthread_mutex_unlock(&r->lock);
    if (r->client->closing != NULL) {
        r->client->closing(r->client->context);
    }
    for (size_t i = 0; i < h->count; i++) {
        pthread_join(h->threads[i], NULL);
    }
    free_list(r, &h->loaded);
    free_list(r, &h->done);
    h->stepping = h->stepped = (sa_place_list){0}; /* they stand in a queue as well */
    h->away = 0;
}

/* ---- beside the one thread ---- */

void sa_runner_take_loaded(sa_runner *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->hands.loaded.first != NULL) {
        sa_batcher_put(&r->batcher, &pop(&r->hands.loaded)->job, SA_WANT_ROOM);
    }
    pthread_mutex_unlock(&r->lock);
}

void sa_runner_give_done(sa_runner *r, sa_runner_place *p)
{
    pthread_mutex_lock(&r->lock);
    push(&r->hands.done, p);
    pthread_cond_signal(&r->hands.work);
    pthread_mutex_unlock(&r->lock);
}

/* After WAIT_MS. */
static struct timespec deadline(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return until;
}

static bool has_come(const sa_runner_hands *h)
{
    return h->loaded.first != NULL || h->stepped.first != NULL;
}

bool sa_runner_wait_for_loaded(sa_runner *r)
{
    sa_runner_hands *h = &r->hands;
    struct timespec until = deadline();
    pthread_mutex_lock(&r->lock);
    while (!has_come(h) && !h->failed && (h->taking || h->loading > 0 || h->away > 0 || may_take(r)) &&
           pthread_cond_timedwait(&h->news, &r->lock, &until) == 0) {
    }
    bool come = has_come(h);
    pthread_mutex_unlock(&r->lock);
    return come;
}

bool sa_runner_wait(sa_runner *r)
{
    sa_runner_hands *h = &r->hands;
    const struct timespec until = deadline();
    pthread_mutex_lock(&r->lock);
    bool more = h->items > 0 || !h->no_more;
    if (more && !has_come(h) && !h->failed) {
        pthread_cond_timedwait(&h->news, &r->lock, &until);
    }
    pthread_mutex_unlock(&r->lock);
    return more;
}
