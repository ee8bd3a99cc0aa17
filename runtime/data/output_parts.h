/* Inside of the output directory (output.h): what putting rows and opening it share. */
#ifndef SA_DATA_OUTPUT_PARTS_H
#define SA_DATA_OUTPUT_PARTS_H

#include <stdint.h>

#include "runtime/data/append_file.h"
#include "runtime/data/output.h"

#define OUTPUT_JOURNAL "results.journal"

enum {
    OUTPUT_PATH = 4096,
    OUTPUT_MOST_LINE = 1 << 30,
};

/* A row of the range. */
typedef struct {
    uint64_t at; /* of its line in the journal, while it waits */
    uint32_t size;
    char kind; /* a sa_journal_kind; 0: not done */
} output_slot;

struct sa_output {
    char directory[OUTPUT_PATH];
    json_t *run; /* as in run.json, with rows and shard */
    size_t first, count;
    output_slot *slots; /* [count] */
    size_t next;        /* rows before it stand in results or quarantine */
    size_t done, quarantined;
    sa_append_file results, quarantine, journal;
    uint64_t waiting; /* bytes of lines in the journal that are not copied yet */
    char *buffer;     /* one line, or one line of the journal */
    size_t room;
    double interval, synced; /* seconds: between two syncs; when the last one was */
    bool dirty;              /* something was put since then */
    bool finished;           /* run.json says "done" */
};

sa_status output_no_memory(const sa_output *o, sa_error *err);
sa_status output_journal_path(const sa_output *o, char path[OUTPUT_PATH], sa_error *err);
/*
 * A journal that begins here. What it says is done must be on disk before it is, so the others are synced
 * first; the rename is what counts. If it fails, the old journal stays in use.
 */
sa_status output_begin_journal(sa_output *o, sa_error *err);
/* Rows that need not wait any more go to the two files. */
sa_status output_copy_ready(sa_output *o, sa_error *err);

#endif
