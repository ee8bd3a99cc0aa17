/*
 * Findings and switches of the simulated GPU (report.h). Checkers (check*.c, ops/, driver/) call
 * sim_report(); a finding told before is only counted, and the counts of those come at the program's end.
 * GPUSIM_REPORT is appended to, one JSON object per line, so that several programs of one test can share it.
 */
#include "tests/gpusim/report.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;
sim_switches sim_options;

static const char *const kind_names[SIM_FINDINGS] = {
    [SIM_OUT_OF_BOUNDS] = "out_of_bounds",
    [SIM_MISALIGNED] = "misaligned",
    [SIM_USE_AFTER_FREE] = "use_after_free",
    [SIM_UNINITIALISED] = "uninitialised",
    [SIM_RACE_SHARED] = "race_shared",
    [SIM_RACE_GLOBAL] = "race_global",
    [SIM_ASYNC_UNWAITED] = "async_copy_unwaited",
    [SIM_BARRIER_DIVERGENCE] = "barrier_divergence",
    [SIM_SHUFFLE_INACTIVE] = "shuffle_inactive",
    [SIM_STREAM_ORDER] = "stream_order",
    [SIM_LEAK] = "leak",
    [SIM_ASSERT] = "assert",
};

/* A finding told before. Findings of the host have no line: their message tells them apart. */
typedef struct {
    sim_finding_kind kind;
    uint32_t ptx_line;
    char *kernel, *message;
    uint64_t times;
} told;

static struct {
    pthread_mutex_t lock;
    told *told;
    size_t count, capacity;
    uint64_t times[SIM_FINDINGS];
    FILE *file;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- output ---- */

static void json_string(FILE *f, const char *s)
{
    if (!s) {
        fputs("null", f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            fprintf(f, "\\%c", *s);
        } else if ((unsigned char)*s < 0x20) {
            fprintf(f, "\\u%04x", (unsigned)*s);
        } else {
            fputc(*s, f);
        }
    }
    fputc('"', f);
}

/* "file.cu:12", with the last part of the path alone; NULL if the .cu is not known. */
static const char *source_of(const sim_line *line, char *text, size_t size)
{
    if (!line->file) {
        return NULL;
    }
    const char *slash = strrchr(line->file, '/');
    snprintf(text, size, "%s:%u", slash ? slash + 1 : line->file, line->file_line);
    return text;
}

static void json_party(FILE *f, const sim_line *line, const uint32_t block[3], const uint32_t thread[3])
{
    char text[256];
    fprintf(f, "\"ptx_line\":%u,\"source\":", line->ptx_line);
    json_string(f, source_of(line, text, sizeof text));
    fprintf(f, ",\"block\":[%u,%u,%u],\"thread\":[%u,%u,%u]", block[0], block[1], block[2], thread[0],
            thread[1], thread[2]);
}

static void tell_json(FILE *f, const sim_finding *finding)
{
    fprintf(f, "{\"kind\":\"%s\",\"kernel\":", kind_names[finding->kind]);
    json_string(f, finding->kernel);
    fputc(',', f);
    json_party(f, &finding->line, finding->block, finding->thread);
    fprintf(f, ",\"address\":%llu,\"bytes\":%u,\"other\":", (unsigned long long)finding->address,
            finding->bytes);
    if (finding->has_other) {
        fputc('{', f);
        json_party(f, &finding->other.line, finding->other.block, finding->other.thread);
        fputc('}', f);
    } else {
        fputs("null", f);
    }
    fputs(",\"message\":", f);
    json_string(f, finding->message);
    fputs("}\n", f);
    fflush(f);
}

static int text_party(char *text, size_t size, const sim_line *line, const uint32_t block[3],
                      const uint32_t thread[3])
{
    char source[256];
    const char *known = source_of(line, source, sizeof source);
    return snprintf(text, size, "%s%sPTX line %u, block %u,%u,%u thread %u,%u,%u", known ? known : "",
                    known ? ", " : "", line->ptx_line, block[0], block[1], block[2], thread[0], thread[1],
                    thread[2]);
}

static void tell_text(const sim_finding *finding)
{
    char party[512] = "", other[512] = "";
    if (finding->kernel) {
        text_party(party, sizeof party, &finding->line, finding->block, finding->thread);
    }
    if (finding->has_other) {
        text_party(other, sizeof other, &finding->other.line, finding->other.block, finding->other.thread);
    }
    fprintf(stderr, "gpusim: %s: %s%s%s%s%s", kind_names[finding->kind], finding->message,
            finding->kernel ? " in " : "", finding->kernel ? finding->kernel : "",
            finding->kernel ? ", " : "", party);
    if (finding->address) {
        fprintf(stderr, ", address 0x%llx (%u bytes)", (unsigned long long)finding->address, finding->bytes);
    }
    fprintf(stderr, "%s%s%s\n", *other ? "; other: " : "", other, "");
}

/* ---- findings ---- */

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Counts a finding; true if it is the first of its kind, kernel and PTX line. */
static bool is_new(const sim_finding *finding)
{
    const char *message = finding->line.ptx_line ? NULL : finding->message;
    state.times[finding->kind]++;
    for (size_t i = 0; i < state.count; i++) {
        told *t = &state.told[i];
        if (t->kind == finding->kind && t->ptx_line == finding->line.ptx_line &&
            same(t->kernel, finding->kernel) && same(t->message, message)) {
            t->times++;
            return false;
        }
    }
    if (state.count == state.capacity) {
        state.capacity = state.capacity ? 2 * state.capacity : 64;
        state.told = realloc(state.told, state.capacity * sizeof *state.told);
        if (!state.told) {
            abort();
        }
    }
    state.told[state.count++] =
        (told){finding->kind, finding->line.ptx_line, finding->kernel ? strdup(finding->kernel) : NULL,
               message ? strdup(message) : NULL, 1};
    return true;
}

void sim_report(const sim_finding *finding)
{
    if (!sim_options.check[finding->kind]) {
        return;
    }
    pthread_mutex_lock(&state.lock);
    if (is_new(finding)) {
        tell_text(finding);
        if (state.file) {
            tell_json(state.file, finding);
        }
        if (sim_options.fatal) {
            fputs("gpusim: GPUSIM_FATAL=1, the program ends here\n", stderr);
            abort();
        }
    }
    pthread_mutex_unlock(&state.lock);
}

void sim_report_lane(sim_warp *warp, const sim_inst *inst, uint32_t lane, sim_finding_kind kind,
                     uint64_t address, uint32_t bytes, const char *format, ...)
{
    sim_finding finding = {
        .kind = kind, .kernel = warp->block->launch->kernel->name, .address = address, .bytes = bytes};
    const sim_function *function = warp->frame ? warp->frame->function : warp->block->launch->kernel;
    if (inst && function->lines) {
        finding.line = function->lines[inst->line];
    }
    for (int i = 0; i < 3; i++) {
        finding.block[i] = warp->block->ctaid[i];
        finding.thread[i] = warp->special[(SIM_TID_X + i) * SIM_LANES + lane];
    }
    va_list args;
    va_start(args, format);
    vsnprintf(finding.message, sizeof finding.message, format, args);
    va_end(args);
    sim_report(&finding);
}

uint64_t sim_report_count(sim_finding_kind kind)
{
    pthread_mutex_lock(&state.lock);
    uint64_t count = state.times[kind];
    pthread_mutex_unlock(&state.lock);
    return count;
}

/* The counts of findings that came more than once. Runs at exit, behind driver/init.c's search for leaks. */
void sim_report_close(void)
{
    for (size_t i = 0; i < state.count; i++) {
        const told *t = &state.told[i];
        if (t->times > 1) {
            fprintf(stderr, "gpusim: %s%s%s, PTX line %u: %llu times in all\n", kind_names[t->kind],
                    t->kernel ? " in " : "", t->kernel ? t->kernel : "", t->ptx_line,
                    (unsigned long long)t->times);
        }
        free(t->kernel);
        free(t->message);
    }
    free(state.told);
    state.told = NULL;
    state.count = state.capacity = 0;
    if (state.file) {
        fclose(state.file);
        state.file = NULL;
    }
}

/* ---- switches ---- */

static void refuse(const char *name, const char *value, const char *expected)
{
    fprintf(stderr, "gpusim: %s=%s: expected %s\n", name, value, expected);
    exit(2);
}

static uint64_t read_number(const char *name, const char *value)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(value, &end, 0);
    if (errno || end == value || *end || *value == '-') {
        refuse(name, value, "a number");
    }
    return number;
}

static bool read_flag(const char *name, const char *value)
{
    if (strcmp(value, "0") && strcmp(value, "1")) {
        refuse(name, value, "0 or 1");
    }
    return *value == '1';
}

static int kind_named(const char *name, size_t length)
{
    for (int i = 0; i < SIM_FINDINGS; i++) {
        if (strlen(kind_names[i]) == length && memcmp(kind_names[i], name, length) == 0) {
            return i;
        }
    }
    return -1;
}

/* all, none, or kinds with commas between. */
static void read_check(const char *value)
{
    bool all = strcmp(value, "all") == 0, none = strcmp(value, "none") == 0;
    for (int i = 0; i < SIM_FINDINGS; i++) {
        sim_options.check[i] = all;
    }
    for (const char *p = value; !all && !none && *p;) {
        size_t length = strcspn(p, ",");
        int kind = kind_named(p, length);
        if (kind < 0) {
            refuse("GPUSIM_CHECK", value, "all, none or a list of kinds: out_of_bounds,race_shared,...");
        }
        sim_options.check[kind] = true;
        p += length + (p[length] == ',');
    }
}

static void read_threads(const char *value)
{
    uint64_t n = read_number("GPUSIM_THREADS", value);
    if (n < 1 || n > 1024) {
        refuse("GPUSIM_THREADS", value, "1 to 1024");
    }
    sim_options.threads = (int)n;
}

static void read_report(const char *value)
{
    sim_options.report = value;
    state.file = fopen(value, "a");
    if (!state.file) {
        refuse("GPUSIM_REPORT", value, "a file that can be written");
    }
}

static void read_device(const char *value)
{
    if (strcmp(value, "a100") && strcmp(value, "h100") && strcmp(value, "rtx4090")) {
        refuse("GPUSIM_DEVICE", value, "a100, h100 or rtx4090");
    }
    sim_options.device = value;
}

/* lower.c reads it; here it is only looked at. */
static void read_isa(const char *value)
{
    if (strcmp(value, "plain") && strcmp(value, "avx2") && strcmp(value, "avx512")) {
        refuse("GPUSIM_ISA", value, "plain, avx2 or avx512");
    }
}

static void read_switch(const char *name, const char *value)
{
    const struct {
        const char *name;
        uint64_t *number;
        bool *flag;
        void (*read)(const char *value);
    } known[] = {
        {"GPUSIM_DEVICE", .read = read_device},
        {"GPUSIM_CHECK", .read = read_check},
        {"GPUSIM_THREADS", .read = read_threads},
        {"GPUSIM_REPORT", .read = read_report},
        {"GPUSIM_STRICT", .flag = &sim_options.strict},
        {"GPUSIM_NOISE", .flag = &sim_options.noise},
        {"GPUSIM_FATAL", .flag = &sim_options.fatal},
        {"GPUSIM_SEED", .number = &sim_options.seed},
        {"GPUSIM_MEMORY", .number = &sim_options.memory},
        {"GPUSIM_HELD", .number = &sim_options.held},
        {"GPUSIM_FAIL_ALLOC", .number = &sim_options.fail_alloc},
        {"GPUSIM_FAIL_LAUNCH", .number = &sim_options.fail_launch},
        {"GPUSIM_TRAP_LAUNCH", .number = &sim_options.trap_launch},
        {"GPUSIM_FAIL_GRAPH", .number = &sim_options.fail_graph},
        {"GPUSIM_LOST_AT", .number = &sim_options.lost_at},
        {"GPUSIM_ISA", .read = read_isa},
        {"GPUSIM_DRIVER_VERSION", .number = &sim_options.driver_version},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name)) {
            continue;
        }
        if (known[i].number) {
            *known[i].number = read_number(name, value);
        } else if (known[i].flag) {
            *known[i].flag = read_flag(name, value);
        } else {
            known[i].read(value);
        }
        return;
    }
    if (strcmp(name, "GPUSIM_PROFILE") == 0) {
        sim_options.profile = value;
        return;
    }
    refuse(name, value, "no such switch");
}

void sim_switches_read(void)
{
    static bool done;
    if (done) {
        return;
    }
    done = true;
    sim_options.device = "h100";
    sim_options.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    read_check("all");
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (strncmp(*e, "GPUSIM_", 7) == 0 && equals) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)(equals - *e), *e);
            read_switch(name, equals + 1);
        }
    }
    for (int i = 0; i < SIM_FINDINGS; i++) {
        sim_options.checks |= sim_options.check[i];
    }
}
