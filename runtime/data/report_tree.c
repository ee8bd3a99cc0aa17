/* The tree of a search as a drawing: states from left to right by the number of clicks, the kept line bold.
 */
#include <math.h>
#include <stdlib.h>

#include "runtime/data/report_parts.h"

enum { MOST_NODES = 400, COLUMN = 66, ROW = 27, LEFT = 18, TOP = 20, RIGHT = 20 };

typedef struct {
    const sa_result_step *nodes;
    size_t count;
    size_t *depth; /* [count] */
    double *y;     /* [count], in rows */
    bool *on_line; /* [count]: leads to the kept mask, or is it */
    double next;   /* row of the next leaf */
    size_t deepest, kept;
} tree;

/* Nodes are numbered in order, and each stands behind its parent. */
static bool is_tree(const sa_result *r)
{
    for (size_t i = 0; i < r->tree_count; i++) {
        int64_t parent = r->tree[i].parent;
        if (r->tree[i].node != (int64_t)i || parent >= (int64_t)i || (i > 0) != (parent >= 0)) {
            return false;
        }
    }
    return r->tree_count > 1;
}

/* Parents stand before their children, so one pass will do. */
static void find_depths(tree *t)
{
    for (size_t i = 1; i < t->count; i++) {
        t->depth[i] = t->depth[t->nodes[i].parent] + 1;
        t->deepest = t->depth[i] > t->deepest ? t->depth[i] : t->deepest;
    }
}

/* Leaves one below the other, a parent in the middle of its children. Returns the row of `node`. */
static double place(tree *t, size_t node)
{
    double first = 0, last = 0;
    size_t children = 0;
    for (size_t i = node + 1; i < t->count; i++) {
        if (t->nodes[i].parent == (int64_t)node) {
            last = place(t, i);
            first = children++ == 0 ? last : first;
        }
    }
    t->y[node] = children > 0 ? (first + last) / 2 : t->next++;
    return t->y[node];
}

/* The child of `node` that a step is. */
static size_t find_child(const tree *t, size_t node, const sa_result_step *step)
{
    for (size_t i = node + 1; i < t->count; i++) {
        const sa_result_step *n = &t->nodes[i];
        if (n->parent == (int64_t)node && n->row == step->row && n->col == step->col &&
            n->positive == step->positive && sa_rle_equal(&n->mask, &step->mask)) {
            return i;
        }
    }
    return 0;
}

/* Steps and nodes are the same states; a step that is not found leaves the rest unmarked. */
static void mark_line(tree *t, const sa_result *r)
{
    size_t node = 0;
    t->on_line[0] = true;
    for (size_t k = 1; k <= r->step && k < r->step_count; k++) {
        node = find_child(t, node, &r->steps[k]);
        if (node == 0) {
            return;
        }
        t->on_line[node] = true;
    }
    t->kept = node;
}

static double x_of(const tree *t, size_t node)
{
    return LEFT + (double)t->depth[node] * COLUMN;
}

static double y_of(const tree *t, size_t node)
{
    return TOP + t->y[node] * ROW;
}

/* Level at first, so that lines to several children leave in one stroke, then a bend to the child's height.
 */
static void draw_edge(const tree *t, size_t node, FILE *out)
{
    size_t parent = (size_t)t->nodes[node].parent;
    double x0 = x_of(t, parent), x1 = x_of(t, node), middle = x1 - COLUMN * 0.3;
    fprintf(out, "<path class=\"edge%s\" d=\"M%.1f %.1fH%.1fC%.1f %.1f %.1f %.1f %.1f %.1f\" />",
            t->on_line[node] ? " line" : "", x0 + 6, y_of(t, parent), x1 - COLUMN * 0.5, middle,
            y_of(t, parent), middle, y_of(t, node), x1 - 6, y_of(t, node));
}

/* The number is the predicted IoU; a pointer that rests on it is told the click and the true one. */
static void draw_node(const tree *t, size_t node, FILE *out)
{
    const sa_result_step *n = &t->nodes[node];
    bool kept = node == t->kept && t->on_line[node];
    fprintf(out, "<g class=\"node%s%s\"><title>", t->on_line[node] ? " line" : "", kept ? " best" : "");
    if (n->has_action) {
        fprintf(out, "%s row %lld, col %lld; ", n->positive ? "+" : "−", (long long)n->row,
                (long long)n->col);
    }
    fputs("predicted ", out);
    report_number(out, n->predicted_iou);
    if (n->has_iou) {
        fputs(", true ", out);
        report_number(out, n->iou);
    }
    fprintf(out,
            "</title><circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" /><text x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"middle\">",
            x_of(t, node), y_of(t, node), kept ? 6 : 4, x_of(t, node), y_of(t, node) - (kept ? 9 : 7));
    if (!isnan(n->predicted_iou)) {
        fprintf(out, "%.2f", n->predicted_iou);
    }
    fputs("</text></g>", out);
}

static void draw(const tree *t, const sa_result *r, FILE *out)
{
    double width = LEFT + (double)t->deepest * COLUMN + RIGHT, height = TOP + (t->next - 1) * ROW + TOP;
    fprintf(out,
            "<details class=\"tree\"><summary>The search: %zu states, %zu clicks deep</summary>\n"
            "<div class=\"scroll\"><svg width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
            "role=\"img\" aria-label=\"Tree of the states that were looked at, with the IoU predicted for "
            "each; the kept one after %zu clicks\">",
            t->count, t->deepest, width, height, width, height, r->step);
    for (int line = 0; line < 2; line++) { /* the kept line lies above the others */
        for (size_t i = 1; i < t->count; i++) {
            if (t->on_line[i] == (line == 1)) {
                draw_edge(t, i, out);
            }
        }
    }
    for (size_t i = 0; i < t->count; i++) {
        draw_node(t, i, out);
    }
    fputs("</svg></div></details>\n", out);
}

/* Larger trees would fill the page and tell nothing: they are left out. */
sa_status report_tree(const sa_result *result, FILE *out, sa_error *err)
{
    tree t = {.nodes = result->tree, .count = result->tree_count};
    if (result->tree_count > MOST_NODES || !is_tree(result)) {
        return SA_OK;
    }
    t.depth = calloc(t.count, sizeof *t.depth);
    t.y = calloc(t.count, sizeof *t.y);
    t.on_line = calloc(t.count, sizeof *t.on_line);
    bool room = t.depth != NULL && t.y != NULL && t.on_line != NULL;
    if (room) {
        find_depths(&t);
        place(&t, 0);
        mark_line(&t, result);
        draw(&t, result, out);
    }
    free(t.depth);
    free(t.y);
    free(t.on_line);
    return room ? SA_OK : sa_fail(err, SA_NO_ROOM, result->id, NULL, "no memory to draw its tree");
}
