/* A folder of pictures with a text file each: NAME.jpg, NAME.txt, and perhaps NAME.mask.png, NAME.gt.png. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/utf8.h"
#include "runtime/data/item_reader.h"
#include "runtime/image/image.h"
#include "runtime/text/buffer.h"

/* File names of the folder, in the order of their bytes: the same on every machine. */
typedef struct {
    char **names;
    size_t count, capacity;
} listing;

static void free_listing(listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->names[i]);
    }
    free(l->names);
}

static bool add_name(listing *l, const char *name)
{
    char **grown = sa_grow(l->names, &l->capacity, l->count + 1, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    l->names = grown;
    l->names[l->count] = strdup(name);
    return l->names[l->count] != NULL && ++l->count;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static sa_status list_folder(const char *path, listing *l, sa_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return sa_fail_errno(err, path, "cannot read the folder");
    }
    const struct dirent *entry;
    bool room = true;
    errno = 0;
    while (room && (entry = readdir(folder)) != NULL) {
        room = entry->d_name[0] == '.' || add_name(l, entry->d_name);
    }
    int number = errno;
    closedir(folder);
    if (!room) {
        return item_no_memory(path, err);
    }
    if (number != 0) {
        errno = number;
        return sa_fail_errno(err, path, "cannot read the folder");
    }
    if (l->count > 0) {
        qsort(l->names, l->count, sizeof *l->names, by_name);
    }
    return SA_OK;
}

static bool has(const listing *l, const char *name)
{
    return l->count > 0 && bsearch(&name, l->names, l->count, sizeof *l->names, by_name) != NULL;
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

/* NAME of "NAME.jpg", with `end` behind it. */
static void replace_end(char out[ITEM_PATH_ROOM], const char *name, const char *end)
{
    const char *point = strrchr(name, '.');
    int length = point != NULL && point != name ? (int)(point - name) : (int)strlen(name);
    snprintf(out, ITEM_PATH_ROOM, "%.*s%s", length, name, end);
}

/* Told by the first bytes, whatever the file is called. */
static bool is_picture(const char *folder, const char *name)
{
    char path[ITEM_PATH_ROOM];
    unsigned char bytes[16];
    if (sa_file_join(path, sizeof path, folder, name, NULL) != SA_OK) {
        return false;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe must not hold us up */
    ssize_t size = file >= 0 ? read(file, bytes, sizeof bytes) : -1;
    if (file >= 0) {
        close(file);
    }
    return size > 0 && sa_image_is_picture(bytes, (size_t)size);
}

/* The text without white space at its ends; *text owns it. */
static sa_status read_text(const char *path, char **text, sa_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_file_read(path, ITEM_MOST_TEXT, &bytes, &size, err));
    sa_json_part inner = sa_json_trim((const char *)bytes, size);
    if (memchr(bytes, '\0', size) == NULL && sa_utf8_is_whole(inner.text, inner.size)) {
        memmove(bytes, inner.text, inner.size);
        bytes[inner.size] = '\0';
        *text = (char *)bytes;
        return SA_OK;
    }
    free(bytes);
    return sa_fail(err, SA_BAD_INPUT, path, "save it as UTF-8", "the text is not UTF-8");
}

typedef struct {
    item_reader *r;
    const listing *names;
    char stem[ITEM_PATH_ROOM], other[ITEM_PATH_ROOM], path[ITEM_PATH_ROOM];
} reader;

static json_t *find_mask(reader *at, const char *name, const char *end)
{
    replace_end(at->other, name, end);
    return has(at->names, at->other) ? json_string(at->other) : NULL;
}

static sa_status fill_draft(reader *at, const char *name, item_draft *draft, char **text, sa_error *err)
{
    draft->image = name;
    replace_end(at->other, name, ".txt");
    SA_TRY(sa_file_join(at->path, sizeof at->path, at->r->images, name, err));
    if (!sa_utf8_is_whole(name, strlen(name))) {
        return sa_fail(err, SA_BAD_INPUT, at->path, "rename the picture", "its name is not UTF-8");
    }
    if (!has(at->names, at->other)) {
        return sa_fail(err, SA_BAD_INPUT, at->path, "write beside it what to segment",
                       "the picture has no text: %.200s is not there", at->other);
    }
    SA_TRY(sa_file_join(at->path, sizeof at->path, at->r->images, at->other, err));
    SA_TRY(read_text(at->path, text, err));
    draft->text = *text;
    draft->mask = find_mask(at, name, ".mask.png");
    draft->gt = find_mask(at, name, ".gt.png");
    return sa_file_join(at->path, sizeof at->path, at->r->images, name, err);
}

static sa_status read_picture(reader *at, const char *name, sa_error *err)
{
    char *text = NULL;
    sa_error why = {0};
    item_draft draft = {.id = at->stem};
    replace_end(at->stem, name, "");
    sa_status status = fill_draft(at, name, &draft, &text, &why);
    if (status == SA_IO || status == SA_NO_ROOM) { /* a file of this row alone, of a bounded size */
        status = sa_fail(&why, SA_BAD_INPUT, why.file, why.hint, "%s", why.reason);
    }
    status = status == SA_OK ? item_reader_add(at->r, &draft, at->path, err)
                             : item_reader_settle(at->r, status, at->stem, &why, err);
    json_decref(draft.mask);
    json_decref(draft.gt);
    free(text);
    return status;
}

/* True for NAME.jpg beside "NAME." of `length` bytes, if it is a picture. */
static bool is_picture_of(const reader *at, const char *name, size_t length)
{
    const char *point = strrchr(name, '.');
    return point == name + length - 1 && is_picture(at->r->images, name);
}

/* Names with the same beginning stand together in the list. */
static bool text_has_picture(reader *at, size_t place)
{
    char *const *names = at->names->names;
    replace_end(at->stem, names[place], ".");
    size_t length = strlen(at->stem), first = place;
    while (first > 0 && strncmp(names[first - 1], at->stem, length) == 0) {
        first--;
    }
    for (size_t i = first; i < at->names->count && strncmp(names[i], at->stem, length) == 0; i++) {
        if (i != place && is_picture_of(at, names[i], length)) {
            return true;
        }
    }
    return false;
}

/* A text is a row of its own only where its picture is missing. */
static sa_status read_lone_text(reader *at, size_t place, sa_error *err)
{
    sa_error why = {0};
    const char *name = at->names->names[place];
    if (text_has_picture(at, place)) {
        return SA_OK;
    }
    SA_TRY(sa_file_join(at->path, sizeof at->path, at->r->images, name, err));
    sa_fail(&why, SA_BAD_INPUT, at->path, "put a JPEG, PNG, BMP or PNM of its name beside it",
            "the text has no picture");
    replace_end(at->stem, name, "");
    return item_reader_set_aside(at->r, at->stem, &why, err);
}

static sa_status read_names(reader *at, sa_error *err)
{
    for (size_t i = 0; i < at->names->count && !item_reader_full(at->r); i++) {
        const char *name = at->names->names[i];
        if (ends_in(name, ".txt")) {
            SA_TRY(read_lone_text(at, i, err));
        } else if (!ends_in(name, ".mask.png") && !ends_in(name, ".gt.png") &&
                   is_picture(at->r->images, name)) {
            SA_TRY(read_picture(at, name, err));
        }
    }
    return SA_OK;
}

sa_status item_read_folder(item_reader *r, sa_error *err)
{
    listing names = {0};
    sa_status status = list_folder(r->path, &names, err);
    reader *at = status == SA_OK ? calloc(1, sizeof *at) : NULL;
    if (status == SA_OK && at == NULL) {
        status = item_no_memory(r->path, err);
    }
    if (status == SA_OK) {
        at->r = r;
        at->names = &names;
        status = read_names(at, err);
    }
    free(at);
    free_listing(&names);
    return status;
}
