/* A redis-server of a test's own on a socket in its directory, runs with rows that follow from their number.
 */
#ifndef SA_TESTS_FLEET_REDIS_RIG_H
#define SA_TESTS_FLEET_REDIS_RIG_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include "runtime/fleet/redis_queue.h"
#include "tests/check.h"

typedef struct {
    char *directory; /* a scratch one */
    char socket[80], url[128];
    bool keeps; /* its data, over a kill */
    int port;   /* 0: the socket alone */
    const char *password;
    pid_t server; /* 0: not running */
} redis_rig;

/* For cmocka_unit_test_setup_teardown: *state is a redis_rig with a server that does not keep its data. */
int redis_rig_make(void **state);
/* The same with one that does. */
int redis_rig_make_keeping(void **state);
int redis_rig_remove(void **state);

/* Skips the test, and says so, where there is no redis-server. */
void redis_rig_need(const redis_rig *rig);
void redis_rig_start(redis_rig *rig);
/* SIGKILL. */
void redis_rig_kill(redis_rig *rig);
/* A program in the rig's directory, its output thrown away; its exit code, 127 if it is not there. */
int redis_rig_run(const redis_rig *rig, const char *const *argv);
/* A command to the server; the integer that it answers. */
long long redis_rig_ask(const redis_rig *rig, const char *format, ...);

/* Rows 0..rows-1, fingerprint "f", an hour until a row is another's, 20 s of patience. */
sa_redis_queue_options redis_rig_options(const redis_rig *rig, sa_redis_role role, size_t rows);
sa_redis_queue *redis_rig_open(const redis_rig *rig, sa_redis_role role, size_t rows);

enum { RIG_MOST_LINE = 3000 };

/* The line that belongs to a row; every seventh is for quarantine. */
sa_redis_line redis_rig_line(char text[RIG_MOST_LINE], size_t row);
/* Puts the row's line. */
sa_status redis_rig_put(sa_redis_queue *queue, size_t row, sa_error *err);

/* What a coordinator has on its disk. */
typedef struct {
    size_t rows;
    unsigned char *done; /* [rows]: how many times the row came */
    size_t count;        /* rows that are done */
    size_t newest[SA_REDIS_MOST_ROWS];
    size_t news; /* rows that came by the last redis_ledger_collect */
} redis_ledger;

redis_ledger redis_ledger_new(size_t rows);
void redis_ledger_free(redis_ledger *ledger);
bool redis_ledger_is_done(void *ledger, size_t row);
/* Collects once; lines that are not as they should be fail the test. */
sa_status redis_ledger_collect(redis_ledger *ledger, sa_redis_queue *queue, int wait_ms, sa_error *err);
/* Forgets what came last. */
sa_status redis_ledger_forget(redis_ledger *ledger, sa_redis_queue *queue, sa_error *err);

#endif
