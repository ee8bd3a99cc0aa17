/* An item on the page: its picture, then for each click the mask, what was said and what it was worth. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/report_parts.h"

/* ---- words ---- */

/* Of all pixels: a count of them says nothing to anybody. */
static void put_percent(FILE *out, const sa_rle *mask)
{
    double pixels = (double)mask->height * (double)mask->width;
    fprintf(out, "%.1f %% of the picture", pixels > 0 ? 100.0 * (double)sa_rle_area(mask) / pixels : 0.0);
}

/* For those who cannot see the picture; free() it. NULL: no memory. */
static char *describe(const sa_result_step *step, size_t number)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, number == 0 ? "The picture at the start" : "The mask after click %zu", number);
    if (step->mask.counts != NULL && sa_rle_area(&step->mask) > 0) {
        fputs(number == 0 ? ", with a given mask over " : ", over ", out);
        put_percent(out, &step->mask);
    }
    if (step->has_iou) {
        fprintf(out, "; true IoU %.2f", step->iou);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- one step ---- */

/* In percent of the width; what predicts more than 1 does not leave its place. */
static void put_bar(FILE *out, const char *kind, double value, int y)
{
    if (!isnan(value)) {
        double width = value < 0 ? 0 : value > 1 ? 1 : value;
        fprintf(out, "<rect class=\"%s\" y=\"%d\" width=\"%.1f\" height=\"3\" />", kind, y, width * 100);
    }
}

static void put_value(FILE *out, const char *kind, const char *word, double value)
{
    fprintf(out, "<div><dt class=\"%s\">%s</dt><dd>", kind, word);
    report_number(out, value);
    fputs("</dd></div>", out);
}

/* Words and numbers for all, the bars for those who see them. */
static void put_values(FILE *out, double iou, double predicted)
{
    fputs("<dl class=\"iou\">", out);
    if (!isnan(iou)) {
        put_value(out, "true", "true", iou);
    }
    put_value(out, "guess", "predicted", predicted);
    fputs("</dl><svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
          out);
    put_bar(out, "true", iou, 0);
    put_bar(out, "guess", predicted, 4);
    fputs("</svg>", out);
}

static void put_move(FILE *out, const sa_result_step *step, size_t number)
{
    fprintf(out, "<p class=\"move\"><span class=\"k\">%zu</span> ", number);
    if (step->has_action) {
        fprintf(out, "<span class=\"%s\">%s</span> <span class=\"at\">%" PRId64 ", %" PRId64 "</span>",
                step->positive ? "plus" : "minus", step->positive ? "+" : "−", step->row, step->col);
    } else {
        fputs(number == 0 ? "<span class=\"at\">start</span>" : "<span class=\"at\">no click</span>", out);
    }
    fputs("</p>", out);
}

/*
 * The click, in a layer of its own above the picture, so that it is sharp and of one size at any width; and
 * whether this is the mask that was kept.
 */
static void put_marks(FILE *out, const sa_result *r, const sa_result_step *step, bool kept)
{
    bool inside =
        step->row >= 0 && step->col >= 0 && step->row < (int64_t)r->height && step->col < (int64_t)r->width;
    if (step->has_action && inside) {
        fprintf(out,
                "<span class=\"mark %s\" style=\"left:%.2f%%;top:%.2f%%\" aria-hidden=\"true\">%s</span>",
                step->positive ? "adds" : "removes", ((double)step->col + 0.5) / (double)r->width * 100,
                ((double)step->row + 0.5) / (double)r->height * 100, step->positive ? "+" : "−");
    }
    fputs(kept ? "<span class=\"tag\">kept</span>" : "", out);
}

/* Isolated from the words around it (bdi): it may be written from right to left. */
static void put_saying(FILE *out, const sa_result_step *step)
{
    static const char *const notes[] = {"", "asked twice: ", "not understood: "};
    if (step->text != NULL && step->text[0] != '\0') {
        fprintf(out, "<p class=\"say\">%s<bdi>", notes[step->parse]);
        report_text(out, step->text);
        fputs("</bdi></p>", out);
    }
}

static sa_status put_step(const report_canvas *canvas, const sa_result *r, size_t number, FILE *out,
                          sa_error *err)
{
    const sa_result_step *step = &r->steps[number];
    bool kept = number == r->step;
    char *alt = describe(step, number);
    if (alt == NULL) {
        return sa_fail(err, SA_NO_ROOM, r->id, "free some memory", "no memory for a picture's text");
    }
    fprintf(out, "<figure class=\"step%s\"><div class=\"pic\">", kept ? " kept" : "");
    sa_status status = report_canvas_write(canvas, &step->mask, alt, out, err);
    put_marks(out, r, step, kept);
    fputs("</div><figcaption>", out);
    put_move(out, step, number);
    put_values(out, step->has_iou ? step->iou : NAN, step->predicted_iou);
    put_saying(out, step);
    fputs("</figcaption></figure>\n", out);
    free(alt);
    return status;
}

/* ---- the card ---- */

/* Reckoned by the first pass from the truth, not what the row says of itself. */
static double iou_of(const sa_report_run *run, const sa_result *r)
{
    const sa_text_entry *entry = sa_text_table_find(&run->places, r->id, strlen(r->id));
    return entry != NULL ? run->entries[entry->number].iou : NAN;
}

static void put_head(const sa_report_run *run, const sa_result *r, FILE *out)
{
    double iou = iou_of(run, r);
    fputs("<h4>“<bdi>", out);
    report_text(out, r->text);
    fputs("</bdi>”</h4>\n<p class=\"facts\"><bdi>", out);
    report_text(out, r->id);
    fprintf(out, "</bdi> · %zu × %zu pixels · kept after %zu of %zu clicks · ", r->width, r->height, r->step,
            r->step_count > 0 ? r->step_count - 1 : 0);
    if (!isnan(iou)) {
        fputs("true IoU <b>", out);
        report_number(out, iou);
        fputs("</b>, ", out);
    }
    fputs("predicted <b>", out);
    report_number(out, r->score);
    fputs("</b></p>\n", out);
}

/* A row without steps still has the mask that was kept. */
static sa_status put_mask(const report_canvas *canvas, const sa_report_run *run, const sa_result *r,
                          FILE *out, sa_error *err)
{
    fputs("<figure class=\"step kept\">", out);
    SA_TRY(report_canvas_write(canvas, &r->mask, "The mask that was kept", out, err));
    fputs("<figcaption>", out);
    put_values(out, iou_of(run, r), r->score);
    fputs("</figcaption></figure>\n", out);
    return SA_OK;
}

static sa_status put_steps(const report_canvas *canvas, const sa_report_run *run, const sa_result *r,
                           FILE *out, sa_error *err)
{
    if (canvas->note[0] != '\0') {
        fputs("<p class=\"note\">No picture: ", out);
        report_text(out, canvas->note);
        fputs("</p>\n", out);
    }
    fputs("<div class=\"steps\">\n", out);
    if (r->step_count == 0) {
        SA_TRY(put_mask(canvas, run, r, out, err));
    }
    for (size_t i = 0; i < r->step_count; i++) {
        SA_TRY(put_step(canvas, r, i, out, err));
    }
    fputs("</div>\n", out);
    return SA_OK;
}

sa_status report_card(const sa_report_run *run, const sa_result *result, const char *name, FILE *out,
                      sa_error *err)
{
    report_canvas canvas;
    put_head(run, result, out);
    sa_status status = report_canvas_open(&canvas, run, result, name, err);
    if (status == SA_OK) {
        status = put_steps(&canvas, run, result, out, err);
    }
    report_canvas_close(&canvas);
    return status == SA_OK ? report_tree(result, out, err) : status;
}

sa_status report_outcome(const sa_report_run *run, const sa_result *result, const char *name, FILE *out,
                         sa_error *err)
{
    report_canvas canvas;
    sa_status status = report_canvas_open(&canvas, run, result, name, err);
    if (status == SA_OK) {
        fputs("<figure class=\"step\">", out);
        status = report_canvas_write(&canvas, &result->mask, "The mask that this run kept", out, err);
        fputs("<figcaption><p class=\"move\"><bdi>", out);
        report_text(out, run->name);
        fputs("</bdi></p>", out);
        put_values(out, iou_of(run, result), result->score);
        fputs("</figcaption></figure>\n", out);
    }
    report_canvas_close(&canvas);
    return status;
}
