#include "tests/kernels/choices.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/check.h"

void choices_skip_without_gpu(void)
{
    const char *device = getenv("SEGAGENT_TEST_DEVICE");
    if (device == NULL || strncmp(device, "cuda", 4) != 0) {
        skip();
    }
}

/* The op's file in `folder`/segagent; false if there is none. The files of other ops are removed. */
static bool find_file(const char *folder, const char *op, char *path, size_t size)
{
    char name[256];
    snprintf(name, sizeof name, "%s/segagent", folder);
    DIR *entries = opendir(name);
    bool found = false;
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        char other[600];
        snprintf(other, sizeof other, "%s/%s", name, entry->d_name);
        if (strncmp(entry->d_name, op, strlen(op)) == 0 && entry->d_name[strlen(op)] == '_') {
            found = snprintf(path, size, "%s", other) < (int)size;
        } else if (entry->d_name[0] != '.') {
            assert_int_equal(unlink(other), 0);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return found;
}

static char *read_text(const char *path)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sa_error err;
    assert_int_equal(sa_file_read(path, 1 << 20, &bytes, &size, &err), SA_OK);
    char *text = calloc(1, size + 1);
    memcpy(text, bytes, size);
    free(bytes);
    return text;
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void write_text(const char *path, const char *text)
{
    sa_error err;
    assert_int_equal(sa_file_write(path, text, strlen(text), &err), SA_OK);
}

/* Every shape's choice made `choice`. */
static void write_choice(const char *path, const char *text, int choice)
{
    char changed[4096];
    size_t length = 0;
    const char *header_end = strchr(text, '\n') + 1;
    length += (size_t)snprintf(changed, sizeof changed, "%.*s", (int)(header_end - text), text);
    for (const char *line = header_end; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n'), *last = end;
        while (last[-1] != ' ') {
            last--;
        }
        length += (size_t)snprintf(changed + length, sizeof changed - length, "%.*s%d\n", (int)(last - line),
                                   line, choice);
        assert_true(length < sizeof changed);
    }
    write_text(path, changed);
}

static void check_file(const char *folder, const char *op, int shapes, void (*run)(void))
{
    char path[600], *first = NULL, *again = NULL, changed[4096];
    assert_true(find_file(folder, op, path, sizeof path));
    first = read_text(path);
    assert_int_equal(lines_of(first), 1 + shapes);
    run();
    again = read_text(path);
    assert_string_equal(first, again); /* nothing was timed again */
    free(again);
    for (int choice = 0; choice < 3; choice++) { /* the library's own ways, whatever was faster */
        write_choice(path, first, choice);       /* there may be no third one: then our own */
        run();
    }
    snprintf(changed, sizeof changed,
             "%sjunk\n1 2 3\n-1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1\n9 9 9 9 9 9 9 9 9 9 99\n", first);
    write_text(path, changed); /* lines that do not read, behind those that do */
    run();
    snprintf(changed, sizeof changed, "x%s", first);
    write_text(path, changed); /* another header: all is timed anew, and the file written again */
    run();
    again = read_text(path);
    assert_int_equal(lines_of(again), 1 + shapes);
    assert_int_not_equal(again[0], 'x');
    free(again);
    free(first);
    assert_true(find_file(folder, op, path, sizeof path)); /* what other ops wrote meanwhile goes away */
    assert_int_equal(unlink(path), 0);
}

void choices_check(const char *op, const char *const *libraries, int shapes, void (*run)(void))
{
    char folder[] = "/tmp/segagent_test_XXXXXX", cache[64];
    bool there = false;
    assert_non_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    run();
    for (; *libraries != NULL; libraries++) {
        there = there || dlopen(*libraries, RTLD_NOW) != NULL;
    }
    if (there) {
        check_file(folder, op, shapes, run);
    }
    find_file(folder, op, cache, sizeof cache);
    snprintf(cache, sizeof cache, "%s/segagent", folder);
    rmdir(cache);
    assert_int_equal(rmdir(folder), 0);
}
