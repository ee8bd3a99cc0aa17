/*
 * runtime/data/report.h: text is escaped whatever its bytes are, numbers are written as they are meant, the
 * items that are shown are the ones that they are said to be. The page as a whole: tests/cli/test_report.sh.
 */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/base/utf8.h"
#include "runtime/data/report_parts.h"
#include "runtime/text/base64.h"

/* ---- text ---- */

/* What report_text makes of it; good until the next call. */
static const char *written(const char *text)
{
    static char out[4096];
    FILE *stream = fmemopen(out, sizeof out, "w");
    assert_non_null(stream);
    report_text(stream, text);
    assert_int_equal(fclose(stream), 0);
    return out;
}

static void test_text(void **state)
{
    (void)state;
    assert_string_equal(written(""), "");
    assert_string_equal(written("a <b a=\"1\" c='2'>&amp;</b>"),
                        "a &lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
    assert_string_equal(written("tab\tline\nend\r\x01\x7f"),
                        "tab line end\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(written("\xe2\x82\xac \xf0\x9f\x98\x80"), "\xe2\x82\xac \xf0\x9f\x98\x80");
    assert_string_equal(written("\xc2\x85|\xef\xbf\xbf|\xef\xbf\xbe"),
                        "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd");
    assert_string_equal(
        written("\xff|\xe2\x82|\xc0\xaf|\xed\xa0\x80"),
        "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

/* Random bytes leave nothing that HTML would take for its own, and whole characters. */
static void test_any_bytes(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3000; i++) {
        char text[65] = "";
        for (uint64_t k = 0; k < 64; k++) {
            uint32_t word = sa_philox_block(7, i, k).word[0];
            text[k] = (char)(1 + word % (i % 2 ? 255 : 96));
        }
        const char *out = written(text);
        assert_true(sa_utf8_is_whole(out, strlen(out)));
        assert_int_equal(strcspn(out, "<>\"'"), strlen(out));
        for (const char *at = out; (at = strchr(at, '&')) != NULL; at++) {
            assert_true(strchr("lgaq#", at[1]) != NULL && strchr(at, ';') != NULL &&
                        strchr(at, ';') - at <= 5);
        }
    }
}

static void check_number(double value, const char *expected)
{
    char out[64];
    FILE *stream = fmemopen(out, sizeof out, "w");
    assert_non_null(stream);
    report_number(stream, value);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(out, expected);
}

static void test_numbers(void **state)
{
    (void)state;
    check_number(0.12345, "0.123");
    check_number(-0.25, "\xe2\x88\x92"
                        "0.250");
    check_number(-0.0001, "0.000");
    check_number(NAN, "\xe2\x80\x93");
}

/* ---- base64 ---- */

static void test_base64(void **state)
{
    (void)state;
    for (size_t size = 0; size < 50; size++) {
        unsigned char bytes[50], back[60];
        char text[80];
        size_t back_size;
        for (size_t k = 0; k < size; k++) {
            bytes[k] = (unsigned char)sa_philox_block(3, size, k).word[0];
        }
        FILE *stream = fmemopen(text, sizeof text, "w");
        assert_non_null(stream);
        sa_base64_write(stream, bytes, size);
        long length = ftell(stream);
        assert_int_equal(fclose(stream), 0);
        assert_int_equal(length, (size + 2) / 3 * 4);
        assert_true(sa_base64_decode(text, (size_t)length, back, &back_size));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, bytes, size);
    }
}

/* ---- choice ---- */

enum { ITEMS = 200 };

static double quality(const sa_report_run *run, size_t entry)
{
    return isnan(run->entries[entry].iou) ? run->entries[entry].score : run->entries[entry].iou;
}

static double error(const sa_report_run *run, size_t entry)
{
    return fabs(run->entries[entry].score - run->entries[entry].iou);
}

/* Nothing that was left out is worse than the worst, better than the best, or wronger than the misjudged. */
static void check_picks(const sa_report_run *run, const report_pick *picks, size_t count)
{
    bool taken[ITEMS] = {false};
    for (size_t i = 0; i < count; i++) {
        assert_false(taken[picks[i].entry]);
        taken[picks[i].entry] = true;
    }
    for (size_t e = 0; e < run->count; e++) {
        for (size_t i = 0; i < count && !taken[e]; i++) {
            double here = quality(run, picks[i].entry);
            assert_true(picks[i].reason != REPORT_WORST || here <= quality(run, e));
            assert_true(picks[i].reason != REPORT_BEST || here >= quality(run, e));
            assert_true(picks[i].reason != REPORT_MISJUDGED || error(run, picks[i].entry) >= error(run, e));
        }
    }
}

static void test_picks(void **state)
{
    (void)state;
    sa_report_entry entries[ITEMS];
    report_pick picks[ITEMS];
    sa_report_run run = {.entries = entries};
    for (uint64_t round = 0; round < 300; round++) {
        sa_philox words = sa_philox_block(11, round, 0);
        size_t limit = words.word[1] % 30, count;
        bool known = round % 3 != 0;
        run.count = words.word[0] % ITEMS;
        run.scores.count = known ? run.count : 0;
        for (size_t i = 0; i < run.count; i++) {
            sa_philox w = sa_philox_block(12, round, i);
            entries[i] =
                (sa_report_entry){.score = w.word[0] % 20 / 20.0, .iou = known ? w.word[1] % 20 / 20.0 : NAN};
        }
        assert_int_equal(report_pick_items(&run, limit, picks, &count, NULL), SA_OK);
        assert_int_equal(count, limit < run.count ? limit : run.count);
        check_picks(&run, picks, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),   cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_base64), cmocka_unit_test(test_picks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
