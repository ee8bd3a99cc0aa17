/*
 * Arbitrary bytes as the URL of a queue: what is accepted has a name, one place to be, and a text to be shown
 * without the password; what is refused repeats nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fleet/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    sa_redis_url url;
    sa_error err = {0};
    SA_ASSERT(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (sa_redis_url_parse(&url, text, &err) == SA_OK) {
        size_t length = strlen(url.name), place = strlen(url.place);
        SA_ASSERT(length >= 1 && length <= SA_REDIS_NAME);
        SA_ASSERT((url.host[0] != '\0') != (url.path[0] != '\0'));
        SA_ASSERT(url.port >= 1 && url.port <= 65535 && url.database >= 0);
        SA_ASSERT(url.user[0] == '\0' || url.password[0] != '\0');
        SA_ASSERT(place > length && strcmp(url.place + place - length, url.name) == 0);
    } else {
        SA_ASSERT(err.status == SA_BAD_USAGE && err.reason[0] != '\0' && err.hint[0] != '\0');
    }
    free(text);
    return 0;
}
