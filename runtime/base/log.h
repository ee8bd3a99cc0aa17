/*
 * What the program tells the person who runs it, on standard error: messages by level, and one progress line.
 */
#ifndef SA_BASE_LOG_H
#define SA_BASE_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "runtime/base/status.h"

typedef enum { SA_LOG_ERROR, SA_LOG_WARNING, SA_LOG_INFO, SA_LOG_DEBUG } sa_log_level;

typedef struct {
    FILE *stream;
    sa_log_level level; /* messages above it are dropped: --quiet WARNING, default INFO, --verbose DEBUG */
    bool terminal;      /* stream is a terminal: progress may redraw one line */
    bool line_open;     /* a progress line stands there and has to be wiped before a message */
} sa_log;

sa_log sa_log_on(FILE *stream, sa_log_level level);

/*
 * "segagent: " + text + newline; control characters become '?'. A NULL log drops everything, here and below.
 */
void sa_log_message(sa_log *log, sa_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "segagent: FILE: REASON (WAY OUT)" at level ERROR. */
void sa_log_error(sa_log *log, const sa_error *err);

/*
 * Progress of one job: "encode 12/400  3.1 items/s  ETA 2:05  cpu". On a terminal one line, redrawn at most
 * ten times a second; elsewhere a log line at most every 10 s; nothing below level INFO. Not for use by
 * several threads at once.
 */
typedef struct {
    sa_log *log;
    const char *what;      /* "click" */
    const char *device;    /* "cpu" */
    long long total;       /* 0 if not known: no ETA */
    long long before;      /* done by an earlier run: no part of the rate */
    double started, drawn; /* sa_clock_seconds of the start and of the last line */
} sa_progress;

sa_progress sa_progress_start(sa_log *log, const char *what, const char *device, long long total);
void sa_progress_update(sa_progress *progress, long long done);
/* Wipes the line; says the total time at level INFO if the job took more than 10 s. */
void sa_progress_end(sa_progress *progress, long long done);

#endif
