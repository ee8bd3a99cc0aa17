/*
 * Inside of the output directory (output_parts.h): the lines of results.journal.
 *
 *   CRC H DONE RESULTS QUARANTINE ROWS     the first: so many rows, and bytes of results.jsonl and
 *                                          quarantine.jsonl, are done with and on disk; ROWS of quarantine
 *   CRC R ROW {...}                        a row of results.jsonl
 *   CRC Q ROW {...}                        a row of quarantine.jsonl
 *
 * CRC is CRC-32, eight hexadecimal digits, of what follows the space after it, without the newline.
 */
#ifndef SA_DATA_JOURNAL_H
#define SA_DATA_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

typedef enum { SA_JOURNAL_HEAD = 'H', SA_JOURNAL_RESULT = 'R', SA_JOURNAL_QUARANTINE = 'Q' } sa_journal_kind;

typedef struct {
    sa_journal_kind kind;
    uint64_t row;     /* R, Q */
    const char *line; /* R, Q: the row, in the text that was read */
    size_t size;
    uint64_t done, results, quarantine, quarantined; /* H */
} sa_journal_record;

enum { SA_JOURNAL_ROOM = 128 };

/* The record at the beginning of the text: its bytes with the newline, or 0 if it is torn or damaged. */
size_t sa_journal_read(sa_journal_record *record, const char *text, size_t size);
/* A whole head with its newline; its bytes. */
size_t sa_journal_write_head(char out[SA_JOURNAL_ROOM], const sa_journal_record *head);
/* What stands before the row's line, of which the CRC is, too; its bytes. Line and newline come after it. */
size_t sa_journal_write_prefix(char out[SA_JOURNAL_ROOM], const sa_journal_record *record);

#endif
