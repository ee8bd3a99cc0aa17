/* The PyTorch reader: files that torch wrote, and hostile archives and pickles made byte by byte. */
#include "tests/weights/bytes.h"

/* -- A zip of stored files -- */

enum { MOST_ENTRIES = 8 };

typedef struct {
    const char *name;
    const void *data;
    size_t size;
} member;

/* Where the pieces of a made archive stand, for tests that damage one field. */
typedef struct {
    size_t local[MOST_ENTRIES], central[MOST_ENTRIES], end;
} places;

static bytes make_zip(const member *members, size_t count, places *at)
{
    bytes b = {0};
    for (size_t i = 0; i < count; i++) {
        at->local[i] = b.size;
        put_number(&b, 0x04034b50, 4);
        put_number(&b, 0, 14); /* version, flags, method 0, time, date, checksum */
        put_number(&b, members[i].size, 4);
        put_number(&b, members[i].size, 4);
        put_number(&b, strlen(members[i].name), 2);
        put_number(&b, 0, 2);
        put_text(&b, members[i].name);
        put(&b, members[i].data, members[i].size);
    }
    size_t start = b.size;
    for (size_t i = 0; i < count; i++) {
        at->central[i] = b.size;
        put_number(&b, 0x02014b50, 4);
        put_number(&b, 0, 16);
        put_number(&b, members[i].size, 4);
        put_number(&b, members[i].size, 4);
        put_number(&b, strlen(members[i].name), 2);
        put_number(&b, 0, 12); /* extra, comment, disk, attributes */
        put_number(&b, at->local[i], 4);
        put_text(&b, members[i].name);
    }
    size_t size = b.size - start;
    at->end = b.size;
    put_number(&b, 0x06054b50, 4);
    put_number(&b, 0, 4);
    put_number(&b, count, 2);
    put_number(&b, count, 2);
    put_number(&b, size, 4);
    put_number(&b, start, 4);
    put_number(&b, 0, 2);
    return b;
}

static void set_number(bytes *b, size_t at, uint64_t number, int width)
{
    for (int i = 0; i < width; i++) {
        b->data[at + (size_t)i] = (unsigned char)(number >> (8 * i));
    }
}

/* -- A pickle from pieces; string literals may hold zeros -- */

#define PIECE(p, literal) put(p, literal, sizeof literal - 1)

static const float STORAGE[4] = {1.0f, 2.0f, 3.0f, 4.0f};

static void put_unicode(bytes *p, const char *text)
{
    PIECE(p, "X");
    put_number(p, strlen(text), 4);
    put_text(p, text);
}

static void put_int(bytes *p, int64_t value)
{
    PIECE(p, "\x8a\x08"); /* LONG1 */
    put_number(p, (uint64_t)value, 8);
}

static void put_global(bytes *p, const char *module, const char *name)
{
    PIECE(p, "c");
    put_text(p, module);
    PIECE(p, "\n");
    put_text(p, name);
    PIECE(p, "\n");
}

static void put_storage(bytes *p, const char *class, const char *key, int64_t count)
{
    PIECE(p, "(");
    put_unicode(p, "storage");
    put_global(p, "torch", class);
    put_unicode(p, key);
    put_unicode(p, "cpu");
    put_int(p, count);
    PIECE(p, "tQ");
}

static void put_sizes(bytes *p, const int64_t *sizes, int count)
{
    PIECE(p, "(");
    for (int i = 0; i < count; i++) {
        put_int(p, sizes[i]);
    }
    PIECE(p, "t");
}

/* One tensor of a storage of four floats; sizes and strides have `rank` numbers. */
typedef struct {
    int64_t offset;
    int rank;
    int64_t size[9], stride[9];
} made;

static void put_tensor(bytes *p, const made *t)
{
    put_global(p, "torch._utils", "_rebuild_tensor_v2");
    PIECE(p, "(");
    put_storage(p, "FloatStorage", "0", 4);
    put_int(p, t->offset);
    put_sizes(p, t->size, t->rank);
    put_sizes(p, t->stride, t->rank);
    PIECE(p, "\x89}tR");
}

static bytes begin_pickle(void)
{
    bytes p = {0};
    PIECE(&p, "\x80\x02}(");
    return p;
}

static bytes finish(bytes p)
{
    places at;
    PIECE(&p, "u.");
    const member members[] = {{"m/data.pkl", p.data, p.size}, {"m/data/0", STORAGE, sizeof STORAGE}};
    bytes b = make_zip(members, 2, &at);
    drop(&p);
    return b;
}

/* {"w": tensor} */
static bytes make_file(const made *t)
{
    bytes p = begin_pickle();
    put_unicode(&p, "w");
    put_tensor(&p, t);
    return finish(p);
}

static void refuse_file(bytes b, const char *part)
{
    check_refused(sa_pytorch_parse, &b, part);
    drop(&b);
}

static void accept_file(bytes b, size_t tensors)
{
    check_accepted(sa_pytorch_parse, &b, tensors);
    drop(&b);
}

/* The pickle from its first opcode to STOP as it stands, in an archive. */
static bytes archive_of(const void *pickle, size_t size)
{
    places at;
    const member members[] = {{"m/data.pkl", pickle, size}, {"m/data/0", STORAGE, sizeof STORAGE}};
    return make_zip(members, 2, &at);
}

#define ARCHIVE(literal) archive_of(literal, sizeof literal - 1)

/* -- Views -- */

static void test_views(void **state)
{
    (void)state;
    accept_file(make_file(&(made){0, 1, {4}, {1}}), 1);
    accept_file(make_file(&(made){2, 1, {2}, {1}}), 1);
    accept_file(make_file(&(made){0, 2, {2, 2}, {1, 2}}), 1);
    accept_file(make_file(&(made){3, 0, {0}, {0}}), 1);
    accept_file(make_file(&(made){0, 2, {0, 7}, {7, 1}}), 1);
    accept_file(make_file(&(made){0, 3, {1, 4, 1}, {99, 1, 0}}), 1); /* strides that are never taken */
    accept_file(make_file(&(made){1, 1, {2}, {2}}), 1);
}

static void test_views_out_of_range(void **state)
{
    (void)state;
    const int64_t huge = INT64_MAX;
    refuse_file(make_file(&(made){0, 1, {5}, {1}}), "past the end");
    refuse_file(make_file(&(made){1, 1, {4}, {1}}), "past the end");
    refuse_file(make_file(&(made){4, 0, {0}, {0}}), "past the end");
    refuse_file(make_file(&(made){huge, 1, {1}, {1}}), "past the end");
    refuse_file(make_file(&(made){0, 1, {2}, {4}}), "past the end");
    refuse_file(make_file(&(made){0, 1, {2}, {huge}}), "past the end");
    refuse_file(make_file(&(made){-1, 1, {1}, {1}}), "no whole numbers");
    refuse_file(make_file(&(made){0, 1, {-4}, {1}}), "no whole numbers");
    refuse_file(make_file(&(made){0, 1, {2}, {-1}}), "no whole numbers");
    refuse_file(make_file(&(made){0, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1}}), "too many");
    refuse_file(make_file(&(made){0, 2, {huge, 4}, {4, 1}}), "overflows");
    refuse_file(make_file(&(made){0, 1, {huge}, {1}}), "overflows");
    refuse_file(make_file(&(made){0, 2, {2, 2}, {1, 1}}), "overlap");
    refuse_file(make_file(&(made){0, 1, {1 << 30}, {0}}), "overlap"); /* 4 GB from 4 bytes */
    refuse_file(make_file(&(made){0, 2, {2, 3}, {2, 1}}), "overlap");
    refuse_file(make_file(&(made){0, 2, {3, 2}, {huge, huge - 1}}), "overlap"); /* their sum wraps */
}

static void test_values_of_a_view(void **state)
{
    (void)state;
    bytes b = make_file(&(made){0, 2, {2, 2}, {1, 2}}); /* transposed */
    sa_tensor_list list = {0};
    sa_error err;
    float values[4];
    assert_int_equal(sa_pytorch_parse("test", b.data, b.size, 0, &list, &err), SA_OK);
    assert_non_null(list.entries[0].owned);
    sa_tensor_read_f32(&list.entries[0].tensor, 0, 4, values);
    assert_true(values[0] == 1.0f && values[1] == 3.0f && values[2] == 2.0f && values[3] == 4.0f);
    sa_tensor_list_free(&list);
    drop(&b);
}

/* Every view is fine by itself; together they would fill the memory. */
static void test_many_copies(void **state)
{
    (void)state;
    bytes p = begin_pickle();
    char name[16];
    put_unicode(&p, "w0");
    PIECE(&p, "q\x01");
    put_global(&p, "torch._utils", "_rebuild_tensor_v2");
    PIECE(&p, "(");
    put_storage(&p, "FloatStorage", "0", 4);
    PIECE(&p, "K\x00");
    put_sizes(&p, (const int64_t[]){2, 2}, 2);
    put_sizes(&p, (const int64_t[]){1, 2}, 2);
    PIECE(&p, "\x89}tRq\x02");
    for (int i = 1; i < 400; i++) {
        snprintf(name, sizeof name, "%d", i);
        PIECE(&p, "\x8c");
        put_number(&p, strlen(name), 1);
        put_text(&p, name);
        PIECE(&p, "h\x02");
    }
    refuse_file(finish(p), "twice its size");
}

/* -- Storages -- */

static bytes with_storage(const char *class, const char *key, int64_t count)
{
    bytes p = begin_pickle();
    put_unicode(&p, "w");
    put_global(&p, "torch._utils", "_rebuild_tensor_v2");
    PIECE(&p, "(");
    put_storage(&p, class, key, count);
    PIECE(&p, "K\x00K\x02\x85K\x01\x85\x89}tR");
    return finish(p);
}

static void test_storages(void **state)
{
    (void)state;
    accept_file(with_storage("FloatStorage", "0", 4), 1);
    accept_file(with_storage("BFloat16Storage", "0", 8), 1);
    accept_file(with_storage("HalfStorage", "0", 8), 1);
    accept_file(with_storage("DoubleStorage", "0", 2), 1);
    accept_file(with_storage("LongStorage", "0", 2), 1);
    accept_file(with_storage("UntypedStorage", "0", 16), 1);
    refuse_file(with_storage("FloatStorage", "0", 5), "another size");
    refuse_file(with_storage("FloatStorage", "0", 3), "another size");
    refuse_file(with_storage("FloatStorage", "0", -4), "another size");
    refuse_file(with_storage("FloatStorage", "0", INT64_MAX), "another size");
    refuse_file(with_storage("FloatStorage", "0", (int64_t)1 << 62), "another size"); /* times 4 wraps to 0 */
    refuse_file(with_storage("FloatStorage", "1", 4), "not in the archive");
    refuse_file(with_storage("FloatStorage", "../data.pkl", 4), "not in the archive");
    refuse_file(with_storage("FloatStorage", "", 4), "not in the archive");
    refuse_file(with_storage("QInt8Storage", "0", 16), "class torch.QInt8Storage");
    refuse_file(ARCHIVE("\x80\x02}X\x01\x00\x00\x00w(X\x07\x00\x00\x00storagetQs."), "bare storage");
}

/* -- Objects of other classes -- */

static void test_system_call_is_only_data(void **state)
{
    (void)state;
    scratch s = scratch_new();
    bytes p = begin_pickle();
    char command[600];
    snprintf(command, sizeof command, "touch %s", scratch_path(&s, "executed"));
    put_unicode(&p, "config");
    put_global(&p, "os", "system");
    put_unicode(&p, command);
    PIECE(&p, "\x85R");
    put_unicode(&p, "w");
    put_tensor(&p, &(made){0, 1, {4}, {1}});
    accept_file(finish(p), 1);
    assert_false(sa_file_exists(scratch_path(&s, "executed")));
    scratch_remove(&s);
}

static void test_tensor_in_foreign_call(void **state)
{
    (void)state;
    bytes p = begin_pickle();
    put_unicode(&p, "w");
    put_global(&p, "evil.module", "Rebuild");
    PIECE(&p, "(");
    put_tensor(&p, &(made){0, 1, {4}, {1}});
    PIECE(&p, "tR");
    refuse_file(finish(p), "class evil.module.Rebuild");
}

static void test_foreign_storage_and_parameter(void **state)
{
    (void)state;
    bytes p = begin_pickle(); /* Parameter(Parameter(tensor)) is fine, and the number 3 is no tensor */
    put_unicode(&p, "w");
    put_global(&p, "torch._utils", "_rebuild_parameter");
    PIECE(&p, "(");
    put_tensor(&p, &(made){0, 1, {4}, {1}});
    PIECE(&p, "\x88}tR");
    accept_file(finish(p), 1);
    p = begin_pickle();
    put_unicode(&p, "w");
    put_global(&p, "torch._utils", "_rebuild_tensor_v2");
    PIECE(&p, "(");
    put_global(&p, "other", "Storage");
    PIECE(&p, ")R");
    PIECE(&p, "K\x00K\x02\x85K\x01\x85\x89");
    put_storage(&p, "FloatStorage", "0", 4); /* as hooks: the call does hold a storage */
    PIECE(&p, "tR");
    refuse_file(finish(p), "class other.Storage");
}

/* NEWOBJ, NEWOBJ_EX, OBJ, BUILD, sets and bytes of other classes are passed over. */
static void test_foreign_kinds(void **state)
{
    (void)state;
    bytes p = begin_pickle();
    put_unicode(&p, "a");
    put_global(&p, "m", "A");
    PIECE(&p, ")\x81}b");
    put_unicode(&p, "b");
    put_global(&p, "m", "B");
    PIECE(&p, ")}\x92");
    put_unicode(&p, "c");
    PIECE(&p, "(");
    put_global(&p, "m", "C");
    PIECE(&p, "K\x01o");
    put_unicode(&p, "d");
    PIECE(&p, "\x8f(K\x01\x90");
    put_unicode(&p, "e");
    PIECE(&p, "(K\x01\x91");
    put_unicode(&p, "f");
    PIECE(&p, "C\x03xyz");
    put_unicode(&p, "g");
    PIECE(&p, "G?\xf0\x00\x00\x00\x00\x00\x00");
    put_unicode(&p, "w");
    put_tensor(&p, &(made){0, 1, {4}, {1}});
    accept_file(finish(p), 1);
}

/* -- The machine -- */

static void test_bad_pickles(void **state)
{
    (void)state;
    refuse_file(ARCHIVE(""), "protocols");
    refuse_file(ARCHIVE("\x80"), "protocols");
    refuse_file(ARCHIVE("\x80\x01."), "protocols");
    refuse_file(ARCHIVE("\x80\x06}."), "protocols");
    refuse_file(ARCHIVE("(dp0\n."), "protocols");
    refuse_file(ARCHIVE("\x80\x02}"), "ends in the middle");
    refuse_file(ARCHIVE("\x80\x02."), "lacks its operand");
    refuse_file(ARCHIVE("\x80\x02(."), "lacks its operand");
    refuse_file(ARCHIVE("\x80\x02}}."), "left over");
    refuse_file(ARCHIVE("\x80\x02R."), "lacks its operand");
    refuse_file(ARCHIVE("\x80\x02t."), "lacks its mark");
    refuse_file(ARCHIVE("\x80\x02}(K\x01u."), "without a value");
    refuse_file(ARCHIVE("\x80\x02}K\x01s."), "lacks its operand");
    refuse_file(ARCHIVE("\x80\x02h\x05."), "never memorised");
    refuse_file(ARCHIVE("\x80\x02j\xff\xff\xff\xff."), "never memorised");
    refuse_file(ARCHIVE("\x80\x02}r\xff\xff\xff\xff."), "memo");
    refuse_file(ARCHIVE("\x80\x02X\xff\xff\xff\xffx."), "longer than");
    refuse_file(ARCHIVE("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffx."), "longer than");
    refuse_file(ARCHIVE("\x80\x02"
                        "cos\nsystem"),
                "no end");
    refuse_file(ARCHIVE("\x80\x04K\x01K\x02\x93."), "not a string");
    refuse_file(ARCHIVE("\x80\x02\x82\x01."), "opcode 0x82");      /* EXT1 */
    refuse_file(ARCHIVE("\x80\x02ios\nsystem\n."), "opcode 0x69"); /* INST */
    refuse_file(ARCHIVE("\x80\x05\x97."), "opcode 0x97");          /* NEXT_BUFFER */
    refuse_file(ARCHIVE("\x80\x02K\x01."), "no dict of tensors");
    refuse_file(ARCHIVE("\x80\x02"
                        "cm\nA\n)\x81."),
                "class m.A");
    refuse_file(ARCHIVE("\x80\x02}."), "no tensors");
    bytes p = {0};
    PIECE(&p, "\x80\x02");
    for (int i = 0; i < 300; i++) {
        PIECE(&p, "x");
    }
    p.data[2] = 'c';
    p.data[290] = '\n';
    p.data[295] = '\n';
    refuse_file(archive_of(p.data, p.size), "too long");
    drop(&p);
}

/* A dict that holds itself, and dicts that hold the next one twice: 2^40 paths in 200 bytes. */
static void test_circles_and_bombs(void **state)
{
    (void)state;
    bytes p = {0};
    PIECE(&p, "\x80\x02}q\x00(");
    put_unicode(&p, "w");
    put_tensor(&p, &(made){0, 1, {4}, {1}});
    PIECE(&p, "X\x01\x00\x00\x00sh\x00u.");
    refuse_file(archive_of(p.data, p.size), "nested too deep");
    drop(&p);
    PIECE(&p, "\x80\x02}(");
    put_unicode(&p, "w");
    put_tensor(&p, &(made){0, 1, {0}, {1}});
    PIECE(&p, "uq\x00");
    for (int i = 0; i < 30; i++) {
        PIECE(&p, "0}(K\x01h\x00K\x02h\x00uq\x00");
    }
    PIECE(&p, ".");
    sa_error err;
    size_t tensors;
    bytes b = archive_of(p.data, p.size);
    assert_int_equal(parse_copy(sa_pytorch_parse, &b, &tensors, &err), SA_BAD_INPUT);
    drop(&b);
    drop(&p);
}

static void test_deep_lists_without_tensors(void **state)
{
    (void)state;
    bytes p = begin_pickle();
    put_unicode(&p, "junk");
    for (int i = 0; i < 100000; i++) {
        PIECE(&p, "]");
    }
    for (int i = 0; i < 99999; i++) {
        PIECE(&p, "a");
    }
    put_unicode(&p, "w");
    put_tensor(&p, &(made){0, 1, {4}, {1}});
    accept_file(finish(p), 1);
}

/* -- The archive -- */

static const made WHOLE = {0, 1, {4}, {1}};

static bytes with_members(const char *extra, const void *data, size_t size, places *at)
{
    bytes p = begin_pickle();
    put_unicode(&p, "w");
    put_tensor(&p, &WHOLE);
    PIECE(&p, "u.");
    const member members[] = {
        {"m/data.pkl", p.data, p.size}, {"m/data/0", STORAGE, sizeof STORAGE}, {extra, data, size}};
    bytes b = make_zip(members, 3, at);
    drop(&p);
    return b;
}

static void refuse_field(size_t from, size_t offset, uint64_t value, int width, const char *part)
{
    places at;
    bytes b = with_members("m/version", "3\n", 2, &at);
    size_t starts[] = {at.local[1], at.central[1], at.end};
    set_number(&b, starts[from] + offset, value, width);
    refuse_file(b, part);
}

enum { LOCAL, CENTRAL, END };

static void test_bad_archives(void **state)
{
    (void)state;
    refuse_field(CENTRAL, 8, 1, 2, "encrypted");
    refuse_field(CENTRAL, 10, 8, 2, "differ"); /* compressed says one, stored the other */
    refuse_field(LOCAL, 8, 8, 2, "differ");
    refuse_field(LOCAL, 18, 15, 4, "differ");
    refuse_field(LOCAL, 30, 'x', 1, "differ"); /* another name */
    refuse_field(LOCAL, 0, 0, 4, "no local header");
    refuse_field(LOCAL, 28, 0xffff, 2, "no local header");
    refuse_field(CENTRAL, 0, 0, 4, "record");
    refuse_field(CENTRAL, 20, 15, 4, "outside"); /* sizes that differ though nothing is compressed */
    refuse_field(CENTRAL, 42, 0xfffffff0, 4, "outside");
    refuse_field(CENTRAL, 42, 0, 4, "differ"); /* the local header of another file */
    refuse_field(CENTRAL, 28, 0xffff, 2, "impossible length");
    refuse_field(CENTRAL, 30, 0xffff, 2, "impossible length");
    refuse_field(CENTRAL, 34, 1, 2, "several files");
    refuse_field(END, 4, 1, 2, "several files");
    refuse_field(END, 10, 4, 2, "several files");
    refuse_field(END, 16, 0xffffffff, 4, "outside");
    refuse_field(END, 12, 0xffffff, 4, "outside");
    refuse_field(END, 20, 1, 2, "no end record");
    refuse_field(END, 0, 0, 4, "no end record");
}

static void test_archive_contents(void **state)
{
    (void)state;
    places at;
    accept_file(with_members("m/byteorder", "little", 6, &at), 1);
    refuse_file(with_members("m/byteorder", "big", 3, &at), "little-endian");
    refuse_file(with_members("m/constants.pkl", "x", 1, &at), "TorchScript");
    refuse_file(with_members("m/code/m.py", "x", 1, &at), "TorchScript");
    refuse_file(with_members("n/data.pkl", "x", 1, &at), "two data.pkl");
    refuse_file(with_members("m/data/0", STORAGE, sizeof STORAGE, &at), "same name");
    bytes b = with_members("m/x", "x", 1, &at);
    set_number(&b, at.local[2] + 8, 8, 2);
    set_number(&b, at.central[2] + 10, 8, 2);
    refuse_file(b, "compressed");
    const member other[] = {{"a.txt", "x", 1}};
    refuse_file(make_zip(other, 1, &at), "no data.pkl");
    refuse_file(make_zip(other, 0, &at), "no data.pkl");
}

/* Two entries that share bytes: the second one starts inside of the first. */
static void test_overlapping_entries(void **state)
{
    (void)state;
    places at, inner_at;
    const member inner[] = {{"m/data/0", STORAGE, sizeof STORAGE}};
    bytes hidden = make_zip(inner, 1, &inner_at);
    bytes b = with_members("m/blob", hidden.data, hidden.size, &at);
    size_t blob = at.local[2] + 30 + strlen("m/blob");
    set_number(&b, at.central[1] + 42, blob, 4);
    refuse_file(b, "overlap");
    drop(&hidden);
}

static void test_damage(void **state)
{
    (void)state;
    bytes b = make_file(&WHOLE);
    check_damage(sa_pytorch_parse, &b);
    drop(&b);
    unsigned char *golden = NULL; /* zip64 records, data descriptors and padding, as torch writes them */
    size_t size = 0;
    sa_error err;
    assert_int_equal(sa_file_read("tests/golden/weights/model_key.pth", 1 << 20, &golden, &size, &err),
                     SA_OK);
    b = (bytes){golden, size};
    check_damage(sa_pytorch_parse, &b);
    free(golden);
}

/* -- Files that torch wrote -- */

static void check_tensor(const sa_tensor *tensor, const char *name, const json_t *want)
{
    const json_t *shape = json_object_get(want, "shape"), *values = json_object_get(want, "values");
    if (tensor == NULL) {
        fail_msg("tensor %s is missing", name);
        return;
    }
    assert_string_equal(sa_dtype_name(tensor->dtype), json_string_value(json_object_get(want, "dtype")));
    assert_int_equal(tensor->rank, json_array_size(shape));
    for (int axis = 0; axis < tensor->rank; axis++) {
        assert_int_equal(tensor->shape[axis], json_integer_value(json_array_get(shape, (size_t)axis)));
    }
    assert_int_equal(tensor->count, json_array_size(values));
    for (size_t i = 0; i < tensor->count; i++) {
        double value = json_number_value(json_array_get(values, i)), found = 0.0;
        float single = 0.0f;
        int64_t whole = 0;
        if (tensor->dtype == SA_F64) {
            memcpy(&found, tensor->data + 8 * i, sizeof found);
        } else if (sa_dtype_is_float(tensor->dtype)) {
            sa_tensor_read_f32(tensor, i, 1, &single);
            found = single;
        } else {
            memcpy(&whole, tensor->data + i * sa_dtype_size(tensor->dtype), sa_dtype_size(tensor->dtype));
            found = (double)whole;
        }
        if (!(found == value)) {
            fail_msg("%s[%zu] is %.17g, not %.17g", name, i, found, value);
        }
    }
}

static void check_golden(const char *name, const json_t *want)
{
    char path[300];
    sa_weights *weights = NULL;
    sa_error err = {0};
    const char *key;
    json_t *tensor;
    snprintf(path, sizeof path, "tests/golden/weights/%s", name);
    if (json_is_string(want)) {
        check_open_refused(path, json_string_value(want));
        return;
    }
    if (sa_weights_open(&weights, path, &err) != SA_OK) {
        fail_msg("%s: %s", path, err.reason);
    }
    assert_int_equal(sa_weights_count(weights), json_object_size(want));
    json_object_foreach((json_t *)want, key, tensor) {
        check_tensor(sa_weights_find(weights, key), key, tensor);
    }
    sa_weights_close(weights);
}

static void test_golden_files(void **state)
{
    (void)state;
    json_t *expected = NULL;
    sa_error err;
    const char *name;
    json_t *want;
    assert_int_equal(sa_json_read("tests/golden/weights/expected.json", 1 << 22, &expected, &err), SA_OK);
    assert_true(json_object_size(expected) >= 17);
    json_object_foreach(expected, name, want) {
        check_golden(name, want);
    }
    json_decref(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_views_out_of_range),
        cmocka_unit_test(test_values_of_a_view),
        cmocka_unit_test(test_many_copies),
        cmocka_unit_test(test_storages),
        cmocka_unit_test(test_system_call_is_only_data),
        cmocka_unit_test(test_tensor_in_foreign_call),
        cmocka_unit_test(test_foreign_storage_and_parameter),
        cmocka_unit_test(test_foreign_kinds),
        cmocka_unit_test(test_bad_pickles),
        cmocka_unit_test(test_circles_and_bombs),
        cmocka_unit_test(test_deep_lists_without_tensors),
        cmocka_unit_test(test_bad_archives),
        cmocka_unit_test(test_archive_contents),
        cmocka_unit_test(test_overlapping_entries),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_golden_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
