/*
 * Pictures by path, each read once while anybody uses it, and kept behind that as long as there is room: the
 * next item often has the same one. At most `most` of them, and those that nobody uses go first, the oldest
 * of them before the others.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/sha256.h"
#include "runtime/hlmat/runner_parts.h"

/* ---- the table ---- */

sa_status sa_runner_open_pictures(sa_runner *r, sa_error *err)
{
    sa_runner_pictures *t = &r->pictures;
    size_t buckets = 64;
    t->most = r->options.in_flight + r->options.ahead;
    while (buckets < 2 * t->most) {
        buckets *= 2;
    }
    t->bucket_mask = buckets - 1;
    t->slot_count = r->options.in_flight;
    t->buckets = calloc(buckets, sizeof(sa_runner_picture *));
    t->slots = calloc(t->slot_count, sizeof(sa_runner_picture *));
    return t->buckets != NULL && t->slots != NULL ? SA_OK
                                                  : sa_fail(err, SA_NO_ROOM, NULL, "lower --in-flight",
                                                            "no memory for %zu items", r->options.in_flight);
}

static sa_runner_picture **find_link(sa_runner_pictures *t, const char *path)
{
    sa_runner_picture **link = &t->buckets[sa_hash_bytes(path, strlen(path)) & t->bucket_mask];
    while (*link != NULL && strcmp((*link)->path, path) != 0) {
        link = &(*link)->next;
    }
    return link;
}

/* ---- those that nobody uses ---- */

static void add_unused(sa_runner_pictures *t, sa_runner_picture *p)
{
    p->older = t->newest;
    p->newer = NULL;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = p;
    t->newest = p;
}

static void take_unused(sa_runner_pictures *t, sa_runner_picture *p)
{
    *(p->newer != NULL ? &p->newer->older : &t->newest) = p->older;
    *(p->older != NULL ? &p->older->newer : &t->oldest) = p->newer;
    p->newer = p->older = NULL;
}

static size_t bytes_of(const sa_image *image)
{
    return image->height * image->width * 3;
}

/* Out of the table and of all lists. */
static void free_picture(sa_runner_pictures *t, sa_runner_picture *p)
{
    *find_link(t, p->path) = p->next;
    if (p->slot != SA_NO_SLOT) {
        t->slots[p->slot] = NULL;
    }
    t->count--;
    t->bytes -= p->state == SA_PICTURE_THERE ? bytes_of(&p->image) : 0;
    sa_image_free(&p->image);
    free(p->path);
    free(p);
}

static void drop_oldest(sa_runner_pictures *t)
{
    sa_runner_picture *p = t->oldest;
    take_unused(t, p);
    free_picture(t, p);
}

static void make_room(sa_runner *r)
{
    sa_runner_pictures *t = &r->pictures;
    while (t->oldest != NULL && (t->count > t->most || t->bytes > r->options.host_bytes)) {
        drop_oldest(t);
    }
}

void sa_runner_close_pictures(sa_runner *r)
{
    while (r->pictures.oldest != NULL) {
        drop_oldest(&r->pictures);
    }
    SA_ASSERT(r->pictures.count == 0);
    free(r->pictures.buckets);
    free(r->pictures.slots);
}

/* ---- users ---- */

static sa_runner_picture *new_picture(const char *path)
{
    sa_runner_picture *p = calloc(1, sizeof *p);
    char *copy = strdup(path);
    if (p == NULL || copy == NULL) {
        free(p);
        free(copy);
        return NULL;
    }
    *p = (sa_runner_picture){.path = copy, .slot = SA_NO_SLOT};
    return p;
}

/* With one more user; NULL: no memory. */
static sa_runner_picture *enter(sa_runner_pictures *t, const char *path)
{
    sa_runner_picture **link = find_link(t, path);
    if (*link == NULL) {
        *link = new_picture(path);
        t->count += *link != NULL;
    } else if ((*link)->users == 0) {
        take_unused(t, *link);
    }
    if (*link != NULL) {
        (*link)->users++;
    }
    return *link;
}

static sa_status read_pixels(const sa_runner *r, sa_runner_picture *p, sa_error *err)
{
    sa_image_limits limits = sa_image_default_limits();
    unsigned char digest[32];
    limits.max_pixels = r->options.max_pixels;
    limits.max_side = r->options.max_side;
    SA_TRY(sa_image_read(p->path, &limits, &p->image, err));
    if (r->chat == NULL) {
        return SA_OK;
    }
    sa_status status = sa_sha256_bytes(p->image.pixels, bytes_of(&p->image), digest, err);
    if (status != SA_OK) {
        sa_image_free(&p->image);
        return status;
    }
    memcpy(&p->name, digest, sizeof p->name);
    p->name.low ^= (uint64_t)p->image.width; /* and their shape */
    return SA_OK;
}

/* Who comes first reads; the others wait, and read themselves if that failed. The lock is held. */
static sa_status read_once(sa_runner *r, sa_runner_picture *p, sa_error *err)
{
    while (p->state == SA_PICTURE_READING) {
        pthread_cond_wait(&r->hands.news, &r->lock);
    }
    if (p->state == SA_PICTURE_THERE) {
        return SA_OK;
    }
    p->state = SA_PICTURE_READING;
    pthread_mutex_unlock(&r->lock);
    sa_status status = read_pixels(r, p, err);
    pthread_mutex_lock(&r->lock);
    p->state = status == SA_OK ? SA_PICTURE_THERE : SA_PICTURE_NEW;
    r->pictures.bytes += status == SA_OK ? bytes_of(&p->image) : 0;
    pthread_cond_broadcast(&r->hands.news);
    return status;
}

sa_status sa_runner_take_picture(sa_runner *r, const char *path, sa_runner_picture **out, sa_error *err)
{
    pthread_mutex_lock(&r->lock);
    sa_runner_picture *p = enter(&r->pictures, path);
    sa_status status =
        p != NULL ? read_once(r, p, err) : sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a picture");
    if (status != SA_OK && p != NULL) {
        sa_runner_leave_picture(r, p);
    }
    make_room(r);
    pthread_mutex_unlock(&r->lock);
    *out = status == SA_OK ? p : NULL;
    return status;
}

void sa_runner_leave_picture(sa_runner *r, sa_runner_picture *p)
{
    if (--p->users > 0) {
        return;
    }
    if (p->state == SA_PICTURE_THERE) {
        add_unused(&r->pictures, p);
        make_room(r);
    } else {
        free_picture(&r->pictures, p);
    }
}

/* ---- slots ---- */

/* A free slot, or else the one whose picture no search has needed for the longest time. */
static size_t choose_slot(const sa_runner_pictures *t)
{
    size_t best = SA_NO_SLOT;
    for (size_t i = 0; i < t->slot_count; i++) {
        const sa_runner_picture *p = t->slots[i];
        if (p == NULL) {
            return i;
        }
        if (p->searches == 0 && (best == SA_NO_SLOT || p->needed < t->slots[best]->needed)) {
            best = i;
        }
    }
    return best;
}

/* There is one: fewer other pictures are searched than items are let in. */
size_t sa_runner_find_slot(sa_runner *r, sa_runner_picture *p)
{
    sa_runner_pictures *t = &r->pictures;
    pthread_mutex_lock(&r->lock);
    if (p->slot == SA_NO_SLOT) {
        size_t slot = choose_slot(t);
        SA_ASSERT(slot != SA_NO_SLOT);
        if (t->slots[slot] != NULL) {
            t->slots[slot]->slot = SA_NO_SLOT;
            t->slots[slot]->encoded = false;
        }
        t->slots[slot] = p;
        p->slot = slot;
    }
    pthread_mutex_unlock(&r->lock);
    return p->slot;
}
