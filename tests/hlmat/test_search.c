/*
 * The searches in a toy world of few states, where a table says what a policy proposes, where each click
 * leads and what each state is worth: against brute force, against plain loops, and the rules that hold for
 * all of them (budgets, depths, an end).
 */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/hlmat/search_kind.h"

/* -- The world -- */

enum { LAYERS = 5, PER_LAYER = 8, STATES = LAYERS * PER_LAYER, CANDIDATES = 3, NOWHERE = -1 };

/*
 * State 0 is the root. A policy's candidate k in a state is the click number click[state][k] (or none), so
 * two candidates may be the same click; click c leads to next[state][c]. States that several clicks lead to
 * are equal masks on different ways.
 */
typedef struct {
    int click[STATES][CANDIDATES]; /* -1: an answer without a click */
    int next[STATES][CANDIDATES];
    double value[STATES];
} world;

/*
 * Layered: every click leads one layer down, so that all ways to a state are as long. Otherwise clicks lead
 * anywhere, back and to the same state as well.
 */
static world random_world(uint64_t seed, bool layered)
{
    world w;
    for (int s = 0; s < STATES; s++) {
        int layer = s / PER_LAYER;
        w.value[s] = 0.05 + 0.9 * sa_philox_unit(sa_philox_block(1, seed, (uint64_t)s).word[0]);
        w.value[s] = seed / 2 % 2 == 0 ? w.value[s] : round(w.value[s] * 10) / 10; /* equals */
        for (int c = 0; c < CANDIDATES; c++) {
            sa_philox r = sa_philox_block(2, seed, (uint64_t)(s * CANDIDATES + c));
            bool none = r.word[0] % 8 == 0 || (layered && layer == LAYERS - 1);
            int again = c > 0 && r.word[0] / 8 % 6 == 0 ? c - 1 : c;
            w.click[s][c] = none ? -1 : again;
            w.next[s][c] = layered ? (layer + 1) % LAYERS * PER_LAYER + (int)(r.word[1] % PER_LAYER)
                                   : (int)(r.word[1] % STATES);
        }
    }
    return w;
}

/* Where candidate k of a state leads; NOWHERE without a click. */
static int follow(const world *w, int s, size_t k)
{
    return w->click[s][k] < 0 ? NOWHERE : w->next[s][w->click[s][k]];
}

/* -- Carrying out what a search wants -- */

typedef struct {
    const world *w;
    const char *name;
    sa_search_options options;
    sa_tree tree;
    sa_search *search;
    size_t advances, clicks;
    size_t stop_after; /* advances; 0: never */
    struct {
        sa_node_id node;
        uint32_t candidate;
    } trace[4096]; /* the clicks */
} trial;

static sa_mask mask_of(int state)
{
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, 3, 5, NULL), SA_OK);
    for (unsigned bit = 0; bit < 15; bit++) {
        sa_mask_set(&mask, bit % 5, bit / 5, (unsigned)state >> bit & 1);
    }
    return mask;
}

static int state_of(const sa_tree *tree, sa_node_id node)
{
    int state = 0;
    for (int bit = 0; bit < 15; bit++) {
        state |= sa_mask_get(&tree->nodes[node].mask, (size_t)bit % 5, (size_t)bit / 5) << bit;
    }
    return state;
}

/* What is known of a state as soon as it is there. The segmenter's scores are the other way round. */
static void judge(trial *t, sa_node_id node)
{
    sa_node *n = &t->tree.nodes[node];
    n->iou = t->w->value[state_of(&t->tree, node)];
    n->segmenter_score = 1 - n->iou;
}

static void fulfil_thought(trial *t, const sa_want *want)
{
    sa_node *n = &t->tree.nodes[want->node];
    int s = state_of(&t->tree, want->node);
    assert_true(want->count > n->candidate_count && want->count <= t->options.candidates);
    bool thinks = t->options.score == SA_SCORE_EXPECTED || t->options.score == SA_SCORE_PRINTED;
    bool over = n->depth == t->options.steps || n->iou >= t->options.enough;
    assert_true(!over || want->judgement); /* nobody is asked for a click that cannot be made, */
    assert_true(!want->judgement ||
                (want->count == 1 && (thinks || t->options.judged))); /* nor for nothing */
    n->expected = t->w->value[s];
    n->printed = floor(t->w->value[s] * 10) / 10;
    for (size_t k = n->candidate_count; k < want->count; k++) {
        sa_answer answer = {.has_action = t->w->click[s][k] >= 0};
        answer.action = (sa_action){.row = (size_t)s, .col = (size_t)(t->w->click[s][k] + 1)};
        assert_int_equal(sa_tree_add_candidate(&t->tree, want->node, "", &answer, SA_PARSE_OK, NULL), SA_OK);
    }
}

static void fulfil_click(trial *t, const sa_want *want)
{
    const sa_node *n = &t->tree.nodes[want->node];
    const sa_candidate *c = &n->candidates[want->candidate];
    size_t before = t->tree.count;
    assert_true(want->candidate < n->candidate_count && c->has_action && c->child == SA_NO_NODE);
    assert_true(n->depth < t->options.steps && n->iou < t->options.enough);
    assert_true(t->stop_after == 0 || t->advances <= t->stop_after);
    assert_true(t->clicks < sizeof t->trace / sizeof t->trace[0]);
    t->trace[t->clicks].node = want->node;
    t->trace[t->clicks++].candidate = want->candidate;
    sa_mask mask = mask_of(follow(t->w, state_of(&t->tree, want->node), want->candidate));
    assert_int_equal(
        sa_tree_add_child(&t->tree, want->node, want->candidate, &mask, sa_mask_hash(&mask), NULL, 0, NULL),
        SA_OK);
    assert_null(mask.bits);
    if (t->tree.count > before) {
        judge(t, (sa_node_id)before);
    }
}

static void run(trial *t)
{
    sa_mask root = mask_of(0);
    sa_error err;
    assert_int_equal(sa_tree_open(&t->tree, sa_search_branches(t->name), &root, NULL, &err), SA_OK);
    judge(t, 0);
    assert_int_equal(sa_search_open(&t->search, t->name, &t->options, &t->tree, &err), SA_OK);
    while (!sa_search_done(t->search)) {
        size_t count;
        assert_true(t->advances < 100000);
        if (t->stop_after > 0 && t->advances == t->stop_after) {
            sa_search_stop(t->search);
        }
        assert_int_equal(sa_search_advance(t->search, &err), SA_OK);
        t->advances++;
        const sa_want *wants = sa_search_wants(t->search, &count);
        assert_true(count > 0 || sa_search_done(t->search));
        for (size_t i = 0; i < count; i++) {
            if (wants[i].kind == SA_WANT_THOUGHT) {
                fulfil_thought(t, &wants[i]);
            } else {
                fulfil_click(t, &wants[i]);
            }
        }
    }
    assert_int_equal(sa_search_clicks(t->search), t->clicks);
    assert_true(t->options.budget == 0 || t->clicks <= t->options.budget);
    assert_true(sa_tree_leads_to(&t->tree, sa_search_kept(t->search), sa_search_last(t->search)));
}

static void end(trial *t)
{
    sa_search_close(t->search);
    sa_tree_close(&t->tree);
}

static sa_search_options usual(size_t steps, size_t candidates)
{
    return (sa_search_options){.steps = steps,
                               .candidates = candidates,
                               .enough = 2,
                               .exploration = 1,
                               .score = SA_SCORE_EXPECTED,
                               .keeps_root = false};
}

static trial *new_trial(const world *w, const char *name, sa_search_options options)
{
    trial *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->w = w;
    t->name = name;
    t->options = options;
    run(t);
    return t;
}

static double kept_value(const trial *t)
{
    return t->w->value[state_of(&t->tree, sa_search_kept(t->search))];
}

static void free_trial(trial *t)
{
    end(t);
    free(t);
}

/* -- Brute force -- */

/* The best value that `steps` clicks or fewer lead to, one at least; -1 if there are none. */
static double best_reachable(const world *w, int s, size_t steps, size_t candidates)
{
    double best = -1;
    for (size_t k = 0; steps > 0 && k < candidates; k++) {
        int next = follow(w, s, k);
        if (next != NOWHERE) {
            best = fmax(best, next != 0 ? w->value[next] : -1); /* the empty mask is not kept */
            best = fmax(best, best_reachable(w, next, steps - 1, candidates));
        }
    }
    return best;
}

static void expect_optimum(const world *w, const char *name, sa_search_options o, uint64_t seed)
{
    trial *t = new_trial(w, name, o);
    double want = best_reachable(w, 0, o.steps < 7 ? o.steps : 7, o.candidates);
    want = want < 0 ? w->value[0] : want; /* there is nothing else */
    if (kept_value(t) != want) {
        fail_msg("%s, world %d, %zu steps, %zu candidates: %.9g, not %.9g", name, (int)seed, o.steps,
                 o.candidates, kept_value(t), want);
    }
    free_trial(t);
}

/* Wide enough, and with budget enough, they find what brute force finds. */
static void test_optimum(void **state)
{
    (void)state;
    static const sa_scorer scores[] = {SA_SCORE_EXPECTED, SA_SCORE_TRUTH};
    for (uint64_t seed = 0; seed < 60; seed++) {
        world layered = random_world(seed, true), any = random_world(seed, false);
        for (size_t n = 0; n < 12; n++) {
            sa_search_options o = usual(1 + n % 4, 1 + n / 4);
            o.score = scores[seed % 2];
            o.beam = STATES;
            expect_optimum(&layered, "beam", o, seed);
            expect_optimum(&any, "beam", o, seed);
            o.beam = 0;
            o.budget = 500;
            expect_optimum(&layered, "best-first", o, seed);
            o.exploration = 10;
            expect_optimum(&layered, "mcts", o, seed);
        }
    }
}

/* All that can be reached at all. */
static double best_of_all(const world *w)
{
    bool seen[STATES] = {true};
    double best = -1;
    for (bool more = true; more;) {
        more = false;
        for (int s = 0; s < STATES; s++) {
            for (size_t k = 0; seen[s] && k < CANDIDATES; k++) {
                int next = follow(w, s, k);
                if (next != NOWHERE && !seen[next]) {
                    seen[next] = more = true;
                    best = fmax(best, w->value[next]);
                }
            }
        }
    }
    return best < 0 ? w->value[0] : best;
}

/* Ways that lead back end, and where they may be as long as there are states, nothing is missed. */
static void test_cycles(void **state)
{
    (void)state;
    static const char *const names[] = {"beam", "best-first", "mcts"};
    size_t merged = 0;
    for (uint64_t seed = 100; seed < 160; seed++) {
        world w = random_world(seed, false);
        for (int i = 0; i < 3; i++) {
            sa_search_options o = usual(STATES, CANDIDATES);
            o.beam = i == 0 ? STATES : 0;
            o.budget = i == 0 ? 0 : 1000;
            o.exploration = 10;
            trial *t = new_trial(&w, names[i], o);
            assert_true(kept_value(t) == best_of_all(&w));
            assert_true(t->tree.count <= STATES);
            assert_int_equal(t->tree.count - 1 + t->tree.merged, t->clicks);
            merged += t->tree.merged;
            free_trial(t);
        }
    }
    assert_true(merged > 1000);
}

/* -- Plain loops -- */

typedef struct {
    int path[STATES + 1]; /* states, the root first */
    size_t depth, kept, clicks;
} plain;

/* The first of the best among path[0 .. depth], without the root if there are others. */
static size_t best_on_path(const world *w, const plain *p, bool keeps_root)
{
    size_t best = keeps_root || p->depth == 0 ? 0 : 1;
    for (size_t i = best + 1; i <= p->depth; i++) {
        best = w->value[p->path[i]] > w->value[p->path[best]] ? i : best;
    }
    return best;
}

static bool is_impatient(const world *w, const plain *p, const sa_search_options *o)
{
    return o->patience > 0 && p->depth - best_on_path(w, p, o->keeps_root) >= o->patience;
}

static bool may_go_on(const world *w, const plain *p, const sa_search_options *o)
{
    return p->depth < o->steps && w->value[p->path[p->depth]] < o->enough &&
           (o->budget == 0 || p->clicks < o->budget);
}

/* Click after click; `stops`: keeps the best, and knows when to end. */
static plain plain_greedy(const world *w, const sa_search_options *o, bool stops)
{
    plain p = {.path = {0}};
    while (may_go_on(w, &p, o) && !(stops && is_impatient(w, &p, o))) {
        int next = follow(w, p.path[p.depth], 0);
        if (next == NOWHERE) {
            break;
        }
        p.path[++p.depth] = next;
        p.clicks++;
    }
    p.kept = stops ? best_on_path(w, &p, o->keeps_root) : p.depth;
    return p;
}

/* The best of the candidates' states, each of which is new. */
static plain plain_prm_greedy(const world *w, const sa_search_options *o)
{
    plain p = {.path = {0}};
    bool seen[STATES] = {true};
    for (;;) {
        int here = p.path[p.depth], best = NOWHERE;
        bool done[CANDIDATES] = {false};
        for (size_t k = 0; k < o->candidates && may_go_on(w, &p, o); k++) {
            int next = follow(w, here, k);
            if (next == NOWHERE || done[w->click[here][k]]) {
                continue;
            }
            done[w->click[here][k]] = true;
            p.clicks++;
            if (!seen[next] && (best == NOWHERE || w->value[next] > w->value[best])) {
                best = next;
            }
            seen[next] = true;
        }
        if (best == NOWHERE) {
            break;
        }
        p.path[++p.depth] = best;
        if (is_impatient(w, &p, o)) {
            break;
        }
    }
    p.kept = best_on_path(w, &p, o->keeps_root);
    return p;
}

static void expect_plain(const trial *t, const plain *p, uint64_t seed)
{
    const sa_node *nodes = t->tree.nodes;
    sa_node_id last = sa_search_last(t->search);
    bool same = nodes[last].depth == p->depth && nodes[sa_search_kept(t->search)].depth == p->kept &&
                t->clicks == p->clicks;
    for (sa_node_id n = last; same && n != SA_NO_NODE; n = nodes[n].parent) {
        same = state_of(&t->tree, n) == p->path[nodes[n].depth];
    }
    if (!same) {
        fail_msg("%s, world %d: depth %zu, kept %zu, %zu clicks; plain: %zu, %zu, %zu", t->name, (int)seed,
                 nodes[last].depth, nodes[sa_search_kept(t->search)].depth, t->clicks, p->depth, p->kept,
                 p->clicks);
    }
}

static void test_plain_loops(void **state)
{
    (void)state;
    size_t impatient = 0;
    for (uint64_t n = 0; n < 4000; n++) {
        sa_philox r = sa_philox_block(7, n, 0);
        world w = random_world(r.word[0], r.word[1] & 1);
        sa_search_options o = usual(r.word[1] / 2 % 12, 1 + r.word[1] / 32 % CANDIDATES);
        o.patience = r.word[2] % 4;
        o.keeps_root = r.word[2] / 4 % 2;
        o.enough = r.word[2] / 8 % 3 == 0 ? 0.8 : 2;
        o.budget = r.word[3] % 3 == 0 ? 1 + r.word[3] / 3 % 12 : 0;
        const plain want[] = {plain_greedy(&w, &o, false), plain_greedy(&w, &o, true),
                              plain_prm_greedy(&w, &o)};
        static const char *const names[] = {"greedy", "prm-stop", "prm-greedy"};
        for (int i = 0; i < 3; i++) {
            trial *t = new_trial(&w, names[i], o);
            expect_plain(t, &want[i], n);
            free_trial(t);
        }
        impatient += is_impatient(&w, &want[1], &o) && want[1].depth < o.steps;
    }
    assert_true(impatient > 100);
}

/* A beam of any width: at each depth the best of the new states, in the order in which they were found. */
static double plain_beam(const world *w, const sa_search_options *o)
{
    bool seen[STATES] = {true};
    int front[STATES] = {0};
    size_t count = 1;
    double best = -1;
    for (size_t depth = 0; depth < o->steps && count > 0; depth++) {
        int found[STATES], next_front[STATES];
        size_t found_count = 0, next = 0;
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < o->candidates; k++) {
                int s = follow(w, front[i], k);
                if (s != NOWHERE && !seen[s]) {
                    seen[s] = true;
                    found[found_count++] = s;
                    best = fmax(best, w->value[s]);
                }
            }
        }
        while (next < o->beam && next < found_count) {
            size_t at = next; /* the best of the rest comes to the front */
            for (size_t i = next; i < found_count; i++) {
                at = w->value[found[i]] > w->value[found[at]] ? i : at;
            }
            int taken = found[at];
            memmove(found + next + 1, found + next, (at - next) * sizeof *found);
            next_front[next] = found[next] = taken;
            next++;
        }
        memcpy(front, next_front, next * sizeof *front);
        count = next;
    }
    return best < 0 ? w->value[0] : best;
}

static void test_beam_widths(void **state)
{
    (void)state;
    size_t narrow = 0;
    for (uint64_t n = 0; n < 2000; n++) {
        sa_philox r = sa_philox_block(8, n, 0);
        world w = random_world(r.word[0], r.word[1] & 1);
        sa_search_options o = usual(1 + r.word[1] / 2 % 6, 1 + r.word[2] % CANDIDATES);
        o.beam = 1 + r.word[3] % 4;
        trial *t = new_trial(&w, "beam", o);
        double want = plain_beam(&w, &o);
        assert_true(kept_value(t) == want);
        narrow += want < best_reachable(&w, 0, o.steps, o.candidates);
        free_trial(t);
    }
    assert_true(narrow > 50); /* it misses something, so the width is in use */
}

/* Always on from the best state that was not gone on from. Returns the best value; *clicks: how many it took.
 */
static double plain_best_first(const world *w, const sa_search_options *o, size_t *clicks)
{
    int found[STATES] = {0};
    size_t depth[STATES] = {0}, count = 1;
    bool seen[STATES] = {true}, expanded[STATES] = {false};
    double best = -1;
    for (*clicks = 0; *clicks < o->budget;) {
        size_t at = STATES;
        for (size_t i = 0; i < count; i++) {
            bool open = !expanded[i] && depth[i] < o->steps;
            at = open && (at == STATES || w->value[found[i]] > w->value[found[at]]) ? i : at;
        }
        if (at == STATES) {
            break;
        }
        expanded[at] = true;
        bool done[CANDIDATES] = {false};
        for (size_t k = 0; k < o->candidates && *clicks < o->budget; k++) {
            int s = follow(w, found[at], k);
            if (s == NOWHERE || done[w->click[found[at]][k]]) {
                continue;
            }
            done[w->click[found[at]][k]] = true;
            ++*clicks;
            if (!seen[s]) {
                seen[s] = true;
                best = fmax(best, w->value[s]);
                depth[count] = depth[at] + 1;
                found[count++] = s;
            }
        }
    }
    return best < 0 ? w->value[0] : best;
}

static void test_small_budgets(void **state)
{
    (void)state;
    size_t narrow = 0;
    for (uint64_t n = 0; n < 2000; n++) {
        sa_philox r = sa_philox_block(10, n, 0);
        world w = random_world(r.word[0], r.word[1] & 1);
        sa_search_options o = usual(1 + r.word[1] / 2 % 6, 1 + r.word[2] % CANDIDATES);
        o.budget = 1 + r.word[3] % 20;
        trial *t = new_trial(&w, "best-first", o);
        size_t clicks;
        double want = plain_best_first(&w, &o, &clicks);
        assert_true(kept_value(t) == want);
        assert_int_equal(t->clicks, clicks);
        narrow += want < best_reachable(&w, 0, o.steps, o.candidates);
        free_trial(t);
    }
    assert_true(narrow > 50);
}

/* -- UCT -- */

typedef struct {
    const trial *t;
    size_t visits[STATES]; /* by state: equal masks are one node */
    double total[STATES];
    bool tried[STATES][CANDIDATES];
    int depth[STATES]; /* of the first way; -1: not there */
    size_t clicks;     /* of the trace that are explained */
    int way[STATES + 1];
    size_t length;
} uct;

static bool on_way(const uct *u, int s)
{
    for (size_t i = 0; i < u->length; i++) {
        if (u->way[i] == s) {
            return true;
        }
    }
    return false;
}

/* The first click that was not tried; -1: all were. */
static int untried(const uct *u, int s)
{
    const world *w = u->t->w;
    for (int k = 0; k < (int)u->t->options.candidates; k++) {
        if (w->click[s][k] >= 0 && !u->tried[s][w->click[s][k]]) {
            return k;
        }
    }
    return -1;
}

/* The child with the largest upper bound; NOWHERE: none that is not on the way. */
static int by_bound(const uct *u, int s)
{
    const world *w = u->t->w;
    int best = NOWHERE;
    double bound = 0;
    for (size_t k = 0; k < u->t->options.candidates; k++) {
        int next = follow(w, s, k);
        if (next == NOWHERE || on_way(u, next)) {
            continue;
        }
        double n = (double)u->visits[next];
        double b = n == 0
                       ? INFINITY
                       : u->total[next] / n + u->t->options.exploration * sqrt(log((double)u->visits[s]) / n);
        if (best == NOWHERE || b > bound) {
            best = next;
            bound = b;
        }
    }
    return best;
}

/* The trace's next click must be this one. */
static void explain_click(uct *u, int s, int k)
{
    const trial *t = u->t;
    assert_true(u->clicks < t->clicks);
    assert_int_equal(state_of(&t->tree, t->trace[u->clicks].node), s);
    assert_int_equal(t->trace[u->clicks].candidate, k);
    u->clicks++;
    u->tried[s][t->w->click[s][k]] = true;
    int next = follow(t->w, s, (size_t)k);
    u->depth[next] = u->depth[next] < 0 ? u->depth[s] + 1 : u->depth[next];
    if (!on_way(u, next)) {
        u->way[u->length++] = next;
    }
}

/* One round from the root, by the book. */
static void play_round(uct *u)
{
    const sa_search_options *o = &u->t->options;
    u->length = 0;
    u->way[u->length++] = 0;
    for (;;) {
        int here = u->way[u->length - 1];
        if ((here != 0 && u->visits[here] == 0) || (size_t)u->depth[here] >= o->steps ||
            u->clicks >= o->budget) {
            break;
        }
        int k = untried(u, here);
        if (k >= 0) {
            explain_click(u, here, k);
            continue;
        }
        int next = by_bound(u, here);
        if (next == NOWHERE) {
            break;
        }
        u->way[u->length++] = next;
    }
    double value = u->t->w->value[u->way[u->length - 1]];
    for (size_t i = 0; i < u->length; i++) {
        u->visits[u->way[i]]++;
        u->total[u->way[i]] += value;
    }
}

static void test_uct(void **state)
{
    (void)state;
    size_t deepest = 0;
    for (uint64_t n = 0; n < 300; n++) {
        world w = random_world(n, n % 2 == 0);
        sa_search_options o = usual(1 + n % 7, 1 + n / 7 % CANDIDATES);
        o.budget = 1 + n % 50;
        o.exploration = n % 3 == 0 ? 0 : n % 3 == 1 ? 0.3 : 2;
        trial *t = new_trial(&w, "mcts", o);
        uct u = {.t = t};
        for (int s = 1; s < STATES; s++) {
            u.depth[s] = -1;
        }
        size_t rounds = t->search->visits[0].visits;
        assert_true(rounds >= 1 && rounds <= 4 * o.budget);
        for (size_t i = 0; i < rounds; i++) {
            play_round(&u);
        }
        assert_int_equal(u.clicks, t->clicks);
        for (size_t i = 0; i < t->tree.count; i++) {
            int s = state_of(&t->tree, (sa_node_id)i);
            assert_int_equal(t->search->visits[i].visits, u.visits[s]);
            assert_true(t->search->visits[i].total == u.total[s]);
            deepest = t->tree.nodes[i].depth > deepest ? t->tree.nodes[i].depth : deepest;
        }
        free_trial(t);
    }
    assert_true(deepest >= 4);
}

/* -- What holds for all -- */

static const char *const all[] = {"greedy", "prm-stop", "prm-greedy", "beam", "best-first", "mcts"};

enum { ALL = sizeof all / sizeof all[0] };

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        assert_true(sa_search_exists(all[i]));
        assert_non_null(strstr(sa_search_list(), all[i]));
        assert_int_equal(sa_search_needs_scores(all[i]), i > 0);
        assert_int_equal(sa_search_branches(all[i]), i > 1);
    }
    assert_false(sa_search_exists("bfs"));
    assert_false(sa_search_exists(""));
}

static sa_search_options random_options(uint64_t n)
{
    sa_philox r = sa_philox_block(9, n, 0), q = sa_philox_block(9, n, 1);
    sa_search_options o = usual(r.word[0] % 9, 1 + r.word[1] % CANDIDATES);
    o.beam = r.word[2] % 5;
    o.budget = r.word[3] % 4 == 0 ? 0 : 1 + r.word[3] % 30;
    o.patience = q.word[0] % 3;
    o.enough = q.word[0] / 3 % 3 == 0 ? 0.7 : 2;
    o.exploration = sa_philox_unit(q.word[1]) * 2;
    o.score = (sa_scorer)(q.word[2] % 4);
    o.keeps_root = q.word[3] & 1;
    o.judged = q.word[3] / 2 % 2;
    o.traced = q.word[3] / 4 % 2;
    return o;
}

static bool same_tree(const trial *a, const trial *b)
{
    bool same = a->tree.count == b->tree.count && a->advances == b->advances && a->clicks == b->clicks &&
                sa_search_kept(a->search) == sa_search_kept(b->search) &&
                sa_search_last(a->search) == sa_search_last(b->search) &&
                memcmp(a->trace, b->trace, a->clicks * sizeof *a->trace) == 0;
    for (size_t i = 0; same && i < a->tree.count; i++) {
        const sa_node *m = &a->tree.nodes[i], *n = &b->tree.nodes[i];
        same = sa_mask_equal(&m->mask, &n->mask) && m->parent == n->parent && m->candidate == n->candidate &&
               m->depth == n->depth && m->candidate_count == n->candidate_count;
    }
    return same;
}

/* What is kept has the best score of those that may be kept, by whatever the score is. */
static void check_kept(const trial *t)
{
    bool greedy = strcmp(t->name, "greedy") == 0;
    bool path_only = strncmp(t->name, "prm", 3) == 0;
    sa_node_id kept = sa_search_kept(t->search), last = sa_search_last(t->search);
    bool thinks = t->options.score == SA_SCORE_EXPECTED || t->options.score == SA_SCORE_PRINTED;
    for (size_t i = 0; i < t->tree.count && !greedy; i++) {
        sa_node_id id = (sa_node_id)i;
        bool may = (i > 0 || t->options.keeps_root) && (!path_only || sa_tree_leads_to(&t->tree, id, last)) &&
                   (!thinks || t->tree.nodes[i].candidate_count > 0);
        assert_true(!may || sa_search_score(t->search, id) <= sa_search_score(t->search, kept));
    }
    assert_true(!greedy || kept == last);
    assert_true(kept != 0 || t->options.keeps_root || t->tree.count == 1 || t->stop_after > 0);
}

/* The states that are told were thought about, if that is wanted. */
static void check_judged(const trial *t)
{
    sa_node_id last = sa_search_last(t->search);
    for (size_t i = 0; i < t->tree.count && t->options.judged; i++) {
        bool told = t->options.traced || sa_tree_leads_to(&t->tree, (sa_node_id)i, last);
        assert_true(!told || t->tree.nodes[i].candidate_count > 0);
    }
}

/* Any options: it ends, within its budget (run() looks), the same each time. */
static void test_any_options(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 3000; n++) {
        world w = random_world(n, n % 3 == 0);
        trial *a = new_trial(&w, all[n % ALL], random_options(n));
        trial *b = new_trial(&w, all[n % ALL], random_options(n));
        assert_true(same_tree(a, b));
        check_kept(a);
        check_judged(a);
        free_trial(a);
        free_trial(b);
    }
}

/* The default budget of those that need one. */
static void test_default_budget(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        world w = random_world(seed, false);
        for (int i = 4; i < ALL; i++) {
            sa_search_options o = usual(1 + seed % 5, 1 + seed % 3);
            trial *t = new_trial(&w, all[i], o);
            assert_true(t->clicks <= o.steps * o.candidates);
            free_trial(t);
        }
    }
}

/* Stopped at any moment: no more clicks (fulfil_click looks), and the best there is. */
static void test_stop(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 3000; n++) {
        world w = random_world(n, n % 3 == 0);
        trial *t = calloc(1, sizeof *t), *whole = new_trial(&w, all[n % ALL], random_options(n));
        assert_non_null(t);
        *t = (trial){.w = &w, .name = all[n % ALL], .options = random_options(n)};
        t->stop_after = 1 + n / ALL % 9;
        run(t);
        check_kept(t);
        check_judged(t);
        assert_true(t->clicks <= whole->clicks);
        assert_true(t->advances <= t->stop_after + 4);
        free_trial(t);
        free_trial(whole);
    }
}

/* A policy that has nothing to say, from the beginning or after one click; no steps at all. */
static void test_nothing_to_do(void **state)
{
    (void)state;
    world silent = random_world(1, true), brief = random_world(2, true);
    for (int k = 0; k < CANDIDATES; k++) {
        silent.click[0][k] = -1;
        brief.click[0][k] = 0;
        brief.click[brief.next[0][0]][k] = -1;
    }
    for (int i = 0; i < ALL; i++) {
        trial *t = new_trial(&silent, all[i], usual(5, CANDIDATES));
        assert_true(t->clicks == 0 && t->tree.count == 1 && sa_search_kept(t->search) == 0);
        free_trial(t);
        t = new_trial(&brief, all[i], usual(5, CANDIDATES));
        assert_true(t->clicks == 1 && t->tree.count == 2 && sa_search_kept(t->search) == 1);
        free_trial(t);
        t = new_trial(&brief, all[i], usual(0, CANDIDATES));
        assert_true(t->clicks == 0 && sa_search_kept(t->search) == 0);
        assert_true(t->tree.nodes[0].candidate_count >= 1); /* its score is known all the same */
        free_trial(t);
    }
}

/* A mask that is good enough is not clicked on, the first one neither. */
static void test_enough(void **state)
{
    (void)state;
    world w = random_world(3, true);
    for (int i = 0; i < ALL; i++) {
        sa_search_options o = usual(5, CANDIDATES);
        o.enough = w.value[0];
        trial *t = new_trial(&w, all[i], o);
        assert_int_equal(t->clicks, 0);
        assert_true(t->tree.nodes[0].candidate_count >= 1);
        free_trial(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimum),        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_plain_loops),    cmocka_unit_test(test_beam_widths),
        cmocka_unit_test(test_small_budgets),  cmocka_unit_test(test_uct),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_any_options),
        cmocka_unit_test(test_default_budget), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_nothing_to_do),  cmocka_unit_test(test_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
