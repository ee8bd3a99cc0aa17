/* The table of choices, its clock and its file: contract in tune.h. */
#include "kernels/cuda/tune.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/file.h"

enum { RUNS = 5, FILE_LIMIT = 1 << 20 };

static sa_tune_entry *find_entry(const sa_tune *tune, const uint64_t shape[SA_TUNE_WORDS])
{
    for (size_t i = 0; i < tune->count; i++) {
        if (memcmp(tune->entries[i].shape, shape, sizeof tune->entries[i].shape) == 0) {
            return &tune->entries[i];
        }
    }
    return NULL;
}

/* NULL without memory: then nothing is remembered. */
static sa_tune_entry *add_entry(sa_tune *tune, const uint64_t shape[SA_TUNE_WORDS], int choice)
{
    if (tune->count == tune->room) {
        size_t room = tune->room * 2 + 64;
        sa_tune_entry *entries = realloc(tune->entries, room * sizeof *entries);
        if (entries == NULL) {
            return NULL;
        }
        tune->entries = entries;
        tune->room = room;
    }
    sa_tune_entry *entry = &tune->entries[tune->count++];
    *entry = (sa_tune_entry){.choice = choice};
    memcpy(entry->shape, shape, sizeof entry->shape);
    return entry;
}

sa_tune_entry *sa_tune_entry_of(sa_tune *tune, const uint64_t shape[SA_TUNE_WORDS], bool *is_new)
{
    sa_tune_entry *entry = find_entry(tune, shape);
    *is_new = entry == NULL;
    tune->changed = tune->changed || *is_new;
    return entry != NULL ? entry : add_entry(tune, shape, SA_TUNE_OWN);
}

/* ---- timing ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of RUNS runs after one to warm up; a way that fails takes for ever. */
static double time_way(const sa_cuda_driver *driver, sa_cuda_handle stream, sa_tune_way *way, void *context,
                       int choice)
{
    double start = 0.0;
    for (int i = 0; i <= RUNS; i++) {
        if (!way(context, choice)) {
            return 1e30;
        }
        if (i == 0) {
            if (driver->stream_wait(stream) != 0) {
                return 1e30;
            }
            start = now();
        }
    }
    return driver->stream_wait(stream) == 0 ? now() - start : 1e30;
}

int sa_tune_fastest(const sa_tune *tune, sa_stream *stream, int count, sa_tune_way *way, void *context)
{
    const sa_cuda_driver *driver = &tune->device->driver;
    sa_cuda_handle handle = sa_cuda_stream_handle(stream);
    int best = SA_TUNE_OWN;
    double least = time_way(driver, handle, way, context, SA_TUNE_OWN);
    for (int i = 0; i < count; i++) {
        double seconds = time_way(driver, handle, way, context, i);
        if (seconds < least) {
            best = i;
            least = seconds;
        }
    }
    return best;
}

/* ---- the file ---- */

static bool name_file(sa_tune *tune, const char *op, const char *library)
{
    const sa_cuda_device *device = tune->device;
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool own = cache != NULL && cache[0] == '/';
    if (!own && (home == NULL || home[0] != '/')) {
        return false;
    }
    char gpu[sizeof device->gpu];
    for (size_t i = 0; i < sizeof gpu; i++) {
        gpu[i] =
            (char)(isalnum((unsigned char)device->gpu[i]) || device->gpu[i] == '\0' ? device->gpu[i] : '_');
    }
    snprintf(tune->header, sizeof tune->header, "segagent %s, %s, sm_%d%d, driver %d, %s", SEGAGENT_VERSION,
             device->gpu, device->major, device->minor, device->driver.version, library);
    int length = snprintf(tune->path, sizeof tune->path, "%s%s/segagent/%s_%s.txt", own ? cache : home,
                          own ? "" : "/.cache", op, gpu);
    return length > 0 && (size_t)length < sizeof tune->path;
}

/* A line's shape and choice; false if it is none. */
static bool read_line(const sa_tune *tune, const char *line, uint64_t shape[SA_TUNE_WORDS], int *choice)
{
    memset(shape, 0, SA_TUNE_WORDS * sizeof *shape);
    for (size_t i = 0; i <= tune->words; i++) {
        char *end;
        long long value = strtoll(line, &end, 10);
        bool is_choice = i == tune->words;
        if (end == line || value < (is_choice ? SA_TUNE_OWN : 0) || (is_choice && value >= tune->ways)) {
            return false;
        }
        if (is_choice) {
            *choice = (int)value;
        } else {
            shape[i] = (uint64_t)value;
        }
        line = end;
    }
    return *line == '\0';
}

/* Lines that do not read are left out: the shape is timed again. */
static void read_file(sa_tune *tune)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sa_error ignored;
    if (sa_file_read(tune->path, FILE_LIMIT, &bytes, &size, &ignored) != SA_OK) {
        return;
    }
    char *rest = NULL, *line = strtok_r((char *)bytes, "\n", &rest);
    bool ours = line != NULL && strcmp(line, tune->header) == 0;
    while (ours && (line = strtok_r(NULL, "\n", &rest)) != NULL) {
        uint64_t shape[SA_TUNE_WORDS];
        int choice = SA_TUNE_OWN;
        if (read_line(tune, line, shape, &choice) && find_entry(tune, shape) == NULL) {
            add_entry(tune, shape, choice);
        }
    }
    free(bytes);
}

/* A cache that cannot be written is none; nobody needs to hear of it. */
static void write_file(const sa_tune *tune)
{
    char folder[sizeof tune->path];
    snprintf(folder, sizeof folder, "%s", tune->path);
    *strrchr(folder, '/') = '\0';
    sa_error ignored;
    sa_file_writer writer;
    if (sa_file_make_directory(folder, &ignored) != SA_OK ||
        sa_file_writer_open(&writer, tune->path, &ignored) != SA_OK) {
        return;
    }
    fprintf(writer.stream, "%s\n", tune->header);
    for (size_t i = 0; i < tune->count; i++) {
        for (size_t word = 0; word < tune->words; word++) {
            fprintf(writer.stream, "%" PRIu64 " ", tune->entries[i].shape[word]);
        }
        fprintf(writer.stream, "%d\n", tune->entries[i].choice);
    }
    sa_status status = sa_file_writer_commit(&writer, &ignored);
    (void)status;
}

void sa_tune_open(sa_tune *tune, sa_cuda_device *device, const char *op, size_t words, int ways,
                  const char *library)
{
    SA_ASSERT(words <= SA_TUNE_WORDS);
    *tune = (sa_tune){.device = device, .words = words, .ways = ways};
    if (name_file(tune, op, library)) {
        read_file(tune);
    } else {
        tune->path[0] = '\0';
    }
}

void sa_tune_close(sa_tune *tune)
{
    if (tune->changed && tune->path[0] != '\0') {
        write_file(tune);
    }
    free(tune->entries);
}
