/*
 * Full pages are found by a hash of their parent and keys, so that a prompt costs one look a page; the rest
 * of it, by going through the children of the last one, the latest used first. A list of all nodes in order
 * of use says what goes first; a parent is always used later than its children.
 */
#include "runtime/engine/prefix.h"

#include <stdlib.h>
#include <string.h>

typedef int32_t node_id;

enum { NONE = -1, ROOT = 0, MOST_LOOKED_AT = 64 }; /* children, for a part of a page */

typedef struct {
    uint64_t keys[SA_KV_PAGE];
    size_t count; /* 0: the node is free */
    int32_t page;
    size_t parts;                          /* children that are not full */
    node_id parent, child, next, previous; /* siblings: the latest used first */
    node_id newer, older;                  /* in order of use */
    node_id chained;                       /* of one hash */
} node;

struct sa_prefix {
    sa_kv *kv;
    node *nodes;  /* [pages + 1]; the root has no page and no keys */
    node_id free; /* chained by `next` */
    node_id newest, oldest;
    node_id *table; /* [table_size], a power of two: full nodes by hash */
    size_t table_size;
    int32_t *path; /* pages of a find */
    size_t pages;
    sa_prefix_counts counts;
};

static node *at(const sa_prefix *p, node_id id)
{
    return &p->nodes[id];
}

/* ---- opening ---- */

void sa_prefix_close(sa_prefix *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 1; p->nodes != NULL && i <= p->pages; i++) {
        if (p->nodes[i].count > 0) {
            sa_kv_drop(p->kv, p->nodes[i].page);
        }
    }
    free(p->nodes);
    free(p->table);
    free(p->path);
    free(p);
}

sa_status sa_prefix_open(sa_prefix **out, sa_kv *kv, size_t pages, sa_error *err)
{
    SA_ASSERT(pages >= 1 && pages < INT32_MAX);
    sa_prefix *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a prefix tree");
    }
    *p = (sa_prefix){.kv = kv, .pages = pages, .newest = NONE, .oldest = NONE, .free = NONE, .table_size = 1};
    while (p->table_size < 2 * pages) {
        p->table_size *= 2;
    }
    p->nodes = calloc(pages + 1, sizeof *p->nodes);
    p->table = malloc(p->table_size * sizeof *p->table);
    p->path = malloc(pages * sizeof *p->path);
    if (p->nodes == NULL || p->table == NULL || p->path == NULL) {
        free(p->nodes);
        p->nodes = NULL;
        sa_prefix_close(p);
        return sa_fail(err, SA_NO_ROOM, NULL, "use fewer KV pages", "no memory for a tree of %zu pages",
                       pages);
    }
    for (size_t i = 0; i < p->table_size; i++) {
        p->table[i] = NONE;
    }
    for (size_t i = pages; i > 0; i--) {
        p->nodes[i].next = p->free;
        p->free = (node_id)i;
    }
    p->nodes[ROOT].child = NONE;
    *out = p;
    return SA_OK;
}

/* ---- the table of full nodes ---- */

static node_id *slot_of(const sa_prefix *p, node_id parent, const uint64_t *keys)
{
    uint64_t h = (uint64_t)parent + 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < SA_KV_PAGE; i++) { /* splitmix64's steps */
        h = (h ^ keys[i]) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 31;
    }
    return &p->table[h & (p->table_size - 1)];
}

static node_id find_full(const sa_prefix *p, node_id parent, const uint64_t *keys)
{
    node_id id = *slot_of(p, parent, keys);
    while (id != NONE &&
           (at(p, id)->parent != parent || memcmp(at(p, id)->keys, keys, sizeof at(p, id)->keys) != 0)) {
        id = at(p, id)->chained;
    }
    return id;
}

static void enter(sa_prefix *p, node_id id)
{
    node_id *slot = slot_of(p, at(p, id)->parent, at(p, id)->keys);
    at(p, id)->chained = *slot;
    *slot = id;
}

static void take_out(sa_prefix *p, node_id id)
{
    node_id *slot = slot_of(p, at(p, id)->parent, at(p, id)->keys);
    while (*slot != id) {
        slot = &at(p, *slot)->chained;
    }
    *slot = at(p, id)->chained;
}

/* ---- order of use ---- */

static void leave_order(sa_prefix *p, node_id id)
{
    const node *n = at(p, id);
    *(n->newer != NONE ? &at(p, n->newer)->older : &p->newest) = n->older;
    *(n->older != NONE ? &at(p, n->older)->newer : &p->oldest) = n->newer;
}

static void join_order(sa_prefix *p, node_id id)
{
    node *n = at(p, id);
    n->newer = NONE;
    n->older = p->newest;
    *(p->newest != NONE ? &at(p, p->newest)->newer : &p->oldest) = id;
    p->newest = id;
}

static void leave_siblings(sa_prefix *p, node_id id)
{
    const node *n = at(p, id);
    *(n->previous != NONE ? &at(p, n->previous)->next : &at(p, n->parent)->child) = n->next;
    if (n->next != NONE) {
        at(p, n->next)->previous = n->previous;
    }
}

static void join_siblings(sa_prefix *p, node_id id)
{
    node *n = at(p, id);
    node_id first = at(p, n->parent)->child;
    n->previous = NONE;
    n->next = first;
    if (first != NONE) {
        at(p, first)->previous = id;
    }
    at(p, n->parent)->child = id;
}

/* A node and all above it have been used. */
static void touch(sa_prefix *p, node_id id)
{
    for (; id != ROOT; id = at(p, id)->parent) {
        leave_order(p, id);
        join_order(p, id);
        leave_siblings(p, id);
        join_siblings(p, id);
    }
}

/* ---- finding ---- */

static size_t common(const node *n, const uint64_t *keys, size_t count)
{
    size_t same = 0;
    while (same < n->count && same < count && n->keys[same] == keys[same]) {
        same++;
    }
    return same;
}

/* The child that begins with most of keys[count], of the first `most`; *same is how many, NONE if that is 0.
 */
static node_id find_part(const sa_prefix *p, node_id parent, const uint64_t *keys, size_t count, size_t most,
                         size_t *same)
{
    node_id best = NONE;
    *same = 0;
    for (node_id id = at(p, parent)->child; id != NONE && most > 0; id = at(p, id)->next, most--) {
        size_t here = common(at(p, id), keys, count);
        if (here > *same) {
            *same = here;
            best = id;
        }
    }
    return best;
}

/* The last node of the longest beginning of keys[count], and its length; pages along the way in p->path. */
static node_id walk(sa_prefix *p, const uint64_t *keys, size_t count, size_t *length)
{
    node_id last = ROOT;
    size_t depth = 0, same;
    for (; (depth + 1) * SA_KV_PAGE <= count; depth++) {
        node_id next = find_full(p, last, keys + depth * SA_KV_PAGE);
        if (next == NONE) {
            break;
        }
        last = next;
        p->path[depth] = at(p, last)->page;
    }
    *length = depth * SA_KV_PAGE;
    node_id part = find_part(p, last, keys + *length, count - *length, MOST_LOOKED_AT, &same);
    if (part == NONE) {
        return last;
    }
    p->path[depth] = at(p, part)->page;
    *length += same;
    return part;
}

size_t sa_prefix_length(sa_prefix *p, const uint64_t *keys, size_t count)
{
    size_t length;
    walk(p, keys, count, &length);
    return length;
}

size_t sa_prefix_find(sa_prefix *p, const uint64_t *keys, size_t count, sa_kv_sequence sequence)
{
    size_t length;
    touch(p, walk(p, keys, count, &length));
    sa_kv_adopt(p->kv, sequence, p->path, length);
    return length;
}

/* ---- keeping ---- */

static void remove_leaf(sa_prefix *p, node_id id)
{
    node *n = at(p, id);
    SA_ASSERT(n->child == NONE && n->count > 0);
    if (n->count == SA_KV_PAGE) {
        take_out(p, id);
    } else {
        at(p, n->parent)->parts--;
    }
    leave_order(p, id);
    leave_siblings(p, id);
    sa_kv_drop(p->kv, n->page);
    n->count = 0;
    n->next = p->free;
    p->free = id;
    p->counts.nodes--;
}

/* Children that hold a beginning of keys[count] alone make room for it. */
static void remove_beginnings(sa_prefix *p, node_id parent, const uint64_t *keys, size_t count)
{
    node_id next;
    for (node_id id = at(p, parent)->child; id != NONE && at(p, parent)->parts > 0; id = next) {
        const node *n = at(p, id);
        next = n->next;
        if (n->count < count && common(n, keys, count) == n->count) {
            remove_leaf(p, id);
        }
    }
}

static node_id add_node(sa_prefix *p, node_id parent, const uint64_t *keys, size_t count, int32_t page)
{
    node_id id = p->free;
    SA_ASSERT(id != NONE); /* there are as many as pages, and a page stands in one node at most */
    node *n = at(p, id);
    p->free = n->next;
    *n = (node){.count = count, .page = page, .parent = parent, .child = NONE};
    memcpy(n->keys, keys, count * sizeof *keys);
    sa_kv_hold(p->kv, page);
    join_order(p, id);
    join_siblings(p, id);
    if (count == SA_KV_PAGE) {
        enter(p, id);
    } else {
        at(p, parent)->parts++;
    }
    p->counts.nodes++;
    return id;
}

void sa_prefix_keep(sa_prefix *p, const uint64_t *keys, size_t count, sa_kv_sequence sequence)
{
    const int32_t *pages = sa_kv_pages(p->kv, sequence);
    SA_ASSERT(count <= sa_kv_length(p->kv, sequence));
    node_id last = ROOT;
    for (size_t depth = 0; depth * SA_KV_PAGE < count; depth++) {
        const uint64_t *own = keys + depth * SA_KV_PAGE;
        size_t left = count - depth * SA_KV_PAGE, here = left < SA_KV_PAGE ? left : SA_KV_PAGE, same = here;
        node_id found =
            here == SA_KV_PAGE ? find_full(p, last, own) : find_part(p, last, own, here, SIZE_MAX, &same);
        if (found == NONE || same < here) {
            remove_beginnings(p, last, own, here);
            found = add_node(p, last, own, here, pages[depth]);
        }
        last = found;
    }
    touch(p, last);
}

bool sa_prefix_give_back(sa_prefix *p, size_t pages)
{
    for (node_id id = p->oldest, newer; id != NONE && sa_kv_free_pages(p->kv) < pages; id = newer) {
        newer = at(p, id)->newer; /* parents are newer than their children: one pass sees them all */
        if (at(p, id)->child == NONE && sa_kv_owners(p->kv, at(p, id)->page) == 1) {
            remove_leaf(p, id);
            p->counts.given_back++;
        }
    }
    return sa_kv_free_pages(p->kv) >= pages;
}

void sa_prefix_clear(sa_prefix *p)
{
    for (node_id id = p->oldest, newer; id != NONE; id = newer) {
        newer = at(p, id)->newer; /* children go before their parents */
        remove_leaf(p, id);
        p->counts.given_back++;
    }
}

/* ---- asking ---- */

sa_prefix_counts sa_prefix_get_counts(const sa_prefix *p)
{
    return p->counts;
}

static void check_parts(const sa_prefix *p, const node *n)
{
    size_t parts = 0;
    for (node_id child = n->child; child != NONE; child = at(p, child)->next) {
        parts += at(p, child)->count < SA_KV_PAGE;
    }
    SA_ASSERT(parts == n->parts);
}

static void check_node(const sa_prefix *p, node_id id)
{
    const node *n = at(p, id);
    SA_ASSERT(n->count >= 1 && n->count <= SA_KV_PAGE);
    SA_ASSERT(n->child == NONE || n->count == SA_KV_PAGE);
    SA_ASSERT(n->parent == ROOT || at(p, n->parent)->count == SA_KV_PAGE);
    SA_ASSERT(sa_kv_owners(p->kv, n->page) >= 1);
    SA_ASSERT(n->count < SA_KV_PAGE || find_full(p, n->parent, n->keys) == id);
    SA_ASSERT(n->newer == NONE ? p->newest == id : at(p, n->newer)->older == id);
    check_parts(p, n);
    for (node_id other = n->next; other != NONE; other = at(p, other)->next) {
        size_t least = at(p, other)->count < n->count ? at(p, other)->count : n->count;
        SA_ASSERT(at(p, other)->parent == n->parent && common(at(p, other), n->keys, n->count) < least);
    }
}

void sa_prefix_check(const sa_prefix *p)
{
    size_t nodes = 0, ordered = 0, unused = 0;
    check_parts(p, at(p, ROOT));
    for (size_t i = 1; i <= p->pages; i++) {
        if (p->nodes[i].count > 0) {
            check_node(p, (node_id)i);
            nodes++;
        }
    }
    for (node_id id = p->oldest; id != NONE; id = at(p, id)->newer) {
        ordered++;
    }
    for (node_id id = p->free; id != NONE; id = at(p, id)->next) {
        unused++;
    }
    SA_ASSERT(nodes == p->counts.nodes && ordered == nodes && nodes + unused == p->pages);
}
