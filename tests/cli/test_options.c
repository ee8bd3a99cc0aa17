/* The option parser: forms, order, defaults, and each refusal with its hint. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/cli.h"
#include "tests/check.h"

typedef struct {
    const char *out;
    int64_t count;
    double scale;
    bool all;
    sa_common_options common;
    sa_arguments arguments;
    sa_error err;
} outcome;

static sa_status parse(outcome *o, int argc, const char *const *argv)
{
    const sa_option table[] = {
        {"out", SA_OPTION_TEXT, &o->out, "FILE", "where to", NULL, 0, 0},
        {"count", SA_OPTION_INTEGER, &o->count, "N", "how many", "3", 1, 10},
        {"scale", SA_OPTION_REAL, &o->scale, "X", "by how much", "0.5", -1, 2},
        {"all", SA_OPTION_FLAG, &o->all, NULL, "everything", NULL, 0, 0},
        {"point", SA_OPTION_LIST, NULL, "X,Y", "a click", NULL, 0, 0},
        {"negative", SA_OPTION_LIST, NULL, "X,Y", "a click", NULL, 0, 0},
    };
    const sa_syntax syntax = {"try", "tries", "[OPTION]... FILE", "segagent try x", table, 6, 0, 2};
    *o = (outcome){0};
    char *copy[32] = {0};
    for (int i = 0; i < argc; i++) {
        copy[i] = (char *)(uintptr_t)argv[i];
    }
    return sa_options_parse(&syntax, argc, copy, &o->common, &o->arguments, &o->err);
}

#define PARSE(o, ...)                                                                                        \
    parse((o), (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

static void test_forms(void **state)
{
    (void)state;
    outcome o;
    assert_int_equal(
        PARSE(&o, "try", "--out=a=b", "file", "--count", "7", "--all", "--scale=-1e-1", "--", "--x"), SA_OK);
    assert_string_equal(o.out, "a=b");
    assert_int_equal(o.count, 7);
    assert_true(o.all);
    assert_true(o.scale == -0.1);
    assert_int_equal(o.arguments.position_count, 2);
    assert_string_equal(o.arguments.positions[0], "file");
    assert_string_equal(o.arguments.positions[1], "--x");
    sa_arguments_free(&o.arguments);
}

static void test_defaults(void **state)
{
    (void)state;
    outcome o;
    assert_int_equal(PARSE(&o, "try", "-"), SA_OK);
    assert_null(o.out);
    assert_int_equal(o.count, 3);
    assert_true(o.scale == 0.5);
    assert_string_equal(o.common.device, "auto");
    assert_string_equal(o.common.precision, "auto");
    assert_int_equal(o.common.threads, 0);
    assert_string_equal(o.arguments.positions[0], "-");
    sa_arguments_free(&o.arguments);
}

static void test_order_of_lists(void **state)
{
    (void)state;
    outcome o;
    assert_int_equal(PARSE(&o, "try", "--point", "1,2", "--negative=-3,4", "--point", "-5,6"), SA_OK);
    assert_int_equal(o.arguments.use_count, 3);
    assert_string_equal(o.arguments.uses[1].name, "negative");
    assert_string_equal(o.arguments.uses[1].value, "-3,4");
    assert_string_equal(o.arguments.uses[2].value, "-5,6");
    sa_arguments_free(&o.arguments);
}

static void refuses(outcome *o, sa_status status, const char *file, const char *hint)
{
    assert_int_equal(status, SA_BAD_USAGE);
    assert_string_equal(o->err.file, file);
    if (strstr(o->err.hint, hint) == NULL) {
        fail_msg("hint \"%s\" lacks \"%s\"", o->err.hint, hint);
    }
    sa_arguments_free(&o->arguments);
}

static void test_refusals(void **state)
{
    (void)state;
    outcome o;
    refuses(&o, PARSE(&o, "try", "--outt", "x"), "--outt", "--out?");
    refuses(&o, PARSE(&o, "try", "--neg=1,2"), "--neg=1,2", "--negative?");
    refuses(&o, PARSE(&o, "try", "--xyzzyqwert"), "--xyzzyqwert", "--help lists");
    refuses(&o, PARSE(&o, "try", "-h"), "-h", "--help?");
    refuses(&o, PARSE(&o, "try", "--out"), "--out", "--out FILE");
    refuses(&o, PARSE(&o, "try", "--out", "--all"), "--out", "--out FILE");
    refuses(&o, PARSE(&o, "try", "--out="), "--out", "not empty");
    refuses(&o, PARSE(&o, "try", "--out", "a", "--out", "b"), "--out", "keep one");
    refuses(&o, PARSE(&o, "try", "--all=1"), "--all", "leave out");
    refuses(&o, PARSE(&o, "try", "--count", "0"), "--count", "from 1 to 10");
    refuses(&o, PARSE(&o, "try", "--count", "11"), "--count", "from 1 to 10");
    refuses(&o, PARSE(&o, "try", "--count", "3.0"), "--count", "from 1 to 10");
    refuses(&o, PARSE(&o, "try", "--count", "3x"), "--count", "from 1 to 10");
    refuses(&o, PARSE(&o, "try", "--count", "99999999999999999999"), "--count", "from 1 to 10");
    refuses(&o, PARSE(&o, "try", "--scale", "nan"), "--scale", "from -1 to 2");
    refuses(&o, PARSE(&o, "try", "--scale", "1e999"), "--scale", "from -1 to 2");
    refuses(&o, PARSE(&o, "try", "--precision", "f64"), "--precision", "auto|f32|bf16|f16");
    refuses(&o, PARSE(&o, "try", "--precision", "f3"), "--precision", "auto|f32|bf16|f16");
    refuses(&o, PARSE(&o, "try", "--threads", "0"), "--threads", "from 1 to 1024");
    refuses(&o, PARSE(&o, "try", "a", "b", "c"), "c", "usage:");
}

static void test_help_wins(void **state)
{
    (void)state;
    outcome o;
    assert_int_equal(PARSE(&o, "try", "--nonsense", "--help"), SA_OK);
    assert_true(o.common.help);
    assert_int_equal(PARSE(&o, "try", "--", "--help"), SA_OK);
    assert_false(o.common.help);
    sa_arguments_free(&o.arguments);
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    " 1", "1 ", "0x10", "inf", "nan",  "1,5",
                                      "--1", "1e", ".",  "e5",   "+",   "1e400"};
    double real;
    int64_t integer;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sa_parse_real(bad[i], &real)) {
            fail_msg("read \"%s\" as a number", bad[i]);
        }
        assert_false(sa_parse_integer(bad[i], &integer));
    }
    assert_true(sa_parse_real("-12.5e1", &real) && real == -125.0);
    assert_true(sa_parse_integer("-12", &integer) && integer == -12);
    assert_false(sa_parse_integer("9223372036854775808", &integer));
}

static void test_number_lists(void **state)
{
    (void)state;
    double reals[4];
    int64_t integers[3];
    assert_true(sa_parse_reals("1,-2.5", 2, reals) && reals[1] == -2.5);
    assert_false(sa_parse_reals("1", 2, reals));
    assert_false(sa_parse_reals("1,2,3", 2, reals));
    assert_false(sa_parse_reals("1,2,", 2, reals));
    assert_false(sa_parse_reals(",1", 2, reals));
    assert_int_equal(sa_parse_integers("7,8", 3, integers), 2);
    assert_int_equal(sa_parse_integers("7,8,9,10", 3, integers), 0);
    assert_int_equal(sa_parse_integers("", 3, integers), 0);
}

static void test_devices(void **state)
{
    (void)state;
    static const char *const good[] = {"auto", "cpu", "null", "cuda", "cuda:0", "cuda:0-7"};
    static const char *const bad[] = {"", "gpu", "cuda:", "cuda:x", "cuda:1-", "cuda:1-2-3", "cuda1", "cpu "};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(sa_cli_check_device(good[i], NULL), SA_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sa_cli_check_device(bad[i], NULL), SA_BAD_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),          cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_order_of_lists), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_help_wins),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_number_lists),   cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
