/*
 * Logits that are no numbers: which item, and since which layer? Asked only then, so it may be slow.
 *
 *   row of logits -> item -> what its pages hold from earlier forwards -> the last forward once more, watched
 */
#include <math.h>
#include <stdlib.h>

#include "runtime/base/sizes.h"
#include "runtime/models/llama_parts.h"

/* The item that a row of logits belongs to; its rows in the forward, and behind the last layer, to `watch`.
 */
static size_t item_of(const llama_step *step, size_t logit_row, llama_watch *watch)
{
    size_t item = 0;
    *watch = (llama_watch){0};
    while (logit_row >= watch->chosen + step->items[item].logits) {
        watch->chosen += step->items[item].logits;
        watch->first += step->items[item++].count;
    }
    watch->count = step->items[item].count;
    watch->kept = step->items[item].logits;
    return item;
}

/* The last forward once more, stopped behind every layer: where do the numbers end? It writes into the pages
 * what stands there already. */
static void find_layer(sa_llama *llama)
{
    llama_watch *w = &llama->watch;
    w->x = malloc(w->count * llama->config.hidden * sizeof(float));
    if (w->x != NULL) {
        llama_forward(llama);
        sa_stream_wait(llama->stream, NULL);
    }
    free(w->x);
    w->x = NULL;
}

/* Is a head's part of a page free of infinities and NaN, for its first `keys` tokens? */
static bool is_finite_part(const sa_llama *llama, const unsigned char *part, bool value, size_t keys)
{
    sa_dtype t = llama->options.precision;
    size_t d = llama->config.head_dim, size = sa_dtype_size(t);
    bool finite = true;
    for (size_t i = 0; i < keys * d; i++) {
        float number;
        sa_tensor one = {.dtype = t, .count = 1, .bytes = size};
        one.data = part + llama->ops->kv_place(t, d, value, i / d, i % d) * size;
        sa_tensor_read_f32(&one, 0, 1, &number);
        finite = finite && isfinite(number);
    }
    return finite;
}

/* Is what a layer holds of the item's tokens before this forward? `page` [page_elements] is scratch. */
static bool is_finite_past(sa_llama *llama, const llama_layer *layer, const sa_llama_item *item,
                           unsigned char *page)
{
    size_t heads = llama->config.kv_heads, bytes = llama_page_elements(llama) * llama_size_t(llama);
    bool finite = true;
    for (size_t p = 0; p < 2 * sa_kv_pages_for(item->start); p++) {
        size_t keys = sa_least(item->start - p / 2 * SA_KV_PAGE, SA_KV_PAGE);
        const unsigned char *pool = p % 2 == 0 ? layer->k_pages : layer->v_pages;
        sa_stream_download(llama->stream, page, pool + (size_t)item->pages[p / 2] * bytes, bytes);
        sa_stream_wait(llama->stream, NULL);
        for (size_t h = 0; h < heads && finite; h++) {
            finite = is_finite_part(llama, page + h * (bytes / heads), p % 2 != 0, keys);
        }
    }
    return finite;
}

/*
 * The first layer that left no numbers in the item's pages in an earlier forward, of a prompt in pieces: it
 * is the one after it that this forward stumbles over. -1: none; 0: the embeddings; else the layer's number
 * + 1.
 */
static int find_past_layer(sa_llama *llama, const sa_llama_item *item)
{
    int found = -1;
    unsigned char *page = malloc(llama_page_elements(llama) * llama_size_t(llama));
    for (size_t i = 0; page != NULL && i < llama->config.layers && found < 0; i++) {
        found = is_finite_past(llama, &llama->weights.layer[i], item, page) ? -1 : (int)i;
    }
    free(page);
    return found;
}

sa_status llama_tell_no_number(sa_llama *llama, size_t logit_row, sa_error *err)
{
    static const char *const hint = "try --precision f32; segagent weights verify looks for damaged weights";
    size_t item = item_of(&llama->step, logit_row, &llama->watch);
    int past = find_past_layer(llama, &llama->step.items[item]); /* before the pages are written again */
    find_layer(llama);
    int layer = past >= 0 ? past - 1 : llama->watch.layer;
    if (past < 0 && !llama->watch.found) {
        return sa_fail(err, SA_BAD_INPUT, llama->path, hint,
                       "item %zu: the logits are not finite, since the last norm or the head", item);
    }
    if (layer < 0) {
        return sa_fail(err, SA_BAD_INPUT, llama->path, hint, "item %zu: its embeddings are not finite", item);
    }
    return sa_fail(err, SA_BAD_INPUT, llama->path, hint,
                   "item %zu: the logits are not finite, since layer %d of %zu", item, layer,
                   llama->config.layers);
}
