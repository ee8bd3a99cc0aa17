/* What workers say: message.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/fleet/crew_parts.h"
#include "runtime/fleet/reason.h"

/* All of them must compute alike. */
static bool is_alike(const char *one, const json_t *other)
{
    json_t *json = json_loads(one, 0, NULL);
    bool same = json_equal(json_object_get(json, "precision"), json_object_get(other, "precision")) != 0;
    json_decref(json);
    return same;
}

static sa_status read_hello(sa_crew *c, sa_crew_worker *w, const sa_wire_message *m, sa_error *err)
{
    json_t *json = json_loadb(m->bytes, m->size, 0, NULL);
    json_int_t window = json_integer_value(json_object_get(json, "window"));
    bool alike = c->hello == NULL || is_alike(c->hello, json);
    json_decref(json);
    if (window < 1 || window > 1 << 24 || w->window != 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker says hello in words that are none");
    }
    if (!alike) { /* on a device that was full, perhaps, and is not the next time */
        w->told_failure = true;
        sa_fail(&c->last, SA_NO_DEVICE, "--precision", "give bf16 or f32, or fewer workers",
                "a worker computes in another precision than the others");
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker is of no use");
    }
    size_t *rows = realloc(w->rows, (size_t)window * sizeof *rows);
    if (rows == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "lower --in-flight", "no memory for rows");
    }
    w->rows = rows;
    w->window = (size_t)window;
    if (c->hello == NULL) {
        c->hello = strdup(m->bytes);
    }
    return c->hello != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a worker");
}

static sa_status take_line(sa_crew_worker *w, const sa_wire_message *m, const sa_crew_client *client,
                           sa_error *err)
{
    size_t i = 0;
    while (i < w->held && w->rows[i] != m->row) {
        i++;
    }
    if (i == w->held) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker speaks of row %zu, which it has not", m->row);
    }
    SA_TRY(client->line(client->context, m->row, m->kind, m->bytes, m->size, err));
    w->rows[i] = w->rows[--w->held];
    w->fruitless = 0;
    return SA_OK;
}

static sa_status take_message(sa_crew *c, sa_crew_worker *w, const sa_wire_message *m,
                              const sa_crew_client *client, sa_error *err)
{
    w->heard = sa_clock_seconds();
    switch (m->kind) {
    case 'B': return SA_OK;
    case 'H': return read_hello(c, w, m, err);
    case 'F':
        sa_reason_read(m->bytes, m->size, &c->last);
        w->told_failure = true;
        return SA_OK;
    case 'R':
    case 'Q':
        if (client != NULL) {
            return take_line(w, m, client, err);
        }
        break;
    case 'C':
        if (client != NULL) {
            return client->counts(client->context, m->bytes, m->size, err);
        }
        break;
    default: break;
    }
    return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker says what it should not");
}

sa_status sa_crew_listen(sa_crew *c, sa_crew_worker *w, const sa_crew_client *client, bool *ended,
                         sa_error *err)
{
    bool found = true;
    sa_wire_message m;
    SA_TRY(sa_message_receive(&w->reader, w->socket, ended, err));
    while (found) {
        SA_TRY(sa_message_next(&w->reader, &m, &found, err));
        SA_TRY(found ? take_message(c, w, &m, client, err) : SA_OK);
    }
    return SA_OK;
}
