/*
 * What the tests of the ops share: the levels to run on, and operands.
 *
 * A program runs every level that this machine has. The first device is opened the way the program opens it
 * (isa NULL); SEGAGENT_ISA, where set, therefore names the one level to test. SEGAGENT_TEST_DEVICE=cuda makes
 * that GPU the one level, reached through tests/kernels/shim.h: the same tests, unchanged.
 *
 * Inputs are blocks of exactly their size, so that AddressSanitizer sees a read past the end; outputs are
 * check_buffers, so that every build sees a write past the end.
 */
#ifndef SA_TESTS_KERNELS_FIXTURE_H
#define SA_TESTS_KERNELS_FIXTURE_H

#include "runtime/device/cpu_level.h"
#include "runtime/device/device.h"
#include "tests/check.h"

enum { LEVEL_THREADS = 2 };

typedef struct {
    const char *name;
    sa_device *device;
    sa_stream *stream;
    const sa_ops *ops;
} test_level;

typedef struct {
    size_t count;
    test_level level[SA_CPU_LEVELS];
} test_levels;

const char *test_device(void); /* $SEGAGENT_TEST_DEVICE, or "cpu" */
bool test_on_cpu(void);
/*
 * For tests of whole models: every level that this machine has; SEGAGENT_ISA, where set, names the one level
 * to test. Another device than the CPU has one level, whatever it is called.
 */
bool test_level_wanted(sa_cpu_level level);

/* cmocka group fixtures: *state becomes a test_levels. */
int levels_setup(void **state);
int levels_teardown(void **state);

/* The levels once more, with another number of threads. */
test_levels levels_open(int threads);
void levels_close(test_levels *levels);

/* Runs `call` on every level. */
void on_levels(const test_levels *levels, void (*call)(const test_level *, void *), void *context);

/* The same numbers in a storage dtype and as f32. Blocks of exactly their size. */
typedef struct {
    void *stored;
    float *value;
} operand;

operand operand_new(sa_dtype dtype, size_t count, float scale, uint64_t seed);
void operand_free(operand *o);
float *normal_new(size_t count, float scale, uint64_t seed);

/* A number below `bound`, keyed by seed and index. */
size_t pick(uint64_t seed, uint64_t index, size_t bound);

/*
 * Rows of `ld` elements to contiguous rows of `columns`, and whether the gaps between rows are still
 * untouched.
 */
/* Pools of KV pages: `heads` parts of SA_KV_PAGE x d, token by token, as the level keeps them, and back. */
void to_pages(const test_level *level, sa_dtype dtype, size_t d, bool value, size_t heads, const void *plain,
              void *pages);
void from_pages(const test_level *level, sa_dtype dtype, size_t d, bool value, size_t heads,
                const void *pages, void *plain);

void gather_rows(void *to, const void *from, size_t rows, size_t columns, size_t ld, sa_dtype dtype);
bool gaps_untouched(const void *from, size_t rows, size_t columns, size_t ld, sa_dtype dtype);

/* The label of a check: level, op and what else tells the case apart. Overwritten by the next call. */
const char *label(const test_level *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Skips the test where the ops take no f16 (kernels.h). */
void skip_without_f16(const test_levels *levels);

/* Asserts that the comparator sees a fault (what it prints is expected). */
void assert_seen(const void *got, sa_dtype dtype, const float *want, check_spec spec);

#endif
