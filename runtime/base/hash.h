/* FNV-1a: 64 bits over any bytes, the same on every machine; not meant against an adversary. */
#ifndef SA_BASE_HASH_H
#define SA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t sa_hash_bytes(const void *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    }
    return hash;
}

#endif
