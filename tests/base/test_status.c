/*
 * Errors: their three parts, what untrusted names can do to them (nothing), and the exit codes of
 * INTERFACES.md.
 */
#include <errno.h>
#include <string.h>

#include "runtime/base/status.h"
#include "tests/check.h"

static void test_parts_and_format(void **state)
{
    (void)state;
    sa_error err;
    char text[256];
    assert_int_equal(sa_fail(&err, SA_BAD_INPUT, "a.json", "mend it", "line %d is bad", 3), SA_BAD_INPUT);
    assert_int_equal(err.status, SA_BAD_INPUT);
    assert_string_equal(sa_error_format(&err, text, sizeof text), "a.json: line 3 is bad (mend it)");
    sa_fail(&err, SA_IO, NULL, NULL, "no luck");
    assert_string_equal(sa_error_format(&err, text, sizeof text), "no luck");
    sa_fail(&err, SA_IO, "x", NULL, "no luck");
    assert_string_equal(sa_error_format(&err, text, sizeof text), "x: no luck");
    assert_string_equal(sa_error_format(&err, text, 4), "x: ");
    assert_int_equal(sa_fail(NULL, SA_NO_ROOM, "x", NULL, "nobody listens"), SA_NO_ROOM);
}

static void test_texts_are_printable(void **state)
{
    (void)state;
    sa_error err;
    sa_fail(&err, SA_IO, "a\nsegagent: b\x1b[2J\x7f", "\r",
            "caf\xc3\xa9 \xc2\x9b"
            "2J \t%s",
            "\x01");
    assert_string_equal(err.file, "a?segagent: b?[2J?");
    assert_string_equal(err.hint, "?");
    assert_string_equal(err.reason, "caf\xc3\xa9 ??2J ??");
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    sa_error err;
    sa_fail(&err, SA_IO, name, name, "%s", name);
    assert_int_equal(strlen(err.file), sizeof err.file - 1);
    assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
    assert_int_equal(strlen(err.reason), sizeof err.reason - 1);
    char text[64];
    sa_error_format(&err, text, sizeof text);
    assert_int_equal(strlen(text), sizeof text - 1);
}

/* A caller adds to a deeper reason with the same sa_error as source and target. */
static void test_own_texts_as_arguments(void **state)
{
    (void)state;
    sa_error err;
    sa_fail(&err, SA_IO, "deep", "way out", "inner");
    sa_fail(&err, SA_BAD_INPUT, err.file, err.hint, "outer: %s", err.reason);
    assert_string_equal(err.file, "deep");
    assert_string_equal(err.hint, "way out");
    assert_string_equal(err.reason, "outer: inner");
}

static void test_errno(void **state)
{
    (void)state;
    sa_error err;
    errno = ENOENT;
    assert_int_equal(sa_fail_errno(&err, "f", "cannot open"), SA_IO);
    assert_string_equal(err.reason, "cannot open: No such file or directory");
    assert_string_equal(err.hint, "check the path");
    static const int told[] = {EACCES, EPERM, ENOTDIR, ELOOP,  ENAMETOOLONG, ENOSPC, EDQUOT,
                               EFBIG,  EROFS, EMFILE,  ENFILE, ENOMEM,       EIO};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        errno = told[i];
        assert_int_equal(sa_fail_errno(&err, "f", "cannot write"), SA_IO);
        assert_true(err.hint[0] != '\0');
    }
}

static sa_status try_it(sa_status inner)
{
    SA_TRY(inner);
    return SA_NO_DEVICE; /* reached only when the inner call was fine */
}

static void test_try_and_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(try_it(SA_OK), SA_NO_DEVICE);
    assert_int_equal(try_it(SA_IO), SA_IO);
    assert_int_equal(sa_status_exit_code(SA_OK), 0);
    assert_int_equal(sa_status_exit_code(SA_BAD_USAGE), 2);
    assert_int_equal(sa_status_exit_code(SA_BAD_INPUT), 2);
    assert_int_equal(sa_status_exit_code(SA_NO_ROOM), 3);
    assert_int_equal(sa_status_exit_code(SA_IO), 3);
    assert_int_equal(sa_status_exit_code(SA_NO_DEVICE), 3);
    assert_int_equal(sa_status_exit_code(SA_INTERRUPTED), 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_and_format),
        cmocka_unit_test(test_texts_are_printable),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_own_texts_as_arguments),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_try_and_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
