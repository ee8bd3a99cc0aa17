#include "runtime/data/append_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"

sa_status sa_append_open(sa_append_file *f, const char *directory, const char *name, sa_error *err)
{
    struct stat info;
    *f = (sa_append_file){.file = -1};
    SA_TRY(sa_file_join(f->path, sizeof f->path, directory, name, err));
    int file = open(f->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (file < 0) {
        return sa_fail_errno(err, f->path, "cannot write");
    }
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(file);
        return sa_fail(err, SA_BAD_INPUT, f->path, "use another directory", "is no plain file");
    }
    f->file = file;
    f->size = (uint64_t)info.st_size;
    return SA_OK;
}

void sa_append_close(sa_append_file *f)
{
    if (f->file >= 0) {
        close(f->file);
    }
    f->file = -1;
}

static bool cut_back(sa_append_file *f)
{
    int number = errno;
    f->torn = ftruncate(f->file, (off_t)f->size) != 0;
    errno = f->torn ? errno : number;
    return !f->torn;
}

sa_status sa_append_row(sa_append_file *f, const void *bytes, size_t size, sa_error *err)
{
    size_t written = 0;
    if (f->torn && !cut_back(f)) {
        return sa_fail_errno(err, f->path, "cannot take back half a row");
    }
    while (written <
           size) { /* goes round once, but on a full disk: there the second call says what is wrong */
        ssize_t step = write(f->file, (const char *)bytes + written, size - written);
        if (step < 0 && errno == EINTR) {
            continue;
        }
        if (step <= 0) {
            errno = step == 0 ? ENOSPC : errno;
            sa_status status = sa_fail_errno(err, f->path, "cannot write");
            cut_back(f);
            return status;
        }
        written += (size_t)step;
    }
    f->size += size;
    return SA_OK;
}

sa_status sa_append_read(const sa_append_file *f, uint64_t at, void *bytes, size_t size, sa_error *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t step = pread(f->file, (char *)bytes + done, size - done, (off_t)(at + done));
        if (step < 0 && errno == EINTR) {
            continue;
        }
        if (step < 0) {
            return sa_fail_errno(err, f->path, "cannot read");
        }
        if (step == 0) {
            return sa_fail(err, SA_BAD_INPUT, f->path, "leave the directory alone while a run is in it",
                           "was cut short while it was in use");
        }
        done += (size_t)step;
    }
    return SA_OK;
}

sa_status sa_append_cut(sa_append_file *f, uint64_t size, sa_error *err)
{
    if (size > f->size) {
        return sa_fail(err, SA_BAD_INPUT, f->path, "use another directory",
                       "has %llu bytes and had %llu: it was changed since the run wrote it",
                       (unsigned long long)f->size, (unsigned long long)size);
    }
    if (size < f->size && ftruncate(f->file, (off_t)size) != 0) {
        return sa_fail_errno(err, f->path, "cannot cut it");
    }
    f->size = size;
    return SA_OK;
}

sa_status sa_append_sync(const sa_append_file *f, sa_error *err)
{
    return fdatasync(f->file) == 0 ? SA_OK : sa_fail_errno(err, f->path, "cannot sync");
}
