/* --dry-run: every input is read, the models are opened, nothing is computed. */
#include <stdio.h>

#include "runtime/cli/run_parts.h"

/* What is wrong with an item is told. */
static bool is_bad(sa_run_job *j, const sa_item *item)
{
    sa_error why = {0};
    bool bad = sa_runner_check(j->runner, item, &why) != SA_OK;
    if (bad) {
        sa_log_error(&j->cli->log, &why);
    }
    return bad;
}

static void tell_plan(const sa_run_job *j, const sa_run_summary *summary)
{
    sa_runner_memory memory = sa_runner_get_memory(j->runner);
    if (j->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        sa_json_put_string(&w, "format", j->items.format);
        sa_json_put_int(&w, "items", (int64_t)summary->items);
        sa_json_put_int(&w, "unusable", (int64_t)summary->quarantined);
        sa_json_put_string(&w, "device", sa_device_name(j->device));
        sa_json_put_int(&w, "segmenter_bytes", (int64_t)memory.segmenter);
        sa_json_put_int(&w, "policy_bytes", (int64_t)memory.policy);
        sa_json_put_int(&w, "batch", (int64_t)j->batch);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
        return;
    }
    printf("%zu items (%s), %zu of them cannot be used\n", summary->items, j->items.format,
           summary->quarantined);
    printf("%s: segmenter %.1f MB, policy %.1f MB, for %lld items at a time\n", sa_device_name(j->device),
           (double)memory.segmenter / 1e6, (double)memory.policy / 1e6, (long long)j->batch);
}

sa_status sa_run_dry(sa_run_job *j, sa_run_summary *summary, sa_error *err)
{
    size_t first, end;
    SA_TRY(sa_run_open_device(j, err));
    SA_TRY(sa_run_open_models(j, err));
    sa_shard_range(j->shard, j->items.count + j->items.bad_count, &first, &end);
    summary->items = end - first;
    for (size_t i = 0; i < j->items.bad_count; i++) {
        const sa_bad_item *bad = &j->items.bad[i];
        if (bad->row >= first && bad->row < end) {
            sa_log_message(&j->cli->log, SA_LOG_ERROR, "%s: %s", bad->file, bad->reason);
            summary->quarantined++;
        }
    }
    sa_progress progress =
        sa_progress_start(&j->cli->log, "check", sa_device_name(j->device), (long long)(end - first));
    for (size_t i = 0; i < j->items.count; i++) {
        const sa_item *item = &j->items.items[i];
        SA_TRY(sa_interrupt_check(err));
        summary->quarantined += item->row >= first && item->row < end && is_bad(j, item);
        sa_progress_update(&progress, item->row > first ? (long long)(item->row - first) : 0);
    }
    sa_progress_end(&progress, (long long)(end - first));
    tell_plan(j, summary);
    return SA_OK;
}
