/* The tables of the page: what ran, and what came of it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/data/report_parts.h"
#include "runtime/data/run_file.h"

static void put_head_cell(FILE *out, const char *text)
{
    fprintf(out, "<th scope=\"col\">%s</th>", text);
}

/* A row's name, with its colour in the curve. */
static void put_name(const sa_report *report, size_t run, FILE *out)
{
    fprintf(out, "<tr><th scope=\"row\" class=\"c%u\"><span class=\"dot\"></span><bdi>",
            report_color(report, run));
    report_text(out, report->runs[run].name);
    fputs("</bdi></th>", out);
}

/* ---- what ran ---- */

/* Nothing at all for a number that the record lacks, or that is 0: the option was not used. */
static void put_count(FILE *out, const char *before, double count, const char *one, const char *many)
{
    if (!isnan(count) && count > 0) {
        fprintf(out, "%s%.0f %s", before, count, count == 1 ? one : many);
    }
}

/* "prm-greedy: 7 clicks, 3 candidates, temperature 1; judged by expected" */
static void put_search(const sa_report_run *run, FILE *out)
{
    const char *search = report_record_text(run, "config.search");
    double candidates = report_record_number(run, "config.candidates");
    report_text(out, report_record_text(run, "command"));
    if (search[0] == '\0') {
        return;
    }
    fputs(": ", out);
    report_text(out, search);
    put_count(out, ", ", report_record_number(run, "config.steps"), "click", "clicks");
    put_count(out, ", ", candidates > 1 ? candidates : NAN, "candidate", "candidates");
    put_count(out, ", at most ", report_record_number(run, "config.budget"), "click in all", "clicks in all");
    double temperature = report_record_number(run, "config.temperature");
    if (temperature > 0) {
        fprintf(out, ", temperature %g", temperature);
    }
    if (strcmp(report_record_text(run, "config.policy"), "model") != 0) {
        fputs("; clicks by ", out);
        report_text(out, report_record_text(run, "config.policy"));
    }
    fputs("; score ", out);
    report_text(out, report_record_text(run, "config.score"));
}

/* The first digits of a file's SHA-256. */
static void put_hash(const sa_report_run *run, const char *what, const char *file, FILE *out)
{
    const json_t *files = json_object_get(json_object_get(run->run, "agent"), "files");
    const char *hash = json_string_value(json_object_get(files, file));
    char start[9];
    if (hash != NULL) {
        snprintf(start, sizeof start, "%.8s", hash);
        fprintf(out, " <span class=\"ci\">%s ", what);
        report_text(out, start);
        fputs("</span>", out);
    }
}

/* Names of agents say little: the weights are told apart by their hashes. */
static void put_agent(const sa_report_run *run, FILE *out)
{
    report_text(out, report_record_text(run, "agent.name"));
    put_hash(run, "policy", "policy/model.safetensors", out);
    put_hash(run, "segmenter", "segmenter/model.safetensors", out);
}

/* Rows that the run was to make, all of it or its shard; 0 where it does not say. */
static size_t rows_meant(const sa_report_run *run)
{
    size_t rows, first, end;
    sa_shard shard;
    if (run->run == NULL || sa_run_get_shard(run->run, run->path, &rows, &shard, NULL) != SA_OK) {
        return 0;
    }
    sa_shard_range(shard, rows, &first, &end);
    return end - first;
}

/* What is in quarantine has no row: the run's own count of rows knows of it. */
static void put_items(const sa_report_run *run, FILE *out)
{
    fprintf(out, "%zu <bdi>", run->count);
    report_text(out, run->set);
    fputs("</bdi>", out);
    size_t rows = rows_meant(run);
    if (rows > run->count) {
        fprintf(out, ", %zu without a result", rows - run->count);
    } else if (run->failed + run->skipped > 0) {
        fprintf(out, ", %zu without a result", run->failed + run->skipped);
    }
}

static void put_where(const sa_report_run *run, FILE *out)
{
    double seconds = report_record_number(run, "times.total");
    double items = report_record_number(run, "counters.items");
    report_text(out, report_record_text(run, "device"));
    if (seconds > 0 && items > 0) {
        fprintf(out, ", %.1f s <span class=\"ci\">%.2g items/s</span>", seconds, items / seconds);
    }
}

/* Without a run.json (a results.jsonl alone) only the rows can speak. */
static void put_run(const sa_report *report, size_t place, FILE *out)
{
    const sa_report_run *run = &report->runs[place];
    put_name(report, place, out);
    fputs("<td>", out);
    put_items(run, out);
    fputs("</td><td>", out);
    if (run->run == NULL) {
        fputs("no run.json beside <code>", out);
        report_text(out, run->path);
        fputs("</code></td><td></td><td></td><td></td></tr>\n", out);
        return;
    }
    put_search(run, out);
    fputs("</td><td>", out);
    put_agent(run, out);
    fputs("</td><td>", out);
    if (!isnan(report_record_number(run, "seed"))) {
        fprintf(out, "%.0f", report_record_number(run, "seed"));
    }
    fputs("</td><td>", out);
    put_where(run, out);
    fputs("</td></tr>\n", out);
}

void report_runs(const sa_report *report, FILE *out)
{
    static const char *const heads[] = {"run", "items", "how", "agent", "seed", "device"};
    fputs("<section>\n<h2>What ran</h2>\n<div class=\"scroll\"><table class=\"runs\"><thead><tr>", out);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        put_head_cell(out, heads[i]);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (size_t i = 0; i < report->run_count; i++) {
        put_run(report, i, out);
    }
    fputs("</tbody></table></div>\n</section>\n", out);
}

/* ---- figures of a group ---- */

/* Coloured only where the interval leaves out 0. */
static void put_change(const sa_report *report, const sa_report_run *run, FILE *out)
{
    fputs("<td>", out);
    if (run->has_change) {
        const sa_figure *f = &run->change.delta;
        fputs(f->low > 0 ? "<span class=\"up\">" : f->high < 0 ? "<span class=\"down\">" : "<span>", out);
        fputs(f->value > 0 ? "+" : "", out);
        report_number(out, f->value);
        fputs("</span> <span class=\"ci\">", out);
        report_number(out, f->low);
        fputs(" to ", out);
        report_number(out, f->high);
        fprintf(out, run->change.p < 0.0001 ? "; p &lt; 0.0001" : "; p = %.4f", run->change.p);
        fputs("; from <bdi>", out);
        report_text(out, report->runs[run->before].name);
        fputs("</bdi></span>", out);
    }
    fputs("</td>", out);
}

static void put_clicks(const sa_report_run *run, FILE *out)
{
    fputs("<td>", out);
    report_clicks(out, sa_report_kept_clicks(run));
    if (!isnan(sa_report_made_clicks(run))) {
        fputs(" <span class=\"ci\">of ", out);
        report_clicks(out, sa_report_made_clicks(run));
        fputs("</span>", out);
    }
    fputs("</td>", out);
}

static void put_figures(const sa_report *report, size_t place, FILE *out)
{
    const sa_report_run *run = &report->runs[place];
    const sa_metrics *m = &run->metrics;
    const sa_figure *figures[] = {&m->ciou, &m->noc[0].mean, &m->first_click, &m->prm.mae, &m->prm.spearman};
    put_name(report, place, out);
    fputs("<td class=\"main\">", out);
    report_figure(out, &m->giou);
    fputs("</td>", out);
    put_change(report, run, out);
    put_clicks(run, out);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        fputs("<td>", out);
        report_figure(out, figures[i]);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

static void put_table(const sa_report *report, size_t group, FILE *out)
{
    const char *const heads[] = {
        "run",       "gIoU",        "change", "clicks kept", "cIoU", "NoC@80", "first click inside",
        "PRM error", "PRM Spearman"};
    fputs("<div class=\"scroll\"><table class=\"figures\"><thead><tr>", out);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        put_head_cell(out, heads[i]);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (size_t i = 0; i < report->run_count; i++) {
        if (report->runs[i].group == group && report->runs[i].scores.count > 0) {
            put_figures(report, i, out);
        }
    }
    fputs("</tbody></table></div>\n", out);
}

/* Runs of one group have the same items, but not the same --input: any of them may know the truth. */
static bool has_figures(const sa_report *report, size_t group)
{
    for (size_t i = 0; i < report->run_count; i++) {
        if (report->runs[i].group == group && report->runs[i].scores.count > 0) {
            return true;
        }
    }
    return false;
}

/* Side by side where there is room. */
static void put_plots(const sa_report *report, size_t group, FILE *out)
{
    fputs("<div class=\"plots\">\n", out);
    report_curve(report, group, out);
    for (size_t i = 0; i < report->run_count; i++) {
        if (report->runs[i].group == group) {
            report_scatter(report, i, out);
        }
    }
    fputs("</div>\n", out);
}

void report_figures(const sa_report *report, FILE *out)
{
    for (size_t g = 0; g < report->run_count; g++) {
        if (report->runs[g].group != g) {
            continue;
        }
        fputs("<section>\n<h2>Figures: <bdi>", out);
        report_text(out, report->runs[g].set);
        fputs("</bdi></h2>\n", out);
        if (has_figures(report, g)) {
            put_table(report, g, out);
            put_plots(report, g, out);
        } else {
            fputs("<p>No true masks are known for these items, so there is nothing to measure with.</p>\n",
                  out);
        }
        fputs("</section>\n", out);
    }
}
