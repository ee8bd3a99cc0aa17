#include "runtime/base/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "runtime/base/file.h"

enum { PIECE = 1 << 20 };

static sa_status digest_map(const sa_file_map *map, unsigned char digest[32], sa_error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t at = 0; good && at < map->size; at += PIECE) {
        size_t size = map->size - at < PIECE ? map->size - at : PIECE;
        good = EVP_DigestUpdate(context, map->bytes + at, size) == 1;
        sa_file_map_release(map, at, at + size);
    }
    good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return good ? sa_file_map_check(map, err)
                : sa_fail(err, SA_NO_ROOM, map->path, NULL, "cannot take its SHA-256");
}

static void write_hex(const unsigned char digest[32], char hex[65])
{
    for (int i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
}

sa_status sa_sha256_bytes(const void *bytes, size_t size, unsigned char digest[32], sa_error *err)
{
    bool good = EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) == 1;
    return good ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "cannot take a SHA-256");
}

sa_status sa_sha256(const void *bytes, size_t size, char hex[65], sa_error *err)
{
    unsigned char digest[32];
    SA_TRY(sa_sha256_bytes(bytes, size, digest, err));
    write_hex(digest, hex);
    return SA_OK;
}

sa_status sa_sha256_file(const char *path, char hex[65], sa_error *err)
{
    sa_file_map map;
    unsigned char digest[32];
    SA_TRY(sa_file_map_open(&map, path, err));
    sa_status status = digest_map(&map, digest, err);
    sa_file_map_close(&map);
    if (status == SA_OK) {
        write_hex(digest, hex);
    }
    return status;
}
