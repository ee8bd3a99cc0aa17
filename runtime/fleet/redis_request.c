/* Commands as Redis takes them: "*ARGUMENTS", then "$SIZE" and the bytes of each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/sizes.h"
#include "runtime/fleet/redis_link.h"

enum { LEAST_ROOM = 4096 };

void redis_request_clear(redis_request *request)
{
    *request = (redis_request){.bytes = request->bytes, .room = request->room};
}

void redis_request_free(redis_request *request)
{
    free(request->bytes);
    *request = (redis_request){0};
}

static void append(redis_request *request, const void *bytes, size_t size)
{
    size_t wanted;
    if (request->failed || !sa_add_size(request->size, size, &wanted)) {
        request->failed = true;
        return;
    }
    if (wanted > request->room) {
        size_t room = sa_most(sa_most(wanted, request->room / 2 * 3), LEAST_ROOM);
        char *grown = realloc(request->bytes, room);
        if (grown == NULL) {
            request->failed = true;
            return;
        }
        request->bytes = grown;
        request->room = room;
    }
    memcpy(request->bytes + request->size, bytes, size);
    request->size = wanted;
}

static void append_length(redis_request *request, char mark, size_t length)
{
    char text[32];
    append(request, text, (size_t)snprintf(text, sizeof text, "%c%zu\r\n", mark, length));
}

void redis_request_begin(redis_request *request, size_t arguments)
{
    append_length(request, '*', arguments);
    request->commands++;
}

void redis_request_put(redis_request *request, const void *bytes, size_t size)
{
    append_length(request, '$', size);
    append(request, bytes, size);
    append(request, "\r\n", 2);
}

void redis_request_text(redis_request *request, const char *text)
{
    redis_request_put(request, text, strlen(text));
}

void redis_request_number(redis_request *request, uint64_t number)
{
    char text[32];
    redis_request_put(request, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, number));
}
