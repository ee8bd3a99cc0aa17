#include "runtime/text/charsmap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char DAMAGED[] = "the file is damaged; get it again";

/* The blob: four bytes with the trie's size, the trie, the replacements; little-endian. */
sa_status sa_charsmap_read(sa_charsmap *map, const void *blob, size_t size, const char *file, sa_error *err)
{
    *map = (sa_charsmap){0};
    if (size == 0) {
        return SA_OK;
    }
    const unsigned char *bytes = blob;
    uint32_t trie_size = 0;
    if (size > 4) {
        trie_size = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    }
    if (size <= 4 || trie_size > size - 4 || trie_size < 4 || trie_size % 4 != 0) {
        return sa_fail(err, SA_BAD_INPUT, file, DAMAGED, "its precompiled_charsmap has no sensible trie");
    }
    map->unit_count = trie_size / 4;
    map->texts_size = size - 4 - trie_size;
    map->units = malloc(trie_size);
    map->texts = malloc(map->texts_size + 1);
    if (map->units == NULL || map->texts == NULL) {
        sa_charsmap_free(map);
        return sa_fail(err, SA_NO_ROOM, file, NULL, "no memory for a charsmap of %zu bytes", size);
    }
    for (size_t i = 0; i < map->unit_count; i++) {
        const unsigned char *unit = bytes + 4 + 4 * i;
        map->units[i] = unit[0] | (uint32_t)unit[1] << 8 | (uint32_t)unit[2] << 16 | (uint32_t)unit[3] << 24;
    }
    memcpy(map->texts, bytes + 4 + trie_size, map->texts_size);
    map->texts[map->texts_size] = '\0';
    return SA_OK;
}

void sa_charsmap_free(sa_charsmap *map)
{
    free(map->units);
    free(map->texts);
    *map = (sa_charsmap){0};
}

/*
 * A unit of the double array (darts-clone): bits 0..7 and 31 the label, bit 8 "a text ends here", bit 9 "the
 * offset is shifted by 8", bits 10..30 the offset to the children. A child's place is the parent's xor the
 * offset, xor its byte; a value (bit 31 set) stands at the parent's place xor the offset.
 */
static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

size_t sa_charsmap_find(const sa_charsmap *map, const char *bytes, size_t size, int shortest,
                        const char **replacement)
{
    size_t found = 0;
    if (map->unit_count == 0) {
        return 0;
    }
    size_t place = offset_of(map->units[0]);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        place ^= byte;
        if (place >= map->unit_count || (map->units[place] & (1u << 31 | 0xffu)) != byte) {
            break;
        }
        uint32_t unit = map->units[place];
        place ^= offset_of(unit);
        if ((unit >> 8 & 1) == 0) {
            continue;
        }
        size_t text = place < map->unit_count ? map->units[place] & 0x7fffffffu : SIZE_MAX;
        if (text <= map->texts_size) {
            found = i + 1;
            *replacement = map->texts + text;
        }
        if (shortest && found != 0) {
            break;
        }
    }
    return found;
}
