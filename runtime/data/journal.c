#include "runtime/data/journal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/crc32.h"

enum { CRC_DIGITS = 8 };

static bool take_crc(const char *text, uint32_t *crc)
{
    *crc = 0;
    for (int i = 0; i < CRC_DIGITS; i++) {
        const char *digits = "0123456789abcdef", *found = strchr(digits, text[i]);
        if (text[i] == '\0' || found == NULL) {
            return false;
        }
        *crc = *crc << 4 | (uint32_t)(found - digits);
    }
    return text[CRC_DIGITS] == ' ';
}

/* A decimal number before `end`; *text moves behind it and the space after it, if there is one. */
static bool take_number(const char **text, const char *end, uint64_t *number)
{
    const char *at = *text;
    *number = 0;
    while (at < end && *at >= '0' && *at <= '9' && *number <= UINT64_MAX / 10 - 1) {
        *number = *number * 10 + (uint64_t)(*at++ - '0');
    }
    bool good = at > *text && (at == end || *at == ' ');
    *text = at < end ? at + 1 : at;
    return good;
}

static bool take_head(sa_journal_record *record, const char *at, const char *end)
{
    return take_number(&at, end, &record->done) && take_number(&at, end, &record->results) &&
           take_number(&at, end, &record->quarantine) && take_number(&at, end, &record->quarantined) &&
           at == end;
}

size_t sa_journal_read(sa_journal_record *record, const char *text, size_t size)
{
    enum { LEAST = CRC_DIGITS + 3 }; /* "crc K " */
    const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
    uint32_t crc;
    *record = (sa_journal_record){0};
    if (end == NULL || end - text < LEAST || !take_crc(text, &crc) || text[LEAST - 1] != ' ' ||
        crc != sa_crc32(0, text + CRC_DIGITS + 1, (size_t)(end - text) - CRC_DIGITS - 1)) {
        return 0;
    }
    const char *at = text + LEAST;
    record->kind = (sa_journal_kind)text[LEAST - 2];
    bool good = false;
    if (record->kind == SA_JOURNAL_HEAD) {
        good = take_head(record, at, end);
    } else if (record->kind == SA_JOURNAL_RESULT || record->kind == SA_JOURNAL_QUARANTINE) {
        good = take_number(&at, end, &record->row) && at < end;
        record->line = at;
        record->size = (size_t)(end - at);
    }
    return good ? (size_t)(end - text) + 1 : 0;
}

/* `body` is in its place behind the CRC already, and goes on in `line`. */
static size_t put_crc(char out[SA_JOURNAL_ROOM], size_t body, const char *line, size_t size)
{
    char crc[CRC_DIGITS + 1];
    uint32_t value = sa_crc32(0, out + CRC_DIGITS + 1, body);
    snprintf(crc, sizeof crc, "%08" PRIx32, size > 0 ? sa_crc32(value, line, size) : value);
    memcpy(out, crc, CRC_DIGITS);
    out[CRC_DIGITS] = ' ';
    return body + CRC_DIGITS + 1;
}

size_t sa_journal_write_head(char out[SA_JOURNAL_ROOM], const sa_journal_record *head)
{
    int body = snprintf(out + CRC_DIGITS + 1, SA_JOURNAL_ROOM - CRC_DIGITS - 1,
                        "H %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, head->done, head->results,
                        head->quarantine, head->quarantined);
    size_t size = put_crc(out, (size_t)body, NULL, 0);
    out[size] = '\n';
    return size + 1;
}

size_t sa_journal_write_prefix(char out[SA_JOURNAL_ROOM], const sa_journal_record *record)
{
    int body = snprintf(out + CRC_DIGITS + 1, SA_JOURNAL_ROOM - CRC_DIGITS - 1, "%c %" PRIu64 " ",
                        (char)record->kind, record->row);
    return put_crc(out, (size_t)body, record->line, record->size);
}
