#include "runtime/base/path.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"

void sa_directory_of(char *out, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 0 : slash == path ? 1 : (int)(slash - path);
    snprintf(out, size, "%.*s", length, path);
}

const char *sa_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

sa_status sa_path_from(char *out, size_t size, const char *directory, const char *path, sa_error *err)
{
    if (path[0] == '/' || directory[0] == '\0') {
        int length = snprintf(out, size, "%s", path);
        return (size_t)length < size
                   ? SA_OK
                   : sa_fail(err, SA_BAD_INPUT, path, "use a shorter path", "the path is too long");
    }
    return sa_file_join(out, size, directory, path, err);
}
