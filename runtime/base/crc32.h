/* CRC-32 of PNG and zlib: tells a damaged piece of a file from a whole one. */
#ifndef SA_BASE_CRC32_H
#define SA_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 or the result for the bytes before these. */
uint32_t sa_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
