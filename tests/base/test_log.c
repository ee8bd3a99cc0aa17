/*
 * Messages and progress, written into memory. Time is not waited for: the progress' own clock fields are set
 * back.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/log.h"
#include "tests/check.h"

typedef struct {
    char *text;
    size_t size;
    FILE *stream;
} memory;

/* Its text is good after a flush. */
static void memory_open(memory *m)
{
    *m = (memory){0};
    m->stream = open_memstream(&m->text, &m->size);
    assert_non_null(m->stream);
}

static void memory_close(memory *m)
{
    fclose(m->stream);
    free(m->text);
}

static void test_levels(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_WARNING);
    assert_false(log.terminal);
    sa_log_message(&log, SA_LOG_INFO, "not shown");
    sa_log_message(&log, SA_LOG_DEBUG, "not shown");
    sa_log_message(&log, SA_LOG_WARNING, "item %d", 3);
    sa_log_message(&log, SA_LOG_ERROR, "bad");
    sa_log_message(NULL, SA_LOG_ERROR, "nowhere");
    assert_string_equal(m.text, "segagent: item 3\nsegagent: bad\n");
    memory_close(&m);
}

static void test_error_line(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_ERROR);
    sa_error err;
    sa_fail(&err, SA_BAD_INPUT, "a\nb.png", "use a PNG", "not an image");
    sa_log_error(&log, &err);
    assert_string_equal(m.text, "segagent: a?b.png: not an image (use a PNG)\n");
    memory_close(&m);
}

static void test_untrusted_text_stays_one_line(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_INFO);
    sa_log_message(&log, SA_LOG_INFO, "%s", "x\nsegagent: fake \x1b[31m\xc3\xa9");
    assert_string_equal(m.text, "segagent: x?segagent: fake ?[31m\xc3\xa9\n");
    char longer[9000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    sa_log_message(&log, SA_LOG_INFO, "%s", longer);
    assert_int_equal(m.text[m.size - 1], '\n');
    memory_close(&m);
}

static void test_progress_on_a_terminal(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_INFO);
    log.terminal = true;
    sa_progress progress = sa_progress_start(&log, "encode", "cpu", 400);
    progress.started -= 4.0;
    sa_progress_update(&progress, 12);
    assert_non_null(strstr(m.text, "encode 12/400  3.0 items/s  ETA 2:09  cpu"));
    assert_null(strchr(m.text, '\n'));
    assert_true(log.line_open);
    size_t once = m.size;
    sa_progress_update(&progress, 13); /* too soon to draw again */
    fflush(m.stream);
    assert_int_equal(m.size, once);
    progress.drawn -= 0.2;
    sa_progress_update(&progress, 14);
    assert_true(m.size > once);
    sa_log_message(&log, SA_LOG_WARNING, "between"); /* wipes the line first */
    assert_non_null(strstr(m.text, "\r\033[Ksegagent: between\n"));
    assert_false(log.line_open);
    sa_progress_end(&progress, 400);
    assert_null(strstr(m.text, "encode: 400")); /* 4 s: not worth a line */
    memory_close(&m);
}

static void test_long_line_does_not_wrap(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_INFO);
    log.terminal = true;
    char what[200];
    memset(what, 'w', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    sa_progress progress = sa_progress_start(&log, what, "cpu", 0);
    sa_progress_update(&progress, 1);
    assert_int_equal(m.size, strlen("\r\033[K") + 79);
    sa_progress_end(&progress, 1);
    memory_close(&m);
}

static void test_progress_in_a_file(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_INFO);
    sa_progress progress = sa_progress_start(&log, "click", "cpu", 0);
    sa_progress_update(&progress, 1);
    fflush(m.stream);
    assert_int_equal(m.size, 0); /* not before 10 s */
    progress.started -= 20.0;
    progress.drawn -= 20.0;
    sa_progress_update(&progress, 50);
    sa_progress_update(&progress, 51);
    assert_string_equal(m.text, "segagent: click 50  2.5 items/s  cpu\n");
    sa_progress_end(&progress, 60);
    assert_string_equal(m.text, "segagent: click 50  2.5 items/s  cpu\n"
                                "segagent: click: 60 in 0:20, 3.0 items/s, cpu\n");
    memory_close(&m);
}

static void test_long_durations(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_INFO);
    log.terminal = true;
    sa_progress progress = sa_progress_start(&log, "star", "cpu", 1000);
    progress.started -= 100.0;
    sa_progress_update(&progress, 20); /* 0.2 items/s, 980 to go */
    assert_non_null(strstr(m.text, "0.2 items/s  ETA 1:21:40"));
    progress.started -= 1e9;
    progress.drawn = 0.0;
    sa_progress_update(&progress, 20);
    assert_non_null(strstr(m.text, "0.000 items/s  ETA 100:00:00")); /* "a very long time" */
    memory_close(&m);
}

static void test_quiet_and_no_log(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_log log = sa_log_on(m.stream, SA_LOG_WARNING);
    log.terminal = true;
    sa_log *const logs[] = {&log, NULL};
    for (int i = 0; i < 2; i++) {
        sa_progress progress = sa_progress_start(logs[i], "click", "cpu", 10);
        progress.started -= 100.0;
        sa_progress_update(&progress, 5);
        sa_progress_end(&progress, 10);
    }
    fflush(m.stream);
    assert_int_equal(m.size, 0);
    memory_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_error_line),
        cmocka_unit_test(test_untrusted_text_stays_one_line),
        cmocka_unit_test(test_progress_on_a_terminal),
        cmocka_unit_test(test_long_line_does_not_wrap),
        cmocka_unit_test(test_progress_in_a_file),
        cmocka_unit_test(test_long_durations),
        cmocka_unit_test(test_quiet_and_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
