/* INTERFACES.md fixes the keys; plain numbers keep their names, and intervals stand beside them. */
#include "runtime/data/metrics_write.h"

#include <inttypes.h>
#include <math.h>

#include "runtime/data/csv.h"

/* ---- JSON ---- */

/* {"value", "low", "high"}: the two figures that INTERFACES.md has so. */
static void put_object(sa_json_writer *w, const char *key, const sa_figure *figure)
{
    sa_json_key(w, key);
    sa_json_begin_object(w);
    sa_json_put_f64(w, "value", figure->value);
    sa_json_put_f64(w, "low", figure->low);
    sa_json_put_f64(w, "high", figure->high);
    sa_json_end_object(w);
}

/* "key": value, "key_interval": [low, high] */
static void put_figure(sa_json_writer *w, const char *key, const sa_figure *figure)
{
    char name[64];
    snprintf(name, sizeof name, "%s_interval", key);
    sa_json_put_f64(w, key, figure->value);
    sa_json_key(w, name);
    sa_json_begin_array(w);
    sa_json_f64(w, figure->low);
    sa_json_f64(w, figure->high);
    sa_json_end_array(w);
}

static void put_steps(sa_json_writer *w, const sa_metrics *m)
{
    sa_json_key(w, "per_step");
    sa_json_begin_array(w);
    for (size_t k = 0; k < m->step_count; k++) {
        sa_json_begin_object(w);
        sa_json_put_int(w, "step", k);
        put_figure(w, "cIoU", &m->steps[k].ciou);
        put_figure(w, "gIoU", &m->steps[k].giou);
        sa_json_end_object(w);
    }
    sa_json_end_array(w);
}

static void put_noc(sa_json_writer *w, const sa_metrics *m)
{
    char name[16];
    sa_json_key(w, "noc");
    sa_json_begin_object(w);
    for (size_t t = 0; t < SA_METRICS_NOC; t++) {
        snprintf(name, sizeof name, "%u", m->noc[t].percent);
        sa_json_key(w, name);
        sa_json_begin_object(w);
        put_figure(w, "mean", &m->noc[t].mean);
        put_figure(w, "failed", &m->noc[t].failed);
        sa_json_end_object(w);
    }
    sa_json_put_int(w, "cap", m->noc_cap);
    sa_json_end_object(w);
}

static void put_prm(sa_json_writer *w, const sa_metrics *m)
{
    sa_json_key(w, "prm");
    sa_json_begin_object(w);
    put_figure(w, "mae", &m->prm.mae);
    put_figure(w, "mse", &m->prm.mse);
    put_figure(w, "pearson", &m->prm.pearson);
    put_figure(w, "spearman", &m->prm.spearman);
    put_figure(w, "auc", &m->prm.auc);
    sa_json_put_int(w, "states", m->prm.states);
    sa_json_end_object(w);
}

void sa_metrics_write_json(const sa_metrics *metrics, sa_json_writer *w)
{
    sa_json_begin_object(w);
    sa_json_put_int(w, "items", metrics->items);
    sa_json_put_int(w, "failed", metrics->failed);
    sa_json_put_int(w, "skipped", metrics->skipped);
    if (metrics->step != SA_METRICS_KEPT) {
        sa_json_put_int(w, "step", (size_t)metrics->step);
    }
    put_object(w, "cIoU", &metrics->ciou);
    put_object(w, "gIoU", &metrics->giou);
    put_steps(w, metrics);
    put_noc(w, metrics);
    sa_json_key(w, "first_click");
    sa_json_begin_object(w);
    put_figure(w, "hit", &metrics->first_click);
    sa_json_end_object(w);
    put_prm(w, metrics);
    sa_json_end_object(w);
}

void sa_comparison_write_json(const sa_comparison *c, sa_json_writer *w)
{
    sa_json_begin_object(w);
    sa_json_put_f64(w, "delta", c->delta.value);
    sa_json_put_f64(w, "low", c->delta.low);
    sa_json_put_f64(w, "high", c->delta.high);
    sa_json_put_f64(w, "p", c->p);
    sa_json_put_int(w, "wins", c->wins);
    sa_json_put_int(w, "losses", c->losses);
    sa_json_put_int(w, "ties", c->ties);
    put_object(w, "cIoU", &c->ciou);
    sa_json_put_int(w, "pairs", c->pairs);
    sa_json_put_int(w, "only_a", c->only_a);
    sa_json_put_int(w, "only_b", c->only_b);
    sa_json_end_object(w);
}

/* ---- tables ---- */

typedef struct {
    sa_table_style style;
    FILE *stream;
} table;

static void begin_table(const table *t)
{
    if (t->style == SA_TABLE_MARKDOWN) {
        fputs("| figure | value | 95 % interval |\n|---|---|---|\n", t->stream);
    } else if (t->style == SA_TABLE_CSV) {
        fputs("figure,value,low,high\r\n", t->stream);
    }
}

/* Four decimals for people; in CSV all digits, and nothing for what is not defined. */
static void put_number(const table *t, double value)
{
    char text[64] = "";
    if (t->style != SA_TABLE_CSV) {
        fprintf(t->stream, isnan(value) ? "-" : "%.4f", value);
        return;
    }
    if (!isnan(value)) {
        sa_json_format_f64(text, sizeof text, value);
    }
    sa_csv_text(t->stream, text, 0);
}

static void put_interval(const table *t, const sa_figure *f)
{
    fputs("[", t->stream);
    put_number(t, f->low);
    fputs(", ", t->stream);
    put_number(t, f->high);
    fputs("]", t->stream);
}

static void put_row(const table *t, const char *name, const sa_figure *f)
{
    bool markdown = t->style == SA_TABLE_MARKDOWN;
    if (t->style == SA_TABLE_CSV) {
        sa_csv_text(t->stream, name, 1);
        put_number(t, f->value);
        put_number(t, f->low);
        put_number(t, f->high);
        sa_csv_end(t->stream);
        return;
    }
    fprintf(t->stream, markdown ? "| %s | " : "%-28s ", name);
    put_number(t, f->value);
    fputs(markdown ? " | " : "  ", t->stream);
    if (!isnan(f->low)) {
        put_interval(t, f);
    }
    fputs(markdown ? " |\n" : "\n", t->stream);
}

/* A number without an interval. */
static void put_count(const table *t, const char *name, size_t count)
{
    static const char *const forms[] = {"%-28s %zu\n", "| %s | %zu | |\n", "%s,%zu,,\r\n"};
    fprintf(t->stream, forms[t->style], name, count);
}

void sa_metrics_write_table(const sa_metrics *m, sa_table_style style, FILE *stream)
{
    const table t = {style, stream};
    char name[64];
    begin_table(&t);
    put_count(&t, "items", m->items);
    put_count(&t, "failed", m->failed);
    put_count(&t, "skipped", m->skipped);
    put_row(&t, "cIoU", &m->ciou);
    put_row(&t, "gIoU", &m->giou);
    for (size_t k = 0; k < m->step_count; k++) {
        snprintf(name, sizeof name, "cIoU after %zu", k);
        put_row(&t, name, &m->steps[k].ciou);
        snprintf(name, sizeof name, "gIoU after %zu", k);
        put_row(&t, name, &m->steps[k].giou);
    }
    for (size_t n = 0; n < SA_METRICS_NOC; n++) {
        snprintf(name, sizeof name, "NoC@%u (cap %zu)", m->noc[n].percent, m->noc_cap);
        put_row(&t, name, &m->noc[n].mean);
        snprintf(name, sizeof name, "never %u %%", m->noc[n].percent);
        put_row(&t, name, &m->noc[n].failed);
    }
    put_row(&t, "first click inside", &m->first_click);
    put_row(&t, "PRM mean absolute error", &m->prm.mae);
    put_row(&t, "PRM mean squared error", &m->prm.mse);
    put_row(&t, "PRM Pearson", &m->prm.pearson);
    put_row(&t, "PRM Spearman", &m->prm.spearman);
    put_row(&t, "PRM ROC-AUC (IoU >= 0.5)", &m->prm.auc);
}

void sa_comparison_write_table(const sa_comparison *c, sa_table_style style, FILE *stream)
{
    const table t = {style, stream};
    const sa_figure p = {c->p, NAN, NAN};
    begin_table(&t);
    put_count(&t, "pairs", c->pairs);
    put_count(&t, "only in A", c->only_a);
    put_count(&t, "only in B", c->only_b);
    put_row(&t, "gIoU, B minus A", &c->delta);
    put_row(&t, "cIoU, B minus A", &c->ciou);
    put_row(&t, "p (sign flips, two-sided)", &p);
    put_count(&t, "B better", c->wins);
    put_count(&t, "B worse", c->losses);
    put_count(&t, "equal", c->ties);
}

/* ---- items ---- */

/* Empty for a target that is never reached: a cap would look like a number of clicks. */
static void put_clicks(const sa_score *score, unsigned percent, FILE *stream)
{
    size_t clicks;
    putc(',', stream);
    if (sa_metrics_clicks_to(score, percent, &clicks)) {
        fprintf(stream, "%zu", clicks);
    }
}

void sa_scores_write_csv(const sa_scores *scores, int64_t step, FILE *stream)
{
    char iou[64];
    fputs("id,iou,intersection,union,step", stream);
    for (size_t t = 0; t < SA_METRICS_NOC; t++) {
        fprintf(stream, ",noc_%u", sa_metrics_noc_percent[t]);
    }
    fputs(",first_click\r\n", stream);
    for (size_t i = 0; i < scores->count; i++) {
        const sa_score *score = &scores->items[i];
        const sa_overlap *judged = sa_metrics_judged(score, step);
        size_t place = step == SA_METRICS_KEPT ? score->step : (size_t)step;
        sa_json_format_f64(iou, sizeof iou, sa_overlap_iou(judged));
        sa_csv_text(stream, score->id, 1);
        fprintf(stream, ",%s,%" PRIu64 ",%" PRIu64 ",%zu", iou, judged->both, judged->either, place);
        for (size_t t = 0; t < SA_METRICS_NOC; t++) {
            put_clicks(score, sa_metrics_noc_percent[t], stream);
        }
        fprintf(stream, ",%d", score->hit);
        sa_csv_end(stream);
    }
}
