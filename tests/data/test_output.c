/* Output directories: rows in any order, kills at any moment, torn files, full disks, and merging. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/data/journal.h"
#include "runtime/data/output.h"
#include "runtime/data/run_file.h"
#include "tests/data/output_rig.h"
#include "tests/data/scratch.h"

static const sa_shard whole = {0};

static const char *in(const char *directory, const char *name)
{
    static char paths[4][600];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/* run.json, the two files, and nothing else. */
static void check_finished(const char *directory, size_t first, size_t end, size_t most)
{
    int entries = 0;
    json_t *run = NULL;
    rig_check_files(directory, first, end, most);
    DIR *listing = opendir(directory);
    while (readdir(listing) != NULL) {
        entries++;
    }
    closedir(listing);
    assert_int_equal(entries, 2 + 3);
    assert_int_equal(sa_run_read(directory, &run, NULL), SA_OK);
    assert_string_equal(sa_run_status(run), "done");
    json_decref(run);
}

static void refuse(const char *directory, size_t rows, sa_status status, const char *reason)
{
    sa_output *output;
    sa_error err = {0};
    sa_status got = rig_open(&output, directory, rows, whole, -1, &err);
    assert_null(output);
    if (got != status || strstr(err.reason, reason) == NULL || err.hint[0] == '\0') {
        fail_msg("status %d: %s: %s (%s); should be %d: %s", got, err.file, err.reason, err.hint, status,
                 reason);
    }
}

static void test_orders(void **state)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        size_t rows = (size_t[]){0, 1, 2, 50, 400}[seed];
        const char *directory = scratch_path(state, (const char *[]){"a", "b", "c/d", "e", "f"}[seed]);
        sa_error err = {0};
        sa_output *output = rig_open_good(directory, rows, whole, seed % 2 == 0 ? 0 : -1);
        must(rig_put_all(output, RIG_MOST_ROW, seed, &err), &err);
        assert_int_equal(sa_output_done(output), rows);
        assert_int_equal(sa_output_quarantined(output), (rows + 3) / 7);
        sa_output_close(output);
        check_finished(directory, 0, rows, RIG_MOST_ROW);
        output = rig_open_good(directory, rows, whole, -1); /* once more: nothing is left to do */
        assert_int_equal(sa_output_done(output), rows);
        must(rig_put_all(output, RIG_MOST_ROW, seed, &err), &err);
        sa_output_close(output);
        check_finished(directory, 0, rows, RIG_MOST_ROW);
    }
}

/* The files show every row as soon as those before it are there. */
static void test_visible(void **state)
{
    const char *directory = scratch_path(state, "o");
    sa_error err = {0};
    sa_output *output = rig_open_good(directory, 10, whole, -1);
    must(rig_put(output, 1, 50, &err), &err);
    must(rig_put(output, 3, 50, &err), &err);
    rig_check_files(directory, 0, 0, 50);
    must(rig_put(output, 0, 50, &err), &err);
    rig_check_files(directory, 0, 2, 50);
    must(rig_put(output, 2, 50, &err), &err);
    rig_check_files(directory, 0, 4, 50);
    assert_true(sa_output_is_done(output, 3));
    assert_false(sa_output_is_done(output, 4));
    sa_output_close(output);
}

/* Rows that wait are in the journal, and a new journal is begun when most of it has been copied. */
static void test_new_journals(void **state)
{
    enum { ROWS = 400 };
    const char *directory = scratch_path(state, "o");
    struct stat info;
    sa_error err = {0};
    off_t largest = 0;
    sa_output *output = rig_open_good(directory, ROWS, whole, -1);
    for (size_t row = ROWS - 1; row >= 10; row--) {
        must(rig_put(output, row, RIG_MOST_ROW, &err), &err);
    }
    rig_check_files(directory, 0, 0, RIG_MOST_ROW);
    stat(in(directory, "results.journal"), &info);
    largest = info.st_size;
    assert_true(largest > 1 << 20);
    sa_output_close(output);
    output = rig_open_good(directory, ROWS, whole, -1);
    assert_int_equal(sa_output_done(output), ROWS - 10);
    for (size_t row = 0; row < 10; row++) {
        must(rig_put(output, row, RIG_MOST_ROW, &err), &err);
    }
    stat(in(directory, "results.journal"), &info);
    assert_true(info.st_size < 1000);
    sa_output_close(output); /* all is done, but nobody said so */
    output = rig_open_good(directory, ROWS, whole, -1);
    must(rig_put_all(output, RIG_MOST_ROW, 1, &err), &err);
    sa_output_close(output);
    check_finished(directory, 0, ROWS, RIG_MOST_ROW);
}

/* ---- kills ---- */

enum { KILL_ROWS = 300, KILL_ROUNDS = 20 };

static void work(const char *directory, uint64_t seed)
{
    sa_output *output;
    sa_error err = {0};
    int sync_ms = (int[]){0, 1, 1000}[rig_random(seed, 1 << 20) % 3];
    if (rig_open(&output, directory, KILL_ROWS, whole, sync_ms, &err) != SA_OK ||
        rig_put_all(output, RIG_MOST_ROW, seed, &err) != SA_OK) {
        fprintf(stderr, "%s: %s\n", err.file, err.reason);
        _exit(2);
    }
    sa_output_close(output);
    _exit(0);
}

/*
 * What a power cut may do on top of a kill: the journal loses its end, or ends in zeros, and the other files,
 * whose newer bytes were never synced, lose them, or have them in another state. Only what the head of the
 * journal says is on disk stays.
 */
static void cut_power(const char *directory, uint64_t seed)
{
    size_t size;
    char *text = access(in(directory, "results.journal"), F_OK) == 0
                     ? scratch_read(in(directory, "results.journal"), &size)
                     : NULL;
    sa_journal_record head;
    size_t start = text != NULL ? sa_journal_read(&head, text, size) : 0;
    free(text);
    json_t *run = NULL;
    sa_run_read(directory, &run, NULL);
    bool running = strcmp(sa_run_status(run), "running") == 0; /* once it is done, all is on disk */
    json_decref(run);
    if (start == 0 || !running) {
        return;
    }
    size_t keep = start + rig_random(seed, 1) % (size - start + 1);
    assert_int_equal(truncate(in(directory, "results.journal"), (off_t)keep), 0);
    if (rig_random(seed, 2) % 2 == 0) {
        assert_int_equal(truncate(in(directory, "results.journal"), (off_t)size), 0);
    }
    assert_int_equal(truncate(in(directory, "results.jsonl"), (off_t)head.results), 0);
    if (rig_random(seed, 3) % 2 == 0) {
        assert_int_equal(truncate(in(directory, "results.jsonl"), (off_t)head.results + 1000), 0);
    }
    FILE *file = fopen(in(directory, "quarantine.jsonl"), "ab");
    fputs("{\"id\":\"half a r", file);
    fclose(file);
}

static size_t kill_round(const char *directory, uint64_t seed)
{
    for (size_t session = 0;; session++) {
        uint64_t key = seed * 100000 + session;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            work(directory, key);
        }
        int code = 0;
        /* longer and longer, so that slow machines come to an end, too */
        usleep(rig_random(key, 0) % (20000 + 10000 * (unsigned)session));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &code, 0), child);
        if (WIFEXITED(code)) {
            assert_int_equal(WEXITSTATUS(code), 0);
            return session;
        }
        if (rig_random(key, 4) % 3 == 0) {
            cut_power(directory, key);
        }
    }
}

/* SEGAGENT_TEST_STEPS: rounds. */
static void test_kills(void **state)
{
    const char *more = getenv("SEGAGENT_TEST_STEPS");
    uint64_t rounds = more != NULL ? strtoull(more, NULL, 10) : KILL_ROUNDS;
    size_t kills = 0;
    for (uint64_t seed = 0; seed < rounds; seed++) {
        char directory[300];
        snprintf(directory, sizeof directory, "%s", scratch_path(state, "killed"));
        kills += kill_round(directory, seed);
        check_finished(directory, 0, KILL_ROWS, RIG_MOST_ROW);
        scratch_remove_all(directory);
    }
    assert_true(kills >= rounds / 2); /* otherwise nothing was tested */
    print_message("%zu kills in %d rounds\n", kills, (int)rounds);
}

/* ---- torn files ---- */

static void copy_file(const char *from, const char *to, size_t most)
{
    size_t size;
    char *text = scratch_read(from, &size);
    FILE *file = fopen(to, "wb");
    fwrite(text, 1, size < most ? size : most, file);
    fclose(file);
    free(text);
}

/* The journal cut off at every byte of its last row, then damaged at every byte of it. */
static void test_torn_journal(void **state)
{
    const char *directory = scratch_path(state, "o"), *copy = scratch_path(state, "copy");
    sa_error err = {0};
    struct stat before, after;
    sa_output *output = rig_open_good(directory, 10, whole, -1);
    for (size_t row = 9; row >= 5; row--) {
        must(rig_put(output, row, 60, &err), &err);
        stat(in(directory, "results.journal"), row > 5 ? &before : &after);
    }
    sa_output_close(output);
    for (off_t at = before.st_size; at < 2 * after.st_size - before.st_size; at++) {
        bool cut = at < after.st_size;
        off_t byte = cut ? at : at - (after.st_size - before.st_size);
        scratch_remove_all(copy);
        assert_int_equal(mkdir(copy, 0777), 0);
        copy_file(in(directory, "run.json"), in(copy, "run.json"), SIZE_MAX);
        copy_file(in(directory, "results.jsonl"), in(copy, "results.jsonl"), SIZE_MAX);
        copy_file(in(directory, "results.journal"), in(copy, "results.journal"), cut ? (size_t)at : SIZE_MAX);
        if (!cut) {
            FILE *file = fopen(in(copy, "results.journal"), "r+b");
            fseek(file, byte, SEEK_SET);
            int old = getc(file);
            fseek(file, byte, SEEK_SET);
            putc(old ^ 0x20, file);
            fclose(file);
        }
        output = rig_open_good(copy, 10, whole, -1);
        assert_int_equal(sa_output_done(output), 4);
        assert_false(sa_output_is_done(output, 5));
        must(rig_put_all(output, 60, (uint64_t)at, &err), &err);
        sa_output_close(output);
        check_finished(copy, 0, 10, 60);
    }
}

static void put_some(const char *directory)
{
    sa_error err = {0};
    sa_output *output = rig_open_good(directory, 10, whole, -1);
    must(rig_put(output, 0, 60, &err), &err);
    must(rig_put(output, 5, 60, &err), &err);
    sa_output_close(output);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
}

static void test_damaged(void **state)
{
    const char *directory = scratch_path(state, "o");
    sa_error err = {0};
    put_some(directory);
    write_text(in(directory, "results.journal"), "");
    refuse(directory, 10, SA_BAD_INPUT, "is damaged");
    write_text(in(directory, "results.journal"), "cafe0123 H 0 0 0 0\n");
    refuse(directory, 10, SA_BAD_INPUT, "is damaged");
    char head[SA_JOURNAL_ROOM] = "";
    sa_journal_write_head(head, &(sa_journal_record){.done = 11, .results = 0});
    write_text(in(directory, "results.journal"), head);
    refuse(directory, 10, SA_BAD_INPUT, "is damaged");
    memset(head, 0, sizeof head);
    sa_journal_write_head(head, &(sa_journal_record){.done = 1, .results = 1000});
    write_text(in(directory, "results.journal"), head);
    refuse(directory, 10, SA_BAD_INPUT, "it was changed since");
    remove(in(directory, "results.journal"));
    refuse(directory, 10, SA_BAD_INPUT, "is gone");
    write_text(in(directory, "run.json"), "[]");
    refuse(directory, 10, SA_BAD_INPUT, "does not describe a run");
    write_text(in(directory, "run.json"), "{");
    refuse(directory, 10, SA_BAD_INPUT, "not valid JSON");
    remove(in(directory, "run.json"));
    refuse(directory, 10, SA_BAD_USAGE, "holds rows and no run.json");
    scratch_remove_all(directory);

    sa_output *output = rig_open_good(directory, 10, whole, -1);
    must(rig_put_all(output, 60, 1, &err), &err);
    sa_output_close(output);
    write_text(in(directory, "results.jsonl"), "{}\n");
    refuse(directory, 10, SA_BAD_INPUT, "done with 10 rows, and 2 are there");
    scratch_remove_all(directory);
    write_text(directory, "a file");
    refuse(directory, 10, SA_BAD_INPUT, "a file stands where");
}

/* ---- who may go on ---- */

static void test_other_config(void **state)
{
    const char *directory = scratch_path(state, "o");
    put_some(directory);
    json_t *run = rig_run("11");
    sa_output_options options = {.directory = directory, .run = run, .rows = 10, .sync_ms = -1};
    sa_output *output;
    sa_error err = {0};
    assert_int_equal(sa_output_open(&output, &options, &err), SA_BAD_USAGE);
    assert_non_null(strstr(err.reason, "config.steps: \"7\" -> \"11\""));
    assert_non_null(strstr(err.hint, "another directory"));
    json_object_set_new(json_object_get(run, "config"), "steps", json_string("7"));
    json_object_set_new(json_object_get(run, "config"), "new", json_true());
    json_object_set_new(json_object_get(run, "input"), "sha256", json_string("01"));
    json_object_del(json_object_get(run, "config"), "temperature");
    assert_int_equal(sa_output_open(&output, &options, &err), SA_BAD_USAGE);
    assert_non_null(strstr(err.reason, "config.new: (missing) -> true"));
    assert_non_null(strstr(err.reason, "config.temperature: 0.1 -> (missing)"));
    assert_non_null(strstr(err.reason, "input.sha256: \"00\" -> \"01\""));
    json_decref(run);
    refuse(directory, 11, SA_BAD_USAGE, "rows: 10 -> 11");
    assert_int_equal(rig_open(&output, directory, 10, (sa_shard){0, 2}, -1, &err), SA_BAD_USAGE);
    assert_non_null(strstr(err.reason, "shard: null -> {\"index\":0"));

    run = rig_run("7"); /* another machine, and the same file elsewhere: fine */
    json_object_set_new(run, "device", json_string("cuda:0"));
    json_object_set_new(json_object_get(run, "input"), "path", json_string("/other/m.jsonl"));
    options.run = run;
    must(sa_output_open(&output, &options, &err), &err);
    assert_int_equal(sa_output_done(output), 2);
    sa_output_close(output);
    json_decref(run);
}

static void test_second_process(void **state)
{
    const char *directory = scratch_path(state, "o");
    sa_error err = {0};
    sa_output *output = rig_open_good(directory, 10, whole, -1);
    pid_t child = fork();
    if (child == 0) {
        sa_output *second;
        sa_status status = rig_open(&second, directory, 10, whole, -1, &err);
        _exit(status == SA_BAD_USAGE && strstr(err.reason, "another process is writing") != NULL ? 0 : 1);
    }
    int code = 1;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    must(rig_put_all(output, 60, 3, &err), &err);
    sa_output_close(output);
    check_finished(directory, 0, 10, 60);
}

/* Half-written files of killed processes go; files that only look a little like them stay. */
static void test_leftovers(void **state)
{
    static const char *const names[] = {
        "run.json.1-0.tmp",        "results.journal.22-3.tmp",   "metrics.json.5-0.tmp", "kept.jsonl.5-0.tmp",
        "dropped.jsonl.5-999.tmp", "lessons.jsonl.123456-0.tmp", "chat.jsonl.5-0.tmp",   "notes.5-0.tmp",
        "metrics.json.tmp",        "metrics.json.old.tmp",       "kept.jsonl.5-0.tmp.gz"};
    enum { GOING = 7 };
    const char *directory = scratch_path(state, "o");
    sa_error err = {0};
    sa_output *output = rig_open_good(directory, 10, whole, -1);
    must(rig_put_all(output, 60, 3, &err), &err);
    sa_output_close(output);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        write_text(in(directory, names[i]), "half");
    }
    sa_output_close(rig_open_good(directory, 10, whole, -1));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (sa_file_exists(in(directory, names[i])) != (i >= GOING)) {
            fail_msg("%s", names[i]);
        }
    }
}

/* The row alone cannot be written: it goes to quarantine, and the run ends well. */
static void test_long_row(void **state)
{
    const char *directory = scratch_path(state, "o");
    sa_error err = {0}, why = {0};
    sa_output *output = rig_open_good(directory, 1, whole, -1);
    assert_int_equal(sa_output_put(output, 0, "{", ((size_t)1 << 30) + 1, &why), SA_BAD_INPUT);
    assert_non_null(strstr(why.reason, "1073741825 bytes is too long"));
    assert_false(sa_output_is_done(output, 0));
    must(sa_output_quarantine(output, 0, "i0", &why, &err), &err);
    must(sa_output_finish(output, NULL, NULL, &err), &err);
    sa_output_close(output);
}

/* ---- disks ---- */

/* Puts rows until the disk is full; then, with room again, the rest. */
static void fill_up(const char *directory, void (*make_room)(void))
{
    sa_error err = {0};
    sa_output *output = rig_open_good(directory, KILL_ROWS, whole, 1000);
    assert_int_equal(rig_put_all(output, RIG_MOST_ROW, 5, &err), SA_IO);
    assert_true(err.hint[0] != '\0' && strstr(err.file, directory) != NULL);
    sa_error again = {0};
    for (size_t row = 0; row < KILL_ROWS; row++) { /* goes on failing, and harms nothing */
        if (!sa_output_is_done(output, row)) {
            rig_put(output, row, RIG_MOST_ROW, &again);
        }
    }
    size_t done = sa_output_done(output);
    sa_output_close(output);
    make_room();
    output = rig_open_good(directory, KILL_ROWS, whole, 1000);
    assert_int_equal(sa_output_done(output), done);
    must(rig_put_all(output, RIG_MOST_ROW, 6, &err), &err);
    sa_output_close(output);
    check_finished(directory, 0, KILL_ROWS, RIG_MOST_ROW);
}

static void limit_size(rlim_t size)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void lift_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit_size(limit.rlim_max);
}

static void test_size_limit(void **state)
{
    signal(SIGXFSZ, SIG_IGN);
    limit_size(200000);
    fill_up(scratch_path(state, "o"), lift_limit);
}

static void test_full_disk(void **state)
{
    char directory[300], inside[400];
    snprintf(directory, sizeof directory, "%s", scratch_path(state, "small"));
    snprintf(inside, sizeof inside, "%s/o", directory);
    mkdir(directory, 0777);
    if (mount("tmpfs", directory, "tmpfs", 0, "size=600k") != 0) {
        print_message("no right to mount: not tested\n");
        skip();
    }
    sa_error err = {0};
    sa_output *output = rig_open_good(inside, KILL_ROWS, whole, 0);
    sa_status status = rig_put_all(output, RIG_MOST_ROW, 5, &err);
    sa_output_close(output);
    int grown = mount("tmpfs", directory, "tmpfs", MS_REMOUNT, "size=16m");
    if (status == SA_IO && grown == 0) {
        output = rig_open_good(inside, KILL_ROWS, whole, 0);
        must(rig_put_all(output, RIG_MOST_ROW, 6, &err), &err);
        sa_output_close(output);
        check_finished(inside, 0, KILL_ROWS, RIG_MOST_ROW);
    }
    umount(directory);
    assert_int_equal(status, SA_IO);
    assert_int_equal(grown, 0);
    assert_string_equal(err.hint, "free some disk space");
}

/* As a user who may not write there; root may write everywhere. */
static void test_read_only(void **state)
{
    const char *directory = scratch_path(state, "o");
    put_some(directory);
    chmod(*state, 0755);
    chmod(directory, 0555);
    chmod(in(directory, "results.jsonl"), 0444);
    pid_t child = fork();
    if (child == 0) {
        sa_output *output;
        sa_error err = {0};
        bool good = geteuid() != 0 || setuid(65534) == 0;
        sa_status status = rig_open(&output, directory, 10, whole, -1, &err);
        good = good && status == SA_IO && strcmp(err.hint, "check the permissions") == 0;
        status = rig_open(&output, in(directory, "deeper"), 10, whole, -1, &err);
        _exit(good && status == SA_IO ? 0 : 1);
    }
    int code = 1;
    assert_int_equal(waitpid(child, &code, 0), child);
    chmod(directory, 0755);
    chmod(in(directory, "results.jsonl"), 0644);
    assert_int_equal(code, 0);
}

/* ---- contracts ---- */

static const char *contract_directory;

static void put_twice(void)
{
    sa_output *output = rig_open_good(contract_directory, 10, whole, -1);
    rig_put(output, 1, 60, NULL);
    rig_put(output, 1, 60, NULL);
}

static void put_outside(void)
{
    sa_output *output = rig_open_good(contract_directory, 10, whole, -1);
    rig_put(output, 10, 60, NULL);
}

static void put_two_lines(void)
{
    sa_output *output = rig_open_good(contract_directory, 10, whole, -1);
    sa_output_put(output, 2, "{}\n{}", 5, NULL);
}

static void finish_early(void)
{
    sa_output *output = rig_open_good(contract_directory, 10, whole, -1);
    sa_output_finish(output, NULL, NULL, NULL);
}

static void test_contracts(void **state)
{
    contract_directory = scratch_path(state, "o");
    assert_true(check_aborts(put_twice));
    scratch_remove_all(contract_directory);
    assert_true(check_aborts(put_outside));
    assert_true(check_aborts(put_two_lines));
    assert_true(check_aborts(finish_early));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_orders),       TEST(test_visible),   TEST(test_new_journals), TEST(test_kills),
        TEST(test_torn_journal), TEST(test_damaged),   TEST(test_other_config), TEST(test_second_process),
        TEST(test_leftovers),    TEST(test_long_row),  TEST(test_size_limit),   TEST(test_full_disk),
        TEST(test_read_only),    TEST(test_contracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
