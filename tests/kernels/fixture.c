#include "tests/kernels/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "tests/kernels/shim.h"

const char *test_device(void)
{
    const char *name = getenv("SEGAGENT_TEST_DEVICE");
    return name != NULL && name[0] != '\0' ? name : "cpu";
}

bool test_on_cpu(void)
{
    return strcmp(test_device(), "cpu") == 0;
}

bool test_level_wanted(sa_cpu_level level)
{
    const char *chosen = getenv("SEGAGENT_ISA");
    bool any = chosen == NULL || chosen[0] == '\0' || strcmp(chosen, "auto") == 0;
    if (!test_on_cpu()) {
        return level == SA_CPU_PLAIN;
    }
    return sa_cpu_level_runs_here(level) && (any || strcmp(chosen, sa_cpu_level_name(level)) == 0);
}

static test_level open_level(const char *isa, int threads)
{
    test_level level = {0};
    sa_error err;
    sa_device_options options = {.name = test_device(), .threads = threads, .isa = isa};
    if (sa_device_open(&level.device, &options, &err) != SA_OK) {
        fail_msg("no device %s: %s (%s)", options.name, err.reason, err.hint);
    }
    assert_int_equal(sa_stream_open(&level.stream, level.device, &err), SA_OK);
    level.ops = sa_device_reads_host(level.device) ? sa_device_ops(level.device) : &shim_ops;
    level.name = level.ops->name;
    return level;
}

test_levels levels_open(int threads)
{
    test_levels levels = {.count = 1, .level = {open_level(NULL, threads)}};
    const char *chosen = getenv("SEGAGENT_ISA");
    bool all = strcmp(test_device(), "cpu") == 0 && (chosen == NULL || chosen[0] == '\0');
    for (int i = 0; all && i < SA_CPU_LEVELS; i++) {
        const char *name = sa_cpu_level_name((sa_cpu_level)i);
        if (sa_cpu_level_runs_here((sa_cpu_level)i) && strcmp(name, levels.level[0].name) != 0) {
            levels.level[levels.count++] = open_level(name, threads);
        }
    }
    return levels;
}

void levels_close(test_levels *levels)
{
    for (size_t i = 0; i < levels->count; i++) {
        sa_stream_close(levels->level[i].stream);
        sa_device_close(levels->level[i].device);
    }
    levels->count = 0;
}

int levels_setup(void **state)
{
    *state = NULL;
    test_levels *levels = malloc(sizeof *levels);
    *levels = levels_open(LEVEL_THREADS);
    *state = levels;
    print_message("levels:");
    for (size_t i = 0; i < levels->count; i++) {
        print_message(" %s", levels->level[i].name);
    }
    print_message("\n");
    return 0;
}

int levels_teardown(void **state)
{
    if (*state != NULL) { /* the setup came to its end */
        levels_close(*state);
    }
    free(*state);
    return 0;
}

void on_levels(const test_levels *levels, void (*call)(const test_level *, void *), void *context)
{
    for (size_t i = 0; i < levels->count; i++) {
        call(&levels->level[i], context);
    }
}

operand operand_new(sa_dtype dtype, size_t count, float scale, uint64_t seed)
{
    operand o = {.stored = malloc(count * sa_dtype_size(dtype)), .value = malloc(count * sizeof(float))};
    assert_true(count == 0 || (o.stored != NULL && o.value != NULL));
    check_fill_rounded(o.stored, dtype, o.value, count, scale, seed);
    return o;
}

void operand_free(operand *o)
{
    free(o->stored);
    free(o->value);
    *o = (operand){0};
}

float *normal_new(size_t count, float scale, uint64_t seed)
{
    float *values = malloc(count * sizeof *values);
    assert_true(count == 0 || values != NULL);
    check_fill_normal(values, count, scale, seed);
    return values;
}

size_t pick(uint64_t seed, uint64_t index, size_t bound)
{
    return sa_philox_block(seed, index, 1).word[0] % bound;
}

/* Every element from one order to the other; each place is somebody's, and nobody's twice. */
static void reorder(const test_level *level, sa_dtype dtype, size_t d, bool value, size_t heads, bool back,
                    const unsigned char *from, unsigned char *to)
{
    size_t size = sa_dtype_size(dtype), part = SA_KV_PAGE * d * size;
    bool *taken = calloc(SA_KV_PAGE * d, sizeof *taken);
    for (size_t i = 0; i < SA_KV_PAGE * d; i++) {
        size_t place = level->ops->kv_place(dtype, d, value, i / d, i % d);
        assert_true(place < SA_KV_PAGE * d && !taken[place]);
        taken[place] = true;
        size_t source = (back ? place : i) * size, target = (back ? i : place) * size;
        for (size_t head = 0; head < heads; head++) {
            memcpy(to + head * part + target, from + head * part + source, size);
        }
    }
    free(taken);
}

void to_pages(const test_level *level, sa_dtype dtype, size_t d, bool value, size_t heads, const void *plain,
              void *pages)
{
    reorder(level, dtype, d, value, heads, false, plain, pages);
}

void from_pages(const test_level *level, sa_dtype dtype, size_t d, bool value, size_t heads,
                const void *pages, void *plain)
{
    reorder(level, dtype, d, value, heads, true, pages, plain);
}

void gather_rows(void *to, const void *from, size_t rows, size_t columns, size_t ld, sa_dtype dtype)
{
    size_t size = sa_dtype_size(dtype);
    for (size_t i = 0; i < rows; i++) {
        memcpy((unsigned char *)to + i * columns * size, (const unsigned char *)from + i * ld * size,
               columns * size);
    }
}

bool gaps_untouched(const void *from, size_t rows, size_t columns, size_t ld, sa_dtype dtype)
{
    size_t size = sa_dtype_size(dtype);
    for (size_t i = 0; i < rows; i++) {
        const unsigned char *row = (const unsigned char *)from + i * ld * size;
        for (size_t byte = columns * size; byte < ld * size; byte++) {
            if (row[byte] != 0xEE) {
                return false;
            }
        }
    }
    return true;
}

const char *label(const test_level *level, const char *format, ...)
{
    static char text[200];
    int begin = snprintf(text, sizeof text, "%s ", level->name);
    va_list list;
    va_start(list, format);
    vsnprintf(text + begin, sizeof text - (size_t)begin, format, list);
    va_end(list);
    return text;
}

void skip_without_f16(const test_levels *levels)
{
    if (!sa_device_has_f16(levels->level[0].device)) {
        skip();
    }
}

void assert_seen(const void *got, sa_dtype dtype, const float *want, check_spec spec)
{
    char planted[240];
    snprintf(planted, sizeof planted, "(expected) planted fault, %s", spec.label);
    spec.label = planted;
    assert_false(check_close(got, dtype, want, &spec));
}
