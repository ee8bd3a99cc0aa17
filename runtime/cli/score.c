#include "runtime/cli/score.h"

#include "runtime/base/file.h"
#include "runtime/base/lines.h"
#include "runtime/data/metrics_write.h"

static sa_status score_row(void *context, const sa_result *result, const char *name, sa_error *err)
{
    sa_scored *s = context;
    sa_rle truth;
    if (s->known_only && !sa_truths_known(s->truths, result)) {
        return SA_OK;
    }
    SA_TRY(sa_truths_find(s->truths, result, name, &truth, err));
    sa_status status = sa_scores_add(&s->scores, result, &truth, name, err);
    sa_rle_free(&truth);
    return status;
}

/* How many items a run has set aside; none where there is no such file. */
static sa_status count_quarantined(const char *directory, size_t *count, sa_error *err)
{
    char path[4096];
    sa_file_map map;
    *count = 0;
    SA_TRY(sa_file_join(path, sizeof path, directory, "quarantine.jsonl", err));
    if (!sa_file_exists(path)) {
        return SA_OK;
    }
    SA_TRY(sa_file_map_open(&map, path, err));
    sa_lines lines = {.text = (const char *)map.bytes, .size = map.size};
    const char *line;
    size_t size;
    while (sa_lines_next(&lines, &line, &size)) {
        *count += 1;
    }
    sa_status status = sa_file_map_check(&map, err);
    sa_file_map_close(&map);
    return status;
}

sa_status sa_cli_score_results(sa_cli *cli, const sa_truths *truths, bool known_only, const char *path,
                               sa_scored *scored, sa_error *err)
{
    size_t quarantined = 0;
    *scored = (sa_scored){.truths = truths, .known_only = known_only};
    SA_TRY(sa_cli_visit_results(cli, "eval", path, score_row, scored, &scored->counts, err));
    if (sa_file_is_directory(path)) {
        SA_TRY(count_quarantined(path, &quarantined, err));
    }
    scored->counts.failed += quarantined;
    return SA_OK;
}

sa_status sa_cli_measure(const sa_scored *scored, const sa_metrics_options *options, sa_pool *pool,
                         sa_metrics *metrics, sa_error *err)
{
    SA_TRY(sa_metrics_compute(metrics, &scored->scores, options, pool, err));
    metrics->failed = scored->counts.failed;
    metrics->skipped = scored->counts.skipped;
    return SA_OK;
}

sa_status sa_cli_write_metrics(const char *directory, const sa_metrics *metrics, sa_error *err)
{
    char path[4096];
    sa_file_writer writer;
    SA_TRY(sa_file_join(path, sizeof path, directory, "metrics.json", err));
    SA_TRY(sa_file_writer_open(&writer, path, err));
    sa_json_writer w = sa_json_writer_on(writer.stream);
    sa_metrics_write_json(metrics, &w);
    sa_json_end_line(&w);
    return sa_file_writer_commit(&writer, err);
}
