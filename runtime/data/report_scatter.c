/* How well a run knew how good its masks were: a dot for each item, predicted IoU against the true one. */
#include <math.h>

#include "runtime/data/report_parts.h"

enum { SIDE = 206, LEFT = 40, TOP = 12, WIDTH = LEFT + SIDE + 14, HEIGHT = TOP + SIDE + 42, MOST_DOTS = 600 };

static double x_of(double value)
{
    return LEFT + SIDE * value;
}

static double y_of(double value)
{
    return TOP + SIDE * (1 - value);
}

/* On the diagonal the prediction is right; below it, it was too good. */
static void draw_axes(FILE *out)
{
    for (int fifth = 0; fifth <= 5; fifth++) {
        double at = fifth / 5.0;
        fprintf(out,
                "<path class=\"grid\" d=\"M%d %.1fH%d\" /><text x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%.1f</text>"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.1f</text>",
                LEFT, y_of(at), LEFT + SIDE, LEFT - 7, y_of(at) + 4, at, x_of(at), TOP + SIDE + 18, at);
    }
    fprintf(out, "<path class=\"diagonal\" d=\"M%.1f %.1fL%.1f %.1f\" />", x_of(0), y_of(0), x_of(1),
            y_of(1));
    fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">predicted IoU</text>", x_of(0.5),
            HEIGHT - 6);
}

/* Of many items every second, third, ... has a dot. */
static size_t draw_dots(const sa_report_run *run, FILE *out)
{
    size_t stride = (run->count + MOST_DOTS - 1) / MOST_DOTS, dots = 0;
    for (size_t i = 0; i < run->count; i += stride) {
        const sa_report_entry *e = &run->entries[i];
        if (e->score >= 0 && e->score <= 1 && !isnan(e->iou)) {
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" />", x_of(e->score), y_of(e->iou));
            dots++;
        }
    }
    return dots;
}

void report_scatter(const sa_report *report, size_t place, FILE *out)
{
    const sa_report_run *run = &report->runs[place];
    if (!run->shown || run->scores.count == 0) {
        return;
    }
    fprintf(out,
            "<figure class=\"plot scatter\"><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"A dot for "
            "each item: "
            "the IoU that was predicted against the true one\">\n<g class=\"c%u\">",
            WIDTH, HEIGHT, report_color(report, place));
    draw_axes(out);
    size_t dots = draw_dots(run, out);
    fputs("</g></svg>\n<figcaption>True IoU of the masks that <bdi>", out);
    report_text(out, run->name);
    fprintf(out, "</bdi> kept, against what it had predicted; %zu of %zu items.</figcaption></figure>\n",
            dots, run->count);
}
