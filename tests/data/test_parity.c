/* runtime/data/parity.h: the bytes that SegAgent's evaluators write, and Python's float(). */
#include "runtime/data/parity.h"
#include "tests/data/results_golden.h"

static void copy_file(const char *from, const char *to)
{
    unsigned char *bytes;
    size_t size;
    assert_int_equal(sa_file_read(from, (size_t)1 << 24, &bytes, &size, NULL), SA_OK);
    assert_int_equal(sa_file_write(to, bytes, size, NULL), SA_OK);
    free(bytes);
}

/* Without the samples whose pred_list is empty: a click of those is an error. */
static void copy_whole(const char *from, const char *to)
{
    json_t *list = results_json(from);
    for (size_t i = json_array_size(list); i-- > 0;) {
        if (json_array_size(json_object_get(json_array_get(list, i), "pred_list")) == 0) {
            json_array_remove(list, i);
        }
    }
    assert_int_equal(json_dump_file(list, to, 0), 0);
    json_decref(list);
}

static void check_run(const results_scratch *s, sa_parity_options options, const char *csv, const char *txt,
                      const char *golden)
{
    char path[256], want[256];
    sa_parity out;
    sa_error err = {0};
    results_scratch_path(s, "r.json", path);
    if (sa_parity_run(path, &options, &out, &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
    results_scratch_path(s, csv, path);
    assert_string_equal(out.csv, path);
    snprintf(want, sizeof want, RESULTS_GOLDEN "%s.csv", golden);
    results_same_bytes(path, want);
    results_scratch_path(s, txt, path);
    assert_string_equal(out.txt, path);
    snprintf(want, sizeof want, RESULTS_GOLDEN "%s.txt", golden);
    results_same_bytes(path, want);
    assert_true(fabs(out.ciou_exact - (double)out.ciou) < 1e-4 &&
                fabs(out.giou_exact - (double)out.giou) < 1e-4);
}

static void test_golden(void **state)
{
    (void)state;
    static const char *const files[] = {"r.json",
                                        "r_clicknew2None.csv",
                                        "r_clicknew2None_clickNone.txt",
                                        "r_clicknew2-1.csv",
                                        "r_live.csv",
                                        "r_live.txt",
                                        "r_clicknew2-1_click-1.txt",
                                        "r_clicknew20.csv",
                                        "r_clicknew20_click0.txt"};
    results_scratch s = results_scratch_make();
    char path[256];
    results_scratch_path(&s, "r.json", path);
    copy_file(RESULTS_GOLDEN "parity.json", path);
    check_run(&s, (sa_parity_options){.mode = SA_PARITY_BEST, .click_id = 0}, "r_clicknew2None.csv",
              "r_clicknew2None_clickNone.txt", "parity_best");
    check_run(&s, (sa_parity_options){.mode = SA_PARITY_LIVE, .click_id = 0}, "r_live.csv", "r_live.txt",
              "parity_live");
    copy_whole(RESULTS_GOLDEN "parity.json", path);
    check_run(&s, (sa_parity_options){.mode = SA_PARITY_CLICK, .click_id = -1}, "r_clicknew2-1.csv",
              "r_clicknew2-1_click-1.txt", "parity_last");
    check_run(&s, (sa_parity_options){.mode = SA_PARITY_CLICK, .click_id = 0}, "r_clicknew20.csv",
              "r_clicknew20_click0.txt", "parity_first");
    results_scratch_remove(&s, files, sizeof files / sizeof files[0]);
}

/*
 * One image whose samples have 1, 2 and 6 of 20 pixels. In float32 the mean times three is not the sum;
 * numpy: s = 1/(20+1e-5) + 2/(20+1e-5) + 6/(20+1e-5), s / 3 * 3 / (3+1e-5), all np.float32.
 */
static void test_rounding(void **state)
{
    (void)state;
    const sa_parity_options options = {.mode = SA_PARITY_CLICK, .click_id = 0};
    static const int pixels[] = {1, 2, 6};
    char text[1024] = "[";
    sa_parity out = {0};
    for (size_t i = 0; i < 3; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used,
                 "%s{\"img_path\":\"a\",\"height\":4,\"width\":5,\"caption\":[\"\"],\"pred_list\":[{\"mask\":"
                 "{\"size\":[4,5],\"counts\":[0,%d,%d]}}],\"gt_mask\":{\"size\":[4,5],\"counts\":[0,20]}}",
                 i > 0 ? "," : "", pixels[i], 20 - pixels[i]);
    }
    strcat(text, "]");
    FILE *nowhere = fopen("/dev/null", "w");
    assert_int_equal(sa_parity_measure("t", text, strlen(text), &options, nowhere, &out, NULL), SA_OK);
    fclose(nowhere);
    assert_true((double)out.giou == 0.1499994397163391); /* and 0.14999942481517792 of the plain sum */
    assert_true(out.giou_exact > 0.1499999 && out.samples == 3 && out.images == 1);
}

/* Refused, with this in the reason, and no file left. */
static void check_refused(const char *text, sa_parity_options options, const char *reason)
{
    static const char *const files[] = {"r.json"};
    results_scratch s = results_scratch_make();
    char path[256];
    sa_parity out;
    sa_error err = {0};
    results_scratch_path(&s, "r.json", path);
    results_write(path, text);
    assert_int_equal(sa_parity_run(path, &options, &out, &err), SA_BAD_INPUT);
    if (strstr(err.reason, reason) == NULL || err.file[0] == '\0' || err.hint[0] == '\0') {
        fail_msg("%s: %s (%s), and not \"%s\"", err.file, err.reason, err.hint, reason);
    }
    results_scratch_remove(&s, files, 1);
}

#define HEAD "[{\"img_path\":\"a\",\"height\":2,\"width\":2,\"caption\":[\"c\"],"
#define MASK "{\"size\":[2,2],\"counts\":[1,3]}"
#define ENTRY "\"pred_list\":[{\"mask\":" MASK ",\"outputs\":null}]"

static void test_refusals(void **state)
{
    (void)state;
    const sa_parity_options best = {.mode = SA_PARITY_BEST, .click_id = 0},
                            second = {.mode = SA_PARITY_CLICK, .click_id = 1};
    const sa_parity_options before = {.mode = SA_PARITY_CLICK, .click_id = -2},
                            live = {.mode = SA_PARITY_LIVE, .click_id = 0};
    check_refused("", best, "no list");
    check_refused("{}", best, "no list of samples");
    check_refused("[]", best, "no sample with a mask");
    check_refused("[1]", best, "object");
    check_refused("[{}]", best, "\"img_path\" is missing");
    check_refused(HEAD ENTRY ",\"gt_mask\":" MASK "}", best, "as no JSON does");
    check_refused(HEAD ENTRY ",\"gt_mask\":" MASK "}]]", best, "as no JSON does");
    check_refused(HEAD "\"pred_list\":5}]", best, "\"pred_list\" is no list");
    check_refused(HEAD "\"pred_list\":[]}]", best, "no sample with a mask");
    check_refused(HEAD "\"pred_list\":[],\"gt_mask\":{\"size\":[3,2],\"counts\":[6]}}]", live,
                  "size 3 x 2 does not belong");
    check_refused(HEAD ENTRY "}]", second, "no mask of click 1 among 1");
    check_refused(HEAD ENTRY "}]", before, "no mask of click -2 among 1");
    check_refused("[{\"img_path\":\"a\",\"height\":2,\"width\":2," ENTRY "}]", best, "\"caption\"");
    check_refused("[{\"img_path\":\"a\",\"height\":2,\"width\":0,\"caption\":[\"c\"]," ENTRY "}]", best,
                  "from 1 to 65535");
}

/* The names that the runner's own arguments would give. */
static void test_runner_names(void **state)
{
    (void)state;
    static const char *const files[] = {
        "refcoco+_val_newresults_7_sam_qwen-full_radius0use_gt_box0.json",
        "refcoco+_7_sam_qwen-full_radius0_gridsample0_use_pmask_1_Falseuse_gt_box0.csv",
        "refcoco+_val_7_sam_vit_h_sam_qwen-full_radius0_gridsample0_use_pmask_1_use_gt_box0.txt"};
    const sa_parity_runner runner = {"0", "1", "False", "sam_vit_h"};
    const sa_parity_options options = {.mode = SA_PARITY_LIVE, .runner = &runner};
    results_scratch s = results_scratch_make();
    char path[256];
    sa_parity out;
    sa_error err;
    results_scratch_path(&s, files[0], path);
    copy_file(RESULTS_GOLDEN "parity.json", path);
    assert_int_equal(sa_parity_run(path, &options, &out, NULL), SA_OK);
    results_scratch_path(&s, files[1], path);
    assert_string_equal(out.csv, path);
    results_same_bytes(path, RESULTS_GOLDEN "parity_live.csv");
    results_scratch_path(&s, files[2], path);
    assert_string_equal(out.txt, path);
    results_same_bytes(path, RESULTS_GOLDEN "parity_live.txt");
    results_scratch_remove(&s, files, 3);
    assert_int_equal(sa_parity_run(RESULTS_GOLDEN "parity.json", &options, &out, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.hint, "_newresults_"));
}

static void check_float(const char *text, bool good, double want)
{
    double got = -99.0;
    if (sa_python_float(text, strlen(text), &got) != good) {
        fail_msg("\"%s\" is %s number", text, good ? "a" : "no");
    }
    assert_true(!good || got == want || (isnan(got) && isnan(want)));
}

/* As python3 -c 'float(...)' answers. */
static void test_float(void **state)
{
    (void)state;
    check_float("85.2", true, 85.2);
    check_float("  +7 \n", true, 7.0);
    check_float("\v-.5e1\t", true, -5.0);
    check_float("5.", true, 5.0);
    check_float("1_000.0_1", true, 1000.01);
    check_float("1e0_1", true, 10.0);
    check_float("1E400", true, (double)INFINITY);
    check_float("nan", true, (double)NAN);
    check_float("-Infinity", true, -(double)INFINITY);
    check_float("+iNf", true, (double)INFINITY);
    static const char *const bad[] = {"",   " ",     ".",    "+",    "e5",  "1e",   "1e+",   "1__0", "_1",
                                      "1_", "1_.0",  "1._0", "0x10", "1 2", "12%",  "--1",   "+-1",  "nan(1)",
                                      "1,", "infin", "1e_5", "1_e5", "½",   "1.2.", "1.2.3", "\0341"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_float(bad[i], false, 0.0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_rounding),
                                       cmocka_unit_test(test_refusals), cmocka_unit_test(test_runner_names),
                                       cmocka_unit_test(test_float)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
