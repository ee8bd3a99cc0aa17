/* Where a queue lives, and how it gets in. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/fleet/redis_url.h"
#include "tests/fleet/redis_rig.h"

static const char SECRET[] = "pass:w@rd/1";
#define SECRET_IN_URL "pass%3Aw%40rd%2f1"
#define SECRET_IN_FORMAT "pass%%3Aw%%40rd%%2f1"

static void test_good(void **state)
{
    static const struct {
        const char *text, *host, *path, *user, *password, *name, *place;
        int port, database;
    } cases[] = {
        {"redis://h/r", "h", "", "", "", "r", "redis://h:6379/0/r", 6379, 0},
        {"redis://h.example:1/12/A-b_c.9", "h.example", "", "", "", "A-b_c.9",
         "redis://h.example:1/12/A-b_c.9", 1, 12},
        {"redis://u:p@h:65535/r", "h", "", "u", "p", "r", "redis://h:65535/0/r", 65535, 0},
        {"redis://:a@b:c@h/5", "h", "", "", "a@b:c", "5", "redis://h:6379/0/5", 6379, 0},
        {"redis://u%3a:" SECRET_IN_URL "@[::1]:77/r", "::1", "", "u:", "pass:w@rd/1", "r",
         "redis://[::1]:77/0/r", 77, 0},
        {"redis+unix:/a b/s?x?r", "", "/a b/s?x", "", "", "r", "redis+unix:/a b/s?x?0/r", 6379, 0},
        {"redis+unix:/s?3/r", "", "/s", "", "", "r", "redis+unix:/s?3/r", 6379, 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_redis_url url;
        sa_error err = {0};
        must(sa_redis_url_parse(&url, cases[i].text, &err), &err);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.path, cases[i].path);
        assert_string_equal(url.user, cases[i].user);
        assert_string_equal(url.password, cases[i].password);
        assert_string_equal(url.name, cases[i].name);
        assert_string_equal(url.place, cases[i].place);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.database, cases[i].database);
    }
}

static void test_bad(void **state)
{
    static const char *const cases[][2] = {
        {"", "does not begin with"},
        {"http://h/r", "does not begin with"},
        {"rediss://h/r", "TLS"},
        {"redis://", "name of a run"},
        {"redis://h", "name of a run"},
        {"redis://h/", "name of a run"},
        {"redis://h/a b", "name of a run"},
        {"redis://h/1/", "name of a run"},
        {"redis://h/x/r", "number of a database"},
        {"redis://h/-1/r", "number of a database"},
        {"redis://h/1/2/r", "name of a run"},
        {"redis://h/99999999999/r", "number of a database"},
        {"redis:///r", "no host"},
        {"redis://a b/r", "no host"},
        {"redis://:77/r", "no host"},
        {"redis://h:/r", "port"},
        {"redis://h:0/r", "port"},
        {"redis://h:65536/r", "port"},
        {"redis://h:1x/r", "port"},
        {"redis://h:1:2/r", "port"},
        {"redis://[::1/r", "bracket"},
        {"redis://[::1]7/r", "bracket"},
        {"redis://[]/r", "no host"},
        {"redis://secret@h/r", "user:password"},
        {"redis://u:@h/r", "user:password"},
        {"redis://u:secret%@h/r", "hexadecimal"},
        {"redis://u:secret%4@h/r", "hexadecimal"},
        {"redis://u:secret%4g@h/r", "hexadecimal"},
        {"redis://u:secret%00@h/r", "hexadecimal"},
        {"redis://u:secret/1@h/r", "port"},
        {"redis+unix:", "path"},
        {"redis+unix:/s", "path"},
        {"redis+unix:?r", "path"},
        {"redis+unix:/s?", "name of a run"},
    };
    sa_redis_url url;
    sa_error err = {0};
    char text[900], shown[2048];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_status status = sa_redis_url_parse(&url, cases[i][0], &err);
        if (status != SA_BAD_USAGE || strstr(err.reason, cases[i][1]) == NULL || err.hint[0] == '\0') {
            fail_msg("%s: %d: %s; should be %s", cases[i][0], status, err.reason, cases[i][1]);
        }
        assert_null(strstr(sa_error_format(&err, shown, sizeof shown), "secret"));
    }
    /* One too many of everything. */
    static const char *const forms[] = {"redis://%0*d/r", "redis://h/%0*d", "redis://%0*d:p@h/r",
                                        "redis://u:%0*d@h/r", "redis+unix:/%0*d?r"};
    static const int most[] = {255, 100, 127, 511, 102};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        for (int more = 0; more < 2; more++) {
            snprintf(text, sizeof text, forms[i], most[i] + more, 7);
            assert_int_equal(sa_redis_url_parse(&url, text, &err), more ? SA_BAD_USAGE : SA_OK);
        }
    }
}

/* ---- over the network, with a password ---- */

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int file = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(file, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(file, (struct sockaddr *)&address, &size), 0);
    close(file);
    return ntohs(address.sin_port);
}

static void refuse(sa_redis_queue_options options, const char *form, int port, sa_status want,
                   const char *reason)
{
    sa_redis_queue *queue;
    sa_error err = {0};
    char url[256], shown[2048];
    snprintf(url, sizeof url, form, port);
    options.url = url;
    options.patience_ms = 0;
    sa_status status = sa_redis_queue_open(&queue, &options, &err);
    sa_error_format(&err, shown, sizeof shown);
    if (status != want || strstr(err.reason, reason) == NULL) {
        fail_msg("%d: %s; should be %d: %s", status, shown, want, reason);
    }
    assert_null(strstr(shown, "wrong"));
    assert_null(strstr(shown, SECRET));
    assert_null(strstr(shown, SECRET_IN_URL));
}

static void test_password(void **state)
{
    redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_rig_kill(rig);
    rig->password = SECRET;
    rig->port = free_port();
    redis_rig_start(rig);
    char url[256];
    sa_redis_queue *queue;
    sa_error err = {0};
    sa_redis_queue_options options = redis_rig_options(rig, SA_REDIS_COORDINATOR, 3);
    options.url = url;
    snprintf(url, sizeof url, "redis://:" SECRET_IN_FORMAT "@127.0.0.1:%d/7/r", rig->port);
    must(sa_redis_queue_open(&queue, &options, &err), &err);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d/7/r", rig->port);
    assert_string_equal(sa_redis_queue_place(queue), url);
    sa_redis_queue_close(queue);
    snprintf(url, sizeof url, "redis://default:" SECRET_IN_FORMAT "@localhost:%d/r", rig->port);
    must(sa_redis_queue_open(&queue, &options, &err), &err);
    sa_redis_queue_close(queue);
    refuse(options, "redis://:wrong@127.0.0.1:%d/r", rig->port, SA_BAD_USAGE, "refuses the user");
    refuse(options, "redis://wrong:wrong@127.0.0.1:%d/r", rig->port, SA_BAD_USAGE, "refuses the user");
    refuse(options, "redis://127.0.0.1:%d/r", rig->port, SA_BAD_USAGE, "wants a password");
    refuse(options, "redis://127.0.0.1:%d/3/r", rig->port, SA_BAD_USAGE, "refuses database 3");
    refuse(options, "redis://:" SECRET_IN_FORMAT "@127.0.0.1:%d/16/r", rig->port, SA_BAD_USAGE,
           "refuses database 16");
    redis_rig_kill(rig);
    refuse(options, "redis://:" SECRET_IN_FORMAT "@127.0.0.1:%d/r", rig->port, SA_IO, "refused");
    refuse(options, "redis+unix:/no/such/socket?r%d", rig->port, SA_IO, "No such file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test_setup_teardown(test_password, redis_rig_make, redis_rig_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
