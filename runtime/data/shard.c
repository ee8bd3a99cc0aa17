#include "runtime/data/shard.h"

#include <errno.h>
#include <stdlib.h>

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

sa_status sa_shard_parse(const char *text, sa_shard *shard, sa_error *err)
{
    *shard = (sa_shard){0};
    if (text == NULL) {
        return SA_OK;
    }
    const char *at = text;
    sa_shard read = {0};
    bool good = take_number(&at, MOST_SHARDS - 1, &read.index) && *at++ == '/' &&
                take_number(&at, MOST_SHARDS, &read.count) && *at == '\0' && read.index < read.count;
    if (!good) {
        return sa_fail(err, SA_BAD_USAGE, "--shard", "give i/n with i from 0 to n-1, such as 0/4",
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
