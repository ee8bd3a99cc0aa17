/* fatbin.c on what nvcc makes of kernels/fatbin.cu, and on damaged images: cut off anywhere, any byte
 * changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/fatbin.h"

typedef struct {
    uint8_t *bytes;
    size_t size;
} image;

static image read_image(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", SIM_KERNEL_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    image i = {NULL, (size_t)ftell(f)};
    i.bytes = malloc(i.size);
    rewind(f);
    assert_int_equal(fread(i.bytes, 1, i.size, f), i.size);
    fclose(f);
    return i;
}

/* What ptxas said of the kernel: "Used 56 registers", in the part for one architecture. */
static uint32_t registers_in_log(const char *kernel, const char *arch)
{
    image log = read_image("fatbin.log");
    char *text = calloc(1, log.size + 1), start[64];
    memcpy(text, log.bytes, log.size);
    snprintf(start, sizeof start, "'%s' for '%s'", kernel, arch);
    const char *at = strstr(text, start);
    assert_non_null(at);
    at = strstr(at, "Used ");
    assert_non_null(at);
    uint32_t registers = (uint32_t)atoi(at + 5);
    free(text);
    free(log.bytes);
    return registers;
}

static void test_choice(void **state)
{
    (void)state;
    const struct {
        uint32_t arch, cubin; /* of the device; of the machine code taken for it */
    } cases[] = {{80, 80}, {86, 80}, {89, 80}, {90, 90}, {120, 90}};
    image i = read_image("fatbin.fatbin");
    char error[256] = "";
    sim_fatbin found;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        assert_true(sim_fatbin_read(i.bytes, i.size, cases[c].arch, &found, error, sizeof error));
        assert_int_equal(found.ptx_arch, 80);
        assert_int_equal(found.cubin_arch, cases[c].cubin);
        assert_true(strncmp(found.ptx + strspn(found.ptx, "\n"), ".version", 8) == 0);
        assert_true(found.ptx[found.ptx_bytes] == '\0');
        assert_true(sim_fatbin_read(i.bytes, SIZE_MAX, cases[c].arch, &found, error, sizeof error));
    }
    assert_false(sim_fatbin_read(i.bytes, i.size, 75, &found, error, sizeof error));
    assert_non_null(strstr(error, "no PTX"));
    free(i.bytes);
}

static void test_registers(void **state)
{
    (void)state;
    image i = read_image("fatbin.fatbin");
    char error[256];
    sim_fatbin found;
    sim_cubin_kernel kernel;
    static const char *const names[] = {"few", "many"};
    for (int n = 0; n < 2; n++) {
        assert_true(sim_fatbin_read(i.bytes, i.size, 90, &found, error, sizeof error));
        assert_true(sim_cubin_find(found.cubin, found.cubin_bytes, names[n], &kernel));
        assert_int_equal(kernel.registers, registers_in_log(names[n], "sm_90a"));
        assert_true(sim_fatbin_read(i.bytes, i.size, 80, &found, error, sizeof error));
        assert_true(sim_cubin_find(found.cubin, found.cubin_bytes, names[n], &kernel));
        assert_int_equal(kernel.registers, registers_in_log(names[n], "sm_80"));
    }
    assert_false(sim_cubin_find(found.cubin, found.cubin_bytes, "none", &kernel));
    free(i.bytes);
}

static void test_compressed(void **state)
{
    (void)state;
    image i = read_image("fatbin.packed");
    char error[256];
    sim_fatbin found;
    assert_false(sim_fatbin_read(i.bytes, i.size, 90, &found, error, sizeof error));
    assert_non_null(strstr(error, "compressed"));
    free(i.bytes);
}

static void test_text(void **state)
{
    (void)state;
    static const char text[] = "// made by hand\n.version 9.0\n.target sm_80\n";
    char error[256];
    sim_fatbin found;
    assert_true(sim_fatbin_read(text, SIZE_MAX, 80, &found, error, sizeof error));
    assert_int_equal(found.ptx_bytes, strlen(text));
    assert_true(sim_fatbin_read(text, sizeof text - 5, 80, &found, error, sizeof error));
    assert_int_equal(found.ptx_bytes, sizeof text - 5);
    assert_false(sim_fatbin_read("hello", SIZE_MAX, 80, &found, error, sizeof error));
    assert_false(sim_fatbin_read("", 0, 80, &found, error, sizeof error));
    assert_false(sim_fatbin_read("\177ELF\2\1\1", 7, 80, &found, error, sizeof error));
    assert_non_null(strstr(error, "machine code"));
}

/* Whatever it says of a damaged image, what it points at lies within it. The bytes end where the block does,
 * so that a sanitizer sees what goes beyond. */
static void look_at(const uint8_t *bytes, size_t size)
{
    char error[256];
    sim_fatbin found;
    sim_cubin_kernel kernel;
    if (!sim_fatbin_read(bytes, size, 90, &found, error, sizeof error)) {
        assert_true(strlen(error) > 0);
        return;
    }
    const uint8_t *ptx = (const uint8_t *)found.ptx;
    assert_true(ptx >= bytes && ptx + found.ptx_bytes <= bytes + size);
    if (found.cubin) {
        assert_true(found.cubin >= bytes && found.cubin + found.cubin_bytes <= bytes + size);
        sim_cubin_find(found.cubin, found.cubin_bytes, "many", &kernel);
    }
}

static void test_cut_off(void **state)
{
    (void)state;
    image i = read_image("fatbin.fatbin");
    for (size_t size = 0; size < i.size; size += size < 200 ? 1 : 61) {
        uint8_t *part = malloc(size ? size : 1);
        memcpy(part, i.bytes, size);
        char error[256] = "";
        sim_fatbin found;
        assert_false(sim_fatbin_read(part, size, 90, &found, error, sizeof error));
        free(part);
    }
    free(i.bytes);
}

static void test_damaged(void **state)
{
    enum { ROUNDS = 20000 };
    (void)state;
    image i = read_image("fatbin.fatbin");
    char error[256];
    sim_fatbin found;
    assert_true(sim_fatbin_read(i.bytes, i.size, 90, &found, error, sizeof error));
    size_t cubin = (size_t)(found.cubin - i.bytes);
    srand(3);
    for (int round = 0; round < ROUNDS; round++) {
        /* headers of the container, of the machine code, its sections and anything */
        size_t at = round % 4 == 0   ? (size_t)rand() % 100
                    : round % 4 == 1 ? cubin + (size_t)rand() % 64
                    : round % 4 == 2 ? i.size - 1 - (size_t)rand() % 2000
                                     : (size_t)rand() % i.size;
        uint8_t old = i.bytes[at];
        i.bytes[at] = (uint8_t)(round % 3 ? rand() : 0xff);
        look_at(i.bytes, i.size);
        i.bytes[at] = old;
    }
    free(i.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice), cmocka_unit_test(test_registers), cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_text),   cmocka_unit_test(test_cut_off),   cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests_name("fat binaries", tests, NULL, NULL);
}
