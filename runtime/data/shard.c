#include "runtime/data/shard.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHARDS = 1000000 };

/* A plain decimal number that is at most `most`; *text moves behind it. */
static bool take_number(const char **text, size_t most, size_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 10);
    if (**text < '0' || **text > '9' || errno != 0 || value > most) {
        return false;
    }
    *text = end;
    *number = (size_t)value;
    return true;
}

/* ---- job arrays ---- */

typedef struct {
    size_t id, min, max, step, count;
} slurm_task;

static sa_status read_variable(sa_shard_variables variables, const char *name, size_t *number, sa_error *err)
{
    const char *text = variables(name), *at = text;
    if (text == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--shard",
                       "submit the job as an array, such as sbatch --array=0-7, or give i/n",
                       "slurm: there is no %s: this is no task of a job array", name);
    }
    if (!take_number(&at, UINT32_MAX, number) || *at != '\0') {
        return sa_fail(err, SA_BAD_USAGE, "--shard", "leave Slurm's variables as they are, or give i/n",
                       "slurm: %s is \"%.50s\", which is no number", name, text);
    }
    return SA_OK;
}

static sa_status read_task(sa_shard_variables variables, slurm_task *task, sa_error *err)
{
    SA_TRY(read_variable(variables, "SLURM_ARRAY_TASK_ID", &task->id, err));
    SA_TRY(read_variable(variables, "SLURM_ARRAY_TASK_MIN", &task->min, err));
    SA_TRY(read_variable(variables, "SLURM_ARRAY_TASK_MAX", &task->max, err));
    SA_TRY(read_variable(variables, "SLURM_ARRAY_TASK_STEP", &task->step, err));
    SA_TRY(read_variable(variables, "SLURM_ARRAY_TASK_COUNT", &task->count, err));
    if (task->id < task->min || task->id > task->max || task->step == 0 || task->count > MOST_SHARDS) {
        return sa_fail(err, SA_BAD_USAGE, "--shard", "leave Slurm's variables as they are, or give i/n",
                       "slurm: task %zu of %zu from %zu to %zu in steps of %zu cannot be", task->id,
                       task->count, task->min, task->max, task->step);
    }
    return SA_OK;
}

/*
 * Slurm tells the step of the first range that has one: of 0-4:2,3 it says 2, with 4 tasks from 0 to 4. With
 * no gaps between min and max in that step there are as many numbers as tasks, and this is one of them.
 */
static sa_status find_part(const slurm_task *task, sa_shard *shard, sa_error *err)
{
    size_t way = task->max - task->min, place = task->id - task->min;
    if (way % task->step != 0 || way / task->step + 1 != task->count || place % task->step != 0) {
        return sa_fail(err, SA_BAD_USAGE, "--shard",
                       "number the tasks without gaps, such as sbatch --array=0-7, or give i/n",
                       "slurm: the array has gaps: %zu tasks from %zu to %zu in steps of %zu, task %zu among "
                       "them",
                       task->count, task->min, task->max, task->step, task->id);
    }
    *shard = (sa_shard){place / task->step, task->count};
    return SA_OK;
}

/* ---- parts ---- */

sa_status sa_shard_parse(const char *text, sa_shard_variables variables, sa_shard *shard, sa_error *err)
{
    *shard = (sa_shard){0};
    if (text == NULL) {
        return SA_OK;
    }
    if (strcmp(text, "slurm") == 0) {
        slurm_task task;
        SA_TRY(read_task(variables, &task, err));
        return find_part(&task, shard, err);
    }
    const char *at = text;
    sa_shard read = {0};
    bool good = take_number(&at, MOST_SHARDS - 1, &read.index) && *at++ == '/' &&
                take_number(&at, MOST_SHARDS, &read.count) && *at == '\0' && read.index < read.count;
    if (!good) {
        return sa_fail(err, SA_BAD_USAGE, "--shard", "give i/n with i from 0 to n-1, such as 0/4, or slurm",
                       "\"%.100s\" is no part of a whole", text);
    }
    *shard = read;
    return SA_OK;
}

/* index * rows / count without leaving size_t: index and count are below 2^20. */
static size_t begin_of(size_t index, size_t count, size_t rows)
{
    return rows / count * index + rows % count * index / count;
}

void sa_shard_range(sa_shard shard, size_t rows, size_t *first, size_t *end)
{
    size_t count = shard.count != 0 ? shard.count : 1;
    SA_ASSERT(shard.index < count && count <= MOST_SHARDS);
    *first = begin_of(shard.index, count, rows);
    *end = begin_of(shard.index + 1, count, rows);
}
