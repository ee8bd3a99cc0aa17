/*
 * The book of the KV pages: which page holds which tokens of which sequence. Metadata alone; the keys and
 * values stand in the model's pools (kernels.h, SA_KV_PAGE), and this file never touches a device.
 *
 *   create -> append (new tokens get their places) -> [ the model's forward writes them ] -> truncate
 *          -> share (the beginning of another sequence), fork (all of it): pages with more than one owner
 *          -> release
 *
 * A page is never written while another sequence may read what is overwritten: appending behind a place in
 * the middle of a shared page gives that page's owner a copy of its own first (copy on write). Full shared
 * pages are never copied. The copy on the device is the caller's: append says which page to copy to which,
 * and the caller queues it (sa_llama_copy_page()) before anything else that writes pages.
 *
 * All memory is taken at open; every call but check takes time in proportion to the pages it hands on.
 */
#ifndef SA_ENGINE_KV_H
#define SA_ENGINE_KV_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "runtime/base/status.h"

typedef struct sa_kv sa_kv;

/* Names a sequence from create (fork) to release; then it may be given to another one. */
typedef int32_t sa_kv_sequence;

/* What append leaves to do on the device: copy page `from` to page `to`; from < 0: nothing. */
typedef struct {
    int32_t from, to;
} sa_kv_copy;

/* `pages` in all, at most `sequences` at one time, of at most `context` tokens each. */
sa_status sa_kv_open(sa_kv **kv, size_t pages, size_t sequences, size_t context, sa_error *err);
void sa_kv_close(sa_kv *kv);

/* An empty sequence. SA_NO_ROOM if all are in use. */
sa_status sa_kv_create(sa_kv *kv, sa_kv_sequence *sequence, sa_error *err);
/* The empty `sequence` becomes the first `length` tokens of `from`, in the same pages. */
void sa_kv_share(sa_kv *kv, sa_kv_sequence sequence, sa_kv_sequence from, size_t length);
/* create, and share all tokens of `parent`. */
sa_status sa_kv_fork(sa_kv *kv, sa_kv_sequence parent, sa_kv_sequence *child, sa_error *err);

/*
 * Places for `count` more tokens, all or none. SA_NO_ROOM if there are not enough free pages, SA_BAD_INPUT if
 * the sequence would grow beyond the context; nothing has changed then.
 */
sa_status sa_kv_append(sa_kv *kv, sa_kv_sequence sequence, size_t count, sa_kv_copy *copy, sa_error *err);
/* Forgets the tokens from `length` on. */
void sa_kv_truncate(sa_kv *kv, sa_kv_sequence sequence, size_t length);
void sa_kv_release(sa_kv *kv, sa_kv_sequence sequence);

/* ---- pages that are owned outside of sequences: prefix.h ---- */

/* One more owner of a page that has some, and one less. */
void sa_kv_hold(sa_kv *kv, int32_t page);
void sa_kv_drop(sa_kv *kv, int32_t page);
/* Sequences that hold it, and holds. */
size_t sa_kv_owners(const sa_kv *kv, int32_t page);
/* The empty `sequence` becomes the first `length` tokens of these pages, which are held. */
void sa_kv_adopt(sa_kv *kv, sa_kv_sequence sequence, const int32_t *pages, size_t length);

/* ---- asking ---- */

size_t sa_kv_length(const sa_kv *kv, sa_kv_sequence sequence); /* tokens */
/* The page list, of ceil(length / SA_KV_PAGE); valid until the sequence changes. */
const int32_t *sa_kv_pages(const sa_kv *kv, sa_kv_sequence sequence);
/* How many pages at the beginning of both lists are the same (sa_attention_paged_item.shared). */
size_t sa_kv_common(const sa_kv *kv, sa_kv_sequence a, sa_kv_sequence b);
/* Free pages that append(count) would take, the copy's included; what admission asks. */
size_t sa_kv_needed(const sa_kv *kv, sa_kv_sequence sequence, size_t count);
size_t sa_kv_free_pages(const sa_kv *kv);
size_t sa_kv_context(const sa_kv *kv);

/*
 * Asserts every invariant: each page is owned as often as page lists name it and holds are on it, free pages
 * stand in the free list once and nowhere else, a list is as long as its sequence's tokens need and names no
 * page twice, a page with several owners stands at the same place of all their lists, unused sequences hold
 * nothing.
 */
void sa_kv_check(const sa_kv *kv);

#endif
