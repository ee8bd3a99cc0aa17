/*
 * Status values: how a function says that it could not do its work.
 *
 * Two kinds of failure (STYLE habit 7). A broken program is a bug: SA_ASSERT prints the statement and aborts.
 * Bad input, or no room for it, is a status: the function returns something other than SA_OK and fills the
 * caller's sa_error with the three things a user needs: which file, what is wrong, and the way out.
 *
 * An sa_error owns its texts (fixed buffers, cut if too long), so failing allocates nothing.
 */
#ifndef SA_BASE_STATUS_H
#define SA_BASE_STATUS_H

#include <stddef.h>

typedef enum {
    SA_OK = 0,
    SA_BAD_USAGE,   /* wrong options or arguments                            exit 2 */
    SA_BAD_INPUT,   /* a file is not what it should be                       exit 2 */
    SA_NO_ROOM,     /* memory, or a limit on the size of a file or picture   exit 3 */
    SA_IO,          /* the system refused to read or write                   exit 3 */
    SA_NO_DEVICE,   /* the device asked for is not there or cannot be used   exit 3 */
    SA_INTERRUPTED, /* the user stopped the run; its state can be resumed    exit 130 */
} sa_status;

typedef struct {
    sa_status status;
    char file[512];    /* file, option or device that the reason speaks of; "" if none */
    char reason[1024]; /* what is wrong, without a final full stop */
    char hint[512];    /* the way out; "" if none */
} sa_error;

/*
 * Fills *err (which may be NULL) and returns `status`, so that a failing function ends in `return
 * sa_fail(...)`. `file` and `hint` may be NULL; `reason` is a printf format. Control characters in the texts
 * become '?': names found in untrusted files are safe to print.
 */
sa_status sa_fail(sa_error *err, sa_status status, const char *file, const char *hint, const char *reason,
                  ...) __attribute__((format(printf, 5, 6)));

/* sa_fail with SA_IO and the text of errno. */
sa_status sa_fail_errno(sa_error *err, const char *file, const char *what);

/*
 * Control characters, and what is no whole UTF-8, become '?'; other characters stay: a name from an untrusted
 * file must neither move the cursor nor fake a second message.
 */
void sa_make_printable(char *text);

/* "FILE: REASON (WAY OUT)", with the parts that are there. Returns `text`, always terminated. */
const char *sa_error_format(const sa_error *err, char *text, size_t size);

/* The exit code of INTERFACES.md for a status. */
int sa_status_exit_code(sa_status status);

/* Leaves the calling function with the status of a failed call. */
#define SA_TRY(call)                                                                                         \
    do {                                                                                                     \
        sa_status sa_try_status_ = (call);                                                                   \
        if (sa_try_status_ != SA_OK) {                                                                       \
            return sa_try_status_;                                                                           \
        }                                                                                                    \
    } while (0)

/* A contract between two pieces of this program. Stays in release builds. */
#define SA_ASSERT(statement) ((statement) ? (void)0 : sa_assert_failed(#statement, __FILE__, __LINE__))

_Noreturn void sa_assert_failed(const char *statement, const char *file, int line);

#endif
