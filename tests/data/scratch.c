#include "tests/data/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/path.h"

int scratch_make(void **state)
{
    char *path = strdup("/tmp/segagent-test-XXXXXX");
    *state = path;
    return path != NULL && mkdtemp(path) != NULL ? 0 : -1;
}

void scratch_remove_all(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char child[1024];
            snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            scratch_remove_all(child);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    remove(path);
}

int scratch_remove(void **state)
{
    scratch_remove_all(*state);
    free(*state);
    return 0;
}

const char *scratch_path(void **state, const char *name)
{
    static char paths[8][512];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", (const char *)*state, name);
    return path;
}

const char *scratch_write(void **state, const char *name, const void *bytes, size_t size)
{
    const char *path = scratch_path(state, name);
    char directory[512];
    sa_directory_of(directory, sizeof directory, path);
    assert_int_equal(sa_file_make_directory(directory, NULL), SA_OK);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

const char *scratch_write_text(void **state, const char *name, const char *text)
{
    return scratch_write(state, name, text, strlen(text));
}

char *scratch_read(const char *path, size_t *size)
{
    unsigned char *bytes = NULL;
    size_t length = 0;
    sa_error err = {0};
    if (sa_file_read(path, (size_t)1 << 30, &bytes, &length, &err) != SA_OK) {
        fail_msg("%s: %s", path, err.reason);
    }
    if (size != NULL) {
        *size = length;
    }
    return (char *)bytes;
}
