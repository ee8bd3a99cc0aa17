/* Fat binaries and cubins (fatbin.h). Every offset is checked against the bytes at hand: images are not
 * trusted. */
#include "tests/gpusim/fatbin.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define CONTAINER_MAGIC 0xBA55ED50u
#define WRAPPER_MAGIC 0x466243b1u

/* In front of the entries. `size` counts what comes behind it. */
typedef struct {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t size;
} container_header;

/* In front of each entry's bytes; header_bytes leads to them. Fields that don't matter here are left unnamed.
 */
typedef struct {
    uint16_t kind, version;
    uint32_t header_bytes;
    uint64_t size; /* of the bytes as stored, padding included */
    uint32_t compressed_bytes, unknown1;
    uint16_t minor, major;
    uint32_t arch, name_offset, name_bytes;
    uint64_t flags, unknown2, plain_bytes;
} entry_header;

enum {
    KIND_PTX = 1,
    KIND_ELF = 2,
    FLAG_LZ4 = 0x2000,
    FLAG_ZSTD = 0x8000,
};

/* What cuModuleLoadFatBinary gets from nvcc's host code. */
typedef struct {
    uint32_t magic, version;
    const void *data;
    const void *unused;
} wrapper;

static bool fail(char *error, size_t size, const char *what)
{
    snprintf(error, size, "%s", what);
    return false;
}

static bool is_compressed(const entry_header *e)
{
    return e->compressed_bytes || e->flags & (FLAG_LZ4 | FLAG_ZSTD);
}

/* Nearest: the device's own architecture, otherwise the highest one below it, otherwise the lowest above it.
 */
static bool is_nearer(uint32_t candidate, uint32_t old, uint32_t arch)
{
    bool below = candidate <= arch, old_below = old <= arch;
    if (!old || below != old_below) {
        return !old || below;
    }
    return below ? candidate > old : candidate < old;
}

static void take_entry(const entry_header *e, const uint8_t *bytes, uint32_t arch, sim_fatbin *fatbin,
                       bool *compressed_ptx)
{
    if (e->kind == KIND_PTX && is_compressed(e)) {
        *compressed_ptx = true;
    } else if (e->kind == KIND_PTX && e->arch <= arch && e->arch >= fatbin->ptx_arch) {
        fatbin->ptx = (const char *)bytes;
        fatbin->ptx_bytes = strnlen((const char *)bytes, e->size);
        fatbin->ptx_arch = e->arch;
    } else if (e->kind == KIND_ELF && !is_compressed(e) && is_nearer(e->arch, fatbin->cubin_arch, arch)) {
        fatbin->cubin = bytes;
        fatbin->cubin_bytes = e->size;
        fatbin->cubin_arch = e->arch;
    }
}

static bool read_container(const uint8_t *image, size_t bytes, uint32_t arch, sim_fatbin *fatbin, char *error,
                           size_t error_size)
{
    container_header header;
    if (bytes < sizeof header) {
        return fail(error, error_size, "fat binary: cut off in its header");
    }
    memcpy(&header, image, sizeof header);
    if (header.header_bytes < sizeof header || header.header_bytes > bytes ||
        header.size > bytes - header.header_bytes) {
        return fail(error, error_size, "fat binary: longer than its bytes");
    }
    const uint8_t *at = image + header.header_bytes;
    uint64_t left = header.size;
    bool compressed_ptx = false;
    while (left >= sizeof(entry_header)) {
        entry_header e;
        memcpy(&e, at, sizeof e);
        if (e.header_bytes < sizeof e || e.header_bytes > left || e.size > left - e.header_bytes) {
            return fail(error, error_size, "fat binary: an entry is longer than the container");
        }
        take_entry(&e, at + e.header_bytes, arch, fatbin, &compressed_ptx);
        at += e.header_bytes + e.size;
        left -= e.header_bytes + e.size;
    }
    if (!fatbin->ptx && compressed_ptx) {
        return fail(error, error_size, "fat binary: its PTX is compressed; compile with nvcc --no-compress");
    }
    return fatbin->ptx
               ? true
               : fail(error, error_size, "fat binary: no PTX for this device's architecture or below");
}

/* Text that isn't bounded ends at its NUL, as the API says. */
static bool read_text(const char *text, size_t bytes, sim_fatbin *fatbin, char *error, size_t error_size)
{
    size_t length = bytes == SIZE_MAX ? strlen(text) : strnlen(text, bytes);
    for (size_t i = 0; i + 8 <= length; i++) {
        if (memcmp(text + i, ".version", 8) == 0) {
            fatbin->ptx = text;
            fatbin->ptx_bytes = length;
            return true;
        }
    }
    return fail(error, error_size, "neither PTX nor a fat binary");
}

bool sim_fatbin_read(const void *image, size_t bytes, uint32_t arch, sim_fatbin *fatbin, char *error,
                     size_t error_size)
{
    uint32_t magic = 0;
    memset(fatbin, 0, sizeof *fatbin);
    if (bytes < sizeof magic) {
        return fail(error, error_size, "neither PTX nor a fat binary");
    }
    memcpy(&magic, image, sizeof magic);
    if (magic == WRAPPER_MAGIC && bytes == SIZE_MAX) {
        wrapper w;
        memcpy(&w, image, sizeof w);
        image = w.data;
        memcpy(&magic, image, sizeof magic);
    }
    if (magic == CONTAINER_MAGIC) {
        return read_container(image, bytes, arch, fatbin, error, error_size);
    }
    if (memcmp(&magic, ELFMAG, SELFMAG) == 0) {
        return fail(error, error_size, "machine code alone can't be simulated: PTX is needed");
    }
    return read_text(image, bytes, fatbin, error, error_size);
}

/* ---- cubin ---- */

typedef struct {
    const uint8_t *bytes;
    size_t size;
} view;

/* Section i of the file; false if there is none or it is not all there. */
static bool section_at(view elf, const Elf64_Ehdr *header, uint32_t i, Elf64_Shdr *section, view *content)
{
    uint64_t at = header->e_shoff + (uint64_t)i * sizeof *section;
    if (i >= header->e_shnum || header->e_shentsize != sizeof *section || at < header->e_shoff ||
        at > elf.size || elf.size - at < sizeof *section) {
        return false;
    }
    memcpy(section, elf.bytes + at, sizeof *section);
    if (section->sh_type == SHT_NOBITS) {
        *content = (view){elf.bytes, 0};
        return true;
    }
    if (section->sh_offset > elf.size || section->sh_size > elf.size - section->sh_offset) {
        return false;
    }
    *content = (view){elf.bytes + section->sh_offset, section->sh_size};
    return true;
}

static bool string_is(view strings, uint64_t at, const char *name)
{
    size_t length = strlen(name) + 1;
    return at < strings.size && length <= strings.size - at && memcmp(strings.bytes + at, name, length) == 0;
}

/* The index of a function in the table of symbols. */
static bool symbol_named(view elf, const Elf64_Ehdr *header, const char *name, uint32_t *index)
{
    Elf64_Shdr section, linked;
    view symbols, strings;
    for (uint32_t i = 0; section_at(elf, header, i, &section, &symbols); i++) {
        if (section.sh_type != SHT_SYMTAB || !section_at(elf, header, section.sh_link, &linked, &strings)) {
            continue;
        }
        for (uint32_t s = 0; ((uint64_t)s + 1) * sizeof(Elf64_Sym) <= symbols.size; s++) {
            Elf64_Sym symbol;
            memcpy(&symbol, symbols.bytes + (uint64_t)s * sizeof symbol, sizeof symbol);
            if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && string_is(strings, symbol.st_name, name)) {
                *index = s;
                return true;
            }
        }
    }
    return false;
}

/*
 * .nv.info: a row of attributes, each a format byte and a number; format 4 has a size and as many bytes
 * behind it, the others have their value in the two bytes that follow.
 */
static void read_info(view info, uint32_t symbol, sim_cubin_kernel *found, bool *has_registers)
{
    enum { SIZED = 4, FRAME_SIZE = 0x11, REGISTER_COUNT = 0x2f };
    for (size_t at = 0; at + 4 <= info.size;) {
        uint16_t size;
        uint32_t words[2];
        memcpy(&size, info.bytes + at + 2, sizeof size);
        uint8_t format = info.bytes[at], attribute = info.bytes[at + 1];
        size = format == SIZED ? size : 0;
        at += 4;
        if (size > info.size - at) {
            return;
        }
        if (size == sizeof words) {
            memcpy(words, info.bytes + at, sizeof words);
            if (attribute == REGISTER_COUNT && words[0] == symbol) {
                found->registers = words[1];
                *has_registers = true;
            } else if (attribute == FRAME_SIZE && words[0] == symbol) {
                found->frame_bytes = words[1];
            }
        }
        at += size;
    }
}

bool sim_cubin_find(const uint8_t *cubin, size_t bytes, const char *kernel, sim_cubin_kernel *found)
{
    enum { SHT_NV_INFO = 0x70000000 };
    Elf64_Ehdr header;
    Elf64_Shdr section, names_section;
    view elf = {cubin, bytes}, content, names;
    uint32_t symbol;
    bool has_registers = false;
    if (bytes < sizeof header) {
        return false;
    }
    memcpy(&header, cubin, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        !section_at(elf, &header, header.e_shstrndx, &names_section, &names) ||
        !symbol_named(elf, &header, kernel, &symbol)) {
        return false;
    }
    memset(found, 0, sizeof *found);
    for (uint32_t i = 0; section_at(elf, &header, i, &section, &content); i++) {
        if (section.sh_type == SHT_NV_INFO && string_is(names, section.sh_name, ".nv.info")) {
            read_info(content, symbol, found, &has_registers);
        }
    }
    return has_registers;
}
