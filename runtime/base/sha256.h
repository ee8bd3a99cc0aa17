/* SHA-256 of files and bytes: what a run was made of, and from (OpenSSL's libcrypto, which uses the
 * processor's instructions). */
#ifndef SA_BASE_SHA256_H
#define SA_BASE_SHA256_H

#include <stddef.h>

#include "runtime/base/status.h"

sa_status sa_sha256_bytes(const void *bytes, size_t size, unsigned char digest[32], sa_error *err);
sa_status sa_sha256(const void *bytes, size_t size, char hex[65], sa_error *err);
/* 64 hexadecimal digits and a zero byte. SA_BAD_INPUT for what is no file, SA_IO if it cannot be read. */
sa_status sa_sha256_file(const char *path, char hex[65], sa_error *err);

#endif
