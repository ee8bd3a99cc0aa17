/* The safetensors reader and writer, index and directory, against files made byte by byte. */
#include <sys/stat.h>

#include "tests/weights/bytes.h"

static void refuse(const char *header, size_t data, const char *part)
{
    bytes b = make_safetensors(header, data);
    check_refused(sa_safetensors_parse, &b, part);
    drop(&b);
}

static void accept(const char *header, size_t data, size_t tensors)
{
    bytes b = make_safetensors(header, data);
    check_accepted(sa_safetensors_parse, &b, tensors);
    drop(&b);
}

#define F32(shape, begin, end)                                                                               \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_accepts(void **state)
{
    (void)state;
    accept("{}", 0, 0);
    accept("{}      ", 0, 0);
    accept("{\"a\":" F32("[2,1]", 0, 8) "}", 8, 1);
    accept("{\"a\":" F32("[]", 0, 4) "}", 4, 1);
    accept("{\"a\":" F32("[0]", 0, 0) "}", 0, 1);
    accept("{\"b\":" F32("[1]", 4, 8) ",\"a\":" F32("[1]", 0, 4) ",\"e\":" F32("[3,0]", 4, 4) "}", 8, 3);
    accept("{\"__metadata__\":{\"format\":\"pt\"},\"a\":" F32("[1]", 0, 4) "}", 4, 1);
    accept("{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":" F32("[1]", 3, 7) "}", 7,
           2);
}

static void test_refuses_places(void **state)
{
    (void)state;
    refuse("{\"a\":" F32("[1]", 4, 8) "}", 8, "hole");
    refuse("{\"a\":" F32("[1]", 0, 4) ",\"b\":" F32("[1]", 8, 12) "}", 12, "hole");
    refuse("{\"a\":" F32("[2]", 0, 8) ",\"b\":" F32("[2]", 4, 12) "}", 12, "ends at");
    refuse("{\"a\":" F32("[1]", 0, 4) ",\"b\":" F32("[1]", 0, 4) "}", 4, "ends at");
    refuse("{\"a\":" F32("[1]", 0, 4) "}", 5, "end at byte 4 of 5");
    refuse("{\"a\":" F32("[1]", 0, 4) "}", 3, "outside");
    refuse("{\"a\":" F32("[1]", 4, 0) "}", 8, "outside");
    refuse("{\"a\":" F32("[1]", -4, 0) "}", 8, "data_offsets");
    refuse("{\"a\":" F32("[1]", 0, 99999999999999999999) "}", 8, "data_offsets");
    refuse("{\"a\":" F32("[1]", 0, 4.0) "}", 4, "data_offsets");
    refuse("{}", 1, "end at byte 0 of 1");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets");
}

static void test_refuses_shapes(void **state)
{
    (void)state;
    refuse("{\"a\":" F32("[2]", 0, 4) "}", 4, "need 8 bytes");
    refuse("{\"a\":" F32("[-1]", 0, 4) "}", 4, "axis 0");
    refuse("{\"a\":" F32("[1.0]", 0, 4) "}", 4, "axis 0");
    refuse("{\"a\":" F32("[\"1\"]", 0, 4) "}", 4, "axis 0");
    refuse("{\"a\":" F32("[4294967296,4294967296]", 0, 0) "}", 0, "overflows");
    refuse("{\"a\":" F32("[4611686018427387904]", 0, 0) "}", 0, "overflows"); /* 2^62 * 4 is 2^64 */
    refuse("{\"a\":" F32("[4611686018427387905,4]", 0, 4) "}", 4, "overflows");
    refuse("{\"a\":" F32("[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "9 axes");
    refuse("{\"a\":" F32("1", 0, 4) "}", 4, "no shape");
    refuse("{\"a\":[1]}", 4, "not an object");
}

static void test_refuses_types_and_names(void **state)
{
    (void)state;
    refuse("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "F8_E4M3 is not supported");
    refuse("{\"a\":{\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "U64 is not supported");
    refuse("{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "unknown dtype \"Q4\"");
    refuse("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "no dtype");
    refuse("{\"a\":" F32("[1]", 0, 4) ",\"a\":" F32("[1]", 4, 8) "}", 8, "header");
    refuse("{\"a\":" F32("[1]", 0, 4) ",\"\\u0061\":" F32("[1]", 4, 8) "}", 8, "header");
    refuse("{\"\":" F32("[1]", 0, 4) "}", 4, "name of 0 bytes");
    refuse("{\"a\\u0000b\":" F32("[1]", 0, 4) "}", 4, "header");
    refuse("{\"__metadata__\":{\"n\":1}}", 0, "__metadata__");
    refuse("{\"__metadata__\":[]}", 0, "__metadata__");
    refuse("{\"a\xff\":" F32("[1]", 0, 4) "}", 4, "header");
    char *header = malloc(3000);
    snprintf(header, 3000, "{\"%0*d\":" F32("[1]", 0, 4) "}", 1025, 0);
    refuse(header, 4, "name of 1025 bytes");
    free(header);
}

static void test_refuses_headers(void **state)
{
    (void)state;
    bytes b = {0};
    check_refused(sa_safetensors_parse, &b, "at least 8 bytes");
    put_number(&b, (uint64_t)1 << 60, 8);
    put_text(&b, "{}");
    check_refused(sa_safetensors_parse, &b, "claims 1152921504606846976 bytes");
    drop(&b);
    put_number(&b, UINT64_MAX, 8);
    put_text(&b, "{}");
    check_refused(sa_safetensors_parse, &b, "claims 18446744073709551615 bytes");
    drop(&b);
    put_number(&b, 100000001, 8);
    put_text(&b, "{}");
    check_refused(sa_safetensors_parse, &b, "claims 100000001");
    drop(&b);
    put_number(&b, 3, 8);
    put_text(&b, "{}");
    check_refused(sa_safetensors_parse, &b, "only 2 follow");
    drop(&b);
    put_number(&b, 0, 8);
    check_refused(sa_safetensors_parse, &b, "'{'");
    drop(&b);
    refuse(" {}", 0, "'{'");
    refuse("[]", 0, "'{'");
    refuse("{} x", 0, "header");
    refuse("{", 0, "header");
    char deep[400] = "{\"a\":";
    memset(deep + 5, '[', 200);
    refuse(deep, 0, "nested deeper");
}

static const char SMALL[] =
    "{\"w\":" F32("[2]", 0, 8) ",\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]}}";

static void test_damage(void **state)
{
    (void)state;
    bytes b = make_safetensors(SMALL, 10);
    check_accepted(sa_safetensors_parse, &b, 2);
    check_damage(sa_safetensors_parse, &b);
    drop(&b);
}

/* -- Files -- */

static void test_open_and_find(void **state)
{
    (void)state;
    scratch s = scratch_new();
    bytes b = make_safetensors(SMALL, 10);
    scratch_write(&s, "model.safetensors", b.data, b.size);
    sa_weights *weights = NULL;
    sa_error err;
    assert_int_equal(sa_weights_open(&weights, s.directory, &err), SA_OK); /* a directory */
    assert_string_equal(sa_weights_format(weights), "safetensors");
    assert_int_equal(sa_weights_count(weights), 2);
    assert_string_equal(sa_weights_at(weights, 0)->name, "b");
    assert_ptr_equal(sa_weights_find(weights, "w"), sa_weights_at(weights, 1));
    assert_null(sa_weights_find(weights, "v"));
    assert_null(sa_weights_find(weights, "x"));
    assert_int_equal(sa_weights_file_count(weights), 1);
    assert_int_equal(sa_weights_check(weights, &err), SA_OK);
    sa_weights_release(weights, sa_weights_at(weights, 1));
    sa_weights_close(weights);
    drop(&b);
    scratch_remove(&s);
}

static void test_kinds_of_files(void **state)
{
    (void)state;
    scratch s = scratch_new();
    static const struct {
        const char *name, *content, *says;
    } files[] = {
        {"a.safetensors", "version https://git-lfs.github.com/spec/v1\n", "Git LFS"},
        {"b.pth", "<!DOCTYPE html>", "web page"},
        {"c.gguf", "GGUF\003\001\001\001", "GGUF"},
        {"d.pth", "\x80\x02\x8a\x0al\xfc\x9c", "legacy"},
        {"e.bin", "no weights at all", "neither"},
        {"f.json", "{\"model_type\": \"sam\"}", "weight_map"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        scratch_write(&s, files[i].name, files[i].content, strlen(files[i].content));
        check_open_refused(scratch_path(&s, files[i].name), files[i].says);
    }
    scratch_write(&s, "empty.safetensors", "", 0);
    check_open_refused(scratch_path(&s, "empty.safetensors"), "8 bytes");
    scratch_write(&s, "empty.pth", "", 0);
    check_open_refused(scratch_path(&s, "empty.pth"), "empty");
    check_open_refused(s.directory, "no model.safetensors");
    scratch_remove(&s);
}

/* A header of 123 bytes starts with the byte of '{', as JSON does. */
static void test_header_that_looks_like_json(void **state)
{
    (void)state;
    char header[124];
    snprintf(header, sizeof header, "%-123s", "{\"a\":" F32("[1]", 0, 4) "}");
    bytes b = make_safetensors(header, 4);
    assert_int_equal(b.data[0], '{');
    assert_int_equal(sa_container_of("x", b.data, b.size), SA_CONTAINER_SAFETENSORS);
    drop(&b);
}

static void write_index(const scratch *s, const char *map)
{
    char text[600];
    snprintf(text, sizeof text, "{\"metadata\":{},\"weight_map\":%s}", map);
    scratch_write(s, "model.safetensors.index.json", text, strlen(text));
}

static void test_index(void **state)
{
    (void)state;
    scratch s = scratch_new();
    bytes a = make_safetensors("{\"a\":" F32("[1]", 0, 4) "}", 4),
          b = make_safetensors("{\"b\":" F32("[1]", 0, 4) "}", 4);
    scratch_write(&s, "1.safetensors", a.data, a.size);
    scratch_write(&s, "2.safetensors", b.data, b.size);
    sa_weights *weights = NULL;
    sa_error err;
    write_index(&s, "{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}");
    assert_int_equal(sa_weights_open(&weights, s.directory, &err), SA_OK);
    assert_int_equal(sa_weights_count(weights), 2);
    assert_int_equal(sa_weights_file_count(weights), 2);
    assert_int_equal(sa_weights_find(weights, "b")->file, 1);
    sa_weights_close(weights);
    static const char *const bad[][2] = {
        {"{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}", "not in 1.safetensors"},
        {"{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}", "not in"},
        {"{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"2.safetensors\"}", "\"c\" is not in"},
        {"{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}", "not there"},
        {"{\"a\":\"../1.safetensors\"}", "bad file name"},
        {"{\"a\":\"/etc/passwd\"}", "bad file name"},
        {"{\"a\":\"..\"}", "bad file name"},
        {"{\"a\":\"\"}", "bad file name"},
        {"{\"a\":7}", "bad file name"},
        {"{}", "no weight_map"},
        {"[]", "no weight_map"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_index(&s, bad[i][0]);
        check_open_refused(s.directory, bad[i][1]);
    }
    drop(&b);
    b = make_safetensors("{\"a\":" F32("[1]", 0, 4) ",\"b\":" F32("[1]", 4, 8) "}", 8);
    scratch_write(&s, "2.safetensors", b.data, b.size);
    write_index(&s, "{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}");
    check_open_refused(s.directory, "twice");
    b.data[10] = 'c'; /* "a" becomes "c", which the index does not know */
    scratch_write(&s, "2.safetensors", b.data, b.size);
    check_open_refused(s.directory, "\"c\" of 2.safetensors is not in the index");
    scratch_write(&s, "2.safetensors", "{\"weight_map\":{\"a\":\"1.safetensors\"}}", 37);
    check_open_refused(s.directory, "neither");
    drop(&a);
    drop(&b);
    scratch_remove(&s);
}

/* Somebody truncates the file while it is open: reading goes on, and check says that it is worth nothing. */
static void test_shrinks_while_mapped(void **state)
{
    (void)state;
    scratch s = scratch_new();
    bytes b =
        make_safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[65536],\"data_offsets\":[0,262144]}}", 262144);
    scratch_write(&s, "w.safetensors", b.data, b.size);
    sa_weights *weights = NULL;
    sa_error err = {0};
    float *values = malloc(65536 * sizeof *values);
    assert_int_equal(sa_weights_open(&weights, scratch_path(&s, "w.safetensors"), &err), SA_OK);
    assert_int_equal(truncate(scratch_path(&s, "w.safetensors"), 4096), 0);
    sa_tensor_read_f32(sa_weights_at(weights, 0), 0, 65536, values);
    assert_int_equal(sa_tensor_count_nonfinite(sa_weights_at(weights, 0)), 0);
    assert_int_equal(sa_weights_check(weights, &err), SA_BAD_INPUT);
    assert_true(err.reason[0] != '\0');
    sa_weights_close(weights);
    free(values);
    drop(&b);
    scratch_remove(&s);
}

/* -- Writing -- */

static void test_write_and_read_back(void **state)
{
    (void)state;
    scratch s = scratch_new();
    sa_weights *in = NULL, *out = NULL;
    sa_error err = {0};
    char path[512];
    assert_int_equal(sa_weights_open(&in, "tests/golden/weights/kinds.pth", &err), SA_OK);
    sa_tensor_out outs[32];
    size_t count = sa_weights_count(in);
    assert_true(count <= 32);
    for (size_t i = 0; i < count; i++) {
        outs[i] =
            (sa_tensor_out){sa_weights_at(in, i)->name, sa_weights_at(in, i), sa_weights_at(in, i)->dtype};
    }
    snprintf(path, sizeof path, "%s", scratch_path(&s, "out.safetensors"));
    assert_int_equal(sa_safetensors_write(path, in, outs, count, NULL, &err), SA_OK);
    assert_int_equal(sa_weights_open(&out, path, &err), SA_OK);
    assert_int_equal(sa_weights_count(out), count);
    for (size_t i = 0; i < count; i++) {
        const sa_tensor *a = sa_weights_at(in, i), *b = sa_weights_at(out, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->dtype, b->dtype);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_true(a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
        assert_int_equal((uintptr_t)b->data % sa_dtype_size(b->dtype), 0);
    }
    sa_weights_close(in);
    sa_weights_close(out);
    scratch_remove(&s);
}

static void test_write_refuses_overflow(void **state)
{
    (void)state;
    scratch s = scratch_new();
    bytes b = make_safetensors("{\"a\":" F32("[1]", 0, 4) "}", 0);
    float large = 65520.0f; /* rounds to infinity in f16 */
    put(&b, &large, sizeof large);
    scratch_write(&s, "in.safetensors", b.data, b.size);
    sa_weights *in = NULL;
    sa_error err = {0};
    assert_int_equal(sa_weights_open(&in, scratch_path(&s, "in.safetensors"), &err), SA_OK);
    sa_tensor_out out = {"a", sa_weights_at(in, 0), SA_F16};
    assert_int_equal(sa_safetensors_write(scratch_path(&s, "out.safetensors"), in, &out, 1, NULL, &err),
                     SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "too large for f16"));
    assert_false(sa_file_exists(scratch_path(&s, "out.safetensors")));
    out.dtype = SA_BF16;
    assert_int_equal(sa_safetensors_write(scratch_path(&s, "out.safetensors"), in, &out, 1, NULL, &err),
                     SA_OK);
    sa_weights_close(in);
    drop(&b);
    scratch_remove(&s);
}

static sa_status stop_at_three(void *context, sa_error *err)
{
    size_t *told = context;
    return ++*told < 3 ? SA_OK : sa_fail(err, SA_INTERRUPTED, NULL, NULL, "three are enough");
}

/* A watcher hears of every tensor, and can end the writing: no file is there then. */
static void test_write_is_watched(void **state)
{
    (void)state;
    scratch s = scratch_new();
    sa_weights *in = NULL;
    sa_error err = {0};
    size_t told = 0;
    assert_int_equal(sa_weights_open(&in, "tests/golden/weights/kinds.pth", &err), SA_OK);
    sa_tensor_out outs[4];
    for (size_t i = 0; i < 4; i++) {
        const sa_tensor *tensor = sa_weights_at(in, i);
        outs[i] = (sa_tensor_out){tensor->name, tensor, tensor->dtype};
    }
    const sa_write_watcher watcher = {stop_at_three, &told};
    const char *path = scratch_path(&s, "out.safetensors");
    assert_int_equal(sa_safetensors_write(path, in, outs, 2, &watcher, &err), SA_OK);
    assert_int_equal(told, 2);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sa_safetensors_write(path, in, outs, 4, &watcher, &err), SA_INTERRUPTED);
    assert_int_equal(told, 3);
    assert_false(sa_file_exists(path));
    sa_weights_close(in);
    scratch_remove(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses_places),
        cmocka_unit_test(test_refuses_shapes),
        cmocka_unit_test(test_refuses_types_and_names),
        cmocka_unit_test(test_refuses_headers),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_open_and_find),
        cmocka_unit_test(test_kinds_of_files),
        cmocka_unit_test(test_header_that_looks_like_json),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_shrinks_while_mapped),
        cmocka_unit_test(test_write_and_read_back),
        cmocka_unit_test(test_write_refuses_overflow),
        cmocka_unit_test(test_write_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
