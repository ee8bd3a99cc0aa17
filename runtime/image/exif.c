/*
 * EXIF and XMP: nothing but the orientation. Walks the first TIFF directory as Pillow's
 * ImageFileDirectory_v2.load does, its limits and its ways of giving up included, so that odd files turn the
 * same way here as there.
 */
#include <string.h>

#include "runtime/image/codec.h"

enum { TAG_ORIENTATION = 274, ENTRY_BYTES = 12 };

typedef struct {
    const uint8_t *bytes; /* the TIFF header */
    uint64_t size;
    bool big_endian;
} tiff;

static uint32_t tiff_read16(const tiff *t, const uint8_t *p)
{
    return t->big_endian ? sa_read_be16(p) : sa_read_le16(p);
}

static uint32_t tiff_read32(const tiff *t, const uint8_t *p)
{
    return t->big_endian ? sa_read_be32(p) : sa_read_le32(p);
}

/* Bytes of one value of a TIFF type; 0 for a type that Pillow does not know. */
static unsigned type_size(uint32_t type)
{
    static const uint8_t sizes[17] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};
    return type < 17 ? sizes[type] : 0;
}

static double ieee_value(const tiff *t, const uint8_t *p, bool wide)
{
    uint32_t first = tiff_read32(t, p);
    if (!wide) {
        float value;
        memcpy(&value, &first, sizeof value);
        return (double)value;
    }
    uint64_t second = tiff_read32(t, p + 4);
    uint64_t bits = t->big_endian ? (uint64_t)first << 32 | second : second << 32 | first;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The first value of a tag as a number; 0 for the types that hold text or bytes. */
static double first_value(const tiff *t, uint32_t type, const uint8_t *p)
{
    switch (type) {
    case 3: return tiff_read16(t, p);
    case 4:
    case 13: return tiff_read32(t, p);
    case 5:
    case 10: /* as a fraction: 12/2 is 6; x/0 is no orientation */
        return tiff_read32(t, p + 4) ? (double)tiff_read32(t, p) / (double)tiff_read32(t, p + 4) : 0;
    case 6: return (int8_t)p[0];
    case 8: return (int16_t)tiff_read16(t, p);
    case 9: return (int32_t)tiff_read32(t, p);
    case 11:
    case 12: return ieee_value(t, p, type == 12);
    case 16: {
        uint32_t first = tiff_read32(t, p), second = tiff_read32(t, p + 4);
        return (t->big_endian ? first : second) == 0 ? (t->big_endian ? second : first) : 0;
    }
    default: return 0;
    }
}

static int orientation_of(double value)
{
    for (int i = 1; i <= 8; i++) {
        if (value == i) {
            return i;
        }
    }
    return 1;
}

/* What an entry came to: its value can be read, it is passed over, or Pillow would read no further. */
typedef enum { ENTRY_VALUE, ENTRY_NONE, ENTRY_LAST } entry_kind;

/* Finds an entry's value; `spent` adds up the bytes of values that stand outside of their entries. */
static entry_kind find_value(const tiff *t, const uint8_t *entry, uint64_t *spent, const uint8_t **value)
{
    uint64_t bytes = (uint64_t)tiff_read32(t, entry + 4) * type_size(tiff_read16(t, entry + 2));
    *value = entry + 8;
    if (bytes == 0) {
        return ENTRY_NONE;
    }
    if (bytes <= 4) {
        return ENTRY_VALUE;
    }
    *spent += bytes;
    if (*spent > t->size) {
        return ENTRY_NONE; /* more values than file: this entry lies */
    }
    uint64_t offset = tiff_read32(t, entry + 8);
    if (offset > t->size || t->size - offset < bytes) {
        return ENTRY_LAST;
    }
    *value = t->bytes + offset;
    return ENTRY_VALUE;
}

/* The orientation in the directory at `at`, or 0. Of a tag that comes again only the first is looked at. */
static int scan_directory(const tiff *t, uint64_t at)
{
    uint8_t seen[65536 / 8] = {0};
    if (at > t->size || t->size - at < 2) {
        return 0;
    }
    uint32_t entries = tiff_read16(t, t->bytes + at);
    uint64_t spent = 0;
    at += 2;
    for (uint32_t i = 0; i < entries && t->size - at >= ENTRY_BYTES; i++, at += ENTRY_BYTES) {
        const uint8_t *entry = t->bytes + at, *value;
        uint32_t tag = tiff_read16(t, entry);
        if (seen[tag / 8] >> tag % 8 & 1) {
            continue;
        }
        entry_kind kind = find_value(t, entry, &spent, &value);
        if (kind == ENTRY_LAST) {
            return 0;
        }
        if (kind == ENTRY_VALUE && tag == TAG_ORIENTATION) {
            return orientation_of(first_value(t, tiff_read16(t, entry + 2), value));
        }
        seen[tag / 8] |= (uint8_t)((kind == ENTRY_VALUE) << tag % 8);
    }
    return 0;
}

int sa_exif_orientation(const uint8_t *exif, size_t size)
{
    static const char marks[4][5] = {"II*\0", "MM\0*", "II\0*", "MM*\0"};
    for (int i = 0; i < 2 && size >= 6 && memcmp(exif, "Exif\0\0", 6) == 0; i++) {
        exif += 6;
        size -= 6;
    }
    if (size == 0) {
        return 0;
    }
    for (int i = 0; i < 4 && size >= 8; i++) {
        if (memcmp(exif, marks[i], 4) == 0) {
            tiff t = {.bytes = exif, .size = size, .big_endian = exif[0] == 'M'};
            return scan_directory(&t, tiff_read32(&t, exif + 4));
        }
    }
    return 1;
}

int sa_xmp_orientation(const uint8_t *xmp, size_t size)
{
    static const char key[] = "tiff:Orientation";
    const size_t length = sizeof key - 1;
    for (size_t i = 0; size - i > length && i < size; i++) {
        if (xmp[i] != (uint8_t)key[0] || memcmp(xmp + i, key, length) != 0) {
            continue;
        }
        size_t digit = i + length + (xmp[i + length] == '>' ? 1 : 2);
        bool opened = xmp[i + length] == '>' || (digit - 1 < size && memcmp(xmp + digit - 2, "=\"", 2) == 0);
        if (opened && digit < size && xmp[digit] >= '0' && xmp[digit] <= '9') {
            return orientation_of(xmp[digit] - '0');
        }
    }
    return 0;
}
