/*
 * .npy files: what numpy.save writes is read, what we write is what it writes, and everything else is
 * refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/image/npy.h"
#include "tests/check.h"

/* A version 1 file with this header text and `floats` zero values. */
static size_t make_file(unsigned char *bytes, const char *header, size_t floats)
{
    size_t length = strlen(header);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)(length & 255);
    bytes[9] = (unsigned char)(length >> 8);
    memcpy(bytes + 10, header, length);
    memset(bytes + 10 + length, 0, floats * 4);
    return 10 + length + floats * 4;
}

static sa_status parse(const char *header, size_t floats, sa_npy *array)
{
    unsigned char bytes[1024];
    sa_error err = {0};
    size_t size = make_file(bytes, header, floats);
    unsigned char *exact = malloc(size); /* so that AddressSanitizer sees a read past the end */
    memcpy(exact, bytes, size);
    sa_status status = sa_npy_parse("test", exact, size, array, &err);
    free(exact);
    return status;
}

static void accepts(const char *header, size_t floats, int rank)
{
    sa_npy array;
    assert_int_equal(parse(header, floats, &array), SA_OK);
    assert_int_equal(array.rank, rank);
    assert_int_equal(array.count, floats);
    sa_npy_free(&array);
}

static void refuses(const char *header, size_t floats)
{
    sa_npy array;
    sa_status status = parse(header, floats, &array);
    if (status != SA_BAD_INPUT) {
        fail_msg("accepted: %s", header);
    }
    assert_null(array.values);
}

static void test_headers(void **state)
{
    (void)state;
    accepts("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }   \n", 6, 3);
    accepts("{'shape': (5,), 'fortran_order': False, 'descr': '<f4'}", 5, 1);
    accepts("{'descr':'<f4','fortran_order':False,'shape':(2,2,1,1)}", 4, 4);
    refuses("{'descr': '<f8', 'fortran_order': False, 'shape': (6,), }", 6);
    refuses("{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': True, 'shape': (6,), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 1);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", 0);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,6), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4), }", 0);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999999), }", 6);
    refuses("{'descr': '<f4', 'shape': (6,), }", 6);
    refuses("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (-6,), }", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), } x", 6);
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", 6);
    refuses("", 6);
}

static void test_every_cut(void **state)
{
    (void)state;
    unsigned char bytes[256];
    size_t size = make_file(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 6);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        sa_npy array;
        assert_int_equal(sa_npy_parse("cut", exact, cut, &array, NULL), SA_BAD_INPUT);
        free(exact);
    }
    bytes[8] = 255;
    bytes[9] = 255;
    sa_npy array;
    assert_int_equal(sa_npy_parse("long header", bytes, size, &array, NULL), SA_BAD_INPUT);
}

static void test_not_finite(void **state)
{
    (void)state;
    unsigned char bytes[256];
    size_t size = make_file(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 6);
    bytes[size - 1] = 0x7f;
    bytes[size - 2] = 0xc0;
    sa_npy array;
    assert_int_equal(sa_npy_parse("nan", bytes, size, &array, NULL), SA_BAD_INPUT);
    bytes[size - 2] = 0x80;
    assert_int_equal(sa_npy_parse("infinity", bytes, size, &array, NULL), SA_BAD_INPUT);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[] = "/tmp/segagent-npy-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    float values[3 * 4 * 5];
    const size_t shape[3] = {3, 4, 5};
    check_fill_normal(values, 60, 3.0f, 7);
    sa_error err;
    assert_int_equal(sa_npy_write(path, 3, shape, values, &err), SA_OK);
    sa_npy array;
    assert_int_equal(sa_npy_read(path, 1 << 20, &array, &err), SA_OK);
    assert_int_equal(array.rank, 3);
    assert_memory_equal(array.shape, shape, sizeof shape);
    assert_memory_equal(array.values, values, sizeof values);
    sa_npy_free(&array);
    assert_int_equal(sa_npy_read(path, 100, &array, &err), SA_NO_ROOM);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
