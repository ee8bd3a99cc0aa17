#include "runtime/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

void sa_make_printable(char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        bool whole;
        const unsigned char *at = (const unsigned char *)text;
        size_t length = sa_utf8_step(at, left, &whole);
        bool control = at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] <= 0x9f); /* to U+009F */
        if (!whole || control) {
            memset(text, '?', length);
        }
        text += length;
        left -= length;
    }
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from != NULL ? from : "");
    sa_make_printable(to);
}

sa_status sa_fail(sa_error *err, sa_status status, const char *file, const char *hint, const char *reason,
                  ...)
{
    SA_ASSERT(status != SA_OK);
    if (err == NULL) {
        return status;
    }
    /* Formatted first: the arguments may point into *err itself (a caller that adds to a deeper reason). */
    char text[sizeof err->reason];
    va_list args;
    va_start(args, reason);
    vsnprintf(text, sizeof text, reason, args);
    va_end(args);

    char file_text[sizeof err->file];
    char hint_text[sizeof err->hint];
    copy_text(file_text, sizeof file_text, file);
    copy_text(hint_text, sizeof hint_text, hint);
    err->status = status;
    copy_text(err->reason, sizeof err->reason, text);
    memcpy(err->file, file_text, sizeof file_text);
    memcpy(err->hint, hint_text, sizeof hint_text);
    return status;
}

sa_status sa_fail_errno(sa_error *err, const char *file, const char *what)
{
    int number = errno;
    const char *hint = NULL;
    switch (number) {
    case ENOENT: hint = "check the path"; break;
    case EACCES: hint = "check the permissions"; break;
    case EPERM: hint = "check the permissions"; break;
    case ENOTDIR:
    case ELOOP: hint = "check the path"; break;
    case ENAMETOOLONG: hint = "use a shorter path"; break;
    case ENOSPC: hint = "free some disk space"; break;
    case EDQUOT: hint = "free some disk space, or raise the quota"; break;
    case EFBIG: hint = "raise the limit on the size of files (ulimit -f), or write elsewhere"; break;
    case EROFS: hint = "write somewhere else"; break;
    case EMFILE: hint = "raise the limit on open files (ulimit -n)"; break;
    case ENFILE: hint = "the system has too many files open: close some"; break;
    case ENOMEM: hint = "free some memory"; break;
    case EIO: hint = "check the disk"; break;
    default: break;
    }
    return sa_fail(err, SA_IO, file, hint, "%s: %s", what, strerror(number));
}

const char *sa_error_format(const sa_error *err, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s%s", err->file, err->file[0] != '\0' ? ": " : "", err->reason,
             err->hint[0] != '\0' ? " (" : "", err->hint, err->hint[0] != '\0' ? ")" : "");
    return text;
}

int sa_status_exit_code(sa_status status)
{
    switch (status) {
    case SA_OK: return 0;
    case SA_BAD_USAGE:
    case SA_BAD_INPUT: return 2;
    case SA_NO_ROOM:
    case SA_IO:
    case SA_NO_DEVICE: return 3;
    case SA_INTERRUPTED: return 130;
    }
    return 3;
}

_Noreturn void sa_assert_failed(const char *statement, const char *file, int line)
{
    fprintf(stderr, "segagent: bug: %s:%d: this does not hold: %s\n", file, line, statement);
    abort();
}
