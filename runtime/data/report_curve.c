/* How the mean IoU grows with each click: a line for each run of a group, its interval as a band around it.
 */
#include <math.h>

#include "runtime/data/report_parts.h"

enum { WIDTH = 440, HEIGHT = 264, LEFT = 40, RIGHT = 14, TOP = 12, BOTTOM = 42, KEPT = 46 };

typedef struct {
    const sa_report *report;
    size_t group;
    size_t first, last; /* clicks */
    double low, high;   /* IoU */
    bool bands;         /* of more than two runs they would hide each other */
    FILE *out;
} plot;

/* Runs of other groups, and those without a known truth, have no line here. */
static bool is_drawn(const plot *p, size_t run)
{
    return p->report->runs[run].group == p->group && p->report->runs[run].metrics.step_count > 0;
}

unsigned report_color(const sa_report *report, size_t run)
{
    unsigned color = 0;
    for (size_t i = 0; i < run; i++) {
        color += report->runs[i].group == report->runs[run].group;
    }
    return color % 6;
}

/* ---- what is to be seen ---- */

/* The axis holds every interval that is drawn, and NaN moves nothing. */
static void widen(plot *p, const sa_figure *f)
{
    p->low = !isnan(f->low) && f->low < p->low ? f->low : p->low;
    p->high = !isnan(f->high) && f->high > p->high ? f->high : p->high;
}

/* An empty start is 0 for all, which is no news: the axes begin after the first click then. */
static void find_range(plot *p)
{
    size_t runs = 0;
    p->first = 1;
    for (size_t i = 0; i < p->report->run_count; i++) {
        const sa_metrics *m = &p->report->runs[i].metrics;
        if (is_drawn(p, i)) {
            p->bands = ++runs <= 2;
            p->first = m->steps[0].giou.value > 0.02 ? 0 : p->first;
            p->last = m->step_count - 1 > p->last ? m->step_count - 1 : p->last;
        }
    }
    p->low = 1;
    p->high = 0;
    for (size_t i = 0; i < p->report->run_count; i++) {
        const sa_metrics *m = &p->report->runs[i].metrics;
        for (size_t k = p->first; is_drawn(p, i) && k < m->step_count; k++) {
            widen(p, &m->steps[k].giou);
        }
        if (is_drawn(p, i)) {
            widen(p, &m->giou);
        }
    }
    p->low = floor(p->low * 10) / 10;
    p->high = ceil(p->high * 10) / 10;
}

/* Clicks share the width but for KEPT at the right, where the kept masks stand. */
static double x_of(const plot *p, size_t clicks)
{
    double span = WIDTH - LEFT - RIGHT - KEPT - 12;
    return LEFT + 12 + span * (double)(clicks - p->first) / (double)(p->last - p->first);
}

static double y_of(const plot *p, double value)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (p->high - value) / (p->high - p->low);
}

/* ---- axes ---- */

/* Lines at tenths; every second one where there would be more than six. */
static void draw_grid(const plot *p)
{
    int bottom = (int)lrint(p->low * 10), top = (int)lrint(p->high * 10), stride = top - bottom > 5 ? 2 : 1;
    for (int tenth = bottom; tenth <= top; tenth += stride) {
        double y = y_of(p, tenth / 10.0);
        fprintf(p->out,
                "<path class=\"grid\" d=\"M%d %.1fH%d\" /><text x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%.1f</text>",
                LEFT, y, WIDTH - RIGHT, LEFT - 7, y + 4, tenth / 10.0);
    }
}

/* Not more than ten numbers, whatever the number of clicks. */
static void draw_labels(const plot *p)
{
    size_t stride = (p->last - p->first) / 10 + 1;
    double y = HEIGHT - BOTTOM + 18;
    for (size_t k = p->first; k <= p->last; k += stride) {
        fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%zu</text>", x_of(p, k), y, k);
    }
    fprintf(p->out,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">kept</text>"
            "<text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">clicks</text>",
            (double)(WIDTH - RIGHT - KEPT / 2 + 6), y, (x_of(p, p->first) + x_of(p, p->last)) / 2,
            HEIGHT - 6);
}

/* ---- a run ---- */

/* There along the upper ends of the intervals, and back along the lower ones. */
static void draw_band(const plot *p, const sa_metrics *m)
{
    fputs("<path class=\"band\" d=\"M", p->out);
    for (size_t k = p->first; k < m->step_count; k++) {
        fprintf(p->out, "%.1f %.1f ", x_of(p, k), y_of(p, m->steps[k].giou.high));
    }
    for (size_t k = m->step_count; k-- > p->first;) {
        fprintf(p->out, "%.1f %.1f ", x_of(p, k), y_of(p, m->steps[k].giou.low));
    }
    fputs("Z\" />", p->out);
}

/* Dots tell their value to a pointer that rests on them. */
static void draw_line(const plot *p, const sa_metrics *m)
{
    fputs("<path class=\"curve\" d=\"M", p->out);
    for (size_t k = p->first; k < m->step_count; k++) {
        fprintf(p->out, "%.1f %.1f ", x_of(p, k), y_of(p, m->steps[k].giou.value));
    }
    fputs("\" />", p->out);
    for (size_t k = p->first; k < m->step_count; k++) {
        fprintf(p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"><title>%zu clicks: %.3f</title></circle>",
                x_of(p, k), y_of(p, m->steps[k].giou.value), k, m->steps[k].giou.value);
    }
}

/* The masks that were kept, whose number of clicks differs from item to item. */
static void draw_kept(const plot *p, const sa_metrics *m, unsigned place)
{
    double x = WIDTH - RIGHT - KEPT + 14 + 7.0 * place;
    fprintf(p->out,
            "<path class=\"whisker\" d=\"M%.1f %.1fV%.1f\" /><circle class=\"kept\" cx=\"%.1f\" cy=\"%.1f\" "
            "r=\"4\"><title>kept: %.3f</title></circle>",
            x, y_of(p, m->giou.high), y_of(p, m->giou.low), x, y_of(p, m->giou.value), m->giou.value);
}

static void draw_runs(const plot *p)
{
    for (size_t i = 0; i < p->report->run_count; i++) {
        const sa_metrics *m = &p->report->runs[i].metrics;
        if (is_drawn(p, i)) {
            fprintf(p->out, "<g class=\"c%u\">", report_color(p->report, i));
            if (m->step_count > p->first) {
                if (p->bands) {
                    draw_band(p, m);
                }
                draw_line(p, m);
            }
            draw_kept(p, m, report_color(p->report, i));
            fputs("</g>\n", p->out);
        }
    }
}

/* In HTML, not in the drawing: it wraps where the page is narrow, and is read out as a list. */
static void put_legend(const plot *p)
{
    fputs("<ul class=\"legend\">", p->out);
    for (size_t i = 0; i < p->report->run_count; i++) {
        if (is_drawn(p, i)) {
            fprintf(p->out,
                    "<li class=\"c%u\"><svg class=\"swatch\" viewBox=\"0 0 28 10\" aria-hidden=\"true\">"
                    "<path class=\"curve\" d=\"M1 5H27\" /><circle cx=\"14\" cy=\"5\" r=\"3\" /></svg><bdi>",
                    report_color(p->report, i));
            report_text(p->out, p->report->runs[i].name);
            fputs("</bdi></li>", p->out);
        }
    }
    fputs("</ul>", p->out);
}

void report_curve(const sa_report *report, size_t group, FILE *out)
{
    plot p = {.report = report, .group = group, .out = out};
    find_range(&p);
    if (p.last <= p.first || !(p.high > p.low)) {
        return;
    }
    fprintf(out,
            "<figure class=\"plot\"><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Mean IoU after each "
            "click, a line for each run; the table has the figures\">\n",
            WIDTH, HEIGHT);
    draw_grid(&p);
    draw_labels(&p);
    draw_runs(&p);
    fputs("</svg>\n<figcaption>", out);
    put_legend(&p);
    fputs("Mean IoU of <bdi>", out);
    report_text(out, report->runs[group].set);
    fputs("</bdi> after each click, and at the right of the masks that were kept, with 95 % intervals. ",
          out);
    fputs(p.bands ? "Bands are 95 % intervals, too. " : "", out);
    fputs("An item that ended early counts on with its last mask.</figcaption></figure>\n", out);
}
