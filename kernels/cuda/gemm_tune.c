/*
 * Which way a gemm takes with --numerics fast: each shape's choice between our kernels and the library's
 * algorithms, by time on this device, remembered in a file. Contract in gemm_library.h.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cuda/gemm_library.h"
#include "runtime/base/file.h"

enum { OWN = -1, RUNS = 5, HEADER = 320, FILE_LIMIT = 1 << 20 };

typedef struct {
    sa_gemm_shape shape;
    int choice; /* OWN, or an index of the plan's proposals */
    sa_lt_plan plan;
    bool planned;
} choice_entry;

struct sa_gemm_library {
    sa_cuda_device *device;
    sa_lt *lt;
    choice_entry *entries;
    size_t count, room;
    bool changed; /* since the file was read */
    char header[HEADER], path[512];
};

/* What the library can do at all; the rest never gets an entry. */
static bool is_possible(const sa_gemm_args *args)
{
    const void *pointers[] = {args->a, args->c, args->residual, args->bias};
    size_t size = sa_dtype_size(args->dtype), c_size = sa_dtype_size(args->c_dtype);
    for (int i = 0; i < 4; i++) {
        if ((uintptr_t)pointers[i] % 16 != 0) {
            return false;
        }
    }
    return args->act == SA_ACT_NONE && args->lda * size % 16 == 0 && args->ldc * c_size % 16 == 0 &&
           (args->residual == NULL || (args->c_dtype == SA_F32 && args->ldr == args->ldc &&
                                       (args->residual_rows == 0 || args->residual_rows == args->m)));
}

static sa_gemm_shape shape_of(const sa_gemm_args *args)
{
    return (sa_gemm_shape){
        .m = args->m,
        .n = args->n,
        .k = args->k,
        .lda = args->lda,
        .ldc = args->ldc,
        .ldr = args->residual != NULL ? args->ldr : 0,
        .dtype = args->dtype,
        .c_dtype = args->c_dtype,
        .bias = args->bias != NULL,
        .residual = args->residual != NULL,
    };
}

static choice_entry *entry_find(sa_gemm_library *library, const sa_gemm_shape *shape)
{
    for (size_t i = 0; i < library->count; i++) {
        if (memcmp(&library->entries[i].shape, shape, sizeof *shape) == 0) {
            return &library->entries[i];
        }
    }
    return NULL;
}

/* NULL without memory: then nothing is remembered. */
static choice_entry *entry_add(sa_gemm_library *library, const sa_gemm_shape *shape, int choice)
{
    if (library->count == library->room) {
        size_t room = library->room * 2 + 64;
        choice_entry *entries = realloc(library->entries, room * sizeof *entries);
        if (entries == NULL) {
            return NULL;
        }
        library->entries = entries;
        library->room = room;
    }
    choice_entry *entry = &library->entries[library->count++];
    *entry = (choice_entry){.shape = *shape, .choice = choice};
    return entry;
}

/* ---- timing ---- */

static bool run_choice(sa_gemm_library *library, const choice_entry *entry, int choice, sa_stream *stream,
                       const sa_gemm_args *args)
{
    if (choice == OWN) {
        sa_cuda_gemm_own(stream, args);
        return true;
    }
    return sa_lt_run(library->lt, &entry->plan, choice, args, sa_cuda_stream_handle(stream));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of RUNS runs after one to warm up; a choice that fails takes for ever. */
static double time_choice(sa_gemm_library *library, const choice_entry *entry, int choice, sa_stream *stream,
                          const sa_gemm_args *args)
{
    const sa_cuda_driver *driver = &library->device->driver;
    sa_cuda_handle handle = sa_cuda_stream_handle(stream);
    double start = 0.0;
    for (int i = 0; i <= RUNS; i++) {
        if (!run_choice(library, entry, choice, stream, args)) {
            return 1e30;
        }
        if (i == 0) {
            if (driver->stream_wait(handle) != 0) {
                return 1e30;
            }
            start = now();
        }
    }
    return driver->stream_wait(handle) == 0 ? now() - start : 1e30;
}

/* The fastest way for a shape; results go to memory of their own, since c may be the residual too. */
static int tune(sa_gemm_library *library, const choice_entry *entry, sa_stream *stream,
                const sa_gemm_args *args)
{
    const sa_cuda_driver *driver = &library->device->driver;
    sa_cuda_pointer scratch = 0;
    if (driver->memory_alloc(&scratch, args->m * args->ldc * sa_dtype_size(args->c_dtype)) != 0) {
        return OWN;
    }
    sa_gemm_args trial = *args;
    trial.c = (void *)(uintptr_t)scratch;
    int best = OWN;
    double least = time_choice(library, entry, OWN, stream, &trial);
    for (int i = 0; i < entry->plan.proposals; i++) {
        double seconds = time_choice(library, entry, i, stream, &trial);
        if (seconds < least) {
            best = i;
            least = seconds;
        }
    }
    driver->memory_free(scratch);
    return best;
}

bool sa_gemm_library_run(sa_gemm_library *library, sa_stream *stream, const sa_gemm_args *args)
{
    if (library == NULL || args->m == 0 || !is_possible(args)) {
        return false;
    }
    sa_gemm_shape shape = shape_of(args);
    choice_entry *entry = entry_find(library, &shape);
    bool known = entry != NULL;
    entry = known ? entry : entry_add(library, &shape, OWN);
    if (entry == NULL || (known && entry->choice == OWN)) {
        return false;
    }
    if (!entry->planned) {
        entry->planned = sa_lt_plan_open(library->lt, &entry->plan, &shape);
        if (!known) {
            entry->choice = entry->planned ? tune(library, entry, stream, args) : OWN;
            library->changed = true;
        }
        entry->choice = entry->choice < entry->plan.proposals ? entry->choice : OWN;
    }
    return entry->choice != OWN && run_choice(library, entry, entry->choice, stream, args);
}

/* ---- the file ---- */

/* The file's place, and its first line: all that makes a time worthless when it changes. */
static bool name_file(sa_gemm_library *library)
{
    const sa_cuda_device *device = library->device;
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
    snprintf(library->header, sizeof library->header, "segagent %s, %s, sm_%d%d, driver %d, cublasLt %zu",
             SEGAGENT_VERSION, device->gpu, device->major, device->minor, device->driver.version,
             sa_lt_version(library->lt));
    int length = snprintf(library->path, sizeof library->path, "%s%s/segagent/gemm_%s.txt",
                          own ? cache : home, own ? "" : "/.cache", gpu);
    return length > 0 && (size_t)length < sizeof library->path;
}

#define LINE                                                                                                 \
    "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32           \
    " %" SCNu32 " %" SCNu32 " %d"

/* Lines that do not read are left out: the shape is timed again. */
static void read_file(sa_gemm_library *library)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sa_error ignored;
    if (sa_file_read(library->path, FILE_LIMIT, &bytes, &size, &ignored) != SA_OK) {
        return;
    }
    char *rest = NULL, *line = strtok_r((char *)bytes, "\n", &rest);
    bool ours = line != NULL && strcmp(line, library->header) == 0;
    while (ours && (line = strtok_r(NULL, "\n", &rest)) != NULL) {
        sa_gemm_shape s;
        int choice = OWN;
        if (sscanf(line, LINE, &s.m, &s.n, &s.k, &s.lda, &s.ldc, &s.ldr, &s.dtype, &s.c_dtype, &s.bias,
                   &s.residual, &choice) == 11 &&
            choice >= OWN && choice < SA_LT_PROPOSALS && entry_find(library, &s) == NULL) {
            entry_add(library, &s, choice);
        }
    }
    free(bytes);
}

/* A cache that cannot be written is none; nobody needs to hear of it. */
static void write_file(const sa_gemm_library *library)
{
    char folder[sizeof library->path];
    snprintf(folder, sizeof folder, "%s", library->path);
    *strrchr(folder, '/') = '\0';
    sa_error ignored;
    sa_file_writer writer;
    if (sa_file_make_directory(folder, &ignored) != SA_OK ||
        sa_file_writer_open(&writer, library->path, &ignored) != SA_OK) {
        return;
    }
    fprintf(writer.stream, "%s\n", library->header);
    for (size_t i = 0; i < library->count; i++) {
        const sa_gemm_shape *s = &library->entries[i].shape;
        fprintf(writer.stream,
                "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32
                " %" PRIu32 " %" PRIu32 " %d\n",
                s->m, s->n, s->k, s->lda, s->ldc, s->ldr, s->dtype, s->c_dtype, s->bias, s->residual,
                library->entries[i].choice);
    }
    sa_status status = sa_file_writer_commit(&writer, &ignored);
    (void)status;
}

sa_gemm_library *sa_gemm_library_open(sa_cuda_device *device)
{
    sa_gemm_library *library = calloc(1, sizeof *library);
    if (library == NULL) {
        return NULL;
    }
    library->device = device;
    library->lt = sa_lt_open(&device->driver);
    if (library->lt == NULL) {
        free(library);
        return NULL;
    }
    if (name_file(library)) {
        read_file(library);
    } else {
        library->path[0] = '\0';
    }
    return library;
}

void sa_gemm_library_close(sa_gemm_library *library)
{
    if (library == NULL) {
        return;
    }
    if (library->changed && library->path[0] != '\0') {
        write_file(library);
    }
    for (size_t i = 0; i < library->count; i++) {
        if (library->entries[i].planned) {
            sa_lt_plan_close(library->lt, &library->entries[i].plan);
        }
    }
    sa_lt_close(library->lt);
    free(library->entries);
    free(library);
}
