/*
 * segagent weights verify: do the tensors of a model fit what its config expects, and is every value a
 * number?
 *
 *   config -> table of wants -> match against the file -> scan all values -> report; exit code 2 if anything
 * is wrong
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/weights.h"

typedef struct {
    sa_weights *weights;
    const char *model;
    sa_weights_report report;
    json_t *nonfinite; /* array of {"name","count"} */
    sa_error misfit;   /* of the match; status SA_OK if all fit */
} verification;

static sa_status match(verification *v, const char *path, sa_error *err)
{
    weights_model model;
    sa_tensor_want *wants = NULL;
    size_t count = 0;
    SA_TRY(weights_read_model(path, v->weights, &model, err));
    SA_TRY(sa_tensor_table_plan(&model.table, &wants, &count, err));
    v->model = model.type;
    sa_status status =
        sa_weights_match(v->weights, wants, count, model.table.ignored, &v->report, &v->misfit);
    free(wants);
    v->report.original_names |= model.original;
    if (status == SA_NO_ROOM) {
        *err = v->misfit;
        return status;
    }
    return SA_OK; /* a misfit is a result, which is told after the scan */
}

static sa_status scan(verification *v, sa_cli *cli, sa_error *err)
{
    size_t count = sa_weights_count(v->weights);
    sa_progress progress = sa_progress_start(&cli->log, "verify", "cpu", (long long)count);
    for (size_t i = 0; i < count && !sa_interrupt_seen(); i++) {
        const sa_tensor *tensor = sa_weights_at(v->weights, i);
        size_t bad = sa_tensor_count_nonfinite(tensor);
        if (bad > 0) {
            json_array_append_new(v->nonfinite,
                                  json_pack("{s:s, s:I}", "name", tensor->name, "count", (json_int_t)bad));
        }
        sa_weights_release(v->weights, tensor);
        sa_progress_update(&progress, (long long)i + 1);
    }
    sa_progress_end(&progress, (long long)count);
    SA_TRY(sa_interrupt_check(err));
    return sa_weights_check(v->weights, err);
}

static bool is_fine(const verification *v)
{
    return v->misfit.status == SA_OK && json_array_size(v->nonfinite) == 0;
}

/* -- The report -- */

static void write_report(const verification *v)
{
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_key(&w, "model");
    sa_json_string(&w, v->model);
    sa_json_key(&w, "ok");
    sa_json_bool(&w, is_fine(v));
    sa_json_key(&w, "missing");
    sa_json_value(&w, v->report.missing_names);
    sa_json_key(&w, "unexpected");
    sa_json_value(&w, v->report.unexpected_names);
    sa_json_key(&w, "mismatched");
    sa_json_value(&w, v->report.mismatched_items);
    sa_json_key(&w, "nonfinite");
    sa_json_value(&w, v->nonfinite);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

/* Names may hold anything but must not steer the terminal: sa_fail makes texts printable. */
static void print_line(const char *kind, const char *name, const char *rest)
{
    sa_error text = {0};
    sa_fail(&text, SA_BAD_INPUT, NULL, NULL, "%-12s%s%s", kind, name, rest);
    printf("%s\n", text.reason);
}

static void print_items(const verification *v)
{
    json_t *item;
    size_t i;
    char rest[600];
    json_array_foreach(v->report.missing_names, i, item) {
        print_line("missing", json_string_value(item), "");
    }
    json_array_foreach(v->report.unexpected_names, i, item) {
        print_line("unexpected", json_string_value(item), "");
    }
    json_array_foreach(v->report.mismatched_items, i, item) {
        snprintf(rest, sizeof rest, ": expected %s, found %s",
                 json_string_value(json_object_get(item, "expected")),
                 json_string_value(json_object_get(item, "found")));
        print_line("mismatched", json_string_value(json_object_get(item, "name")), rest);
    }
    json_array_foreach(v->nonfinite, i, item) {
        snprintf(rest, sizeof rest, ": %lld values are infinite or not a number",
                 (long long)json_integer_value(json_object_get(item, "count")));
        print_line("nonfinite", json_string_value(json_object_get(item, "name")), rest);
    }
}

static void print_report(const verification *v)
{
    print_items(v);
    printf("%s: %s, %zu tensors, %s names: %s\n", sa_weights_path(v->weights), v->model,
           sa_weights_count(v->weights), v->report.original_names ? "original" : "Hugging Face",
           is_fine(v) ? "ok" : "not usable");
}

static sa_status verify(verification *v, sa_cli *cli, const char *path, sa_error *err)
{
    SA_TRY(sa_weights_open(&v->weights, path, err));
    SA_TRY(match(v, path, err));
    return scan(v, cli, err);
}

/* What was wrong, as the one line of the log; the results say the rest. */
static int tell(const verification *v, sa_cli *cli)
{
    sa_error err = v->misfit;
    if (cli->common.json) {
        write_report(v);
    } else {
        print_report(v);
    }
    if (is_fine(v)) {
        return 0;
    }
    if (err.status == SA_OK) {
        sa_fail(&err, SA_BAD_INPUT, sa_weights_path(v->weights), "download or convert it again",
                "%zu tensors hold values that are infinite or not a number", json_array_size(v->nonfinite));
    }
    sa_log_error(&cli->log, &err);
    return sa_status_exit_code(SA_BAD_INPUT);
}

int weights_verify(int argc, char **argv)
{
    static const sa_syntax syntax = {
        .name = "weights verify",
        .summary = "Checks that a model directory or checkpoint has the tensors its model needs, all of them "
                   "finite.",
        .usage = "PATH [OPTION]...",
        .example = "segagent weights verify models/sam-vit-base",
        .least_positions = 1,
        .most_positions = 1,
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_interrupt_install();
    verification v = {.nonfinite = json_array()};
    sa_status status = verify(&v, &cli, cli.arguments.positions[0], &err);
    exit_code = status == SA_OK ? tell(&v, &cli) : 0;
    sa_weights_report_free(&v.report);
    json_decref(v.nonfinite);
    sa_weights_close(v.weights);
    int ended = sa_cli_end(&cli, status, &err);
    return status == SA_OK ? exit_code : ended;
}
