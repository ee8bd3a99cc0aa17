/*
 * Zip directory: end record -> (zip64 end record) -> central directory -> each local header -> data.
 * Sizes are those of the central directory; torch leaves the local ones to a data descriptor behind the data.
 */
#include "runtime/weights/zip.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    MAX_ENTRIES = 1 << 19,
    MAX_NAME = 1024,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8,
};
static const uint32_t END_MARK = 0x06054b50, END64_MARK = 0x06064b50, LOCATOR_MARK = 0x07064b50;
static const uint32_t CENTRAL_MARK = 0x02014b50, LOCAL_MARK = 0x04034b50;
static const char DAMAGED[] = "the file is damaged or was cut short: download or write it again";

typedef struct {
    const char *path;
    const unsigned char *bytes;
    size_t size;
    sa_error *err;
} archive;

/* Where the central directory stands and how many entries it has. */
typedef struct {
    uint64_t count, size, offset;
} directory;

static uint64_t get(const unsigned char *bytes, int width)
{
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static sa_status damaged(const archive *a, const char *what)
{
    return sa_fail(a->err, SA_BAD_INPUT, a->path, DAMAGED, "its zip archive: %s", what);
}

/* The end record stands last, before a comment whose length it knows. */
static sa_status find_end(const archive *a, size_t *at)
{
    if (a->size < END_SIZE) {
        return damaged(a, "no end record");
    }
    size_t last = a->size - END_SIZE;
    for (size_t back = 0; back <= 0xffff && back <= last; back++) {
        const unsigned char *end = a->bytes + last - back;
        if (get(end, 4) == END_MARK && get(end + 20, 2) == back) {
            *at = last - back;
            return SA_OK;
        }
    }
    return damaged(a, "no end record");
}

static sa_status read_end64(const archive *a, size_t end, directory *d)
{
    const unsigned char *locator = a->bytes + end - LOCATOR_SIZE;
    uint64_t at = get(locator + 8, 8);
    size_t before = end - LOCATOR_SIZE;
    if (get(locator + 4, 4) != 0 || get(locator + 16, 4) > 1) {
        return damaged(a, "it is split over several files");
    }
    if (before < END64_SIZE || at > before - END64_SIZE || get(a->bytes + at, 4) != END64_MARK) {
        return damaged(a, "no zip64 end record where its locator points");
    }
    const unsigned char *record = a->bytes + at;
    if (get(record + 16, 4) != 0 || get(record + 20, 4) != 0 || get(record + 24, 8) != get(record + 32, 8)) {
        return damaged(a, "it is split over several files");
    }
    *d = (directory){get(record + 32, 8), get(record + 40, 8), get(record + 48, 8)};
    return d->offset <= at ? SA_OK : damaged(a, "the central directory starts behind its end record");
}

static sa_status read_end(const archive *a, directory *d)
{
    size_t end = 0;
    SA_TRY(find_end(a, &end));
    if (end >= LOCATOR_SIZE && get(a->bytes + end - LOCATOR_SIZE, 4) == LOCATOR_MARK) {
        SA_TRY(read_end64(a, end, d));
    } else {
        const unsigned char *record = a->bytes + end;
        if (get(record + 4, 2) != 0 || get(record + 6, 2) != 0 || get(record + 8, 2) != get(record + 10, 2)) {
            return damaged(a, "it is split over several files");
        }
        *d = (directory){get(record + 10, 2), get(record + 12, 4), get(record + 16, 4)};
    }
    if (d->offset > end || d->size > end - d->offset) {
        return damaged(a, "the central directory lies outside of the file");
    }
    if (d->count > MAX_ENTRIES || d->count > d->size / CENTRAL_SIZE) {
        return damaged(a, "more entries than its central directory has room for");
    }
    return SA_OK;
}

/*
 * The zip64 field (1) holds those of size, stored size and offset that are 0xffffffff in the record, in this
 * order.
 */
static sa_status read_extra64(const archive *a, const unsigned char *extra, size_t length,
                              uint64_t *values[3])
{
    while (length >= 4) {
        size_t id = (size_t)get(extra, 2), field = (size_t)get(extra + 2, 2);
        if (field > length - 4) {
            return damaged(a, "an extra field runs past its entry");
        }
        const unsigned char *place = extra + 4, *limit = place + field;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*values[i] != 0xffffffffu) {
                continue;
            }
            if (limit - place < 8) {
                return damaged(a, "a zip64 field is too short");
            }
            *values[i] = get(place, 8);
            place += 8;
        }
        extra += 4 + field;
        length -= 4 + field;
    }
    return SA_OK;
}

static sa_status refuse_encrypted(const archive *a, const unsigned char *record)
{
    if (get(record + 8, 2) & FLAG_ENCRYPTED) {
        return sa_fail(a->err, SA_BAD_INPUT, a->path, "save it with torch.save",
                       "its zip archive is encrypted");
    }
    if (get(record + 34, 2) != 0) {
        return damaged(a, "it is split over several files");
    }
    return SA_OK;
}

/* The local header must tell the same story as the central record; *data is where it ends. */
static sa_status check_local(const archive *a, const unsigned char *record, const sa_zip_entry *entry,
                             size_t limit, size_t *data)
{
    if (limit < LOCAL_SIZE || entry->header > limit - LOCAL_SIZE) {
        return damaged(a, "an entry lies outside of the file");
    }
    const unsigned char *local = a->bytes + entry->header;
    size_t name = (size_t)get(local + 26, 2), extra = (size_t)get(local + 28, 2);
    size_t after = entry->header + LOCAL_SIZE;
    if (get(local, 4) != LOCAL_MARK || name > limit - after || extra > limit - after - name) {
        return damaged(a, "an entry has no local header");
    }
    uint64_t stored = get(local + 18, 4);
    bool later = (get(local + 6, 2) & FLAG_DESCRIPTOR) != 0 && stored == 0;
    bool wide = stored == 0xffffffffu; /* its zip64 field; the central directory's number counts */
    if (name != entry->length || memcmp(local + LOCAL_SIZE, entry->name, name) != 0 ||
        get(local + 8, 2) != get(record + 10, 2) || (get(local + 6, 2) & FLAG_ENCRYPTED) != 0 ||
        (!later && !wide && stored != entry->size)) {
        return damaged(a, "an entry's local header and the central directory differ");
    }
    *data = after + name + extra;
    if (entry->size > limit - *data) {
        return damaged(a, "an entry runs past the end");
    }
    return SA_OK;
}

/* One central record at `record`, `left` bytes before the directory's end; *used is its length. */
static sa_status read_entry(const archive *a, const unsigned char *record, size_t left, size_t limit,
                            sa_zip_entry *entry, size_t *used)
{
    if (left < CENTRAL_SIZE || get(record, 4) != CENTRAL_MARK) {
        return damaged(a, "a record of the central directory is missing");
    }
    size_t name = (size_t)get(record + 28, 2), extra = (size_t)get(record + 30, 2);
    *used = CENTRAL_SIZE + name + extra + (size_t)get(record + 32, 2);
    if (*used > left || name == 0 || name > MAX_NAME) {
        return damaged(a, "a record of the central directory has an impossible length");
    }
    SA_TRY(refuse_encrypted(a, record));
    uint64_t size = get(record + 24, 4), stored = get(record + 20, 4), offset = get(record + 42, 4);
    uint64_t *values[3] = {&size, &stored, &offset};
    SA_TRY(read_extra64(a, record + CENTRAL_SIZE + name, extra, values));
    bool compressed = get(record + 10, 2) != 0;
    if ((!compressed && size != stored) || stored > a->size || offset > a->size) {
        return damaged(a, "an entry lies outside of the file");
    }
    *entry = (sa_zip_entry){.name = (const char *)record + CENTRAL_SIZE,
                            .length = name,
                            .header = (size_t)offset,
                            .size = (size_t)stored,
                            .compressed = compressed};
    size_t data = 0;
    SA_TRY(check_local(a, record, entry, limit, &data));
    entry->data = a->bytes + data;
    return SA_OK;
}

static int compare_headers(const void *a, const void *b)
{
    size_t x = ((const sa_zip_entry *)a)->header, y = ((const sa_zip_entry *)b)->header;
    return x < y ? -1 : x > y;
}

static int compare_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    int order = memcmp(a, b, shorter);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_names(const void *a, const void *b)
{
    const sa_zip_entry *x = a, *y = b;
    return compare_text(x->name, x->length, y->name, y->length);
}

/* No byte in two entries, no name twice. Leaves the entries sorted by name. */
static sa_status check_apart(const archive *a, sa_zip *zip)
{
    if (zip->count > 1) {
        qsort(zip->entries, zip->count, sizeof *zip->entries, compare_headers);
    }
    for (size_t i = 1; i < zip->count; i++) {
        const sa_zip_entry *before = &zip->entries[i - 1];
        if ((size_t)(before->data - a->bytes) + before->size > zip->entries[i].header) {
            return damaged(a, "two entries overlap");
        }
    }
    if (zip->count > 1) {
        qsort(zip->entries, zip->count, sizeof *zip->entries, compare_names);
    }
    for (size_t i = 1; i < zip->count; i++) {
        if (compare_names(&zip->entries[i - 1], &zip->entries[i]) == 0) {
            return damaged(a, "two entries have the same name");
        }
    }
    return SA_OK;
}

static sa_status read_entries(const archive *a, const directory *d, sa_zip *zip)
{
    size_t at = (size_t)d->offset, end = at + (size_t)d->size;
    for (uint64_t i = 0; i < d->count; i++) {
        size_t used = 0;
        SA_TRY(read_entry(a, a->bytes + at, end - at, (size_t)d->offset, &zip->entries[zip->count], &used));
        zip->count++;
        at += used;
    }
    if (at != end) {
        return damaged(a, "its central directory has bytes that belong to no entry");
    }
    return check_apart(a, zip);
}

sa_status sa_zip_open(sa_zip *zip, const char *path, const unsigned char *bytes, size_t size, sa_error *err)
{
    archive a = {path, bytes, size, err};
    directory d = {0};
    *zip = (sa_zip){0};
    SA_TRY(read_end(&a, &d));
    zip->entries = malloc(((size_t)d.count + 1) * sizeof *zip->entries);
    if (zip->entries == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for %zu entries",
                       (size_t)d.count);
    }
    sa_status status = read_entries(&a, &d, zip);
    if (status != SA_OK) {
        sa_zip_close(zip);
    }
    return status;
}

void sa_zip_close(sa_zip *zip)
{
    free(zip->entries);
    *zip = (sa_zip){0};
}

const sa_zip_entry *sa_zip_find(const sa_zip *zip, const char *name, size_t length)
{
    size_t low = 0, high = zip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const sa_zip_entry *entry = &zip->entries[middle];
        int order = compare_text(name, length, entry->name, entry->length);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
